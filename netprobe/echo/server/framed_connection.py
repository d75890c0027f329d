"""One accepted connection of ``--framed``: every frame is answered with what the server saw of it.

The clock of a reply counts from the system's time when the connection was opened: within a connection it never goes
back, and after a suspend or a change of the system clock it is right again from the next connection on.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from sys import getsizeof
from time import perf_counter_ns, time_ns
from typing import Final

from netprobe.echo.framing import FAULTS, Closed, Connection, Event, RemoteProtocolError, Replies, error_message
from netprobe.echo.server.connection import EchoConnection, Reactor
from netprobe.echo.server.events import Ending, SocketName, endpoint
from netprobe.echo.server.poller import AGAIN, READ
from netprobe.version import __version__

__all__ = ["FramedConnection"]

_TRICKLE: Final = 4096  # bytes by which an incomplete frame must grow in --idle-timeout; less is a slow loris
_FAULTS: Final[dict[Ending, str]] = {"memory": "over-memory", "stalled": "stalled"}  # what the peer is told
_NONE: Final = -1  # no frame is awaited


class FramedConnection(EchoConnection):
    """A connection that speaks ``--framed``."""

    __slots__ = (
        "_awaited",
        "_awaited_grown",
        "_epoch_ns",
        "_events",
        "_framing",
        "_grown",
        "_received_ns",
        "_replies",
    )

    def __init__(self, reactor: Reactor, sock: socket.socket, peer: SocketName) -> None:
        super().__init__(reactor, sock, peer)
        self._framing = Connection(reactor.max_content, keep_extra=False)
        self._replies = Replies(endpoint(peer), endpoint(sock.getsockname()), f"netprobe {__version__}")
        self._events: Iterator[Event] | None = None  # of the last receive, if not all are answered yet
        self._grown = 0
        self._awaited = _NONE  # how many frames came before the one whose rest is awaited
        self._awaited_grown = 0  # bytes, since it was last said to be awaited
        self._received_ns = 0
        self._epoch_ns = time_ns() - perf_counter_ns()

    @property
    def messages(self) -> int:
        """How many frames were answered."""
        return self._replies.sequence

    def readable(self, _mask: int) -> None:
        """One receive, and an answer to each frame that it completes: mostly one frame with the last one's header."""
        reactor = self._reactor
        try:
            count = self._sock.recv_into(reactor.space)
        except OSError as error:
            self.nothing_received(error)
            return
        received_ns = self._clock_ns()
        data = reactor.view[:count]
        self.received += count
        repeated = self._framing.repeated(data)
        if repeated is not None:
            if self._send(self._replies.reply(*repeated, received_ns, self._clock_ns)) and self._pending:
                super()._settle()
            return
        self._received_ns = received_ns
        self._grown += count
        if self._grown >= _TRICKLE:
            self._grown = 0
            self.active_at = reactor.now
        self._awaited_grown += count
        self._events = self._framing.receive(data)
        self._answer()

    def evict(self, ending: Ending) -> None:
        """Give back what is held. The peer is told why, unless it is in the middle of a reply."""
        if self._pending or self._ending is not None:
            super().evict(ending)
            return
        fault = _FAULTS[ending]
        self._events = None
        self._framing = Connection()
        self._ending = ending
        self._account()
        with suppress(OSError):
            self.sent += self._sock.send(self._framing.send(error_message(RemoteProtocolError(FAULTS[fault], fault))))
        self._leave(ending)

    def _clock_ns(self) -> int:
        """Nanoseconds since 1970 (UTC) that never go back during the connection."""
        return self._epoch_ns + perf_counter_ns()

    def _answer(self) -> None:
        """Answer frames until none is left or the kernel takes no more: a reply is larger than its frame."""
        while self._events is not None and not self._pending:
            out = self._next_replies(self._events)
            if out and not self._send(out):
                return
        if self._pending or self._ending is not None or self._mask != READ:
            super()._settle()
        else:
            self._account()

    def _account(self) -> None:
        """Tell the budget what is held, and the loop whether the peer owes us the rest of a frame."""
        reactor = self._reactor
        incomplete = self._framing.held
        held = incomplete + (getsizeof(self._pending) if self._pending else 0)
        if held != self.held:
            reactor.memory.account(self, held)
        if incomplete and not self._pending and self._ending is None:
            if self._awaited != self.messages or self._awaited_grown >= reactor.frame_floor:
                self._awaited, self._awaited_grown = self.messages, 0
                reactor.await_frame(self)
        elif self._awaited != _NONE:
            self._awaited = _NONE
            reactor.frame_done(self)

    def _next_replies(self, events: Iterator[Event]) -> bytearray:
        reactor = self._reactor
        most = reactor.max_buffer
        out = bytearray()
        try:
            for event in events:
                if isinstance(event, Closed):
                    self._ending = "closed"
                    continue
                out += self._replies.reply(event.header, event.content, self._received_ns, self._clock_ns)
                if len(out) >= most:
                    return out
        except RemoteProtocolError as error:
            out += self._framing.send(error_message(error))
            reactor.totals.broken_frames += 1
            self._ending = "broken-frame"
        self._events = None
        return out

    def _send(self, out: bytes | bytearray) -> bool:
        """Send as much as the kernel takes and hold the rest; False if the connection is over."""
        self.active_at = self._reactor.now
        try:
            sent = self._sock.send(out)
        except AGAIN:
            sent = 0
        except OSError as error:
            self._fail(error, len(out))
            return False
        self.sent += sent
        if sent != len(out):
            self._pending = bytearray(out) if isinstance(out, bytes) else out
            del self._pending[:sent]
        return True

    def _settle(self) -> None:
        if self._events is not None and not self._pending:
            self._answer()
        else:
            super()._settle()

    def _room(self) -> bool:
        return False  # no more frames are read while replies are pending
