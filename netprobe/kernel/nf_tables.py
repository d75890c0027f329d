"""nf_tables over a plain netlink socket: transactions, and the few expressions of which a marking rule is made.

Numbers and layouts are those of linux/netfilter/nf_tables.h and nfnetlink.h. A change is a batch that the kernel takes
as a whole or not at all. A table with the flag ``owner`` (Linux 5.12) belongs to the socket that made it: nobody else
may change it, ``nft flush ruleset`` leaves it alone, and it is gone with the socket, whatever ends the process.

No library: libnftables would have to be installed wherever the prober goes, and the nft program neither holds a table
for as long as somebody lives nor says when a trace is ready. This module travels: Python 3.6 and later, standard
library only.
"""

import errno
import os
import socket
import struct
from typing import Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from netprobe.kernel.constants import AF_NETLINK
from netprobe.kernel.netlink import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, attribute, framed, messages

__all__ = [
    "FAMILIES",
    "FAMILY_NAMES",
    "HOOKS",
    "Change",
    "NfTables",
    "accept",
    "be32",
    "be64",
    "chain",
    "counter",
    "equals",
    "limit",
    "look_up",
    "meta",
    "payload",
    "rule",
    "set_elements",
    "set_nftrace",
    "set_of_keys",
    "string",
    "table",
]

NETLINK_NETFILTER = 12  # linux/netlink.h
SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES, the upper byte of a message's type
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, NEWRULE, GETRULE, NEWSET, NEWSETELEM, TRACE = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
    9,
    12,
    17,
)
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NLM_F_ACK, NLM_F_CREATE, NLM_F_APPEND = 0x4, 0x400, 0x800
NLA_F_NESTED = 0x8000
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h

FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
FAMILY_NAMES = {number: name for name, number in FAMILIES.items()}
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4, "ingress": 5}  # inet; see hook_name
NFT_TABLE_F_OWNER = 0x2
NFT_SET_TIMEOUT = 0x10
NF_ACCEPT = 1
FIRST, LAST = -0x7FFFFFFF, 0x7FFFFFFE  # priorities: one step inside of what the kernel's own hooks have

META_PROTOCOL, META_NFTRACE, META_NFPROTO, META_L4PROTO = 1, 12, 15, 16
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
_VERDICT_REGISTER, _REGISTER, _REGISTER_32 = 0, 1, 8  # NFT_REG_VERDICT, NFT_REG_1, NFT_REG32_00

_GENERIC = struct.Struct(">BBH")  # nfgenmsg: family, version, resource
_TIMEOUT_S = 5.0
_BUFFER = 8 << 20
_ELEMENTS = 400  # of a set in one message: the length of an attribute is 16 bits

Change = Tuple[int, int, int, bytes]  # message, flags, family, attributes


class Hook(NamedTuple):
    """Where a base chain is called: the name of the hook, and its priority there."""

    name: str
    priority: int


