"""bindtest's two figures: ``python -m tests.bench.reach``.

A default run on a host with ten addresses beside ``netprobe --version``, and 1,000 silent cells beside their time-out.
"""

from __future__ import annotations

import subprocess
import sys
import time

from netprobe.prober import engine
from tests.bench.pairs import alternate
from tests.conftest import NETPROBE

ADDRESSES = 9  # besides 127.0.0.1
CELLS, TIMEOUT_S = 1000, 2.0


def main() -> None:
    """Run itself in a namespace of its own, and measure there."""
    if sys.argv[1:] != ["inside"]:
        subprocess.run(["unshare", "-rn", sys.executable, "-m", "tests.bench.reach", "inside"], check=True)
        return
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for number in range(1, ADDRESSES + 1):
        subprocess.run(["ip", "addr", "add", f"10.0.0.{number}/24", "dev", "lo"], check=True)
    commands = {"--version": [str(NETPROBE), "--version"], "bindtest": [str(NETPROBE), "bindtest", "-q"]}
    version, default = alternate(commands, runs=9)
    print(f"default run, 10 IPv4 addresses: {default.median_s:.3f} s, --version {version.median_s:.3f} s")
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)  # now every own address is silent
    for protocol in ("tcp", "udp"):
        cells = [{"id": n, "protocol": protocol, "address": "10.0.0.1", "port": 1000 + n} for n in range(CELLS)]
        began = time.perf_counter()
        engine.run({"nonce": "bench", "timeout": TIMEOUT_S, "cells": cells}, lambda line: None)
        print(f"{CELLS} silent {protocol} cells: {time.perf_counter() - began:.3f} s, time-out {TIMEOUT_S:g} s")


if __name__ == "__main__":
    main()
