"""One message there and back over TCP: nothing but system calls between the two readings of the clock."""

from __future__ import annotations

import os
import socket
import time
from typing import NamedTuple, Protocol

from netprobe.echo.clients.connecting import Found, connect, connect_to, resolve, set_timeout
from netprobe.echo.clients.kernel_times import TcpInfo, tcp_info
from netprobe.echo.clients.peer_errors import Ended, PeerError, Silence, peer_error
from netprobe.endpoints import format_endpoint
from netprobe.verdicts import Verdict

__all__ = ["ConnectTrips", "Stray", "StreamTrips", "Trip", "Trips", "message_of", "more_waits", "time_left"]

WINDOW = 32 * 1024  # bytes under way at once: less than any socket's buffers hold


class Trip(NamedTuple):
    """Nanoseconds: what the application waited, what the kernel measured, what the server says it took.

    ``appears_as`` is the address and port that the server saw; ``translated``: not the socket's own.
    """

    elapsed_ns: int
    kernel_ns: int | None = None
    server_ns: int | None = None
    appears_as: str | None = None
    translated: bool | None = None


class Stray(NamedTuple):
    """A datagram that came when another one was waited for: ``what`` is the note of a reply."""

    sequence: int
    what: str
    elapsed_ns: int


class Trips(Protocol):
    """A way to send one message after the other to a peer and to have it back."""

    protocol: str

    def trip(self, sequence: int) -> Trip:
        """Send message ``sequence`` and wait for it. Raises PeerError; the next call may start anew."""

    def strays(self) -> list[Stray]:
        """What came besides, since the last call."""

    def kernel(self) -> TcpInfo | None:
        """What the kernel knows of the connection so far, where there is one."""

    def close(self) -> None:
        """Close whatever is open."""


class StreamTrips:
    """Messages over one TCP connection, which is made anew after a failure."""

    protocol = "tcp"

    def __init__(self, host: str, port: int, *, size: int, timeout_s: float, source: str | None = None) -> None:
        self.host, self.port = host, port
        self.size, self.timeout_s, self.source = size, timeout_s, source
        self._sock: socket.socket | None = None
        self._kernel: TcpInfo | None = None
        self._silence = Silence()
        self._back = 0  # messages that came back on this connection

    def trip(self, sequence: int) -> Trip:
        """One round trip; a connection that broke is made anew."""
        message = self.prepared(sequence)
        if self._sock is None:
            self._sock = connect(self.host, self.port, self.timeout_s, source=self.source, silence=self._silence)
            self._back = 0
            self.begin()
        start = time.perf_counter_ns()
        try:
            found = self.exchange(self._sock, message)
        except OSError as error:
            where, came = (self._sock, self.host, self.port), self._came()
            told = peer_error(error, *where, "answer", self.timeout_s, start_ns=start, came=came)
            self.close()
            raise told from error
        except PeerError:
            self.close()
            raise
        self._back += 1
        return found

    def prepared(self, sequence: int) -> bytes:
        """The bytes to send."""
        return message_of(sequence, self.size)

    def begin(self) -> None:
        """A new connection begins."""

    def exchange(self, sock: socket.socket, message: bytes) -> Trip:
        """Send, take the same number of bytes back, compare. Raises OSError and PeerError."""
        buffer = bytearray(len(message))
        if len(message) <= WINDOW:
            elapsed_ns, got = self._at_once(sock, message, buffer)
        else:
            elapsed_ns, got = self._in_windows(sock, message, buffer)
        if got < len(message):
            raise self.closed(f"closed after {got} of {len(message)} bytes: no echo server")
        if buffer != message:
            raise self.wrong("other bytes came back: no echo server")
        if more_waits(sock):
            raise self.wrong("more came back than was sent: no echo server")
        return Trip(elapsed_ns)

    def wrong(self, why: str) -> PeerError:
        """Somebody answers, but not as an echo server does."""
        return PeerError(format_endpoint(self.host, self.port), Verdict.WRONG_RESPONDER, why)

    def closed(self, why: str) -> Exception:
        """The peer closed: no echo server, unless messages had come back before."""
        return Ended("closed") if self._back else self.wrong(why)

    def strays(self) -> list[Stray]:
        """A stream has none."""
        return []

    def kernel(self) -> TcpInfo | None:
        """Of the connection that is open, or of the last one."""
        return (tcp_info(self._sock) if self._sock is not None else None) or self._kernel

    def close(self) -> None:
        """Close the connection."""
        if self._sock is not None:
            self._kernel = self.kernel()
            self._sock.close()
            self._sock = None

    def _came(self) -> str | None:
        """What has come back on this connection, in words."""
        return f"{self._back} message{'s' if self._back > 1 else ''}" if self._back else None

    def _at_once(self, sock: socket.socket, message: bytes, buffer: bytearray) -> tuple[int, int]:
        """A message that fits into the sockets' buffers."""
        view, size = memoryview(buffer), len(message)
        sendall, recv_into, clock = sock.sendall, sock.recv_into, time.perf_counter_ns
        start = clock()
        sendall(message)
        got = recv_into(buffer)
        if got == size:
            return clock() - start, got
        while 0 < got < size:
            set_timeout(sock, time_left(start, self.timeout_s))
            count = recv_into(view[got:])
            if not count:
                break
            got += count
        elapsed = clock() - start
        set_timeout(sock, self.timeout_s)
        return elapsed, got

    def _in_windows(self, sock: socket.socket, message: bytes, buffer: bytearray) -> tuple[int, int]:
        """A larger one: never more than a window under way, so that a server that waits for us to read never blocks."""
        view, outgoing, size = memoryview(buffer), memoryview(message), len(message)
        sent = got = 0
        start = time.perf_counter_ns()
        while got < size:
            if sent < size and sent - got < WINDOW:
                sent += sock.send(outgoing[sent : got + WINDOW])
                continue
            count = sock.recv_into(view[got:])
            if not count:
                break
            got += count
            set_timeout(sock, time_left(start, self.timeout_s))
        elapsed = time.perf_counter_ns() - start
        set_timeout(sock, self.timeout_s)
        return elapsed, got


