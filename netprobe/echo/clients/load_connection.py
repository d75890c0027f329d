"""One connection of a load: messages out and back, every byte checked, the time of each kept.

What was sent is not kept until it comes back: over thousands of connections that would be a copy of everything in
flight. Each connection sends an endless payload of its own whose bytes can be computed at any offset
(:class:`Payload`), and what comes back is compared with the payload at the same offset. Lost, doubled and shifted
bytes show, and so do two connections that the server mixes up.
"""

from __future__ import annotations

import errno
import os
import random
import socket
from collections import deque
from functools import cache
from time import perf_counter_ns

from netprobe.echo.clients.connection import PeerAddress, self_connected
from netprobe.echo.clients.peer_error import ExchangeError, queued_error
from netprobe.kernel.error_queue import ask_for_errors

__all__ = ["CHUNK", "PERIOD", "LoadConnection", "Payload", "WrongEchoError"]

PERIOD = 65_521  # bytes of payload that repeat; a prime, so that no usual message size hides a shift
CHUNK = 256 * 1024  # bytes sent or received at once

_CONNECTING = frozenset((0, errno.EINPROGRESS, errno.EWOULDBLOCK))  # connect(2) of a non-blocking socket


class WrongEchoError(Exception):
    """Something else came back than was sent."""


class Payload:
    """A payload computable at any offset; ``number`` chooses where in the period it begins."""

    __slots__ = ("_start", "_text", "_view")

    def __init__(self, number: int) -> None:
        self._text = _periods()
        self._view = memoryview(self._text)
        self._start = number * 7919 % PERIOD

    def piece(self, offset: int, size: int) -> memoryview:
        """``size`` bytes (at most CHUNK) from ``offset`` on."""
        at = (self._start + offset) % PERIOD
        return self._view[at : at + size]

    def matches(self, offset: int, data: bytes) -> bool:
        """Is ``data`` (at most CHUNK bytes) what the payload has at ``offset``?"""
        return self._text.startswith(data, (self._start + offset) % PERIOD)


@cache
def _periods() -> bytes:
    period = random.Random(862).randbytes(PERIOD)
    return period * (-(-CHUNK // PERIOD) + 1)


class LoadConnection:
    """A non-blocking connection. ``begin`` starts a message, ``receive`` completes some; the caller keeps the time."""

    __slots__ = (
        "_payload",
        "_port",
        "begun",
        "begun_ns",
        "connected",
        "ended",
        "listed",
        "opened_ns",
        "received",
        "sent",
        "size",
        "sock",
    )

    def __init__(self, number: int, peer: PeerAddress, size: int) -> None:
        self.size = size
        self._payload = Payload(number)
        self._port = peer.port
        self.begun = self.ended = 0  # messages
        self.sent = self.received = 0  # bytes
        self.begun_ns: deque[int] = deque()  # when each message that is in flight was due
        self.connected = False
        self.listed = False  # among the connections with room for a message
        self.opened_ns = perf_counter_ns()  # when the handshake began
        self.sock = socket.socket(peer.family, peer.kind, peer.protocol)
        try:
            self.sock.setblocking(False)
            ask_for_errors(self.sock)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = self.sock.connect_ex(peer.sockaddr)
            if code not in _CONNECTING:
                raise ExchangeError("error", OSError(code, os.strerror(code)), queued=queued_error(self.sock))
        except BaseException:
            self.sock.close()
            raise

    def finish_connect(self) -> None:
        """The handshake has ended. Raises OSError where it failed."""
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise ExchangeError("error", OSError(code, os.strerror(code)), start_ns=self.opened_ns)
        if self_connected(self.sock, self._port):
            raise ExchangeError("self")
        self.connected = True

    @property
    def in_flight(self) -> int:
        """Messages that were begun and have not come back."""
        return self.begun - self.ended

    @property
    def has_unsent(self) -> bool:
        """Is there more to send?"""
        return self.sent < self.begun * self.size

    def begin(self, due_ns: int) -> None:
        """One more message, which was due at ``due_ns``."""
        self.begun += 1
        self.begun_ns.append(due_ns)

    def send(self) -> None:
        """Send as much of what was begun as the socket takes. Raises OSError."""
        while (left := self.begun * self.size - self.sent) > 0:
            try:
                self.sent += self.sock.send(self._payload.piece(self.sent, min(left, CHUNK)))
            except BlockingIOError:
                return
            except OSError as error:
                raise self._failed(error) from error

    def receive(self) -> int:
        """Receive and check; how many messages that completes. Raises OSError and WrongEchoError."""
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._failed(error) from error
        if not data:
            if self.received or not self.sent:
                raise ExchangeError("closed", received=self._received_text())
            raise WrongEchoError(f"closed before any of {self.sent:,} bytes came back: no echo server")
        if not self._payload.matches(self.received, data):
            raise WrongEchoError("other bytes came back: no echo server")
        self.received += len(data)
        if self.received > self.sent:
            raise WrongEchoError("more came back than was sent: no echo server")
        done = self.received // self.size - self.ended
        self.ended += done
        return done

    def _failed(self, error: OSError) -> ExchangeError:
        return ExchangeError("error", error, received=self._received_text(), queued=queued_error(self.sock))

    def _received_text(self) -> str | None:
        return f"{self.received:,} bytes" if self.received else None

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()
