"""What sockets take and give that the socket module leaves open: addresses with zones, errors, descriptors."""

import errno
import socket
from typing import Optional

from netprobe.prober.wire import Address

__all__ = ["CONNECTING", "OUT_OF_DESCRIPTORS", "descriptors_for", "errno_name", "is_link_local", "socket_address"]

# What connect_ex() returns of a handshake that has begun; 10035 is WSAEWOULDBLOCK.
CONNECTING = frozenset((0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, 10035))
OUT_OF_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, 10024))  # 10024: WSAEMFILE
RESERVED = 64  # descriptors for everything that is not a probe
WINDOWS_LIMIT = 448  # select() takes 512 there


def socket_address(address: str, port: int, zone: Optional[str]) -> Address:
    """What connect and bind take; a zone is an interface's name or number."""
    if ":" not in address:
        return (address, port)
    if not zone:
        return (address, port, 0, 0)
    return (address, port, 0, int(zone) if str(zone).isdigit() else socket.if_nametoindex(str(zone)))


def is_link_local(address: str) -> bool:
    """Is it in fe80::/10 (RFC 4291 section 2.5.6)?"""
    if ":" not in address:
        return False
    raw = socket.inet_pton(socket.AF_INET6, address)
    return raw[0] == 0xFE and raw[1] & 0xC0 == 0x80


def errno_name(number: Optional[int]) -> Optional[str]:
    """``ECONNREFUSED`` and the like; the number in digits where this system has no name for it."""
    return None if number is None else errno.errorcode.get(number, str(number))


def descriptors_for(count: int) -> int:
    """How many sockets can be open at once, after asking for as many as ``count`` needs."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + RESERVED
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, (wanted if soft == resource.RLIM_INFINITY else soft) - RESERVED)
    except (ImportError, OSError, ValueError):
        return WINDOWS_LIMIT
