"""How many sessions fit beside each other, so that hundreds of vantages are asked in turns and not by halves.

What a run needs grows with what it is asked for: six descriptors for a session with a process, five more while that
starts, and for each cell the prober's socket and the responder's side of it, where both are in this process. When they
ran out, true vantages were ``not-tested``; and had they run out in the responder, a cell would have been silent for no
reason of the network's. So the need is added up before anything is started. The limit is raised as far as it may be,
and what does not fit waits for others to end.

Processes and threads are limited, too (RLIMIT_NPROC for all of a user's, pids.max for all of a container's). What is
refused here is tried again, but a vantage's program that cannot fork just fails. So there are fewer at once where the
limit is low.

More than 16 at once for each processor do not pay, whatever the limits: starting is work for this host. 400 programs
that started together on two processors took more than the 20 s that each has to its hello. With 64 at once 400 vantages
took 44 s, with 32 it was 41 to 46 s; but beside other work probes of true vantages waited for their processor longer
than a time-out of 1 s (5 of 390 with 64).

A request that would take more than half of all room asks its cells in rounds instead (``Request.sockets``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from netprobe.kernel.processors import available_cores
from netprobe.prober.sockets import descriptors_for
from netprobe.reach.messages import Request

__all__ = ["Room"]

AT_ONCE = min(64, 16 * available_cores())
A_SESSION = 12  # descriptors, rounded up
A_CELL = 2
TASKS = 8  # processes and threads of a session: one here, a program and what wraps it, a prober with two threads


class Room:
    """The descriptors that the sessions of a run share."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._at_once = max(1, min(AT_ONCE, _free_tasks() // TASKS))
        self._most = self._at_once  # fewer after a refusal
        self._taken: list[int] = []
        needs = sorted((_need(request) for request in requests), reverse=True)
        open_now = _open_descriptors()
        self._size = descriptors_for(open_now + sum(needs[: self._at_once])) - open_now

    def fitted(self, request: Request) -> Request:
        """The request, in rounds of as many cells as fit into half of the room."""
        sockets = max(1, (self._size // 2 - A_SESSION) // A_CELL)
        return request if _sockets(request) <= sockets else replace(request, sockets=sockets)

    def take(self, request: Request) -> bool:
        """Is there room for one more? Then it is taken. There always is for the only one."""
        need = _need(request)
        if self._taken and (len(self._taken) >= self._most or sum(self._taken) + need > self._size):
            return False
        self._taken.append(need)
        return True

    def give_back(self, request: Request) -> None:
        """A session has ended: one more may be tried at once than before, if there were fewer than usual."""
        self._taken.remove(_need(request))
        self._most = min(self._most + 1, self._at_once)

    def refused(self, request: Request) -> None:
        """The system has refused what this session needed: no more than the others run until one of them has ended."""
        self._taken.remove(_need(request))
        self._most = max(1, len(self._taken))


def _need(request: Request) -> int:
    """Descriptors in this process."""
    return A_SESSION + A_CELL * _sockets(request)


def _sockets(request: Request) -> int:
    """Cells that are asked at once."""
    return min(request.most_cells, request.sockets or request.most_cells)


def _free_tasks() -> int:
    """How many processes and threads may still be started; half of the limit where nobody counts those that run."""
    free = [TASKS * AT_ONCE]
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        if limit != resource.RLIM_INFINITY and os.geteuid():  # root is exempt (getrlimit(2))
            free.append(limit // 2)
    with suppress(OSError, ValueError):
        group = Path("/proc/self/cgroup").read_text("utf-8").rpartition("0::/")[2].strip()
        folder = Path("/sys/fs/cgroup", group)  # the one hierarchy of version 2 (cgroups(7))
        free.append(int((folder / "pids.max").read_text("ascii")) - int((folder / "pids.current").read_text("ascii")))
    return min(free)


def _open_descriptors() -> int:
    """How many are open now; a usual number where the system does not list them."""
    try:
        return len(list(Path("/dev/fd").iterdir()))
    except OSError:
        return 32
