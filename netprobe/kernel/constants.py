"""The one place where constants of the platform are looked up.

A constant that this system's Python lacks but that has a documented number on Linux gets that number; one that has
no meaning here is ``None``, and :func:`need` says so in one line when somebody asks for it. Every module imports
everywhere because of this file. (``payload.py`` travels alone and carries the few that it needs itself.)
"""

from __future__ import annotations

import socket
import sys

from netprobe.errors import CannotRunError

__all__ = [
    "IPV6_FREEBIND",
    "IPV6_PKTINFO",
    "IPV6_RECVPKTINFO",
    "IPV6_V6ONLY",
    "IP_FREEBIND",
    "IP_PKTINFO",
    "MSG_ERRQUEUE",
    "SO_BINDTODEVICE",
    "SO_REUSEPORT",
    "SO_TIMESTAMPING",
    "SYSTEM",
    "TCP_INFO",
    "need",
]


def system(platform: str = sys.platform) -> str:
    """The operating system as the prediction names it: ``linux``, ``macos``, ``freebsd``, ``windows`` or the rest."""
    for start, name in (("linux", "linux"), ("darwin", "macos"), ("win", "windows"), ("cygwin", "windows")):
        if platform.startswith(start):
            return name
    for name in ("freebsd", "openbsd", "netbsd", "dragonfly"):
        if platform.startswith(name):
            return name
    return platform


def linux_number(name: str, number: int) -> int | None:
    """The platform's own value, or the number that Linux documents, or ``None`` elsewhere."""
    value: int | None = getattr(socket, name, None)
    if value is None and SYSTEM == "linux":
        return number
    return value


def need(name: str, value: int | None) -> int:
    """``value``, or a :class:`CannotRunError` which says that this system has no such socket option."""
    if value is None:
        raise CannotRunError(name, f"{SYSTEM} has no such socket option")
    return value


SYSTEM = system()

SO_BINDTODEVICE = linux_number("SO_BINDTODEVICE", 25)  # socket(7)
SO_REUSEPORT = linux_number("SO_REUSEPORT", 15)  # socket(7)
SO_TIMESTAMPING = linux_number("SO_TIMESTAMPING", 37)  # asm-generic/socket.h
IP_FREEBIND = linux_number("IP_FREEBIND", 15)  # ip(7)
IPV6_FREEBIND = linux_number("IPV6_FREEBIND", 78)  # linux/in6.h
IPV6_V6ONLY: int | None = getattr(socket, "IPV6_V6ONLY", None)  # RFC 3493 section 5.3
MSG_ERRQUEUE = linux_number("MSG_ERRQUEUE", 0x2000)  # recv(2)
IP_PKTINFO = linux_number("IP_PKTINFO", 8)  # ip(7)
IPV6_PKTINFO = linux_number("IPV6_PKTINFO", 50)  # RFC 3542 section 6.1
IPV6_RECVPKTINFO = linux_number("IPV6_RECVPKTINFO", 49)  # RFC 3542 section 6.1
TCP_INFO = linux_number("TCP_INFO", 11)  # tcp(7)
