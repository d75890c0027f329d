"""What a run that was ended has left behind in a lab: tables, and processes beside the keepers."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.conftest import NETPROBE
from tests.lab.network import Lab

__all__ = ["ROUTED", "killed_at_random", "left_in"]

ROUTED: Mapping[str, Any] = {
    "hosts": {
        "pc": {"routes": ["default via 10.1.0.1"]},
        "router": {"sysctl": {"net.ipv4.ip_forward": 1}},
        "server": {"routes": ["default via 10.2.0.1"]},
    },
    "links": [
        {
            "ends": [
                {"host": "pc", "name": "e0", "addresses": ["10.1.0.2/24"]},
                {"host": "router", "name": "r1", "addresses": ["10.1.0.1/24"]},
            ]
        },
        {
            "ends": [
                {"host": "router", "name": "r2", "addresses": ["10.2.0.1/24"]},
                {"host": "server", "name": "e0", "addresses": ["10.2.0.2/24"]},
            ]
        },
    ],
}
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
LONGEST_S: Final = 1.6  # when the run has ended by itself on an idle machine
GONE_S: Final = 20.0  # how long what was started may take to go
DROP: Final = "table inet f { chain c { type filter hook forward priority 0; tcp dport 41234 drop; }; }"


def left_in(lab: Lab) -> list[str]:
    """Each table of the tracer's, and each process that is not the lab's own."""
    found = []
    namespaces = {Path(host.network).stat().st_ino: name for name, host in lab.hosts.items()}
    keepers = {host.pid for host in lab.hosts.values()}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            name = namespaces.get((process / "ns/net").stat().st_ino)
            if name is not None and int(process.name) not in keepers:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ")[:80].decode("utf-8", "replace")
                found += [f"{name}: process {process.name}: {words}"] if words else []
    for name, host in lab.hosts.items():
        tables = host.run("nft", "list", "tables").stdout.splitlines()
        found += [f"{name}: {line}" for line in tables if "netprobe_" in line]
    return found


def killed_at_random(lab: Lab, seed: int, runs: int) -> Iterator[tuple[str, list[str]]]:
    """(what was done, what it has left) of runs with a trace at this host and two vantages, each ended by a signal."""
    dice = random.Random(seed)
    lab["router"].run("nft", "-f", "-", input=DROP)
    argv = [str(NETPROBE), "bindtest", "--addr", "10.2.0.2", "--port", "41234", "--tcp", "--timeout", "1", "--trace"]
    for name in ("pc", "router"):
        argv += ["--from", f"{name}=netns:{lab[name].network}"]
    for number in range(runs):
        instant, how = dice.uniform(0.0, LONGEST_S), dice.choice(SIGNALS)
        process = lab.start("server", *argv, stderr=-1)
        time.sleep(instant)
        with suppress(ProcessLookupError):
            os.kill(process.pid, how)
        process.communicate(timeout=GONE_S)
        deadline = time.monotonic() + GONE_S
        while (left := left_in(lab)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield f"run {number}: {how.name} after {instant:.3f} s", left
