"""UDP echo: each datagram goes back to its sender, from the address it was sent to, unless that could harm others.

Source addresses can be forged, so a UDP echo server is a weapon unless it refuses to be one. Never answered: what was
sent to a broadcast or multicast address (RFC 1122 section 4.1.3.6 lets no reply carry such a source), what comes from
no address (to reply to ``::`` is to send to this host) or from the port of a service that itself replies (two of them
would never stop: CVE-1999-0103), what exceeds ``--max-rate``, and what would go on with a loop between two echo servers
(see echo_loops). A reply is the datagram itself, so never more bytes go out than came in.
"""

from __future__ import annotations

import errno
import socket
import struct
from array import array
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

from netprobe.echo.server.echo_loops import EchoLoops
from netprobe.echo.server.poller import AGAIN
from netprobe.kernel.constants import IP_PKTINFO, IPV6_PKTINFO, IPV6_RECVPKTINFO

__all__ = ["REPLYING_PORTS", "Datagrams", "RateLimiter", "request_destination"]

_DEFAULT_RATE: Final = 1000.0  # per second and peer; loopback is exempt

_HANG_UP: Final = 0x010  # EPOLLHUP, of a UDP socket: shut down (epoll would report it for ever)
_BURST: Final = 64  # datagrams received before others get a turn
_ANCILLARY: Final = 256  # bytes; an inherited socket may have more ancillary data switched on than we ask for

REPLYING_PORTS: Final = frozenset(
    {
        0,  # no port to answer to (RFC 768)
        7,  # echo (RFC 862)
        13,  # daytime (RFC 867)
        17,  # quote of the day (RFC 865)
        19,  # character generator (RFC 864)
        37,  # time (RFC 868)
        53,  # domain (RFC 1035)
        69,  # TFTP (RFC 1350)
        111,  # portmapper (RFC 1833)
        123,  # NTP (RFC 5905)
        137,  # NetBIOS names (RFC 1002)
        161,  # SNMP (RFC 3417)
        389,  # CLDAP
        427,  # SLP (RFC 2608)
        500,  # IKE (RFC 7296)
        520,  # RIP (RFC 2453)
        1900,  # SSDP
        3702,  # WS-Discovery
        5353,  # multicast DNS (RFC 6762)
        5683,  # CoAP (RFC 7252)
        11211,  # memcached
        65432,  # netprobe echo serve
    }
)


def request_destination(sock: socket.socket) -> bool:
    """Have the kernel report the address to which each datagram was sent; False where it cannot.

    To be called before bind(2): the kernel does not record it for datagrams that were queued earlier.
    """
    if sock.family == socket.AF_INET6:
        if IPV6_RECVPKTINFO is None or IPV6_PKTINFO is None:
            return False
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    else:
        if IP_PKTINFO is None:
            return False
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    return True