class ConnectTrips:
    """TCP handshakes with any port, echo server or not: each connection is closed as soon as it stands."""

    protocol = "tcp"

    def __init__(self, host: str, port: int, *, timeout_s: float, source: str | None = None) -> None:
        self.host, self.port = host, port
        self.timeout_s, self.source = timeout_s, source
        self._silence = Silence()
        self._found: list[Found] = []  # the name is resolved once; then the address that answered is kept

    def trip(self, sequence: int) -> Trip:
        """One handshake, from connect(2) to its return."""
        self._found = self._found or resolve(self.host, self.port, source=self.source)
        last: PeerError | None = None
        for found in self._found:
            try:
                sock, elapsed_ns = connect_to(found, self.host, self.port, self.timeout_s, self.source, self._silence)
            except PeerError as error:
                last = error
                continue
            with sock:
                known = tcp_info(sock)
            self._found = [found]
            return Trip(elapsed_ns, round(known.rtt_ms * 1e6) if known else None)
        assert last is not None
        raise last

    def strays(self) -> list[Stray]:
        """A handshake has none."""
        return []

    def kernel(self) -> TcpInfo | None:
        """Each handshake is a connection of its own: its figure stands with it."""
        return None

    def close(self) -> None:
        """Nothing stays open."""


def message_of(sequence: int, size: int) -> bytes:
    """Bytes that nobody would send by chance: the sequence number, then randomness."""
    return (f"netprobe {sequence} ".encode() + os.urandom(size))[:size]


def time_left(start_ns: int, timeout_s: float) -> float:
    """Seconds until the time for the whole message is up. Raises TimeoutError when it is."""
    left_s = timeout_s - (time.perf_counter_ns() - start_ns) / 1e9
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


def more_waits(sock: socket.socket) -> bool:
    """Has the peer sent something that nobody asked for?"""
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
    finally:
        sock.setblocking(True)
