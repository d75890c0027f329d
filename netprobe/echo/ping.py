"""Round trips of small messages through an echo server, timed with nothing but system calls in between."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netprobe.echo.connecting import PeerError, connect, peer_error
from netprobe.echo.destination import place
from netprobe.echo.statistics import RoundTrips, summarise

__all__ = ["Ping", "Reply"]


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
        view = memoryview(buffer)
        size, got = len(message), 0
        sendall, recv_into, clock = sock.sendall, sock.recv_into, time.perf_counter_ns
        try:
            start = clock()
            sendall(message)
            while got < size:
                count = recv_into(view[got:])
                if not count:
                    break
                got += count
            end = clock()
        except OSError as error:
            raise peer_error(error, sock, self.host, self.port, "answer", self.timeout_s) from error
        where = place(self.host, self.port)
        if got < size:
            raise PeerError(where, "wrong-responder", f"closed after {got} of {size} bytes: no echo server")
        if buffer != message:
            raise PeerError(where, "wrong-responder", "other bytes came back: no echo server")
        return (end - start) / 1e6

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _message(sequence: int, size: int) -> bytes:
    """Bytes that nobody would send by chance: the sequence number, then randomness."""
    return (f"netprobe {sequence} ".encode() + os.urandom(size))[:size]
