"""The processes of a server: one, or several on one port (SO_REUSEPORT) under a supervisor that replaces the dead.

One interpreter uses one processor, so more processors need more processes. Each has sockets of its own and the kernel
spreads the connections over them, so that no process accepts for another. The cost: a connection stays with the
process that got it, and limits hold for each process; only the memory is shared out, an equal part for each.

The supervisor keeps every worker's sockets open and never accepts from them: what waits in a dead worker's queue is
served by its successor. A worker reports events through a pipe, a line each, which it never waits for, and drains at
EOF on its lifeline, a pipe whose writing end only the supervisor holds: so it ends with the supervisor, also when that
is killed.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from netprobe.echo.server.bind import BindSettings, inherited_sockets, listener_opened, open_sockets
from netprobe.echo.server.event_sink import EventSink, SummaryLostError
from netprobe.echo.server.events import (
    ServerEvent,
    ServerSummary,
    WorkerEnded,
    WorkerStarted,
    decode,
    encode,
    utc_now,
)
from netprobe.echo.server.log_stream import LogStream
from netprobe.echo.server.loop import ServerLoop, ServerSettings
from netprobe.echo.server.memory import LEAST_BUDGET, return_large_blocks
from netprobe.echo.server.signals import NUMBERS, Signals
from netprobe.errors import CannotRunError
from netprobe.kernel.constants import SYSTEM

__all__ = ["serve"]

_GRACE: Final = 3.0  # seconds after the drain; a worker that is still there is killed
_SHORT_LIFE: Final = 1.0  # seconds; the replacement of a worker that died younger waits as long


def serve(bind: BindSettings, settings: ServerSettings, emit: Callable[[ServerEvent], None]) -> ServerSummary:
    """Serve until SIGINT or SIGTERM, then drain; ``emit`` gets every event, a ``ListenerOpened`` for each socket first.

    Sockets inherited from systemd (``LISTEN_FDS``) replace those of ``bind``. Raises CannotRunError where a socket
    cannot be opened, KeyboardInterrupt at a second signal. Call it from the main thread: it handles signals.
    """
    return_large_blocks()
    inherited = inherited_sockets(os.environ)
    sets = [inherited] * bind.workers if inherited else open_sockets(bind)
    asked = None if inherited else bind.backlog
    opened = [listener_opened(sock, settings.framed, asked, bind.workers) for sock in sets[0]]

    def announce() -> None:
        for event in opened:
            emit(event)

    try:
        if bind.workers == 1:
            summary = ServerLoop(sets[0], settings, emit).run(announce)
        else:
            share = replace(settings, memory=max(settings.memory // bind.workers, LEAST_BUDGET))
            summary = _Supervisor(sets, share, emit).run(announce)
        emit(summary)
        return summary
    finally:
        for sock in (sock for own in sets for sock in own):
            sock.close()


@dataclass(slots=True)
class _Worker:
    sockets: Sequence[socket.socket]
    pid: int = 0
    pipe: int = -1
    started: float = 0.0
    restarts: int = 0
    failing: bool = False  # it could not be started again, and that is said
    start_at: float | None = None  # when to start it again
    unread: bytes = b""


class _Supervisor:
    """Runs one worker for each list of sockets, until a signal."""

    def __init__(
        self,
        sets: Sequence[Sequence[socket.socket]],
        settings: ServerSettings,
        emit: Callable[[ServerEvent], None],
    ) -> None:
        if not hasattr(os, "fork"):
            raise CannotRunError("--workers", f"{SYSTEM} cannot fork processes", "omit --workers")
        self._settings = settings
        self._emit = emit
        self._workers = [_Worker(sockets) for sockets in sets]
        self._signals = Signals()
        self._draining = False
        self._kill_at: float | None = None
        self._total = ServerSummary(messages=0 if settings.framed else None)  # of the workers that have ended
        self._lifeline, self._lifeline_end = os.pipe()
        self._selector = selectors.PollSelector()  # no kernel object that a worker would inherit
        self._selector.register(self._signals, selectors.EVENT_READ)

    def run(self, announce: Callable[[], None]) -> ServerSummary:
        """Serve until SIGINT or SIGTERM and the drain after it; a second signal raises KeyboardInterrupt at once.

        ``announce`` is called when signals are handled, before the first worker starts.
        """
        started = monotonic()
        with self._signals:
            try:
                announce()
                for worker in self._workers:
                    self._start(worker)
                while any(worker.pid or worker.start_at is not None for worker in self._workers):
                    self._run_once()
            finally:
                self._kill()
                for worker in self._workers:
                    if worker.pid:
                        _wait_for(worker.pid)
                self._close_sockets()
        restarts = sum(worker.restarts for worker in self._workers)
        return replace(self._total, duration_s=round(monotonic() - started, 3), worker_restarts=restarts)

    def _run_once(self) -> None:
        times = (self._kill_at, *(worker.start_at for worker in self._workers))
        due = [when for when in times if when is not None]
        timeout = max(0.0, min(due) - monotonic()) if due else None
        ready = [key.data for key, _ in self._selector.select(timeout)]
        if None in ready:
            self._signals.clear()
        if self._signals.count and not self._draining:
            self._drain()
        for worker in ready:
            if worker is not None:
                self._read_events(worker)
        for worker in self._workers:
            if worker.start_at is not None and monotonic() >= worker.start_at:
                self._start(worker)
        if self._kill_at is not None and monotonic() >= self._kill_at:
            self._kill_at = None
            self._kill()

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.pid:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)

    def _drain(self) -> None:
        self._draining = True
        self._kill_at = monotonic() + self._settings.drain_timeout + _GRACE
        self._close_sockets()
        os.close(self._lifeline_end)
        for worker in self._workers:
            worker.start_at = None

    def _start(self, worker: _Worker) -> None:
        """Start it, or, where the system has no room for a process that was there before, try again later.

        Signals wait while there are two of this process: in the child they are for the parent's handlers until its own
        are installed, and those would end what only the parent may end.
        """
        worker.start_at = None
        ends: tuple[int, ...] = ()
        signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
        try:
            ends = reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                self._run_worker(worker, writing)
        except OSError as error:
            for end in ends:
                os.close(end)
            if not worker.started:
                raise CannotRunError("--workers", f"cannot start a process: {error.strerror}") from None
            if not worker.failing:
                worker.failing = True
                cause = f"not started again yet: {errno.errorcode.get(error.errno or 0)}"
                self._emit(WorkerEnded(utc_now(), 0, cause))
            worker.start_at = monotonic() + _SHORT_LIFE
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
        os.close(writing)
        worker.pid, worker.pipe, worker.started, worker.failing = pid, reading, monotonic(), False
        self._selector.register(reading, selectors.EVENT_READ, worker)
        self._emit(WorkerStarted(utc_now(), pid, worker.restarts))

    def _run_worker(self, worker: _Worker, writing: int) -> None:
        """In the child: serve, report through the pipe, and exit."""
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

            stream = LogStream(writing)

            def write(event: ServerEvent) -> None:
                stream.write(encode(event))
                stream.flush()

            emit = EventSink(write, stream)
            loop = ServerLoop(worker.sockets, self._settings, emit, self._lifeline)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
            emit(loop.run())
            status = 0
        except (KeyboardInterrupt, SummaryLostError):
            pass
        except BaseException:
            _report_crash()
        finally:
            os._exit(status)

    def _read_events(self, worker: _Worker) -> None:
        data = os.read(worker.pipe, 65536)
        if not data:
            self._reap(worker)
            return
        *lines, worker.unread = (worker.unread + data).split(b"\n")
        for line in lines:
            event = decode(line)
            if isinstance(event, ServerSummary):
                self._total = self._total.plus(event)
            else:
                self._emit(event)

    def _reap(self, worker: _Worker) -> None:
        """The pipe is closed, so the process is gone. Replace it, unless the server is draining."""
        cause = _wait_for(worker.pid)
        self._selector.unregister(worker.pipe)
        os.close(worker.pipe)
        pid, worker.pid, worker.pipe, worker.unread = worker.pid, 0, -1, b""
        if self._draining:
            return
        self._emit(WorkerEnded(utc_now(), pid, cause))
        worker.restarts += 1
        now = monotonic()
        worker.start_at = now if now - worker.started >= _SHORT_LIFE else now + _SHORT_LIFE

    def _close_sockets(self) -> None:
        for worker in self._workers:
            for sock in worker.sockets:
                sock.close()


def _wait_for(pid: int) -> str:
    """How the process ended, in words. None but its parent can say, and not if somebody ignores SIGCHLD (wait(2))."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "unknown"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal between the first and the last has no name
        return f"signal {-code}"


def _report_crash() -> None:
    """The current exception on stderr, if that takes it: a worker that waits there is never replaced."""
    import traceback

    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            stream = LogStream(sys.stderr.fileno())
            stream.write(traceback.format_exc())
            stream.flush()
