"""Two workers beside one where processors are spare: ``python -m tests.bench.echo.workers [percent]``.

On a small machine the load generator and one worker fill all processors, and a second worker has nothing to run on. So
here each serving process may use only a share of a processor (25 per cent unless told), which a Linux control group
sees to: what is left over is what a larger machine would have. Needs root. Medians of 5 runs in turn (A B A B …).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netprobe.echo.framing import Connection, Message
from tests.bench.echo.build import build, netprobe_server
from tests.bench.echo.compare import FRAMED, FRAMED_TWO, OURS, POINTS, TWO, Point, measure

RUNS = 5
SECONDS = 0.8
PERCENT = 25
PERIOD_US = 10_000
GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def share(pid: int, percent: int) -> Iterator[None]:
    """Let the process use ``percent`` (1 to 100) of one processor, and no more.

    Source: the kernel's sched-bwc (version 1, ``cpu.cfs_quota_us``) and cgroup-v2 (``cpu.max``), both per period.
    """
    first = GROUPS / "cpu"
    group = (first if first.is_dir() else GROUPS) / f"netprobe-bench-{pid}"
    quota = PERIOD_US * percent // 100
    group.mkdir()
    try:
        if first.is_dir():
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        (group.parent / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def children(pid: int, count: int) -> list[int]:
    """The process ids of a supervisor's ``count`` workers, once they run."""
    for _ in range(200):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        if len(found) == count:
            return [int(child) for child in found]
        time.sleep(0.02)
    raise RuntimeError(f"process {pid} has not started {count} workers")


def main() -> None:
    """Print a row for each point."""
    if os.geteuid() != 0:
        raise SystemExit("needs root: control groups share the processors out")
    percent = int(sys.argv[1]) if len(sys.argv) > 1 else PERCENT
    if not 1 <= percent <= 100:
        raise SystemExit(f"{percent} per cent of a processor: 1 to 100")
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        load = build("load", made)
        (made / "frame").write_bytes(Connection().send(Message.of_bytes(bytes(64))))
        servers = {}
        for name, options in ((OURS, ()), (FRAMED, ("--framed",))):
            servers[name] = stack.enter_context(netprobe_server(*options))
            stack.enter_context(share(servers[name].pid, percent))
        for name, options in ((TWO, ()), (FRAMED_TWO, ("--framed",))):
            servers[name] = stack.enter_context(netprobe_server(*options, "--workers", "2"))
            for worker in children(servers[name].pid, 2):
                stack.enter_context(share(worker, percent))
        print(f"each serving process has {percent} per cent of a processor; medians of {RUNS} runs")
        for point in POINTS:
            if TWO not in point.servers:
                continue
            both = (OURS, TWO, *((FRAMED, FRAMED_TWO) if FRAMED in point.servers else ()))
            row = Point(point.name, point.mode, point.amount, point.size, both)
            taken = measure(row, servers, load, made / "frame", RUNS, SECONDS)
            framed = f"  framed {taken[FRAMED_TWO] / taken[FRAMED]:.2f}" if FRAMED in taken else ""
            print(
                f"{point.name:22} one {taken[OURS]:9,.0f}/s  two {taken[TWO]:9,.0f}/s"
                f"  two against one {taken[TWO] / taken[OURS]:.2f}{framed}",
                flush=True,
            )


if __name__ == "__main__":
    main()