class NfTables:
    """One socket, and so one owner of tables. Raises OSError with the kernel's errno for whatever is refused."""

    def __init__(self) -> None:
        if AF_NETLINK is None:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        # Python opens it with CLOEXEC (PEP 446): a program that we start would else hold the tables after our end.
        self.sock = socket.socket(AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.sock.bind((0, 0))
        self.sock.settimeout(_TIMEOUT_S)
        widen(self.sock, SO_SNDBUFFORCE, socket.SO_SNDBUF)
        self._sequence = 0

    def close(self) -> None:
        """The tables that it owns go, too; that takes 8 to 15 ms, in which the kernel waits for all its processors."""
        self.sock.close()

    def commit(self, changes: Iterable[Change]) -> None:
        """All changes at once, or none."""
        batch = [framed(BATCH_BEGIN, NLM_F_REQUEST, 0, _GENERIC.pack(0, 0, SUBSYSTEM >> 8))]
        listed = list(changes)
        for number, (kind, flags, family, body) in enumerate(listed, 1):
            flags |= NLM_F_REQUEST | (NLM_F_ACK if number == len(listed) else 0)
            batch.append(framed(SUBSYSTEM | kind, flags, number, _GENERIC.pack(family, 0, 0) + body))
        batch.append(framed(BATCH_END, NLM_F_REQUEST, len(listed) + 1, _GENERIC.pack(0, 0, SUBSYSTEM >> 8)))
        self.sock.send(b"".join(batch))
        first = 0
        while True:
            for message in messages(self.sock.recv(1 << 17)):
                if message.kind != NLMSG_ERROR:
                    continue
                code = -struct.unpack_from("=i", message.body)[0]
                first = first or code
                # Without the right, or without nf_tables, the beginning of the batch is all that is answered.
                if message.sequence == len(listed) or (message.sequence == 0 and code):
                    if first:
                        raise OSError(first, os.strerror(first))
                    return

    def ask(self, kind: int, family: int, body: bytes, every: bool = False) -> List[Tuple[int, bytes]]:
        """(family, attributes) of one object, or of ``every`` one that matches."""
        self._sequence += 1
        flags = NLM_F_REQUEST | (NLM_F_DUMP if every else 0)
        self.sock.send(framed(SUBSYSTEM | kind, flags, self._sequence, _GENERIC.pack(family, 0, 0) + body))
        found: List[Tuple[int, bytes]] = []
        while True:
            for message in messages(self.sock.recv(1 << 17)):
                if message.sequence != self._sequence:
                    continue
                if message.kind in (NLMSG_DONE, NLMSG_ERROR):
                    code = -struct.unpack_from("=i", message.body)[0] if len(message.body) >= 4 else 0
                    if code > 0:
                        raise OSError(code, os.strerror(code))
                    return found
                found.append((message.body[0], message.body[_GENERIC.size :]))
            if found and not every:
                return found


def widen(sock: socket.socket, forced: int, plain: int) -> None:
    """Have the kernel queue 8 MB; without CAP_NET_ADMIN in the first namespace, as much as anybody may have."""
    for option in (forced, plain):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            return
        except OSError:
            continue


# Objects.


def table(family: str, name: str, owned: bool) -> Change:
    """A new table; ``owned``: nobody else's, and gone with the socket."""
    flags = attribute(2, be32(NFT_TABLE_F_OWNER)) if owned else b""
    return NEWTABLE, NLM_F_CREATE, FAMILIES[family], attribute(1, string(name)) + flags


def chain(family: str, of: str, name: str, hook: str, priority: int, devices: Sequence[str] = ()) -> Change:
    """A base chain of type filter that accepts; at ``devices`` in the family netdev."""
    number = 0 if family == "netdev" else HOOKS[hook]
    where = attribute(1, be32(number)) + attribute(2, be32(priority))
    if len(devices) == 1:  # as kernels before 5.5 have it
        where += attribute(3, string(devices[0]))
    elif devices:
        where += nested(4, b"".join(attribute(1, string(device)) for device in devices))
    body = attribute(1, string(of)) + attribute(3, string(name)) + nested(4, where)
    return (
        NEWCHAIN,
        NLM_F_CREATE,
        FAMILIES[family],
        body + attribute(5, be32(NF_ACCEPT)) + attribute(7, string("filter")),
    )


def rule(family: str, of: str, in_chain: str, expressions: bytes) -> Change:
    """A rule, behind those that are there."""
    body = attribute(1, string(of)) + attribute(2, string(in_chain)) + nested(4, expressions)
    return NEWRULE, NLM_F_CREATE | NLM_F_APPEND, FAMILIES[family], body


def set_of_keys(
    family: str, of: str, name: str, number: int, types: Sequence[int], length: int, timeout: bool
) -> Change:
    """A hash of keys of ``length`` bytes. ``types`` are nft's, six bits each: it prints the set by them."""
    kind = 0
    for part in types:
        kind = kind << 6 | part
    body = attribute(1, string(of)) + attribute(2, string(name))
    if timeout:
        body += attribute(3, be32(NFT_SET_TIMEOUT))
    body += attribute(4, be32(kind)) + attribute(5, be32(length)) + attribute(10, be32(number))
    return NEWSET, NLM_F_CREATE, FAMILIES[family], body


def set_elements(family: str, of: str, name: str, keys: Sequence[bytes], timeout_ms: Optional[int]) -> Iterator[Change]:
    """The keys of a set."""
    expires = b"" if timeout_ms is None else attribute(4, be64(timeout_ms))
    for start in range(0, len(keys), _ELEMENTS):
        listed = b"".join(nested(1, nested(1, attribute(1, key)) + expires) for key in keys[start : start + _ELEMENTS])
        body = attribute(1, string(of)) + attribute(2, string(name)) + nested(3, listed)
        yield NEWSETELEM, NLM_F_CREATE, FAMILIES[family], body


# Expressions.


def meta(key: int) -> bytes:
    """Load what is known of the packet beside its bytes."""
    return _expression("meta", attribute(1, be32(_REGISTER)) + attribute(2, be32(key)))


def equals(value: bytes) -> bytes:
    """Go on if the register has this value."""
    body = attribute(1, be32(_REGISTER)) + attribute(2, be32(0)) + nested(3, attribute(1, value))
    return _expression("cmp", body)


def payload(base: int, offset: int, length: int, word: int) -> bytes:
    """Load bytes of a header, from the ``word``-th 32 bits of the registers on; the last word is padded with zeros."""
    place = attribute(1, be32(_REGISTER_32 + word)) + attribute(2, be32(base))
    return _expression("payload", place + attribute(3, be32(offset)) + attribute(4, be32(length)))


def look_up(name: str, number: int) -> bytes:
    """Go on if the set has what the registers hold."""
    return _expression(
        "lookup", attribute(1, string(name)) + attribute(2, be32(_REGISTER_32)) + attribute(4, be32(number))
    )


def counter() -> bytes:
    """Count the packets that came so far."""
    return _expression("counter", attribute(1, be64(0)) + attribute(2, be64(0)))


def limit(rate: int, burst: int) -> bytes:
    """Go on for no more than ``rate`` packets a second."""
    return _expression("limit", attribute(1, be64(rate)) + attribute(2, be64(1)) + attribute(3, be32(burst)))


def set_nftrace() -> bytes:
    """Have every rule from here on tell what it does with this packet."""
    one = attribute(1, be32(_REGISTER)) + nested(2, attribute(1, b"\1"))
    return _expression("immediate", one) + _expression(
        "meta", attribute(2, be32(META_NFTRACE)) + attribute(3, be32(_REGISTER))
    )


def accept() -> bytes:
    """Leave this base chain; the others of the hook are still asked."""
    verdict = nested(2, attribute(1, be32(NF_ACCEPT)))
    return _expression("immediate", attribute(1, be32(_VERDICT_REGISTER)) + nested(2, verdict))


def _expression(name: str, body: bytes) -> bytes:
    return nested(1, attribute(1, string(name)) + nested(2, body))


def nested(kind: int, value: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, value)


def string(text: str) -> bytes:
    """A name, as the kernel ends it."""
    return os.fsencode(text) + b"\0"


def be32(number: int) -> bytes:
    """In network order, as all numbers of nf_tables are; a negative one in two's complement."""
    return struct.pack(">I", number & 0xFFFFFFFF)


def be64(number: int) -> bytes:
    """The same in 64 bits."""
    return struct.pack(">Q", number)


def hook_name(family: str, number: int) -> str:
    """Numbers of hooks are each family's own."""
    if family == "netdev":
        return {0: "ingress", 1: "egress"}.get(number, str(number))
    return next((name for name, known in HOOKS.items() if known == number), str(number))
