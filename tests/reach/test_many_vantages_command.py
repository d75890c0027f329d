"""More vantages than this process may have descriptors for: they are asked in turns, and none is lost."""

from __future__ import annotations

import json

import pytest

from tests.conftest import NETPROBE, run_process


@pytest.mark.parametrize("limits", ["ulimit -Sn 64", "ulimit -n 100"], ids=["soft", "hard"])
def test_no_vantage_is_lost_for_want_of_descriptors(limits: str) -> None:
    vantages = [word for number in range(24) for word in ("--from", f"v{number}=exec:/usr/bin/env")]
    argv = [str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--tcp", "--timeout", "10", "--json", *vantages]
    ran = run_process(["bash", "-c", f'{limits}; exec "$@"', "bash", *argv])
    cells = [cell for cell in json.loads(ran.stdout)["results"] if cell["destination"] == "127.0.0.1"]
    assert [cell["observed"] for cell in cells] == ["reachable"] * 24, ran.stderr
