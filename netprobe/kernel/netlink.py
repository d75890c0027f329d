"""Netlink framing, written once: requests, dumps and attributes of any family of netlink(7).

What a family's messages mean is for the module that knows the family (:mod:`netprobe.kernel.rtnetlink`): it brings
the protocol's number, the message type and the fixed part of the body. Nothing leaves the machine.

Every request has a socket of its own. The kernel runs one dump a socket and answers EBUSY to a second, so after a
dump that was cut off (ENOBUFS) the same socket could not be used to ask again, and opening one costs microseconds.
This module travels: Python 3.6 and later, standard library only.
"""

import errno
import os
import socket
import struct
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Tuple

from netprobe.kernel.constants import AF_NETLINK

__all__ = ["Message", "attribute", "attributes", "dump", "each_attribute", "framed", "messages", "request"]

NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 1, 2, 3, 4  # netlink(7)
NLM_F_REQUEST, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x10, 0x300
NLA_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_BUFFER = 1 << 20  # the kernel fills at most 32 KiB of a dump's datagram; a single message may be longer
_TIMEOUT_S = 5.0
_TRIES = 5
_SEQUENCE = 1


class Message(NamedTuple):
    """One message: ``kind`` is its type (NLMSG_* or the family's own), ``flags`` NLM_F_*, ``body`` what follows."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def dump(protocol: int, kind: int, body: bytes) -> List[bytes]:
    """The bodies of all messages of a table. Raises OSError where netlink is refused or not there.

    A dump during which the table changed (NLM_F_DUMP_INTR) or of which a part was lost (ENOBUFS) is asked for again,
    five times at most. A table that never stands still is better than none; one with a hole in it is an error.
    """
    for attempt in range(_TRIES):
        try:
            bodies, is_consistent = _exchange(protocol, kind, NLM_F_DUMP, body)
        except OSError as error:
            if error.errno != errno.ENOBUFS or attempt == _TRIES - 1:
                raise
            continue
        if is_consistent:
            break
    return bodies


def request(protocol: int, kind: int, body: bytes) -> bytes:
    """The body of the one message that answers. Raises OSError with the errno that the kernel answers instead."""
    bodies, _ = _exchange(protocol, kind, 0, body)
    if not bodies:
        raise OSError(errno.EPROTO, "netlink acknowledged a request without answering it")
    return bodies[0]


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram. Raises OSError where one is cut short."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            raise OSError(errno.EPROTO, "a netlink message is cut short")
        yield Message(kind, flags, sequence, data[at + _HEADER.size : at + length])
        at += (length + 3) & ~3


def attributes(data: bytes, wanted: FrozenSet[int], start: int = 0) -> Dict[int, bytes]:
    """Of the attributes from ``start`` on, behind a message's fixed part, the ``wanted``; nested ones keep their bytes.

    A link has 40 of them. Keeping five and stopping at the last of these halves the time that a thousand links take.
    """
    found: Dict[int, bytes] = {}
    left = len(wanted)
    end = len(data)
    unpack = _ATTRIBUTE.unpack_from
    while left and start + 4 <= end:
        length, kind = unpack(data, start)
        if length < 4 or start + length > end:
            break
        kind &= NLA_TYPE_MASK
        if kind in wanted:
            found[kind] = data[start + 4 : start + length]
            left -= 1
        start += (length + 3) & ~3
    return found


def each_attribute(data: bytes, start: int = 0) -> Iterator[Tuple[int, bytes]]:
    """Every attribute in its order: those of a list are all of one type."""
    while start + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > len(data):
            return
        yield kind & NLA_TYPE_MASK, data[start + 4 : start + length]
        start += (length + 3) & ~3


def framed(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """One message as it is sent."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute of a request, padded."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def _exchange(protocol: int, kind: int, flags: int, body: bytes) -> Tuple[List[bytes], bool]:
    """The answers to one request, and whether they are of one moment."""
    if AF_NETLINK is None:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    bodies: List[bytes] = []
    is_consistent = True
    buffer = bytearray(_BUFFER)  # one for all datagrams: recv() would map and unmap a megabyte for each
    with socket.socket(AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
        sock.settimeout(_TIMEOUT_S)
        sock.bind((0, 0))
        sock.send(framed(kind, NLM_F_REQUEST | flags, _SEQUENCE, body))
        while True:
            length = sock.recv_into(buffer)
            if not length:
                raise OSError(errno.EPROTO, "the netlink answer ended early")
            for message in messages(bytes(memoryview(buffer)[:length])):
                if message.sequence != _SEQUENCE or message.kind == NLMSG_NOOP:
                    continue  # not an answer to this request
                is_consistent = is_consistent and not message.flags & NLM_F_DUMP_INTR
                if message.kind == NLMSG_OVERRUN:
                    raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
                if message.kind in (NLMSG_DONE, NLMSG_ERROR):  # both carry 0 or a negative errno
                    _raise_for(message.body)
                    return bodies, is_consistent
                bodies.append(message.body)
            if bodies and flags != NLM_F_DUMP:
                return bodies, is_consistent


def _raise_for(body: bytes) -> None:
    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if code > 0:
        raise OSError(code, os.strerror(code))
