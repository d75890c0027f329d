"""More vantages than this process may have descriptors for: they are asked in turns, and none is lost."""

from __future__ import annotations

import json

import pytest

from tests.conftest import NETPROBE, run_process


# Were they all asked at once, 500 vantages would need 7,000 descriptors and 100 would need 1,400.
@pytest.mark.parametrize(
    ("limits", "count"),
    [("ulimit -Sn 64", 24), ("ulimit -n 100", 24), ("ulimit -Sn 1024", 500), ("ulimit -n 1024", 100)],
)
def test_no_vantage_is_lost_for_want_of_descriptors(limits: str, count: int) -> None:
    vantages = [word for number in range(count) for word in ("--from", f"v{number}=exec:/usr/bin/env")]
    argv = [
        str(NETPROBE),
        "bindtest",
        "--addr",
        "127.0.0.1",
        "--to",
        "127.0.0.1",
        "--tcp",
        "--timeout",
        "10",
        "--json",
        *vantages,
    ]
    ran = run_process(["bash", "-c", f'{limits}; exec "$@"', "bash", *argv], timeout=300)
    document = json.loads(ran.stdout)
    assert document["errors"] == []
    cells = [cell for cell in document["results"] if cell["destination"] == "127.0.0.1"]
    assert [cell["observed"] for cell in cells] == ["reachable"] * count, ran.stderr
