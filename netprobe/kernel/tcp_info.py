"""What the kernel knows of a TCP connection: its round-trip time as acknowledgements show it (TCP_INFO, tcp(7)).

The figure leaves the asking process out: neither its scheduling nor its interpreter is in it. On loopback, where a
Python client measured 18.3 µs for a round trip, the kernel said 14, and 10 for the shortest. What it does hold is the
peer's delayed acknowledgement, so that it can also be longer than the round trip that an application sees. It needs no
privileges. Only Linux is read: other systems have the option, too, but a struct of another layout.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from netprobe.kernel.constants import SYSTEM, TCP_INFO

__all__ = ["TcpInfo", "tcp_info"]

_RTT, _RETRANSMITS, _MIN_RTT = 68, 100, 148  # offsets in struct tcp_info, linux/tcp.h
_UNKNOWN = 0xFFFFFFFF  # tcpi_min_rtt before the first sample


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Milliseconds: the smoothed round-trip time (RFC 6298), its mean deviation, the shortest seen.

    ``retransmits`` counts segments of this connection that were sent again.
    """

    rtt_ms: float
    deviation_ms: float
    min_rtt_ms: float | None
    retransmits: int


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """The kernel's figures for a connected TCP socket; None where the system has none."""
    if TCP_INFO is None or SYSTEM != "linux":
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 256)
    except OSError:
        return None
    if len(info) < _RETRANSMITS + 4:
        return None
    rtt_us, deviation_us = struct.unpack_from("=II", info, _RTT)
    min_rtt_us: int | None = struct.unpack_from("=I", info, _MIN_RTT)[0] if len(info) >= _MIN_RTT + 4 else None
    return TcpInfo(
        rtt_us / 1000,
        deviation_us / 1000,
        None if min_rtt_us is None or min_rtt_us == _UNKNOWN else min_rtt_us / 1000,
        struct.unpack_from("=I", info, _RETRANSMITS)[0],
    )
