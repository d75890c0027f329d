"""The table "who reaches what", pc1's part: netprobe itself runs inside pc1, and what it expects is what it sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import NETPROBE
from tests.lab.conftest import BuildLab

pytestmark = pytest.mark.lab

DESTINATIONS = ("127.0.0.1", "192.168.0.1", "10.10.152.8", "0.0.0.0")
NO, YES = "refused", "reachable"
# The rows of the measured table: what each bind address answers on the four destinations.
TABLE = {
    ("127.0.0.1",): (YES, NO, NO, YES),
    ("192.168.0.1",): (NO, YES, NO, NO),
    ("192.168.0.1", "10.10.152.8"): (NO, YES, YES, NO),
    ("0.0.0.0",): (YES, YES, YES, YES),
    ("127.0.0.2",): (NO, NO, NO, NO),
}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_pc1_reaches_what_the_table_says(lab: BuildLab, protocol: str) -> None:
    pc1 = lab("pc1-pc2")["pc1"]
    addresses = sorted({address for row in TABLE for address in row})
    options = [word for address in addresses for word in ("--addr", address)]
    ran = pc1.run(str(NETPROBE), "bindtest", "--json", f"--{protocol}", *options, check=False)
    assert ran.returncode == 0, ran.stderr
    cells: list[dict[str, Any]] = json.loads(ran.stdout)["results"]
    assert [cell for cell in cells if cell["expected"] != cell["observed"]] == []
    observed = {(cell["bind"], cell["destination"]): cell["observed"] for cell in cells}
    for binds, row in TABLE.items():
        for destination, verdict in zip(DESTINATIONS, row, strict=True):
            reached = any(observed[bind, destination] == YES for bind in binds)
            assert reached == (verdict == YES), (binds, destination)
            if not reached:
                assert {observed[bind, destination] for bind in binds} == {NO}


def test_another_loopback_address_is_reached_at_itself_only(lab: BuildLab) -> None:
    pc1 = lab("pc1-pc2")["pc1"]
    ran = pc1.run(str(NETPROBE), "bindtest", "--json", "--tcp", "--addr", "127.0.0.2")
    reached = [c["destination"] for c in json.loads(ran.stdout)["results"] if c["observed"] == YES]
    assert reached == ["127.0.0.2"]


def test_nothing_of_a_lab_is_left_when_its_process_is_killed(lab: BuildLab) -> None:
    import subprocess
    import sys
    from pathlib import Path

    lab("pc1-pc2")  # says why a lab cannot be built here
    program = (
        "import sys; from tests.lab.network import Lab, describe\n"
        "lab = Lab(describe('pc1-pc2')).__enter__()\n"
        "process = lab.start('pc1', 'sleep', '600')\n"
        "print(lab['pc1'].pid, lab['pc2'].pid, process.pid, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    watched = [_open_process(pid) for pid in pids]
    process.kill()
    process.communicate()
    for descriptor in watched:
        assert _ends_within(descriptor, seconds=10)


def test_a_daemon_of_a_host_ends_with_the_lab(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    pid = int(network["pc1"].run("sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!").stdout)
    watched = _open_process(pid)
    network.close()
    assert _ends_within(watched, seconds=10)


def _open_process(pid: int) -> int:
    import os

    return os.pidfd_open(pid)


def _ends_within(descriptor: int, seconds: float) -> bool:
    import os
    import select

    ended = bool(select.select([descriptor], [], [], seconds)[0])  # readable when the process is gone
    os.close(descriptor)
    return ended
