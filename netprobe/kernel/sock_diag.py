"""Sockets as the kernel has them (sock_diag(7)): which connections there are at a port, and what waits at a listener.

A connection that the kernel has begun and nobody has accepted shows nowhere else: one in SYN-RECV proves that a SYN
arrived and was answered, and that no answer to this came (RFC 9293 section 3.3.2). Anybody may ask.

The kernel filters by the local port (inet_diag_req_v2, ``idiag_sport``), so that a host with a hundred thousand
connections sends back the few that are meant. Standard library only.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from typing import Final

from netprobe.kernel.netlink import attributes, dump

__all__ = ["ESTABLISHED", "LISTEN", "SYN_RECV", "DiagSocket", "half_open", "sockets_at"]

NETLINK_SOCK_DIAG: Final = 4  # linux/netlink.h
SOCK_DIAG_BY_FAMILY: Final = 20  # linux/sock_diag.h
ESTABLISHED, SYN_RECV, CLOSE, LISTEN, NEW_SYN_RECV = 1, 3, 7, 10, 12  # include/net/tcp_states.h
_INET_DIAG_SKMEMINFO: Final = 7  # linux/inet_diag.h
_SK_MEMINFO_DROPS: Final = 8  # linux/sock_diag.h: the ninth word
_ALL_STATES: Final = 0xFFFFFFFF
_REQUEST: Final = struct.Struct("=BBBxI")  # family, protocol, extensions, states
_ID: Final = struct.Struct(">HH16s16s")  # inet_diag_sockid: ports, addresses; interface and cookie follow
_REST: Final = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # any interface, no cookie
_HEAD: Final = struct.Struct(">BBBBHH16s16s")  # inet_diag_msg: family, state, timer, retransmits, ports, addresses
_TAIL: Final = struct.Struct("=IIII")  # receive queue, send queue, uid, inode
_TAIL_AT: Final = 56
_ATTRIBUTES_AT: Final = 72
_MEMINFO: Final = frozenset((_INET_DIAG_SKMEMINFO,))


@dataclass(frozen=True, slots=True)
class DiagSocket:
    """One socket. ``state`` is a TCP state, SYN_RECV for both kinds of half-open connections; UDP has CLOSE (7).

    For a listener ``queued`` is how many connections wait to be accepted, ``backlog`` how many may. For others they
    are bytes. ``drops`` is what did not fit into the socket's buffer or queue, so far.
    """

    state: int
    local: str
    local_port: int
    remote: str
    remote_port: int
    queued: int
    backlog: int
    drops: int | None


def sockets_at(family: int, protocol: int, port: int) -> list[DiagSocket]:
    """The sockets with the local ``port``, in any state; ``protocol`` is IPPROTO_TCP or IPPROTO_UDP.

    Raises OSError where the kernel does not answer; a protocol without sock_diag (a module that is not there) has none.
    """
    return [each for each in _sockets(family, protocol, port, _ALL_STATES) if each.local_port == port]


def half_open(family: int) -> list[DiagSocket]:
    """The connections of TCP that wait for the end of their handshake, at any port. Raises as sockets_at does."""
    found = _sockets(family, socket.IPPROTO_TCP, 0, 1 << SYN_RECV | 1 << NEW_SYN_RECV)
    return [each for each in found if each.state == SYN_RECV]


def _sockets(family: int, protocol: int, port: int, states: int) -> list[DiagSocket]:
    ident = _ID.pack(port, 0, bytes(16), bytes(16)) + _REST
    body = _REQUEST.pack(family, protocol, 1 << (_INET_DIAG_SKMEMINFO - 1), states) + ident
    try:
        return [_socket(each) for each in dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, body)]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EPROTONOSUPPORT):
            return []
        raise


def _socket(body: bytes) -> DiagSocket:
    family, state, _, _, local_port, remote_port, local, remote = _HEAD.unpack_from(body)
    queued, backlog, _, _ = _TAIL.unpack_from(body, _TAIL_AT)
    memory = attributes(body, _MEMINFO, _ATTRIBUTES_AT).get(_INET_DIAG_SKMEMINFO)
    drops = None
    if memory is not None and len(memory) >= 4 * (_SK_MEMINFO_DROPS + 1):
        drops = struct.unpack_from("=I", memory, 4 * _SK_MEMINFO_DROPS)[0]
    return DiagSocket(
        state=SYN_RECV if state == NEW_SYN_RECV else state,
        local=_address(family, local),
        local_port=local_port,
        remote=_address(family, remote),
        remote_port=remote_port,
        queued=queued,
        backlog=backlog,
        drops=drops,
    )


def _address(family: int, packed: bytes) -> str:
    """IPv4 of an IPv6 socket as the IPv4 address that it is."""
    text = socket.inet_ntop(family, packed[:4] if family == socket.AF_INET else packed)
    return text.removeprefix("::ffff:") if "." in text else text
