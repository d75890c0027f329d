"""Messages, connects and bytes a second of echo servers side by side: ``python -m tests.bench.echo.compare``.

One load generator in C drives all. At each point the servers take turns (A B A B …), 5 runs each; the table shows
medians and their ratios to the C epoll server's. Not run by pytest. Options: --runs N, --seconds S, --only WORD.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from statistics import median

from netprobe.echo.framing import Connection, Message
from tests.bench.echo.build import Running, build, c_server, ncat_server, netprobe_server, socat_server


@dataclass(frozen=True, slots=True)
class Point:
    """One row: what the load does, and the servers that can take it."""

    name: str
    mode: str
    amount: int
    size: int
    servers: tuple[str, ...]


OURS, C, FRAMED, TWO = "netprobe", "C epoll", "netprobe --framed", "netprobe --workers 2"
C_TWO = "C epoll x 2"  # what a second process gains here, whatever it is written in
FRAMED_TWO = "netprobe --framed --workers 2"
FORKERS = ("socat", "ncat")
POINTS = [
    *(
        Point(f"{n} x {size} B", "ping", n, size, (C, OURS, *(FORKERS if n in (50, 500) else ()), *extra))
        for size, extra in ((64, (C_TWO, FRAMED, TWO, FRAMED_TWO)), (16384, (C_TWO, TWO)))
        for n in (1, 50, 500, 5000)
    ),
    Point("connects/s", "churn", 32, 64, (C, OURS, C_TWO, TWO, *FORKERS)),
    Point("one stream, bytes/s", "stream", 1024, 262144, (C, OURS, "socat")),
]


def main() -> None:
    """Run the points and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--only", default="")
    given = options.parse_args()
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        load = build("load", made)
        (made / "frame").write_bytes(Connection().send(Message.of_bytes(bytes(64))))
        yardstick = build("server", made)
        first, sharing = (stack.enter_context(c_server(yardstick)) for _ in range(2))
        stack.enter_context(c_server(yardstick, sharing.port))
        servers = {
            C: first,
            C_TWO: sharing,
            OURS: stack.enter_context(netprobe_server()),
            FRAMED: stack.enter_context(netprobe_server("--framed")),
            TWO: stack.enter_context(netprobe_server("--workers", "2")),
            FRAMED_TWO: stack.enter_context(netprobe_server("--framed", "--workers", "2")),
        }
        for name, start in (("socat", socat_server), ("ncat", ncat_server)):
            if shutil.which(name):
                servers[name] = stack.enter_context(start())
        ratios = []
        by_two: dict[str, list[float]] = {}
        for point in POINTS:
            if given.only in point.name or given.only in point.mode:
                taken = measure(point, servers, load, made / "frame", given.runs, given.seconds)
                print_row(point, taken)
                if point.mode == "ping":
                    ratios.append(taken[OURS] / taken[C])
                for one, two in ((C, C_TWO), (OURS, TWO), (FRAMED, FRAMED_TWO)):
                    if two in taken:
                        by_two.setdefault(f"{two} against one", []).append(taken[two] / taken[one])
        if ratios:
            print(f"\ngeometric mean {exp(sum(map(log, ratios)) / len(ratios)):.2f}, worst {min(ratios):.2f}")
        for name, gains in by_two.items():
            print(f"{name}: {'  '.join(f'{gain:.2f}' for gain in gains)}")
        if not given.only or given.only == "idle":
            print_idle(load)


def measure(
    point: Point, servers: dict[str, Running], load: Path, frame: Path, runs: int, seconds: float
) -> dict[str, float]:
    """The medians of ``runs`` in turn; a server that fails under the load counts as 0."""
    taken: dict[str, list[float]] = {name: [] for name in point.servers if name in servers}
    for _ in range(runs):
        for name, results in taken.items():
            argv = [load, servers[name].port, point.mode, point.amount, point.size, seconds]
            argv += [frame] if name in (FRAMED, FRAMED_TWO) else []
            done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False, timeout=120)
            results.append(float(done.stdout) if done.returncode == 0 else 0.0)
    return {name: median(results) for name, results in taken.items()}


def print_row(point: Point, taken: dict[str, float]) -> None:
    """One point: absolute for the C server, ratios for the rest."""
    base = taken[C]
    rest = "  ".join(f"{name} {value / base:.2f}" for name, value in taken.items() if name != C)
    print(f"{point.name:22} {C} {base:14,.0f}/s  {rest}", flush=True)


def print_idle(load: Path) -> None:
    """Resident memory of 10,000 idle connections."""
    with netprobe_server() as server:
        before = resident(server.pid)
        with subprocess.Popen(
            [str(load), str(server.port), "idle", "10000", "0", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "open\n"
            after = resident(server.pid)
            client.communicate("")
    print(f"10,000 idle connections: {before} KiB -> {after} KiB, {(after - before) / 10_000:.2f} KiB each")


def resident(pid: int) -> int:
    """The resident set in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


if __name__ == "__main__":
    main()
