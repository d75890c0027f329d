"""What sockets take and give that the socket module leaves open: addresses with zones, errors, descriptors."""

import errno
import re
import socket
from typing import Optional

from netprobe.prober.wire import Address

__all__ = [
    "CONNECTING",
    "MAPPED",
    "NO_ROOM",
    "can_have_seen",
    "descriptors_for",
    "errno_name",
    "is_link_local",
    "is_loopback",
    "packed",
    "socket_address",
    "unmapped",
]

# What connect_ex() returns of a handshake that has begun; 10035 is WSAEWOULDBLOCK.
CONNECTING = frozenset((0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, 10035))
# What socket() says where there is no room for one more: of descriptors, or of memory (socket(2)). 10024 is WSAEMFILE.
NO_ROOM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, 10024))
RESERVED = 64  # descriptors for everything that is not a probe
WINDOWS_LIMIT = 448  # select() takes 512 there
MAPPED = b"\0" * 10 + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291 section 2.5.5.2
# RFC 6052 section 2.1 and RFC 8215: an IPv6 address that begins like this is translated to the IPv4 address in it.
NAT64 = (b"\0\x64\xff\x9b" + b"\0" * 8, b"\0\x64\xff\x9b\0\1")
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


def can_have_seen(asked: str, observed: str, local: str) -> bool:
    """Can a listener that was asked as ``asked`` have seen ``observed`` come to its address ``local`` ("-": unknown)?

    It sees the family that was asked (of an IPv4-mapped address: IPv4), unless a NAT64 is in between. That is known by
    its prefix, or by the address that was asked: it ends with the listener's (RFC 6052 section 2.2; other lengths of
    prefixes than 96 bits are rare).
    """
    to = packed(asked)
    if _is_ipv4(to) or not _is_ipv4(packed(observed)):
        return _is_ipv4(to) == _is_ipv4(packed(observed))
    return to.startswith(NAT64) or (":" not in local and local != "-" and to.endswith(packed(local)))


def _is_ipv4(raw: bytes) -> bool:
    return len(raw) == 4 or raw.startswith(MAPPED)


def unmapped(address: str) -> bytes:
    """The address as bytes: an IPv4-mapped one as the IPv4 address that it is, so that equal ones are equal."""
    raw = packed(address)
    return raw[-4:] if raw[:-4] == MAPPED else raw


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
