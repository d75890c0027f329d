"""Messages over UDP: one datagram each, told apart by their bytes, also when they come late or twice."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from netprobe.echo.clients.connecting import Found, connect_to, resolve, set_timeout
from netprobe.echo.clients.kernel_times import ANCILLARY, TcpInfo, arrived_ns, departed_ns, stamp_datagrams
from netprobe.echo.clients.peer_errors import PeerError, Silence, peer_error
from netprobe.echo.clients.trips import Stray, Trip, time_left
from netprobe.endpoints import format_endpoint
from netprobe.verdicts import Verdict

__all__ = ["MAX_DATAGRAM", "DatagramTrips"]

MAX_DATAGRAM = 65507  # bytes of content over IPv4 (RFC 768, RFC 791)
REMEMBERED = 1024  # messages whose echo may still come
AT_ONCE = 1024  # datagrams taken before the next message: a peer may send faster than we read


@dataclass(slots=True)
class _Sent:
    """A datagram whose echo is there or may still come."""

    message: bytes
    sequence: int
    sent_ns: int
    answered: bool = False


class DatagramTrips:
    """Datagrams to one address, whose ICMP errors are heard; ``size`` is 1 to 65,507 bytes.

    Of a name's addresses it is the first that does not say no. The kernel stamps one datagram in ``stamp_every``: a
    stamp wakes the process that waits for the echo, which costs some microseconds of the time that it measures.
    """

    protocol = "udp"

    def __init__(
        self, host: str, port: int, *, size: int, timeout_s: float, source: str | None = None, stamp_every: int = 1
    ) -> None:
        self.host, self.port = host, port
        self.size, self.timeout_s, self.source = size, timeout_s, source
        self._sock: socket.socket | None = None
        self._silence = Silence()
        self._found: list[Found] = []
        self._stamp_every = stamp_every
        self._ask_for_stamp: list[tuple[int, int, bytes]] | None = None
        self._sent: deque[_Sent] = deque(maxlen=REMEMBERED)
        self._strays: list[Stray] = []
        self._buffer = bytearray(MAX_DATAGRAM + 1)

    def trip(self, sequence: int) -> Trip:
        """Send one datagram and wait for its echo. What else comes meanwhile is a stray."""
        message = (sequence.to_bytes(8, "little") + b"netprobe" + os.urandom(self.size))[: self.size]
        if self._sock is None:
            return self._first_answer(sequence, message)
        return self._asked(self._sock, sequence, message)

    def strays(self) -> list[Stray]:
        """What came late, twice or unawaited, since the last call."""
        found, self._strays = self._strays, []
        return found

    def kernel(self) -> TcpInfo | None:
        """There is no connection: the kernel's figure stands with each trip."""
        return None

    def close(self) -> None:
        """Take what has come by now, and close the socket."""
        if self._sock is not None:
            with suppress(OSError):
                self._drain(self._sock)
            self._sock.close()
            self._sock = None

    def _first_answer(self, sequence: int, message: bytes) -> Trip:
        """Ask one address after the other until one does not say no. Raises PeerError, the last one's."""
        self._found = self._found or resolve(self.host, self.port, socket.SOCK_DGRAM, self.source)
        last: PeerError | None = None
        for found in self._found:
            try:
                self._sock, _ = connect_to(found, self.host, self.port, self.timeout_s, self.source)
                self._ask_for_stamp = stamp_datagrams(self._sock)
                return self._asked(self._sock, sequence, message)
            except PeerError as error:
                if error.verdict in (Verdict.NO_ANSWER, Verdict.WRONG_RESPONDER):
                    raise
                last = error
                self.close()
        assert last is not None
        raise last

    def _asked(self, sock: socket.socket, sequence: int, message: bytes) -> Trip:
        since_ns = self._silence.begin()
        try:
            self._drain(sock)
            found = self._exchange(sock, sequence, message)
        except OSError as error:
            told = peer_error(error, sock, self.host, self.port, "answer", self.timeout_s, start_ns=since_ns)
            self._silence.end(told)
            raise told from error
        self._silence.end()
        return found

    def _drain(self, sock: socket.socket) -> None:
        """Take what has come since the last message, at the time when it came. Raises OSError."""
        view = memoryview(self._buffer)
        for _ in range(AT_ONCE):
            try:
                count, ancillary, _, _ = sock.recvmsg_into([view], ANCILLARY, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            stamp = arrived_ns(ancillary)
            waited_ns = max(time.time_ns() - stamp, 0) if stamp else 0
            self._is_stray(bytes(view[:count]), time.perf_counter_ns() - waited_ns)

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
        view, strange = memoryview(self._buffer), False
        try:
            while True:
                strange = not self._is_stray(bytes(view[:count]), now_ns) or strange
                set_timeout(sock, time_left(start_ns, self.timeout_s))
                count, ancillary, _, _ = sock.recvmsg_into([self._buffer], ANCILLARY)
                now_ns = time.perf_counter_ns()
                if view[:count] == message:
                    return now_ns, ancillary
        except (TimeoutError, BlockingIOError) as error:
            if strange:
                where = format_endpoint(self.host, self.port)
                raise PeerError(where, Verdict.WRONG_RESPONDER, "other bytes came back: no echo server") from error
            raise
        finally:
            set_timeout(sock, self.timeout_s)

    def _is_stray(self, came: bytes, now_ns: int) -> bool:
        """Is it the echo of an earlier message? Then it is kept."""
        sent = next((sent for sent in reversed(self._sent) if sent.message == came), None)
        if sent is None:
            return False
        elapsed_ns = max(now_ns - sent.sent_ns, 0)
        late = "late" if elapsed_ns > self.timeout_s * 1e9 else "unawaited"
        self._strays.append(Stray(sent.sequence, "duplicate" if sent.answered else late, elapsed_ns))
        sent.answered = True
        return True

    def _kernel_ns(self, sock: socket.socket, ancillary: list[tuple[int, int, bytes]], elapsed_ns: int) -> int | None:
        """From the device and back to it; None where nothing is told or the system's clock was set meanwhile."""
        came, left = arrived_ns(ancillary), departed_ns(sock)
        return came - left if came and left and 0 < came - left <= elapsed_ns else None
