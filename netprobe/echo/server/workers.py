"""Several processes on one port (SO_REUSEPORT), supervised: one that dies is replaced.

The supervisor keeps every worker's sockets open and never accepts from them: what waits in a dead worker's queue is
served by its successor. A worker tells what happens through a pipe, a line of JSON each, and drains when the
supervisor's end of the lifeline closes, however that comes about.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import monotonic
from typing import Any, Final

from netprobe.echo.server import happenings
from netprobe.echo.server.happenings import Happening, Summary, WorkerEnded, WorkerStarted, utc_now
from netprobe.echo.server.limits import Limits
from netprobe.echo.server.loop import Server
from netprobe.echo.server.signals import Signals
from netprobe.errors import CannotRunError
from netprobe.kernel.constants import SYSTEM

__all__ = ["Supervisor"]

SHORT_LIFE: Final = 1.0  # seconds: a worker that died younger is replaced only after as long


@dataclass(slots=True)
class _Worker:
    sockets: Sequence[socket.socket]
    pid: int = 0
    pipe: int = -1
    started: float = 0.0
    restarts: int = 0
    start_at: float | None = None  # when to start it again
    unread: bytes = b""
    summaries: list[Summary] = field(default_factory=list)


class Supervisor:
    """Runs one worker for each list of sockets, until a signal."""

    def __init__(
        self, sets: Sequence[Sequence[socket.socket]], limits: Limits, say: Callable[[Happening], None]
    ) -> None:
        if not hasattr(os, "fork"):
            raise CannotRunError("--workers", f"{SYSTEM} cannot fork processes", "leave --workers out")
        self._limits = limits
        self._say = say
        self._workers = [_Worker(sockets) for sockets in sets]
        self._signals = Signals()
        self._draining = False
        self._lifeline, self._lifeline_end = os.pipe()
        self._heard = selectors.PollSelector()  # keeps nothing in the kernel that a worker would inherit
        self._heard.register(self._signals, selectors.EVENT_READ)

    def run(self, announce: Callable[[], None] = lambda: None) -> Summary:
        """Serve until SIGINT or SIGTERM and the drain after it; a second signal raises KeyboardInterrupt at once.

        ``announce`` is called when signals do what they should, and before the first worker starts.
        """
        started = monotonic()
        with self._signals:
            try:
                announce()
                for worker in self._workers:
                    self._start(worker)
                while any(worker.pid or worker.start_at for worker in self._workers):
                    self._turn()
            finally:
                for worker in self._workers:
                    if worker.pid:
                        os.kill(worker.pid, signal.SIGKILL)
                        os.waitpid(worker.pid, 0)
                self._close_sockets()
        return self._summary(monotonic() - started)

    def _turn(self) -> None:
        due = [worker.start_at for worker in self._workers if worker.start_at is not None]
        timeout = max(0.0, min(due) - monotonic()) if due else None
        ready = [key.data for key, _ in self._heard.select(timeout)]
        if None in ready:
            self._signals.clear()
        if self._signals.count and not self._draining:
            self._drain()
        for worker in ready:
            if worker is not None:
                self._hear(worker)
        for worker in self._workers:
            if worker.start_at is not None and monotonic() >= worker.start_at:
                self._start(worker)

    def _drain(self) -> None:
        self._draining = True
        self._close_sockets()
        os.close(self._lifeline_end)
        for worker in self._workers:
            worker.start_at = None

    def _start(self, worker: _Worker) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._become(worker, writing)
        os.close(writing)
        worker.pid, worker.pipe, worker.started, worker.start_at = pid, reading, monotonic(), None
        self._heard.register(reading, selectors.EVENT_READ, worker)
        self._say(WorkerStarted("worker-started", utc_now(), pid, worker.restarts))

    def _become(self, worker: _Worker, writing: int) -> None:
        """In the child: serve, tell through the pipe, and end without coming back."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            os.close(self._lifeline_end)
            for other in self._workers:
                if other is not worker:
                    for sock in other.sockets:
                        if sock.family in (socket.AF_INET, socket.AF_INET6) and sock not in worker.sockets:
                            sock.close()
                    if other.pipe >= 0:
                        os.close(other.pipe)

            def say(event: Happening) -> None:
                line = json.dumps([type(event).__name__, asdict(event)]).encode() + b"\n"
                while line:
                    line = line[os.write(writing, line) :]

            say(Server(worker.sockets, self._limits, say, self._lifeline).run())
            status = 0
        except (KeyboardInterrupt, BrokenPipeError):
            pass
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)

    def _hear(self, worker: _Worker) -> None:
        data = os.read(worker.pipe, 65536)
        if not data:
            self._bury(worker)
            return
        *lines, worker.unread = (worker.unread + data).split(b"\n")
        for line in lines:
            name, values = json.loads(line)
            event: Any = getattr(happenings, name)(**values)
            if isinstance(event, Summary):
                worker.summaries.append(event)
            else:
                self._say(event)

    def _bury(self, worker: _Worker) -> None:
        """The pipe is closed: the process is gone. Replace it, unless it was to go."""
        _, status = os.waitpid(worker.pid, 0)
        self._heard.unregister(worker.pipe)
        os.close(worker.pipe)
        pid, worker.pid, worker.pipe, worker.unread = worker.pid, 0, -1, b""
        if self._draining:
            return
        code = os.waitstatus_to_exitcode(status)
        cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        self._say(WorkerEnded("worker-ended", utc_now(), pid, cause))
        worker.restarts += 1
        now = monotonic()
        worker.start_at = now if now - worker.started >= SHORT_LIFE else now + SHORT_LIFE

    def _close_sockets(self) -> None:
        for worker in self._workers:
            for sock in worker.sockets:
                sock.close()

    def _summary(self, seconds: float) -> Summary:
        """The workers' summaries as one."""
        total = Summary("summary", round(seconds, 3), 0, 0, 0, 0 if self._limits.framed else None, 0, 0, 0, 0, 0, 0)
        for worker in self._workers:
            total = replace(total, worker_restarts=total.worker_restarts + worker.restarts)
            for part in worker.summaries:
                total = _sum(total, part)
        return total


ADDED: Final = (
    "connections",
    "received_bytes",
    "sent_bytes",
    "broken_frames",
    "undelivered_bytes",
    "datagrams",
    "datagrams_answered",
    "datagrams_refused",
)


def _sum(a: Summary, b: Summary) -> Summary:
    added = {name: getattr(a, name) + getattr(b, name) for name in ADDED}
    return replace(a, **added, messages=None if a.messages is None else a.messages + (b.messages or 0))
