"""One accepted connection of ``--framed``: every frame back, with what the server saw of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Final

from netprobe.echo.framing import Closed, Connection, Event, RemoteProtocolError, Replies, error_message
from netprobe.echo.server.happenings import endpoint
from netprobe.echo.server.readiness import AGAIN, READ
from netprobe.echo.server.stream import Peer
from netprobe.version import __version__

if TYPE_CHECKING:
    from netprobe.echo.server.loop import Server

__all__ = ["FramedPeer"]

TRICKLE: Final = 4096  # bytes that an unfinished frame must grow by in --idle-timeout; below it is a slow loris


class FramedPeer(Peer):
    """A connection that speaks ``--framed``."""

    __slots__ = ("_connection", "_epoch", "_events", "_grown", "_received_ns", "_replies")

    def __init__(self, server: Server, sock: socket.socket, address: Any) -> None:
        super().__init__(server, sock, address)
        self._connection = Connection(server.max_content)
        self._replies = Replies(endpoint(address), endpoint(sock.getsockname()), f"netprobe {__version__}")
        self._events: Iterator[Event] | None = None  # of the last receive, not all answered yet
        self._grown = 0
        self._received_ns = 0
        self._epoch = time_ns() - perf_counter_ns()  # anew for each connection: the system's clock may be set

    @property
    def messages(self) -> int:
        """How many frames were answered."""
        return self._replies.sequence

    def readable(self, _mask: int) -> None:
        """One receive; each frame that it completes is answered. Most often it is one frame like the last one."""
        server = self._server
        try:
            count = self._sock.recv_into(server.space)
        except OSError as error:
            self.unread(error)
            return
        received_ns = self._clock_ns()
        data = server.view[:count]
        self.received += count
        again = self._connection.again(data)
        if again is not None:
            if self._send(self._replies.reply(*again, received_ns, self._clock_ns)) and self._pending:
                super()._settle()
            return
        self._received_ns = received_ns
        self._grown += count
        if self._grown >= TRICKLE:
            self._grown = 0
            self.heard = server.now
        self._events = self._connection.receive(data)
        self._answer()

    def _clock_ns(self) -> int:
        """Nanoseconds since 1970 (UTC) that never go back while the connection stands."""
        return self._epoch + perf_counter_ns()

    def _answer(self) -> None:
        """Answer frames until there are no more or the kernel takes no more: a reply is larger than its frame."""
        while self._events is not None and not self._pending:
            out = self._next_replies()
            if out and not self._send(out):
                return
        if self._pending or self._ending is not None or self._mask != READ:
            super()._settle()

    def _next_replies(self) -> bytearray:
        server = self._server
        most = server.max_buffer
        out = bytearray()
        assert self._events is not None
        try:
            for event in self._events:
                if isinstance(event, Closed):
                    self._ending = "closed"
                    continue
                out += self._replies.reply(event.header, event.content, self._received_ns, self._clock_ns)
                if len(out) >= most:
                    return out
        except RemoteProtocolError as error:
            out += self._connection.send(error_message(error))
            server.totals.broken_frames += 1
            self._ending = "broken-frame"
        self._events = None
        return out

    def _send(self, out: bytes | bytearray) -> bool:
        """Send as much as the kernel takes and keep the rest; False if the connection is over."""
        self.heard = self._server.now
        try:
            sent = self._sock.send(out)
        except AGAIN:
            sent = 0
        except OSError as error:
            self._lost(error, len(out))
            return False
        self.sent += sent
        if sent != len(out):
            self._pending = bytearray(memoryview(out)[sent:])
        return True

    def _settle(self) -> None:
        if self._events is not None and not self._pending:
            self._answer()
        else:
            super()._settle()

    def _room(self) -> bool:
        return False  # frames are read when the replies to those before are on their way
