"""Round trips over TCP: raw bytes through one connection, or nothing but handshakes.

Between the two readings of the clock there are only the system calls that send and receive. Whatever costs more
(comparing, looking for surplus bytes, making the next message) is done before or after.
"""

from __future__ import annotations

import os
import socket
import time

from netprobe.echo.clients.connection import PeerAddress, connect, connect_to, resolve, set_timeout, time_left
from netprobe.echo.clients.peer_error import Attempt, ExchangeError, PeerError, Silence, peer_error
from netprobe.echo.clients.ping import RoundTrip, Stray
from netprobe.echo.clients.trials import Trials
from netprobe.endpoints import format_endpoint
from netprobe.kernel.tcp_info import TcpInfo, tcp_info
from netprobe.verdicts import Verdict

__all__ = ["WINDOW", "HandshakeProber", "TcpProber", "has_unread", "random_message"]

WINDOW = 32 * 1024  # bytes in flight at once: less than the buffers of any socket


class TcpProber:
    """Messages of ``size`` bytes over one TCP connection, which is opened anew after a failure."""

    protocol = "tcp"

    def __init__(
        self,
        host: str,
        port: int,
        *,
        size: int,
        timeout_s: float,
        source: str | None = None,
        version: int | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.size, self.timeout_s, self.source, self.version = size, timeout_s, source, version
        self._sock: socket.socket | None = None
        self._kernel: TcpInfo | None = None
        self._silence = Silence()
        self.trials = Trials()
        self._echoed = 0  # messages that came back on this connection

    def round_trip(self, sequence: int) -> RoundTrip:
        """One message there and back, over a new connection if there is none."""
        message = self.prepared(sequence)
        if self._sock is None:
            self._sock = connect(
                self.host,
                self.port,
                self.timeout_s,
                source=self.source,
                silence=self._silence,
                version=self.version,
                trials=self.trials,
            )
            self._echoed = 0
            self.begin()
        start_ns = time.perf_counter_ns()
        try:
            trip = self.exchange(self._sock, message)
        except OSError as error:
            received = f"{self._echoed} message{'s' if self._echoed > 1 else ''}" if self._echoed else None
            attempt = Attempt(self.host, self.port, "answer", self.timeout_s, start_ns=start_ns, received=received)
            failure = peer_error(error, attempt, self._sock)
            self.close()
            raise failure from error
        except PeerError:
            self.close()
            raise
        self._echoed += 1
        return trip

    def prepared(self, sequence: int) -> bytes:
        """The bytes to send."""
        return random_message(sequence, self.size)

    def begin(self) -> None:
        """A new connection begins."""

    def exchange(self, sock: socket.socket, message: bytes) -> RoundTrip:
        """Send, receive the same number of bytes, compare. Raises OSError and PeerError."""
        buffer = bytearray(len(message))
        if len(message) <= WINDOW:
            elapsed_ns, received = self._exchange_whole(sock, message, buffer)
        else:
            elapsed_ns, received = self._exchange_in_windows(sock, message, buffer)
        if received < len(message):
            raise self.closed(f"closed after {received} of {len(message)} bytes: no echo server")
        if buffer != message:
            raise self.wrong("other bytes came back: no echo server")
        if has_unread(sock):
            raise self.wrong("more came back than was sent: no echo server")
        return RoundTrip(elapsed_ns)

    def wrong(self, why: str) -> PeerError:
        """Something answers, but not as an echo server does."""
        return PeerError(format_endpoint(self.host, self.port), Verdict.WRONG_RESPONDER, why)

    def closed(self, why: str) -> Exception:
        """The peer closed: not an echo server, unless messages had come back before."""
        return ExchangeError("closed") if self._echoed else self.wrong(why)

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

    def _exchange_whole(self, sock: socket.socket, message: bytes, buffer: bytearray) -> tuple[int, int]:
        """A message that fits into the sockets' buffers: nanoseconds, and how many bytes came back."""
        view, size = memoryview(buffer), len(message)
        sendall, recv_into, clock = sock.sendall, sock.recv_into, time.perf_counter_ns
        start = clock()
        sendall(message)
        received = recv_into(buffer)
        if received == size:
            return clock() - start, received
        while 0 < received < size:
            set_timeout(sock, time_left(start, self.timeout_s))
            count = recv_into(view[received:])
            if not count:
                break
            received += count
        elapsed = clock() - start
        set_timeout(sock, self.timeout_s)
        return elapsed, received

    def _exchange_in_windows(self, sock: socket.socket, message: bytes, buffer: bytearray) -> tuple[int, int]:
        """A larger one: at most a window in flight, so that a server that blocks until we read never does."""
        view, outgoing, size = memoryview(buffer), memoryview(message), len(message)
        sent = received = 0
        start = time.perf_counter_ns()
        while received < size:
            if sent < size and sent - received < WINDOW:
                sent += sock.send(outgoing[sent : received + WINDOW])
                continue
            count = sock.recv_into(view[received:])
            if not count:
                break
            received += count
            set_timeout(sock, time_left(start, self.timeout_s))
        elapsed = time.perf_counter_ns() - start
        set_timeout(sock, self.timeout_s)
        return elapsed, received


class HandshakeProber:
    """TCP handshakes with any port, echo server or not: each connection is closed once it is established."""

    protocol = "tcp"

    def __init__(
        self, host: str, port: int, *, timeout_s: float, source: str | None = None, version: int | None = None
    ) -> None:
        self.host, self.port = host, port
        self.timeout_s, self.source, self.version = timeout_s, source, version
        self._silence = Silence()
        self.trials = Trials()
        self._peers: list[PeerAddress] = []  # resolved once; then only the address that answered

    def round_trip(self, sequence: int) -> RoundTrip:
        """One handshake, from connect(2) to its return."""
        self._peers = self._peers or resolve(self.host, self.port, source=self.source, version=self.version)
        return self.trials.first(self._peers, self._handshake)

    def _handshake(self, peer: PeerAddress) -> RoundTrip:
        sock, elapsed_ns = connect_to(peer, self.host, self.timeout_s, source=self.source, silence=self._silence)
        with sock:
            info = tcp_info(sock)
        self._peers = [peer]
        return RoundTrip(elapsed_ns, round(info.rtt_ms * 1e6) if info else None)

    def strays(self) -> list[Stray]:
        """A handshake has none."""
        return []

    def kernel(self) -> TcpInfo | None:
        """Each handshake is a connection of its own and has the kernel's figure in its round trip."""
        return None

    def close(self) -> None:
        """Nothing stays open."""


def random_message(sequence: int, size: int) -> bytes:
    """Bytes that no peer sends by chance: the sequence number, then randomness."""
    return (f"netprobe {sequence} ".encode() + os.urandom(size))[:size]


def has_unread(sock: socket.socket) -> bool:
    """Has the peer sent more than was received so far?"""
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
    finally:
        sock.setblocking(True)
