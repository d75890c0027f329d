"""The kernel's own tables through a netlink socket: links, addresses and routes as raw messages (rtnetlink(7)).

Nothing leaves the machine: also a route is only looked up.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

__all__ = ["RTM_GETADDR", "RTM_GETLINK", "RTM_GETROUTE", "attributes", "dump", "look_up_route"]

RTM_GETLINK = 18  # linux/rtnetlink.h
RTM_GETADDR = 22
RTM_GETROUTE = 26

_NLMSG_ERROR, _NLMSG_DONE = 2, 3  # netlink(7)
_NLM_F_REQUEST, _NLM_F_DUMP_INTR, _NLM_F_DUMP = 0x1, 0x10, 0x300
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_FIXED = {RTM_GETLINK: 16, RTM_GETADDR: 8, RTM_GETROUTE: 12}  # ifinfomsg, ifaddrmsg, rtmsg
_RTA_DST, _RTA_OIF = 1, 4
_BUFFER = 1 << 20
_TIMEOUT_S = 5.0
_TRIES = 5  # a dump that the kernel changed underneath is asked for again


def dump(what: int) -> list[bytes]:
    """All messages of one table, headers cut off. Raises OSError where netlink is refused or not there.

    A dump that was interrupted by a change (NLM_F_DUMP_INTR) is asked for again, five times at most.
    """
    for _ in range(_TRIES):
        with _open() as sock:
            whole, messages = _ask(sock, what, _NLM_F_DUMP, bytes(_FIXED[what]))
        if whole:
            break
    return messages


def look_up_route(family: int, destination: bytes, index: int = 0) -> bytes:
    """The route that a packet to ``destination`` would take (out of interface ``index``, if not 0), header cut off.

    Raises OSError: ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL where the tables have no way or forbid it.
    """
    body = struct.pack("=BBBBBBBBI", family, 8 * len(destination), 0, 0, 0, 0, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(destination), _RTA_DST) + destination
    if index:
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + 4, _RTA_OIF) + struct.pack("=i", index)
    with _open() as sock:
        return _ask(sock, RTM_GETROUTE, 0, body)[1][0]


def _open() -> socket.socket:
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return socket.socket(family, socket.SOCK_RAW, 0)  # NETLINK_ROUTE


def _ask(sock: socket.socket, what: int, flags: int, request: bytes) -> tuple[bool, list[bytes]]:
    """The answer to one request, and whether it is whole: of a dump all messages, else the one."""
    sock.settimeout(_TIMEOUT_S)
    sock.bind((0, 0))
    sock.send(_HEADER.pack(_HEADER.size + len(request), what, _NLM_F_REQUEST | flags, 1, 0) + request)
    messages: list[bytes] = []
    whole = True
    while True:
        data = sock.recv(_BUFFER)
        if not data:
            raise OSError(errno.EPROTO, "the netlink dump ended early")
        for kind, said, body in _messages(data):
            whole = whole and not said & _NLM_F_DUMP_INTR
            if kind == _NLMSG_DONE:
                return whole, messages
            if kind == _NLMSG_ERROR:
                code = -struct.unpack_from("=i", body)[0]
                raise OSError(code, os.strerror(code))
            messages.append(body)
        if messages and flags != _NLM_F_DUMP:
            return whole, messages


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            raise OSError(errno.EPROTO, "a netlink message is cut short")
        yield kind, flags, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes behind a message's fixed part; nested ones keep their bytes."""
    found = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            break
        found[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found
