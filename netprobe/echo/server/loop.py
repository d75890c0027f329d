"""One process of an echo server: one loop, all its connections and datagrams, no thread."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from netprobe.echo.server.accepting import RETRY, Accepting
from netprobe.echo.server.brief import echo_brief
from netprobe.echo.server.datagrams import Datagrams
from netprobe.echo.server.framed_stream import FramedPeer
from netprobe.echo.server.happenings import AcceptPaused, AcceptResumed, Draining, Happening, Summary, utc_now
from netprobe.echo.server.limits import BRIEF, BUFFER_SIZE, Limits
from netprobe.echo.server.readiness import BATCH, READ, forgets_closed, readiness
from netprobe.echo.server.signals import Signals
from netprobe.echo.server.splice import Pipe
from netprobe.echo.server.stream import Peer
from netprobe.echo.server.totals import Totals, ended
from netprobe.echo.server.waiting import waiting

__all__ = ["Server"]

QUIET = 0.2  # seconds of silence after which a draining server takes a peer for served
SHORTEST_SWEEP = 0.01  # seconds between two looks at all connections
LAST_CALL = 0.1  # seconds before the end of the drain in which busy peers are told that it ends


class Server:
    """Serves ``sockets`` (listening streams, bound datagram sockets; it owns them from here on) until a signal.

    The end of ``lifeline`` (a pipe's reading end) stops it like a signal does; whoever holds the other end decides
    about a second signal.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: Limits,
        say: Callable[[Happening], None],
        lifeline: int | None = None,
    ) -> None:
        self.now = monotonic()
        self.max_buffer = limits.max_buffer
        self.max_content = limits.max_content
        self.view = memoryview(bytearray(BUFFER_SIZE))
        self.space = self.view[: min(BUFFER_SIZE, limits.max_buffer)]  # what one receive may fill
        self.brief = BRIEF if os.name == "posix" and limits.max_buffer >= BRIEF else 0
        self.pipe = None if limits.framed else Pipe.open()  # for large messages
        self.totals = Totals()
        self._limits = limits
        self._say = say
        # Counts short messages for all peers at once, as long as nobody asks what a single peer did, and when.
        self._sums = None if limits.log or limits.idle_timeout is not None else self.totals
        self._readiness = readiness()
        self._forgets = forgets_closed(self._readiness)
        self._handlers: dict[int, Callable[[int], object]] = {}
        self._peers: dict[int, Peer] = {}
        self._brief: dict[int, Peer] = {}  # those whose messages are short
        self._lingering: dict[int, tuple[Peer, float]] = {}
        self._draining_until: float | None = None
        self._wake_at = float("inf")
        self._sweep_at = float("inf")
        streams = [s for s in sockets if s.type == socket.SOCK_STREAM]
        self._accepting = Accepting(streams, self._room, self._open, self._pause, self._lost)
        bound = [s for s in sockets if s.type == socket.SOCK_DGRAM]
        ports = {s.getsockname()[1] for s in bound}
        self._datagrams = [Datagrams(s, limits.rate, self.view, ports) for s in bound]
        self._lifeline = lifeline

    def run(self, announce: Callable[[], None] = lambda: None) -> Summary:
        """Serve until SIGINT or SIGTERM and the drain after it; a second signal raises KeyboardInterrupt at once.

        ``announce`` is called when signals do what they should: whoever hears of the server may end it at once.
        """
        with Signals(demanding=self._lifeline is None) as signals:
            try:
                self._watch_all(signals)
                gc.collect()
                gc.freeze()
                announce()
                self._loop()
            finally:
                self._close()
        return self.totals.summary(self._limits.framed, self._datagrams)

    # ---- what peers ask of the server

    def watch(self, fd: int, mask: int, ready: Callable[[int], None], changed: bool) -> None:
        """Call ``ready`` when ``fd`` is ready for ``mask``."""
        self._handlers[fd] = ready
        self._brief.pop(fd, None)
        if changed:
            self._readiness.modify(fd, mask)

    def watch_brief(self, peer: Peer) -> None:
        """The messages of ``peer`` are short: it is served with the others whose are."""
        self._handlers[peer.fd] = peer.readable
        self._brief[peer.fd] = peer

    def linger(self, peer: Peer, seconds: float) -> None:
        """Give ``peer`` ``seconds`` to end its side."""
        self._lingering[peer.fd] = (peer, self.now + seconds)
        self._wake(self.now + seconds)

    def forget(self, peer: Peer, how: str, cause: str | None) -> None:
        """``peer`` is about to close its socket."""
        if not self._forgets:
            with suppress(OSError):
                self._readiness.unregister(peer.fd)
        del self._handlers[peer.fd], self._peers[peer.fd]
        self._lingering.pop(peer.fd, None)
        self._brief.pop(peer.fd, None)
        self.totals.add(peer)
        if self._limits.log:
            self._say(ended(peer, self.now, how, cause))
        if self._accepting.paused is not None:
            self._wake(self.now)

    # ---- the loop

    def _watch_all(self, signals: Signals) -> None:
        self._register(signals.fileno(), lambda _mask: self._woken(signals))
        for listener in self._accepting.listeners:
            self._register(listener.fileno(), partial(self._accepting.take, listener))
        for datagrams in self._datagrams:
            self._register(datagrams.fileno(), datagrams.readable)
        if self._lifeline is not None:
            self._register(self._lifeline, lambda _mask: self._parent_gone())
        if self._limits.idle_timeout is not None:
            self._sweep_at = self.now
            self._wake(self.now)

    def _register(self, fd: int, ready: Callable[[int], object]) -> None:
        self._handlers[fd] = ready
        self._readiness.register(fd, READ)

    def _loop(self) -> None:
        poll = waiting(partial(self._readiness.poll, maxevents=BATCH), self._limits.busy_poll)
        handlers, brief, size = self._handlers, self._brief, self.brief
        forever = float("inf")
        while True:
            wake_at = self._wake_at
            batch = poll(None if wake_at == forever else max(0.0, wake_at - monotonic()))
            self.now = now = monotonic()
            fds = [fd for fd, _ in batch if fd in brief]
            if fds:
                batch = [(fd, mask) for fd, mask in batch if fd not in brief] if len(fds) < len(batch) else []
                echo_brief(fds, brief, size, self._sums)
            for fd, mask in batch:
                ready = handlers.get(fd)
                if ready is not None:
                    ready(mask)
            if now >= self._wake_at and not self._tick(now):
                return

    def _wake(self, when: float) -> None:
        self._wake_at = min(self._wake_at, when)

    def _tick(self, now: float) -> bool:
        """Everything that happens because time has passed; False when the server is done."""
        self._wake_at = float("inf")
        for peer, until in list(self._lingering.values()):
            if now >= until:
                peer.close(peer.ending or "closed")
            else:
                self._wake(until)
        if self._accepting.paused is not None and self._draining_until is None:
            self._resume(now)
        if self._draining_until is not None:
            return self._drain(now, self._draining_until)
        if self._limits.idle_timeout is not None:
            if now >= self._sweep_at:
                self._sweep(now, self._limits.idle_timeout)
            self._wake(self._sweep_at)
        return True

    # ---- accepting

    def _open(self, sock: socket.socket, address: Any) -> None:
        peer = (FramedPeer if self._limits.framed else Peer)(self, sock, address)
        self._peers[peer.fd] = peer
        self._register(peer.fd, peer.readable)
        self.totals.connections += 1

    def _room(self) -> bool:
        return self._limits.max_connections is None or len(self._peers) < self._limits.max_connections

    def _pause(self, cause: str) -> None:
        """Leave new connections in the kernel's queue, without looking at it again and again."""
        for listener in self._accepting.listeners:
            self._readiness.modify(listener.fileno(), 0)
        self._say(AcceptPaused("accept-paused", utc_now(), cause, len(self._peers)))
        if cause != "max-connections":
            self._wake(self.now + RETRY)

    def _lost(self, listener: socket.socket, cause: str) -> None:
        """Nothing can come from this listener any more; the others, and the connections that stand, go on."""
        del self._handlers[listener.fileno()]
        self._readiness.unregister(listener.fileno())
        listener.close()
        self._say(AcceptPaused("accept-paused", utc_now(), cause, len(self._peers)))

    def _resume(self, now: float) -> None:
        if not self._accepting.may_resume():
            if self._accepting.paused != "max-connections":
                self._wake(now + RETRY)
            return
        self._accepting.paused = None
        for listener in self._accepting.listeners:
            self._readiness.modify(listener.fileno(), READ)
        self._say(AcceptResumed("accept-resumed", utc_now(), len(self._peers)))

    # ---- idling

    def _sweep(self, now: float, idle_timeout: float) -> None:
        """End the connections on which nothing has happened for ``idle_timeout`` seconds."""
        for peer in list(self._peers.values()):
            if now - peer.heard >= idle_timeout:
                if peer.owed:
                    peer.close("idle")
                else:
                    peer.finish("idle")
        self._sweep_at = now + min(1.0, max(idle_timeout / 4, SHORTEST_SWEEP))

    # ---- stopping

    def _woken(self, signals: Signals) -> None:
        signals.clear()
        if signals.count:
            self._stop()

    def _parent_gone(self) -> None:
        assert self._lifeline is not None
        self._readiness.unregister(self._lifeline)
        self._stop()

    def _stop(self) -> None:
        """Take what waits in the accept queue, then nothing new; see to it that all is served."""
        if self._draining_until is not None:
            return
        self._draining_until = self.now + self._limits.drain_timeout
        self._sums = None  # who is quiet is asked from here on
        self._wake(self.now)
        self._accepting.take_all()
        for datagrams in self._datagrams:
            datagrams.readable()
        for stopped in self._bound():
            del self._handlers[stopped.fileno()]
            self._readiness.unregister(stopped.fileno())
            stopped.close()
        for peer in list(self._peers.values()):
            peer.heard = self.now  # time for what is on its way
        self._say(Draining("draining", utc_now(), len(self._peers), self._limits.drain_timeout))

    def _drain(self, now: float, until: float) -> bool:
        """End each peer that is quiet and owed nothing; at the last moment those, too, that never pause."""
        last_call = now >= until - LAST_CALL
        for peer in list(self._peers.values()):
            if last_call or (now - peer.heard >= QUIET and not peer.owed):
                peer.finish("stopped")
        if not self._peers:
            return False
        if now >= until:
            for peer in list(self._peers.values()):
                peer.close("cut" if peer.owed else "stopped")
            return False
        self._wake(min(until, now + QUIET / 4))
        return True

    def _close(self) -> None:
        for peer in list(self._peers.values()):
            peer.close("cut")
        for open_ in self._bound():
            open_.close()
        self._readiness.close()
        if self.pipe is not None:
            self.pipe.close()

    def _bound(self) -> list[socket.socket | Datagrams]:
        return [*self._accepting.listeners, *self._datagrams]
