"""Round trips over UDP: one datagram a message, each recognised by its bytes, also when it comes late or twice.

UDP loses, doubles and reorders, so an answer is matched to its message by content and not by its turn. What answers an
earlier message is kept as a stray and not thrown away: a late echo and a lost one call for different remedies. It
counts as lost all the same (RFC 2680: a threshold decides), or the loss would depend on how long one happens to listen.

A stray's time is when the kernel received it, not when it was read: it may have waited in the socket until the next
message was sent, a whole interval later.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from netprobe.echo.clients.connection import PeerAddress, connect_to, resolve, set_timeout, time_left
from netprobe.echo.clients.peer_error import Attempt, PeerError, Silence, peer_error
from netprobe.echo.clients.ping import RoundTrip, Stray
from netprobe.echo.clients.trials import Trials
from netprobe.endpoints import format_endpoint
from netprobe.kernel.tcp_info import TcpInfo
from netprobe.kernel.timestamps import CONTROL_SIZE, ControlMessage, arrived_ns, departed_ns, stamp_datagrams
from netprobe.verdicts import Verdict

__all__ = ["MAX_DATAGRAM", "UdpProber"]

MAX_DATAGRAM = 65507  # bytes of content over IPv4 (RFC 768, RFC 791)

_REMEMBERED = 1024  # messages whose echo may still come
_DRAINED = 1024  # datagrams taken before the next message: a peer may send faster than we read
_OTHERS = 1024  # and while one is awaited: late ones and doubles are as many as there were messages, not more
_ANSWERS_FOR_ALL = (Verdict.NO_ANSWER, Verdict.WRONG_RESPONDER)  # no other address of the name is tried


@dataclass(slots=True)
class _Sent:
    """A message whose echo has come or may still come."""

    message: bytes
    sequence: int
    sent_ns: int
    answered: bool = False


class UdpProber:
    """Datagrams of ``size`` bytes (1 to 65,507) to one address, over a connected socket, which ICMP errors reach.

    Of a name's addresses it is the first one that does not refuse. The kernel stamps one datagram in ``stamp_every``.
    """

    protocol = "udp"

    def __init__(
        self,
        host: str,
        port: int,
        *,
        size: int,
        timeout_s: float,
        source: str | None = None,
        stamp_every: int = 1,
        version: int | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.size, self.timeout_s, self.source, self.version = size, timeout_s, source, version
        self._sock: socket.socket | None = None
        self._silence = Silence()
        self.trials = Trials()
        self._peers: list[PeerAddress] = []
        self._stamp_every = stamp_every
        self._stamp_request: list[ControlMessage] | None = None
        self._sent: deque[_Sent] = deque(maxlen=_REMEMBERED)
        self._strays: list[Stray] = []
        self._buffer = bytearray(MAX_DATAGRAM + 1)

    def round_trip(self, sequence: int) -> RoundTrip:
        """Send one datagram and wait for its echo. Whatever else arrives meanwhile is a stray."""
        message = (sequence.to_bytes(8, "little") + b"netprobe" + os.urandom(self.size))[: self.size]
        if self._sock is None:
            return self._first_round_trip(sequence, message)
        return self._attempt(self._sock, sequence, message)

    def strays(self) -> list[Stray]:
        """What arrived late, twice or unawaited since the last call."""
        strays, self._strays = self._strays, []
        return strays

    def kernel(self) -> TcpInfo | None:
        """There is no connection: each round trip has the kernel's figure."""
        return None

    def close(self) -> None:
        """Take what has arrived by now, and close the socket."""
        if self._sock is not None:
            with suppress(OSError):
                self._drain(self._sock)
            self._sock.close()
            self._sock = None

    def _first_round_trip(self, sequence: int, message: bytes) -> RoundTrip:
        """Try one address after the other until one does not refuse. Raises PeerError, the last one's."""
        self._peers = self._peers or resolve(self.host, self.port, socket.SOCK_DGRAM, self.source, self.version)
        return self.trials.first(
            self._peers, lambda peer: self._opened_round_trip(peer, sequence, message), _ANSWERS_FOR_ALL
        )

    def _opened_round_trip(self, peer: PeerAddress, sequence: int, message: bytes) -> RoundTrip:
        """Over a new socket, which is kept unless ``peer`` refuses."""
        try:
            self._sock, _ = connect_to(peer, self.host, self.timeout_s, source=self.source)
            self._stamp_request = stamp_datagrams(self._sock)
            return self._attempt(self._sock, sequence, message)
        except PeerError as error:
            if error.verdict not in _ANSWERS_FOR_ALL:
                self.close()
            raise

    def _attempt(self, sock: socket.socket, sequence: int, message: bytes) -> RoundTrip:
        start_ns = self._silence.begin()
        try:
            self._drain(sock)
            trip = self._exchange(sock, sequence, message)
        except OSError as error:
            failure = peer_error(
                error, Attempt(self.host, self.port, "answer", self.timeout_s, start_ns=start_ns), sock
            )
            self._silence.end(failure)
            raise failure from error
        self._silence.end()
        return trip

    def _drain(self, sock: socket.socket) -> None:
        """Take what has arrived since the last message, with the time of its arrival. Raises OSError."""
        view = memoryview(self._buffer)
        for _ in range(_DRAINED):
            try:
                count, control, _, _ = sock.recvmsg_into([view], CONTROL_SIZE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            stamp = arrived_ns(control)
            waited_ns = max(time.time_ns() - stamp, 0) if stamp else 0
            self._is_stray(bytes(view[:count]), time.perf_counter_ns() - waited_ns)

    def _exchange(self, sock: socket.socket, sequence: int, message: bytes) -> RoundTrip:
        stamp_request = self._stamp_request if (sequence - 1) % self._stamp_every == 0 else None
        buffer, view, clock = self._buffer, memoryview(self._buffer), time.perf_counter_ns
        sendmsg, recvmsg_into = sock.sendmsg, sock.recvmsg_into
        send, recv_into = sock.send, sock.recv_into
        outgoing, incoming = [message], [buffer]
        control: list[ControlMessage] = []
        sent = _Sent(message, sequence, clock())
        self._sent.append(sent)
        start = clock()
        if stamp_request:
            sendmsg(outgoing, stamp_request)
            count, control, _, _ = recvmsg_into(incoming, CONTROL_SIZE)
        else:
            send(message)
            count = recv_into(buffer)
        now = clock()
        if view[:count] != message:
            now, control = self._await_echo(sock, message, count, start, now)
        sent.answered = True
        return RoundTrip(now - start, _kernel_ns(sock, control, now - start) if stamp_request else None)

    def _await_echo(
        self, sock: socket.socket, message: bytes, count: int, start_ns: int, now_ns: int
    ) -> tuple[int, list[ControlMessage]]:
        """Something else came first: when the echo came, and its control messages. Raises OSError and PeerError."""
        view, unknown = memoryview(self._buffer), False
        where = format_endpoint(self.host, self.port)
        try:
            for _ in range(_OTHERS):
                unknown = not self._is_stray(bytes(view[:count]), now_ns) or unknown
                set_timeout(sock, time_left(start_ns, self.timeout_s))
                count, control, _, _ = sock.recvmsg_into([self._buffer], CONTROL_SIZE)
                now_ns = time.perf_counter_ns()
                if view[:count] == message:
                    return now_ns, control
            raise PeerError(where, Verdict.WRONG_RESPONDER, f"{_OTHERS:,} other datagrams came back: no echo server")
        except (TimeoutError, BlockingIOError) as error:
            if unknown:
                raise PeerError(where, Verdict.WRONG_RESPONDER, "other bytes came back: no echo server") from error
            raise
        finally:
            set_timeout(sock, self.timeout_s)

    def _is_stray(self, data: bytes, now_ns: int) -> bool:
        """Is it the echo of an earlier message? Then it is kept."""
        sent = next((sent for sent in reversed(self._sent) if sent.message == data), None)
        if sent is None:
            return False
        elapsed_ns = max(now_ns - sent.sent_ns, 0)
        late = "late" if elapsed_ns > self.timeout_s * 1e9 else "unawaited"
        self._strays.append(Stray(sent.sequence, "duplicate" if sent.answered else late, elapsed_ns))
        sent.answered = True
        return True


def _kernel_ns(sock: socket.socket, control: list[ControlMessage], elapsed_ns: int) -> int | None:
    """From device to device; None without both stamps, or where the system's clock was set in between."""
    arrived, departed = arrived_ns(control), departed_ns(sock)
    return arrived - departed if arrived and departed and 0 < arrived - departed <= elapsed_ns else None
