"""``echo ping`` beside a C ping-pong client, on one server: ``python -m tests.bench.echo.round_trips [messages]``.

Both send 64 bytes and wait for them, in turn (A B A B …), 7 runs each. The server has one processor and the clients
have another, so that the scheduler's choice does not decide, nor what a client leaves of the server's caches; the table
shows medians of the runs' figures and their ratio. The last column is the kernel's own figure, which ping shows beside
the application's. Between two messages the C client pauses for about as long as ping keeps its books: without that
pause the server has not yet gone to sleep when the next one comes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.bench.echo.build import build, netprobe_server
from tests.conftest import NETPROBE, clean_environment

RUNS = 7
MESSAGES = 5000
PAUSE_US = 20


def by_c(program: Path, port: int, protocol: str, messages: int) -> tuple[float, float]:
    """p50 and p99 in microseconds."""
    argv = [str(program), str(port), protocol, "64", str(messages), str(PAUSE_US)]
    p50, p99 = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    return float(p50), float(p99)


def by_netprobe(port: int, protocol: str, messages: int) -> tuple[float, float, float]:
    """p50, p99 and the kernel's figure in microseconds."""
    argv = [str(NETPROBE), "echo", "ping", f"127.0.0.1:{port}", f"--{protocol}", "--count", str(messages)]
    argv += ["--interval", "0", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=clean_environment())
    summary = json.loads(done.stdout)["summary"]
    kernel = summary["kernel"] or {}
    return summary["p50_ms"] * 1000, summary["p99_ms"] * 1000, kernel.get("rtt_ms", float("nan")) * 1000


def main() -> None:
    """Print a row for each protocol."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    with tempfile.TemporaryDirectory() as folder, netprobe_server("--udp") as server:
        if hasattr(os, "sched_setaffinity"):
            processors = os.sched_getaffinity(0)
            os.sched_setaffinity(server.pid, {min(processors)})
            os.sched_setaffinity(0, {max(processors)})
        program = build("pingpong", Path(folder))
        print(f"{messages:,} messages of 64 bytes, microseconds, medians of {RUNS} runs")
        print(f"{'':4} {'C p50':>8} {'ping p50':>9} {'ratio':>6} {'C p99':>8} {'ping p99':>9} {'kernel':>8}")
        for protocol in ("tcp", "udp"):
            theirs: list[tuple[float, float]] = []
            ours: list[tuple[float, float, float]] = []
            for _ in range(RUNS):
                theirs.append(by_c(program, server.port, protocol, messages))
                ours.append(by_netprobe(server.port, protocol, messages))
            c50, c99 = (median(column) for column in zip(*theirs, strict=True))
            p50, p99, kernel = (median(column) for column in zip(*ours, strict=True))
            print(f"{protocol:4} {c50:8.1f} {p50:9.1f} {p50 / c50:6.2f} {c99:8.1f} {p99:9.1f} {kernel:8.1f}")


if __name__ == "__main__":
    main()
