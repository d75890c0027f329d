"""Sixty hosts behind one sshd, again and again: ``python -m tests.bench.starts --runs 10``, where a lab can be built.

``tests/lab/test_starts.py`` does one run of the same. Whom an sshd drops is chance, so one run that loses nobody proves
little: here are several of an sshd that has room for all of ours, and of one that drops most of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.lab.network import Lab, describe, why_not
from tests.lab.sshd import Sshd, why_no_sshd
from tests.lab.test_starts import drops, reached, sixty_hosts

HOSTS = 60
SSHDS = {"10:100:10": "as many as log in at once", "10:30:100": "the default", "3:100:3": "a few"}


def run(startups: str) -> tuple[int, int]:
    """How many hosts were lost, and how many connections dropped, by one sshd with this ``MaxStartups``."""
    with tempfile.TemporaryDirectory() as folder, Lab(describe("pc1-pc2")) as network:
        keys = Sshd(network, Path(folder))
        lines = sixty_hosts(keys, startups)
        _, found, _ = reached(network, keys, Path(folder), *lines)
        return HOSTS - found, drops(keys, "log")


def main() -> int:
    """Run each as often as is wanted, and say what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    reason = why_not() or why_no_sshd()
    if reason is not None:
        print(f"no lab: {reason}")
        return 2
    lost_in_all = 0
    for startups, meaning in SSHDS.items():
        began = time.monotonic()
        results = [run(startups) for _ in range(runs)]
        lost, dropped = (sum(column) for column in zip(*results, strict=True))
        lost_in_all += lost
        took = (time.monotonic() - began) / runs
        print(f"MaxStartups {startups} ({meaning}): {runs} runs of {HOSTS} hosts, {took:.0f} s each: {lost} lost, "
              f"{dropped} connections dropped and tried again", flush=True)  # fmt: skip
    return int(lost_in_all > 0)


if __name__ == "__main__":
    raise SystemExit(main())
