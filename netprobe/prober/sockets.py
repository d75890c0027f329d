"""What sockets take and give that the socket module leaves open: addresses with zones, errors, descriptors."""

import errno
import re
import socket
from typing import Optional

from netprobe.prober.wire import Address

__all__ = [
    "CONNECTING",
    "MAPPED",
    "OUT_OF_DESCRIPTORS",
    "descriptors_for",
    "errno_name",
    "is_link_local",
    "is_loopback",
    "packed",
    "socket_address",
]

# What connect_ex() returns of a handshake that has begun; 10035 is WSAEWOULDBLOCK.
CONNECTING = frozenset((0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, 10035))
OUT_OF_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, 10024))  # 10024: WSAEMFILE
RESERVED = 64  # descriptors for everything that is not a probe
WINDOWS_LIMIT = 448  # select() takes 512 there
MAPPED = b"\0" * 10 + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291 section 2.5.5.2
MOST_INDEX = 2**31 - 1  # netdevice(7): ifr_ifindex is an int

_NUMBER = re.compile(r"[0-9]{1,10}\Z")


def socket_address(address: str, port: int, zone: Optional[str]) -> Address:
    """What connect and bind take; a zone is an interface's name or number. Raises OSError where there is none such."""
    if ":" not in address:
        return (address, port)
    return (address, port, 0, _interface_index(zone) if zone else 0)


def _interface_index(zone: str) -> int:
    """Names first: an interface may be called ``7``. A number is what :data:`_NUMBER` says, whatever int() takes."""
    try:
        return socket.if_nametoindex(zone)
    except (OSError, ValueError):  # ValueError: no name at all, as one with a NUL in it
        if _NUMBER.match(zone) and int(zone) <= MOST_INDEX:
            return int(zone)
        raise OSError("no interface with this name") from None


def is_link_local(address: str) -> bool:
    """Is it in fe80::/10 (RFC 4291 section 2.5.6)?"""
    if ":" not in address:
        return False
    raw = packed(address)
    return raw[0] == 0xFE and raw[1] & 0xC0 == 0x80


def is_loopback(address: str) -> bool:
    """Is it in 127.0.0.0/8, also as an IPv4-mapped address, or ::1?"""
    raw = packed(address)
    return raw[-4:-3] == b"\x7f" if raw[:-4] in (b"", MAPPED) else raw == b"\0" * 15 + b"\1"


def packed(address: str) -> bytes:
    """The address as bytes, whatever its spelling; without a zone."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


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