class Datagrams:
    """One bound UDP socket; the loop calls ``readable`` when a datagram is waiting.

    ``own_ports`` are those of all UDP sockets of this server: what comes from one of them is an echo of ours.
    ``rate`` is in datagrams per second per peer; 0 is unlimited, None the default with loopback exempt.
    ``on_lost`` is called, with the cause, once the process that passed us the socket has shut it down.
    """

    def __init__(
        self,
        sock: socket.socket,
        rate: float | None,
        buffer: memoryview,
        own_ports: Iterable[int] = (),
        on_lost: Callable[[Datagrams, str], None] = lambda _datagrams, _cause: None,
    ) -> None:
        self.received = self.answered = self.refused = 0
        self._sock = sock
        self._buffer = buffer
        self._limiter = None if rate == 0 else RateLimiter(_DEFAULT_RATE if rate is None else rate)
        self._exempt_loopback = rate is None
        self._on_lost = on_lost
        self._loops = EchoLoops()
        self._ignored_ports = REPLYING_PORTS | {sock.getsockname()[1], *own_ports}
        self._ancillary = _ANCILLARY if request_destination(sock) else 0
        sock.setblocking(False)

    def fileno(self) -> int:
        """The descriptor."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def readable(self, mask: int = 0) -> None:
        """Answer what is waiting, up to a burst; ``mask`` is what the poller reported."""
        if mask & _HANG_UP:
            self._on_lost(self, errno.errorcode[errno.EINVAL])  # as accept(2) says it of a listener
            return
        now = monotonic()
        receive = self._sock.recvmsg_into
        buffer, loops = self._buffer, self._loops
        buffers = [buffer]
        looks = loops.looks(now, self.received)
        for _ in range(_BURST):
            try:
                count, ancillary, _flags, peer = receive(buffers, self._ancillary)
            except AGAIN:
                return
            except OSError as error:
                if error.errno in _NO_SOCKET:
                    raise
                continue  # an ICMP error for an earlier reply, where the system or the socket's owner has it reported
            self.received += 1
            destination = self._destination(ancillary)
            if (
                destination is None
                or not self._may_answer(peer[0], peer[1], now)
                or (looks and loops.refuses(peer, buffer[:count], now))
            ):
                self.refused += 1
                continue
            try:
                self._sock.sendmsg([buffer[:count]], destination, 0, peer)
                self.answered += 1
            except OSError:  # the queue is full, or there is no route back: datagrams may be lost
                self.refused += 1

    def _destination(self, ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]] | None:
        """The ancillary data that set the reply's source to the request's destination; None if no reply is allowed.

        ip(7): ``ipi_addr`` is the destination in the header, ``ipi_spec_dst`` the local address; they differ for
        broadcast and multicast, and only for them. On an IPv6 socket that takes IPv4, too, the reply to a broadcast
        fails, because its source is not an address of this host.
        """
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) >= _PKTINFO.size:
                _interface, local, destination = _PKTINFO.unpack_from(data)
                if local != destination:
                    return None
                return [(level, kind, _PKTINFO.pack(0, destination, _NO_ADDRESS))]
            if level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO and len(data) >= _PKTINFO6_SIZE:
                if data[0] == 0xFF:  # RFC 4291 section 2.7
                    return None
                return [(level, kind, data[:16] + (data[16:20] if data[:2] in _LINK_LOCAL else _NO_ADDRESS))]
        return [] if not self._ancillary else None

    def _may_answer(self, host: str, port: int, now: float) -> bool:
        if port in self._ignored_ports or host in _NOBODY:
            return False
        if self._limiter is None or (self._exempt_loopback and (host == "::1" or host.startswith(_LOOPBACK))):
            return True
        return self._limiter.allows(host, now)


class RateLimiter:
    """A token bucket for each peer, with a burst of one second's worth, in a table of constant size.

    A peer is an IPv4 address, in whatever notation, or the /64 of an IPv6 address: all of that belongs to one host. Its
    bucket is found by a hash that no peer can predict, so that buckets may be shared, and nothing is ever forgotten: a
    table of known peers that drops the oldest would give a new bucket to anyone who first invents enough sources. A
    shared bucket never lets a peer have more than its rate. It may get less while a flood from invented addresses
    empties all buckets, which takes 16,384 times the rate.

    A bucket is one number, when it will be full again: the "virtual scheduling" form of the generic cell rate algorithm
    (ITU-T I.371, annex A).
    """

    def __init__(self, per_second: float, buckets: int = 16_384) -> None:
        self._interval = min(1.0 / per_second, _LONGEST_INTERVAL)
        self._burst = max(1.0, per_second) * self._interval + _ROUNDING
        self._full_at = array("d", bytes(8 * buckets))

    def allows(self, peer: str, now: float) -> bool:
        """Take one of ``peer``'s tokens at ``now`` (seconds of a monotonic clock), if there is one."""
        bucket = hash(_network(peer)) % len(self._full_at)
        full_at = max(self._full_at[bucket], now) + self._interval
        if full_at - now > self._burst:
            return False
        self._full_at[bucket] = full_at
        return True


def _network(peer: str) -> str | bytes:
    """What a peer's address is counted as: IPv4, or the /64 of IPv6 (RFC 4291 section 2.5.4)."""
    if ":" not in peer:
        return peer
    packed = socket.inet_pton(socket.AF_INET6, peer.partition("%")[0])
    return socket.inet_ntop(socket.AF_INET, packed[12:]) if packed.startswith(_MAPPED) else packed[:8]


_PKTINFO: Final = struct.Struct("=i4s4s")  # struct in_pktinfo, ip(7)
_PKTINFO6_SIZE: Final = 20  # struct in6_pktinfo, RFC 3542 section 6
_NO_ADDRESS: Final = bytes(4)
_NOBODY: Final = frozenset({"0.0.0.0", "::", "::ffff:0.0.0.0"})
_LOOPBACK: Final = ("127.", "::ffff:127.")
_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
_LINK_LOCAL: Final = frozenset(bytes((0xFE, low)) for low in range(0x80, 0xC0))  # RFC 4291 section 2.5.6
_NO_SOCKET: Final = (errno.EBADF, errno.ENOTSOCK)
_LONGEST_INTERVAL: Final = 1e9  # seconds; a smaller rate than one datagram in 30 years is none
_ROUNDING: Final = 1e-9  # of a sum of intervals
