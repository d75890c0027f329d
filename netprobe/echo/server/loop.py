"""One process of an echo server: one event loop for all its connections and datagrams, no threads.

Why a loop of our own: the kernel's loopback path is most of an echo's cost, about 6 us of CPU for 64 bytes in C and 7
to 8 here, so what decides is what is wrapped around it. With 50 and 500 connections of 64 bytes, as ratios to a
single-threaded C server: a lean loop over a poller 0.86 and 0.97, an asyncio protocol 0.77 and 0.64, asyncio streams
0.44 and 0.38, a thread for each connection 0.26 and 0.16; and 10,000 idle connections take 14 MB, against 37, 72 and
815. Processors beyond the first are for ``--workers``.

What makes it lean: one shared receive buffer, an immediate send from a view of it, interest in writing only while bytes
are pending, a bound method kept for each descriptor, a whole batch handled between two polls, time read once a batch,
and a heap that is frozen before the first connection, so that the garbage collector never walks it again.
"""

from __future__ import annotations

import gc
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Final

from netprobe.echo.messages import MAX_CONTENT
from netprobe.echo.server.acceptor import RETRY, Acceptor
from netprobe.echo.server.busy_poll import busy_polling
from netprobe.echo.server.connection import EchoConnection, Totals
from netprobe.echo.server.datagrams import Datagrams
from netprobe.echo.server.events import (
    AcceptPaused,
    AcceptResumed,
    Draining,
    Ending,
    MemoryExceeded,
    ServerEvent,
    ServerSummary,
    SocketName,
    utc_now,
)
from netprobe.echo.server.framed_connection import FramedConnection
from netprobe.echo.server.memory import DEFAULT_BUDGET, MemoryBudget
from netprobe.echo.server.poller import BATCH, READ, forgets_closed, new_poller
from netprobe.echo.server.signals import Signals
from netprobe.echo.server.small_messages import SMALL, echo_small
from netprobe.echo.server.splice import Pipe
from netprobe.echo.server.tally import Tally

__all__ = ["QUIET", "ServerLoop", "ServerSettings"]

QUIET: Final = 0.2  # seconds of silence after which a draining server considers a connection done

