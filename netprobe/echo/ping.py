"""Round trips of small messages through an echo server, timed with nothing but system calls in between."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netprobe.echo.connecting import PeerError, connect, peer_error, set_timeout
from netprobe.echo.destination import place
from netprobe.echo.statistics import RoundTrips, summarise

__all__ = ["Ping", "Reply"]

WINDOW = 32 * 1024  # bytes under way at once: less than any socket's buffers hold


@dataclass(frozen=True, slots=True)
class Reply:
    """One message: ``verdict`` is ``reachable`` when it came back as it was, else the word for what happened."""

    sequence: int
    destination: str
    protocol: str
    bytes: int
    verdict: str
    rtt_ms: float | None
    cause: str | None = None


class Ping:
    """``count`` messages of ``size`` bytes to an echo server, ``interval_s`` apart, each waited for ``timeout_s``."""

    def __init__(self, host: str, port: int, *, count: int, interval_s: float, size: int, timeout_s: float) -> None:
        self.host, self.port = host, port
        self.count, self.interval_s, self.size, self.timeout_s = count, interval_s, size, timeout_s
        self.sent = 0
        self.rtts_ms: list[float] = []
        self._sock: socket.socket | None = None

    def replies(self, sleep: Callable[[float], None] = time.sleep) -> Iterator[Reply]:
        """One reply per message; a connection that broke is made anew for the next message."""
        begun = time.monotonic()
        try:
            for sequence in range(1, self.count + 1):
                if sequence > 1:
                    sleep(max(begun + (sequence - 1) * self.interval_s - time.monotonic(), 0.0))
                self.sent += 1
                yield self._one(sequence)
        finally:
            self._drop()

    def summary(self) -> RoundTrips:
        """The figures of what was sent so far."""
        return summarise(self.sent, self.rtts_ms)

    def _one(self, sequence: int) -> Reply:
        where = place(self.host, self.port)
        message = _message(sequence, self.size)
        try:
            if self._sock is None:
                self._sock = connect(self.host, self.port, self.timeout_s)
            rtt_ms = self._round_trip(self._sock, message)
        except PeerError as error:
            self._drop()
            return Reply(sequence, where, "tcp", self.size, error.verdict, None, error.why.partition(": ")[2])
        self.rtts_ms.append(rtt_ms)
        return Reply(sequence, where, "tcp", self.size, "reachable", round(rtt_ms, 4))

    def _round_trip(self, sock: socket.socket, message: bytes) -> float:
        """Send, take the same number of bytes back, compare. Milliseconds."""
        buffer = bytearray(len(message))
        try:
            if len(message) <= WINDOW:
                elapsed_ns, got = self._at_once(sock, message, buffer)
            else:
                elapsed_ns, got = self._in_windows(sock, message, buffer)
        except OSError as error:
            raise peer_error(error, sock, self.host, self.port, "answer", self.timeout_s) from error
        where = place(self.host, self.port)
        if got < len(message):
            raise PeerError(where, "wrong-responder", f"closed after {got} of {len(message)} bytes: no echo server")
        if buffer != message:
            raise PeerError(where, "wrong-responder", "other bytes came back: no echo server")
        if _more_waits(sock):
            raise PeerError(where, "wrong-responder", "more came back than was sent: no echo server")
        return elapsed_ns / 1e6

    def _at_once(self, sock: socket.socket, message: bytes, buffer: bytearray) -> tuple[int, int]:
        """A message that fits into the sockets' buffers: nothing but system calls between the two clock reads."""
        view, size = memoryview(buffer), len(message)
        sendall, recv_into, clock = sock.sendall, sock.recv_into, time.perf_counter_ns
        start = clock()
        sendall(message)
        got = recv_into(buffer)
        if got == size:
            return clock() - start, got
        while 0 < got < size:
            self._await(sock, start)
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
            self._await(sock, start)
        elapsed = time.perf_counter_ns() - start
        set_timeout(sock, self.timeout_s)
        return elapsed, got

    def _await(self, sock: socket.socket, start_ns: int) -> None:
        """Let the next wait end when the time for the whole message is up."""
        left_s = self.timeout_s - (time.perf_counter_ns() - start_ns) / 1e9
        if left_s <= 0:
            raise TimeoutError("timed out")
        set_timeout(sock, left_s)

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _more_waits(sock: socket.socket) -> bool:
    """Has the peer sent something that nobody asked for?"""
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
    finally:
        sock.setblocking(True)


def _message(sequence: int, size: int) -> bytes:
    """Bytes that nobody would send by chance: the sequence number, then randomness."""
    return (f"netprobe {sequence} ".encode() + os.urandom(size))[:size]
