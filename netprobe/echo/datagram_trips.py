"""Messages over UDP: one datagram each, told apart by their bytes, also when they come late or twice."""

from __future__ import annotations

import os
import socket
import time

from netprobe.echo.connecting import PeerError, connect, peer_error, set_timeout
from netprobe.echo.destination import place
from netprobe.echo.kernel_times import ANCILLARY, TcpInfo, arrived_ns, departed_ns, stamp_datagrams
from netprobe.echo.trips import Stray, Trip, time_left

__all__ = ["MAX_DATAGRAM", "DatagramTrips"]

MAX_DATAGRAM = 65507  # bytes of content over IPv4 (RFC 768, RFC 791)
REMEMBERED = 1024  # messages whose echo may still come


class DatagramTrips:
    """Datagrams to one address, whose ICMP errors are heard; ``size`` is 1 to 65,507 bytes."""

    protocol = "udp"

    def __init__(self, host: str, port: int, *, size: int, timeout_s: float, source: str | None = None) -> None:
        self.host, self.port = host, port
        self.size, self.timeout_s, self.source = size, timeout_s, source
        self._sock: socket.socket | None = None
        self._stamped = False
        self._sent: dict[bytes, tuple[int, int]] = {}  # message: its number, when it was sent
        self._answered: set[int] = set()
        self._strays: list[Stray] = []
        self._buffer = bytearray(MAX_DATAGRAM + 1)

    def trip(self, sequence: int) -> Trip:
        """Send one datagram and wait for its echo. What else comes meanwhile is a stray."""
        if self._sock is None:
            self._sock = connect(self.host, self.port, self.timeout_s, socket.SOCK_DGRAM, self.source)
            self._stamped = stamp_datagrams(self._sock)
        message = (sequence.to_bytes(8, "little") + b"netprobe" + os.urandom(self.size))[: self.size]
        try:
            return self._exchange(self._sock, sequence, message)
        except OSError as error:
            raise peer_error(error, self._sock, self.host, self.port, "answer", self.timeout_s) from error

    def strays(self) -> list[Stray]:
        """What came late or twice, since the last call."""
        found, self._strays = self._strays, []
        return found

    def kernel(self) -> TcpInfo | None:
        """There is no connection: the kernel's figure stands with each trip."""
        return None

    def close(self) -> None:
        """Close the socket."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _exchange(self, sock: socket.socket, sequence: int, message: bytes) -> Trip:
        buffers, view = [self._buffer], memoryview(self._buffer)
        send, recvmsg_into, clock = sock.send, sock.recvmsg_into, time.perf_counter_ns
        self._remember(message, sequence, clock())
        waited = False
        try:
            start = clock()
            send(message)
            while True:
                count, ancillary, _, _ = recvmsg_into(buffers, ANCILLARY)
                now = clock()
                if view[:count] == message:
                    break
                self._stray(bytes(view[:count]), now)
                set_timeout(sock, time_left(start, self.timeout_s))
                waited = True
        finally:
            if waited:
                set_timeout(sock, self.timeout_s)
        self._answered.add(sequence)
        return Trip(now - start, self._kernel_ns(sock, ancillary, now - start))

    def _remember(self, message: bytes, sequence: int, start_ns: int) -> None:
        self._sent[message] = (sequence, start_ns)
        while len(self._sent) > REMEMBERED:
            number, _ = self._sent.pop(next(iter(self._sent)))
            self._answered.discard(number)

    def _stray(self, came: bytes, now_ns: int) -> None:
        if came not in self._sent:
            where = place(self.host, self.port)
            raise PeerError(where, "wrong-responder", "other bytes came back: no echo server")
        number, sent_ns = self._sent[came]
        self._strays.append(Stray(number, "duplicate" if number in self._answered else "late", now_ns - sent_ns))
        self._answered.add(number)

    def _kernel_ns(self, sock: socket.socket, ancillary: list[tuple[int, int, bytes]], elapsed_ns: int) -> int | None:
        """From the device and back to it; None where nothing is told or the system's clock was set meanwhile."""
        if not self._stamped:
            return None
        came, left = arrived_ns(ancillary), departed_ns(sock)
        return came - left if came and left and 0 < came - left <= elapsed_ns else None