_BUFFER_SIZE: Final = 256 * 1024  # bytes; a large one makes a long stream fast, and all connections share it
_SHORTEST_SWEEP: Final = 0.01  # seconds between two looks at all connections
_PLAIN_SIZE: Final = 512  # bytes of memory that a connection takes by itself
_FRAMED_SIZE: Final = 3072  # bytes; with its last header and the beginning of its replies
_FLOOR: Final = 1024  # bytes a second by which an incomplete frame must grow
_BY_LIMIT: Final = ("max-connections", "memory")  # why accepting pauses until a connection has ended
_LAST_CALL: Final = 0.1  # seconds before the end of the drain at which busy connections are closed too


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How connections are served; sizes in bytes, times in seconds, None is without limit."""

    framed: bool = False
    log: bool = False
    max_connections: int | None = None
    idle_timeout: float | None = None
    max_buffer: int = _BUFFER_SIZE
    max_content: int = MAX_CONTENT
    rate: float | None = None  # datagrams per second per peer; None: the default, with loopback exempt; 0: unlimited
    drain_timeout: float = 2.0
    memory: int = DEFAULT_BUDGET  # for what is held for all peers of the process together
    frame_timeout: float | None = 60.0  # in which an incomplete frame must grow by a kilobyte for each second
    busy_poll: float = 0.0  # seconds that the loop polls before it sleeps, while messages follow each other closely


class ServerLoop:
    """Serves ``sockets`` (listening streams and bound datagram sockets, which it closes) until a signal.

    It is the :class:`~netprobe.echo.server.connection.Reactor` of its connections. EOF on ``lifeline`` (the reading end
    of a pipe) stops it as a signal does; then the holder of the writing end decides what a second signal does.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        settings: ServerSettings,
        emit: Callable[[ServerEvent], None],
        lifeline: int | None = None,
    ) -> None:
        self.now = monotonic()
        self.max_buffer = settings.max_buffer
        self.max_content = settings.max_content
        self.view = memoryview(bytearray(_BUFFER_SIZE))
        self.space = self.view[: min(_BUFFER_SIZE, settings.max_buffer)]
        self.small_size = SMALL if os.name == "posix" and settings.max_buffer >= SMALL else 0
        self.pipe = None if settings.framed else Pipe.open()
        self.memory: MemoryBudget[EchoConnection] = MemoryBudget(settings.memory)
        self.frame_floor = _FLOOR * (settings.frame_timeout or 0)
        self.totals = Totals()
        self._settings = settings
        self._emit = emit
        # Counts small messages of all connections at once, as long as no option needs to know what each one did.
        self._small_totals = None if settings.log or settings.idle_timeout is not None else self.totals
        self._poller = new_poller()
        self._forgets_closed = forgets_closed(self._poller)
        self._handlers: dict[int, Callable[[int], object]] = {}
        self._connections: dict[int, EchoConnection] = {}
        self._small: dict[int, EchoConnection] = {}  # those whose last message was small
        # Both have the earliest time first, because all wait equally long: else each look would be one at all of them.
        self._lingering: OrderedDict[EchoConnection, float] = OrderedDict()
        self._awaited: OrderedDict[EchoConnection, float] = OrderedDict()  # those in the middle of a frame
        self._size = _FRAMED_SIZE if settings.framed else _PLAIN_SIZE
        self._pauses = Tally()
        self._told_paused = False
        self._evictions = Tally()
        self._evicted: MemoryExceeded | None = None  # the last one
        self._draining_until: float | None = None
        self._wake_at = float("inf")
        self._sweep_at = float("inf")
        streams = [s for s in sockets if s.type == socket.SOCK_STREAM]
        self._acceptor = Acceptor(streams, self._full, self._open, self._pause, self._lost)
        bound = [s for s in sockets if s.type == socket.SOCK_DGRAM]
        ports = {s.getsockname()[1] for s in bound}
        self._datagrams = [Datagrams(s, settings.rate, self.view, ports, self._lost) for s in bound]
        self._lifeline = lifeline

    def run(self, announce: Callable[[], None] = lambda: None) -> ServerSummary:
        """Serve until SIGINT or SIGTERM and the drain after it; a second signal raises KeyboardInterrupt at once.

        ``announce`` is called once signals are handled: whoever learns of the server may signal it at once.
        """
        with Signals(interrupts=self._lifeline is None) as signals:
            try:
                self._watch_all(signals)
                gc.collect()
                gc.freeze()
                announce()
                self._loop()
            finally:
                self._close()
        return replace(
            self.totals.summary(self._settings.framed),
            datagrams=sum(datagrams.received for datagrams in self._datagrams),
            datagrams_answered=sum(datagrams.answered for datagrams in self._datagrams),
            datagrams_refused=sum(datagrams.refused for datagrams in self._datagrams),
        )

    # ---- the Reactor, for connections

    def watch(self, fd: int, mask: int, ready: Callable[[int], None], changed: bool) -> None:
        """Call ``ready`` when ``fd`` is ready for ``mask``."""
        self._handlers[fd] = ready
        self._small.pop(fd, None)
        if changed:
            self._poller.modify(fd, mask)

    def watch_small(self, connection: EchoConnection) -> None:
        """Serve ``connection`` with the others whose messages are small."""
        self._handlers[connection.fd] = connection.readable
        self._small[connection.fd] = connection

    def linger(self, connection: EchoConnection, seconds: float) -> None:
        """Close ``connection`` after ``seconds`` if its peer has not closed its side by then."""
        self._lingering[connection] = self.now + seconds
        self._wake(self.now + seconds)

    def await_frame(self, connection: EchoConnection) -> None:
        """End ``connection`` if it does not call this again, or ``frame_done``, within ``frame_timeout``."""
        if self._settings.frame_timeout is not None:
            self._awaited[connection] = until = self.now + self._settings.frame_timeout
            self._awaited.move_to_end(connection)
            self._wake(until)

    def frame_done(self, connection: EchoConnection) -> None:
        """``connection`` awaits no frame's end any more."""
        self._awaited.pop(connection, None)

    def forget(self, connection: EchoConnection, ending: Ending, cause: str | None) -> None:
        """``connection`` is about to close its socket."""
        fd = connection.fd
        if not self._forgets_closed:
            with suppress(OSError):
                self._poller.unregister(fd)
        del self._handlers[fd], self._connections[fd]
        self._lingering.pop(connection, None)
        self._awaited.pop(connection, None)
        self._small.pop(fd, None)
        self.totals.add(connection)
        if connection.held:
            self.memory.account(connection, 0)
        self.memory.used -= self._size
        if self._settings.log:
            self._emit(connection.ended(ending, cause))
        if self._acceptor.paused is not None:
            self._wake(self.now)

    # ---- the loop

    def _watch_all(self, signals: Signals) -> None:
        self._register(signals.fileno(), lambda _mask: self._signalled(signals))
        for listener in self._acceptor.listeners:
            self._register(listener.fileno(), partial(self._acceptor.accept, listener))
        for datagrams in self._datagrams:
            self._register(datagrams.fileno(), datagrams.readable)
        if self._lifeline is not None:
            self._register(self._lifeline, partial(self._supervisor_gone, self._lifeline))
        if self._settings.idle_timeout is not None:
            self._sweep_at = self.now
            self._wake(self.now)

    def _register(self, fd: int, ready: Callable[[int], object]) -> None:
        self._poller.register(fd, READ)
        self._handlers[fd] = ready

    def _loop(self) -> None:
        poll = busy_polling(partial(self._poller.poll, maxevents=BATCH), self._settings.busy_poll)
        handlers, small, small_size = self._handlers, self._small, self.small_size
        memory = self.memory
        forever = float("inf")
        while True:
            fd = -1
            try:
                wake_at = self._wake_at
                batch = poll(None if wake_at == forever else max(0.0, wake_at - monotonic()))
                self.now = now = monotonic()
                fds = [fd for fd, _ in batch if fd in small]
                if fds:
                    batch = [(fd, mask) for fd, mask in batch if fd not in small] if len(fds) < len(batch) else []
                    echo_small(fds, small, small_size, self._small_totals)
                for fd, mask in batch:
                    ready = handlers.get(fd)
                    if ready is not None:
                        ready(mask)
                fd = -1
                if memory.used > memory.limit:
                    self._make_room()
                if now >= self._wake_at and not self._tick(now):
                    return
            except MemoryError:  # those of the batch that had no turn are ready at the next poll, too
                self._out_of_memory(fd)

    def _wake(self, when: float) -> None:
        self._wake_at = min(self._wake_at, when)

    def _tick(self, now: float) -> bool:
        """Everything that is due by now; False when the server is done."""
        self._wake_at = float("inf")
        for connection in self._due(self._lingering, now):
            connection.close(connection.ending or "closed")
        for connection in self._due(self._awaited, now):
            self.totals.stalled_frames += 1
            connection.evict("stalled")
        self._tell_pauses(now)
        self._tell_evictions(now)
        if self._acceptor.paused is not None and self._draining_until is None:
            self._resume(now)
        if self._draining_until is not None:
            return self._drain(now, self._draining_until)
        if self._settings.idle_timeout is not None:
            if now >= self._sweep_at:
                self._sweep(now, self._settings.idle_timeout)
            self._wake(self._sweep_at)
        return True

    def _due(self, waiting: OrderedDict[EchoConnection, float], now: float) -> Iterator[EchoConnection]:
        """Take out those whose time has come, and wake for the next one."""
        while waiting:
            connection, until = next(iter(waiting.items()))
            if now < until:
                self._wake(until)
                return
            del waiting[connection]
            yield connection

    # ---- memory

    def _make_room(self) -> None:
        """End those that hold most until the rest fit."""
        while self.memory.used > self.memory.limit:
            largest = self.memory.largest()
            if largest is None:
                return
            self._evict(largest, None)

    def _evict(self, connection: EchoConnection, cause: str | None) -> None:
        peer = connection.peer()
        self._evicted = MemoryExceeded(
            utc_now(), peer.address, peer.port, connection.held, self.memory.limit, cause, untold_peers=0
        )
        self._evictions.add()
        self.totals.ended_for_memory += 1
        if cause is None:
            connection.evict("memory")
        else:
            connection.abort("memory", cause)
        self._tell_evictions(self.now)

    def _out_of_memory(self, fd: int) -> None:
        """The system gave no memory to the connection ``fd``, or, at -1, to none in particular.

        What that connection was doing is lost, so it ends. Were it the only one, those that hold little would end one
        after the other for one that holds much and asks for no more: it ends, too.
        """
        self._wake(self.now)  # whatever was to be done at a time
        asking, largest = self._connections.get(fd), self.memory.largest()
        for connection in (asking, None if largest is asking else largest):
            if connection is not None:
                try:
                    self._evict(connection, "ENOMEM")
                except MemoryError:
                    if self._connections.get(connection.fd) is connection:
                        connection.abort("memory", "ENOMEM")

    def _tell_evictions(self, now: float) -> None:
        count = self._evictions.take(now)
        if count and self._evicted is not None:
            self._emit(replace(self._evicted, untold_peers=count - 1))
        elif self._evictions.waiting:
            self._wake(self._evictions.due)

    # ---- accepting

    def _open(self, sock: socket.socket, peer: SocketName) -> None:
        connection = (FramedConnection if self._settings.framed else EchoConnection)(self, sock, peer)
        self._register(connection.fd, connection.readable)
        self._connections[connection.fd] = connection
        self.memory.used += self._size
        self.totals.connections += 1

    def _full(self) -> str | None:
        """Why no further connection fits."""
        most = self._settings.max_connections
        if most is not None and len(self._connections) >= most:
            return "max-connections"
        if len(self._connections) * self._size * 2 >= self._settings.memory:
            return "memory"
        return None

    def _pause(self, cause: str) -> None:
        """Leave new connections in the kernel's queue and stop polling it."""
        for listener in self._acceptor.listeners:
            self._poller.modify(listener.fileno(), 0)
        self._pauses.add()
        self._tell_pauses(self.now)
        if cause not in _BY_LIMIT:
            self._wake(self.now + RETRY)

    def _tell_pauses(self, now: float) -> None:
        """Tell how accepting stands, if it has paused since that was told last, and if that is long enough ago."""
        count = self._pauses.take(now)
        if not count:
            if self._pauses.waiting:
                self._wake(self._pauses.due)
            return
        cause = self._acceptor.paused
        self._told_paused = cause is not None
        if cause is not None:
            self._emit(AcceptPaused(utc_now(), cause, len(self._connections), count - 1))
        else:
            self._emit(AcceptResumed(utc_now(), len(self._connections), count))

    def _lost(self, listener: socket.socket | Datagrams, cause: str) -> None:
        """This socket is dead; the others, and the open connections, go on."""
        del self._handlers[listener.fileno()]
        self._poller.unregister(listener.fileno())
        listener.close()
        self._emit(AcceptPaused(utc_now(), cause, len(self._connections)))

    def _resume(self, now: float) -> None:
        if not self._acceptor.may_resume():
            if self._acceptor.paused not in _BY_LIMIT:
                self._wake(now + RETRY)
            return
        self._acceptor.paused = None
        for listener in self._acceptor.listeners:
            self._poller.modify(listener.fileno(), READ)
        if self._told_paused:
            self._told_paused = False
            self._emit(AcceptResumed(utc_now(), len(self._connections)))

    # ---- idling

    def _sweep(self, now: float, idle_timeout: float) -> None:
        """End the connections that have been idle for ``idle_timeout`` seconds."""
        for connection in list(self._connections.values()):
            if now - connection.active_at >= idle_timeout:
                if connection.pending:
                    connection.close("idle")
                else:
                    connection.finish("idle")
        self._sweep_at = now + min(1.0, max(idle_timeout / 4, _SHORTEST_SWEEP))

    # ---- stopping

    def _signalled(self, signals: Signals) -> None:
        signals.clear()
        if signals.count:
            self._stop()

    def _supervisor_gone(self, lifeline: int, _mask: int) -> None:
        self._poller.unregister(lifeline)
        self._stop()

    def _stop(self) -> None:
        """Accept what waits in the queue, then nothing more, and start the drain."""
        if self._draining_until is not None:
            return
        self._draining_until = self.now + self._settings.drain_timeout
        self._small_totals = None  # from here on it matters when each connection was active
        self._wake(self.now)
        self._acceptor.accept_all()
        for datagrams in self._datagrams:
            if datagrams.fileno() >= 0:
                datagrams.readable()
        for stopped in self._bound():
            del self._handlers[stopped.fileno()]
            self._poller.unregister(stopped.fileno())
            stopped.close()
        for connection in list(self._connections.values()):
            connection.active_at = self.now  # time for what is in flight
        self._emit(Draining(utc_now(), len(self._connections), self._settings.drain_timeout))

    def _drain(self, now: float, until: float) -> bool:
        """Close each connection that is quiet with nothing pending; at the last moment those that never pause, too."""
        last_call = now >= until - _LAST_CALL
        for connection in list(self._connections.values()):
            if last_call or (now - connection.active_at >= QUIET and not connection.pending):
                connection.finish("stopped")
        if not self._connections:
            return False
        if now >= until:
            for connection in list(self._connections.values()):
                connection.close("cut" if connection.pending else "stopped")
            return False
        self._wake(min(until, now + QUIET / 4))
        return True

    def _close(self) -> None:
        for connection in list(self._connections.values()):
            connection.close("cut")
        for open_ in self._bound():
            open_.close()
        self._poller.close()
        if self.pipe is not None:
            self.pipe.close()

    def _bound(self) -> list[socket.socket | Datagrams]:
        return [*self._acceptor.listeners, *(datagrams for datagrams in self._datagrams if datagrams.fileno() >= 0)]
