"""What the kernel itself measured: the client's own process is not in these figures.

TCP: the connection's estimate from its acknowledgements (TCP_INFO, tcp(7)). UDP: the software time stamps of the
datagram that left and of the one that came (SO_TIMESTAMPING, Linux' Documentation/networking/timestamping).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from netprobe.kernel.constants import MSG_ERRQUEUE, SO_TIMESTAMPING, TCP_INFO

__all__ = ["ANCILLARY", "TcpInfo", "arrived_ns", "departed_ns", "stamp_datagrams", "tcp_info"]

ANCILLARY = 512  # bytes that hold the control messages of one datagram

_SEND = struct.pack("=I", 1 << 1)  # linux/net_tstamp.h: TX_SOFTWARE
_RECEIVE = 1 << 3 | 1 << 4 | 1 << 11  # RX_SOFTWARE, SOFTWARE, OPT_TSONLY
_TIMES = struct.Struct("@ll")
_UNKNOWN = 0xFFFFFFFF
_RTT, _RETRANSMITS, _MIN_RTT = 68, 100, 148  # offsets in struct tcp_info, linux/tcp.h


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Milliseconds: the smoothed round-trip time, its mean deviation, the shortest seen; retransmitted segments."""

    rtt_ms: float
    deviation_ms: float
    min_rtt_ms: float | None
    retransmits: int


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """What the kernel knows of a TCP connection; None where the system does not tell."""
    if TCP_INFO is None or SO_TIMESTAMPING is None:  # the struct's layout is that of Linux
        return None
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 256)
    except OSError:
        return None
    if len(told) < _RETRANSMITS + 4:
        return None
    rtt_us, deviation_us = struct.unpack_from("=II", told, _RTT)
    shortest_us: int | None = struct.unpack_from("=I", told, _MIN_RTT)[0] if len(told) >= _MIN_RTT + 4 else None
    return TcpInfo(
        rtt_us / 1000,
        deviation_us / 1000,
        None if shortest_us is None or shortest_us == _UNKNOWN else shortest_us / 1000,
        struct.unpack_from("=I", told, _RETRANSMITS)[0],
    )


def stamp_datagrams(sock: socket.socket) -> list[tuple[int, int, bytes]] | None:
    """Ask for time stamps of the datagrams that come; the control message that asks for one of a datagram that goes.

    None where the system has no such thing.
    """
    if SO_TIMESTAMPING is None:
        return None
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, _RECEIVE)
    except OSError:
        return None
    return [(socket.SOL_SOCKET, SO_TIMESTAMPING, _SEND)]


def arrived_ns(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """When the datagram came in, in nanoseconds since 1970, from the control messages that came with it."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING) and len(data) >= _TIMES.size:
            seconds, nanoseconds = _TIMES.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds) or None
    return None


def departed_ns(sock: socket.socket) -> int | None:
    """When the last datagram was handed to the device, in nanoseconds since 1970; empties the error queue."""
    found = None
    while True:
        try:
            _, ancillary, _, _ = sock.recvmsg(0, ANCILLARY, (MSG_ERRQUEUE or 0) | socket.MSG_DONTWAIT)
        except OSError:
            return found
        found = arrived_ns(ancillary) or found
