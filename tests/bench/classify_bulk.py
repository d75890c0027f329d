"""Bulk classification beside its peers, in one run: ``python -m tests.bench.classify_bulk [lines]``.

Two streams: distinct random addresses, and a skewed log in which few addresses make most of the lines. Peers: a loop
over ``ipaddress``' ``is_global``, and ``grepcidr`` (Debian), which only matches.
"""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.conftest import NETPROBE

LINES = 2_000_000
RUNS = 5
PEER = "ipaddress.is_global loop"
LOOP = (
    "import ipaddress, sys\n"
    "for line in sys.stdin:\n"
    "    try: ipaddress.ip_address(line.strip()).is_global\n"
    "    except ValueError: pass\n"
)


def random_text(number: int, rng: random.Random) -> str:
    """``number`` random IPv4 addresses, one a line."""
    return "".join(
        f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\n" for n in (rng.getrandbits(32) for _ in range(number))
    )


def skewed_text(number: int, rng: random.Random) -> str:
    """A log: 50,000 addresses, the n-th about 1/n as often as the first."""
    pool = random_text(50_000, rng).splitlines(keepends=True)
    weights = [1 / rank for rank in range(1, len(pool) + 1)]
    return "".join(rng.choices(pool, weights, k=number))


def seconds(argv: Sequence[str], path: Path) -> float:
    """Wall time of ``argv`` with the file on its stdin."""
    with path.open("rb") as stdin:
        start = time.perf_counter()
        subprocess.run(argv, stdin=stdin, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start


def peak_mb(argv: Sequence[str]) -> float:
    """Peak resident memory of the largest process that ``argv`` starts, in MB."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def measure(name: str, path: Path, lines: int) -> None:
    """Print one table."""
    ours = [str(NETPROBE), "classify", "--file", str(path), "--format", "plain", "--processes"]
    commands = {
        PEER: [sys.executable, "-c", LOOP],
        "netprobe, 1 process": [*ours, "1"],
        "netprobe, 2 processes": [*ours, "2"],
    }
    if shutil.which("grepcidr"):
        commands["grepcidr 10.0.0.0/8"] = ["grepcidr", "10.0.0.0/8"]
    taken: dict[str, list[float]] = {command: [] for command in commands}
    for _ in range(RUNS):
        for command, argv in commands.items():
            taken[command].append(seconds(argv, path))
    base = median(taken[PEER])
    print(f"\n{name}: {lines:,} lines, median of {RUNS}")
    print(f"{'':28} {'seconds':>8} {'M lines/s':>10} {'x loop':>7}")
    for command, times in taken.items():
        print(f"{command:28} {median(times):8.2f} {lines / median(times) / 1e6:10.2f} {base / median(times):7.1f}")
    print(f"peak memory: {peak_mb([*ours, '1']):.0f} MB with one process, {peak_mb([*ours, '2']):.0f} MB with two")


def main() -> None:
    """Both streams."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    rng = random.Random(20261123)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("distinct random addresses", random_text), ("skewed log", skewed_text)):
            path = Path(folder) / "addresses"
            path.write_text(make(lines, rng))
            measure(name, path, lines)
    print(f"\n(this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB)")


if __name__ == "__main__":
    main()
