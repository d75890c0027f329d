"""The error queue of a socket: which ICMP error came, and from whom (ip(7) and ipv6(7), IP_RECVERR).

Without it a closed port and a firewall's REJECT are the same ECONNREFUSED, and several ICMP errors never reach an
application at all. It works without privileges, for TCP as well as UDP, when it is asked for before connecting.
Only Linux has it; elsewhere the queue is always empty. This module travels: Python 3.6 and later, standard library.
"""

import errno
import socket
import struct
from typing import List, NamedTuple, Optional

from netprobe.kernel.constants import IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE, SOL_IPV6

__all__ = [
    "HAS_ERROR_QUEUE",
    "ORIGINS",
    "QueuedError",
    "ReturnedError",
    "ask_for_errors",
    "take_errors",
    "take_returned_errors",
]

HAS_ERROR_QUEUE = IP_RECVERR is not None and hasattr(socket.socket, "recvmsg")
ORIGINS = {1: "local", 2: "icmp", 3: "icmp6"}  # SO_EE_ORIGIN_*, ip(7)


class QueuedError(NamedTuple):
    """One entry of the queue.

    ``origin`` is ``local`` (made on this host, not received), ``icmp``, ``icmp6``, or a number in words for what is
    newer than this table. ``errno`` is a name, ``number`` its value here. ``offender`` is who sent the ICMP error.
    """

    origin: str
    type: int
    code: int
    offender: Optional[str]
    errno: str
    number: int

    @property
    def is_icmp(self) -> bool:
        """Did it come from the network?"""
        return self.origin in ("icmp", "icmp6")


class ReturnedError(NamedTuple):
    """An entry together with the packet that it is about.

    ``mtu`` is that of the link which the packet did not fit into (ee_info, ip(7)), 0 where it is about something else.
    ``data`` is as much of a datagram's payload as the sender of the error gave back: at least nothing (RFC 792), and
    what fits into 576 bytes from a router that does as RFC 1812 section 4.3.2.3 says (IPv6: 1280, RFC 4443).
    """

    error: QueuedError
    mtu: int
    data: bytes


def ask_for_errors(sock: socket.socket) -> None:
    """Have ICMP errors queued with their type, code and offender. Needs no rights; to be called before connecting."""
    if not HAS_ERROR_QUEUE or IP_RECVERR is None or IPV6_RECVERR is None:
        return
    if sock.family == socket.AF_INET6:
        sock.setsockopt(SOL_IPV6, IPV6_RECVERR, 1)
        try:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)  # a v4-mapped destination gets ICMP, not ICMPv6
        except OSError:
            pass
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def take_errors(sock: Optional[socket.socket]) -> List[QueuedError]:
    """Everything that waits in the error queue of ``sock``, oldest first; the queue is empty afterwards."""
    return [returned.error for returned in take_returned_errors(sock)]


def take_returned_errors(sock: Optional[socket.socket]) -> List[ReturnedError]:
    """The same, with what was given back of our packets."""
    found: List[ReturnedError] = []
    while HAS_ERROR_QUEUE and MSG_ERRQUEUE is not None and sock is not None:
        try:
            given_back, ancillary, _, _ = sock.recvmsg(2048, 1024, MSG_ERRQUEUE)
        except (OSError, ValueError):
            break
        for level, kind, data in ancillary:
            if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (SOL_IPV6, IPV6_RECVERR)) and len(data) >= 16:
                error = _extended_error(data)
                mtu = struct.unpack_from("=I", data, 8)[0] if error.errno == "EMSGSIZE" else 0
                found.append(ReturnedError(error, mtu, given_back))
    return found


def _extended_error(data: bytes) -> QueuedError:
    """struct sock_extended_err, and the address of the offender behind it."""
    number, origin, kind, code = struct.unpack_from("=IBBB", data)
    offender = None
    if len(data) >= 18:
        family = struct.unpack_from("=H", data, 16)[0]
        if family == socket.AF_INET and len(data) >= 24:
            offender = socket.inet_ntop(socket.AF_INET, data[20:24])
        elif family == socket.AF_INET6 and len(data) >= 40:
            offender = socket.inet_ntop(socket.AF_INET6, data[24:40])
    return QueuedError(
        ORIGINS.get(origin, str(origin)), kind, code, offender, errno.errorcode.get(number, str(number)), number
    )
