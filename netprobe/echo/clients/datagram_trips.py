"""Messages over UDP: one datagram each, told apart by their bytes, also when they come late or twice."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from dataclasses import dataclass

from netprobe.echo.clients.connecting import PeerError, connect, peer_error, set_timeout
from netprobe.echo.clients.destination import place
from netprobe.echo.clients.kernel_times import ANCILLARY, TcpInfo, arrived_ns, departed_ns, stamp_datagrams
from netprobe.echo.clients.trips import Stray, Trip, time_left

__all__ = ["MAX_DATAGRAM", "DatagramTrips"]

MAX_DATAGRAM = 65507  # bytes of content over IPv4 (RFC 768, RFC 791)
REMEMBERED = 1024  # messages whose echo may still come


@dataclass(slots=True)
class _Sent:
    """A datagram whose echo is there or may still come."""

    message: bytes
    sequence: int
    sent_ns: int
    answered: bool = False


class DatagramTrips:
    """Datagrams to one address, whose ICMP errors are heard; ``size`` is 1 to 65,507 bytes.

    The kernel stamps one in ``stamp_every``: a stamp wakes the process that waits for the echo, which costs some
    microseconds of the time that it measures.
    """

    protocol = "udp"

    def __init__(
        self, host: str, port: int, *, size: int, timeout_s: float, source: str | None = None, stamp_every: int = 1
    ) -> None:
        self.host, self.port = host, port
        self.size, self.timeout_s, self.source = size, timeout_s, source
        self._sock: socket.socket | None = None
        self._stamp_every = stamp_every
        self._ask_for_stamp: list[tuple[int, int, bytes]] | None = None
        self._sent: deque[_Sent] = deque(maxlen=REMEMBERED)
        self._strays: list[Stray] = []
        self._buffer = bytearray(MAX_DATAGRAM + 1)

    def trip(self, sequence: int) -> Trip:
        """Send one datagram and wait for its echo. What else comes meanwhile is a stray."""
        if self._sock is None:
            self._sock = connect(self.host, self.port, self.timeout_s, socket.SOCK_DGRAM, self.source)
            self._ask_for_stamp = stamp_datagrams(self._sock)
        message = (sequence.to_bytes(8, "little") + b"netprobe" + os.urandom(self.size))[: self.size]
        start = time.perf_counter_ns()
        try:
            return self._exchange(self._sock, sequence, message)
        except OSError as error:
            where = (self._sock, self.host, self.port)
            raise peer_error(error, *where, "answer", self.timeout_s, start_ns=start) from error

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
        stamped = self._ask_for_stamp if (sequence - 1) % self._stamp_every == 0 else None
        buffer, view, clock = self._buffer, memoryview(self._buffer), time.perf_counter_ns
        sendmsg, recvmsg_into = sock.sendmsg, sock.recvmsg_into
        send, recv_into = sock.send, sock.recv_into
        outgoing, incoming = [message], [buffer]
        ancillary: list[tuple[int, int, bytes]] = []
        sent = _Sent(message, sequence, clock())
        self._sent.append(sent)
        start = clock()
        if stamped:
            sendmsg(outgoing, stamped)
            count, ancillary, _, _ = recvmsg_into(incoming, ANCILLARY)
        else:
            send(message)
            count = recv_into(buffer)
        now = clock()
        if view[:count] != message:
            now, ancillary = self._wait_on(sock, message, count, start, now)
        sent.answered = True
        return Trip(now - start, self._kernel_ns(sock, ancillary, now - start) if stamped else None)

    def _wait_on(
        self, sock: socket.socket, message: bytes, count: int, start_ns: int, now_ns: int
    ) -> tuple[int, list[tuple[int, int, bytes]]]:
        """Something else came first: when the echo came, and with what. Raises OSError and PeerError."""
        view = memoryview(self._buffer)
        try:
            while True:
                self._stray(bytes(view[:count]), now_ns)
                set_timeout(sock, time_left(start_ns, self.timeout_s))
                count, ancillary, _, _ = sock.recvmsg_into([self._buffer], ANCILLARY)
                now_ns = time.perf_counter_ns()
                if view[:count] == message:
                    return now_ns, ancillary
        finally:
            set_timeout(sock, self.timeout_s)

    def _stray(self, came: bytes, now_ns: int) -> None:
        sent = next((sent for sent in reversed(self._sent) if sent.message == came), None)
        if sent is None:
            where = place(self.host, self.port)
            raise PeerError(where, "wrong-responder", "other bytes came back: no echo server")
        what = "duplicate" if sent.answered else "late"
        self._strays.append(Stray(sent.sequence, what, now_ns - sent.sent_ns))
        sent.answered = True

    def _kernel_ns(self, sock: socket.socket, ancillary: list[tuple[int, int, bytes]], elapsed_ns: int) -> int | None:
        """From the device and back to it; None where nothing is told or the system's clock was set meanwhile."""
        came, left = arrived_ns(ancillary), departed_ns(sock)
        return came - left if came and left and 0 < came - left <= elapsed_ns else None
