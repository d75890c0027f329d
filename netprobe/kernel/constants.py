"""The one place where constants of the platform are looked up.

A constant that this system's Python lacks but that has a documented number on Linux gets that number; one that has
no meaning here is ``None``. Every module imports everywhere because of this file, also the modules that travel, so it
travels with them: Python 3.6 and later, standard library only.
"""

import socket
import sys
from typing import Optional

__all__ = [
    "AF_NETLINK",
    "IPV6_FREEBIND",
    "IPV6_MTU_DISCOVER",
    "IPV6_PKTINFO",
    "IPV6_RECVERR",
    "IPV6_RECVPKTINFO",
    "IPV6_V6ONLY",
    "IP_FREEBIND",
    "IP_MTU_DISCOVER",
    "IP_PKTINFO",
    "IP_RECVERR",
    "MSG_ERRQUEUE",
    "PMTUDISC_PROBE",
    "SOL_IPV6",
    "SO_BINDTODEVICE",
    "SO_REUSEPORT",
    "SO_TIMESTAMPING",
    "SYSTEM",
    "TCP_INFO",
    "TCP_KEEPCNT",
    "TCP_KEEPIDLE",
    "TCP_KEEPINTVL",
    "system",
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


def _linux_number(name: str, number: int) -> Optional[int]:
    """The platform's own value, or the number that Linux documents, or ``None`` elsewhere."""
    value: Optional[int] = getattr(socket, name, None)
    if value is None and SYSTEM == "linux":
        return number
    return value


SYSTEM = system()

AF_NETLINK: Optional[int] = getattr(socket, "AF_NETLINK", None)  # netlink(7); Python has it where the system does
SO_BINDTODEVICE = _linux_number("SO_BINDTODEVICE", 25)  # socket(7)
SO_REUSEPORT = _linux_number("SO_REUSEPORT", 15)  # socket(7)
SO_TIMESTAMPING = _linux_number("SO_TIMESTAMPING", 37)  # asm-generic/socket.h
IP_FREEBIND = _linux_number("IP_FREEBIND", 15)  # ip(7)
IP_RECVERR = 11 if SYSTEM == "linux" else None  # ip(7); Python has it from 3.14 on, on Linux the number is fixed
IPV6_RECVERR = 25 if SYSTEM == "linux" else None  # ipv6(7)
IP_MTU_DISCOVER = _linux_number("IP_MTU_DISCOVER", 10)  # ip(7)
IPV6_MTU_DISCOVER = _linux_number("IPV6_MTU_DISCOVER", 23)  # ipv6(7)
PMTUDISC_PROBE = 3  # linux/in.h, linux/in6.h: DF is set, and what is known of the path's MTU is ignored
SOL_IPV6 = 41  # IPPROTO_IPV6, the level of IPV6_* options and of their ancillary data
IPV6_FREEBIND = _linux_number("IPV6_FREEBIND", 78)  # linux/in6.h
IPV6_V6ONLY: Optional[int] = getattr(socket, "IPV6_V6ONLY", None)  # RFC 3493 section 5.3
MSG_ERRQUEUE = _linux_number("MSG_ERRQUEUE", 0x2000)  # recv(2)
IP_PKTINFO = _linux_number("IP_PKTINFO", 8)  # ip(7)
IPV6_PKTINFO = _linux_number("IPV6_PKTINFO", 50)  # RFC 3542 section 6.1
IPV6_RECVPKTINFO = _linux_number("IPV6_RECVPKTINFO", 49)  # RFC 3542 section 6.1
TCP_INFO = _linux_number("TCP_INFO", 11)  # tcp(7)
TCP_KEEPIDLE: Optional[int] = getattr(socket, "TCP_KEEPALIVE" if SYSTEM == "macos" else "TCP_KEEPIDLE", None)  # tcp(7)
TCP_KEEPINTVL: Optional[int] = getattr(socket, "TCP_KEEPINTVL", None)  # tcp(7)
TCP_KEEPCNT: Optional[int] = getattr(socket, "TCP_KEEPCNT", None)  # tcp(7)
