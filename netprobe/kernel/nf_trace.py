"""nf_tables' own trace of our packets: which rule, of which chain, did what with them.

A table of our own marks them before any other rule (``meta nftrace set 1`` at priority -450, before raw and
defragmentation), and the kernel then reports every rule that looks at them (NFT_MSG_TRACE, nf_tables.h). Chains without
rules, behind all others of a hook, tell that nothing there stopped a packet.

The table has the flag ``owner`` (Linux 5.12): only this socket may change it, ``nft flush ruleset`` leaves it alone,
and it is gone with the socket, whatever ends this process. It neither drops nor counts, and needs no connection
tracking. Before 5.12 the kernel refuses the flag, and then there is no trace: a table that might stay behind is worse
than none.

Why not ``nft monitor trace``: nft 1.0.6 prints no handles, and does not say when it is ready. To open takes 0.5 ms, to
close 8 to 15 ms (the kernel waits for all processors); a datagram that is not ours costs 0.2 µs more meanwhile.

Needs CAP_NET_ADMIN in this network namespace. Standard library only.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from netprobe.kernel.constants import AF_NETLINK
from netprobe.kernel.netlink import attribute, attributes, messages

__all__ = ["Mark", "TraceMessage", "Tracer"]

NETLINK_NETFILTER: Final = 12
NFNL_SUBSYS_NFTABLES: Final = 10 << 8
NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_TRACE = 0, 3, 6, 17
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 0x10, 0x11
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_APPEND = 0x1, 0x4, 0x400, 0x800
NLMSG_ERROR: Final = 2
NFNLGRP_NFTRACE: Final = 9
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, SO_RCVBUFFORCE = 270, 1, 33
NFT_TABLE_F_OWNER: Final = 2
NLA_F_NESTED: Final = 0x8000

_FAMILIES: Final = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
_FAMILY_NAMES: Final = {number: name for name, number in _FAMILIES.items()}
_HOOKS: Final = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
_INGRESS: Final = 0
_VERDICTS: Final = {
    0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat",
    -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return",
}  # fmt: skip
_KINDS: Final = {1: "policy", 2: "return", 3: "rule"}
_FIRST, _LAST = -450, 0x7FFFFFFE  # priorities
_LATE: Final = ("input", "forward", "output", "postrouting")
_BUFFER: Final = 8 << 20  # bytes of rows that wait to be read
_MOST_DEVICES: Final = 64
_PROTOCOLS: Final = {"tcp": 6, "udp": 17}
_TRACE: Final = frozenset(range(1, 17))
_VERDICT: Final = frozenset((1, 2))
_HEADER: Final = struct.Struct("=IHHII")


@dataclass(frozen=True, slots=True)
class Mark:
    """Packets to trace: those to a ``port`` and those from it, of a ``protocol`` (``tcp``, ``udp``)."""

    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class TraceMessage:
    """One step of a packet. ``number`` is the packet's, used again for a later one of the same connection.

    ``kind`` is ``rule``, ``return`` or ``policy``, ``verdict`` in nft's words, ``handle`` the rule's; the end of a
    chain is a rule without one. ``is_own``: of the table that watches. ``flow`` is protocol, source, its port,
    destination and its port, which come with the first message of each base chain.
    """

    number: int
    family: str
    table: str
    chain: str
    kind: str
    verdict: str
    handle: int | None
    is_own: bool
    flow: tuple[str, str, int, str, int] | None
    incoming: str | None


@dataclass(slots=True)
class Tracer:
    """``with Tracer(marks) as tracer: …``. ``incomplete``: the kernel had messages that nobody took in time.

    Entering raises OSError: EPERM without the right, EINVAL or EOPNOTSUPP where the kernel cannot do it.
    """

    marks: Sequence[Mark]
    incomplete: bool = False
    _table: str = ""
    _holder: socket.socket | None = None
    _ears: socket.socket | None = None

    def __enter__(self) -> Self:
        if AF_NETLINK is None:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        self._table = f"netprobe_{os.getpid()}"
        try:
            self._holder, self._ears = _netlink(), _netlink()
            self._ears.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
            for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
                try:
                    self._ears.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
                    break
                except OSError:  # forced only with CAP_NET_ADMIN of the first user namespace
                    continue
            self._ears.setblocking(False)
            _commit(self._holder, self._parts())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and take the table away."""
        for sock in (self._holder, self._ears):
            if sock is not None:
                sock.close()
        self._holder = self._ears = None

    def messages(self) -> Iterator[TraceMessage]:
        """What has come since the last time."""
        while self._ears is not None:
            try:
                data = self._ears.recv(1 << 18)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.incomplete = True
                continue
            for message in messages(data):
                if message.kind == NFNL_SUBSYS_NFTABLES | NFT_MSG_TRACE:
                    row = _read(message.body, self._table)
                    if row is not None:
                        yield row

    def _parts(self) -> Iterator[tuple[int, int, int, bytes]]:
        """The table with its chains and rules, for each family."""
        yield from _table_parts("inet", self._table)
        for hook in ("prerouting", "output"):
            yield _chain("inet", self._table, hook, _HOOKS[hook], _FIRST)
            for mark in self.marks:
                for offset in (2, 0):  # to the port, and from it
                    yield _rule("inet", self._table, hook, mark, offset)
        for hook in _LATE:
            yield _chain("inet", self._table, f"late_{hook}", _HOOKS[hook], _LAST)
        devices = [name for _, name in socket.if_nameindex() if name != "lo"][:_MOST_DEVICES]
        if devices:
            yield from _table_parts("netdev", self._table)
        for device in devices:
            chain = f"ingress_{device}"[:30]
            yield _chain("netdev", self._table, chain, _INGRESS, _FIRST, device)
            for mark in self.marks:
                yield _rule("netdev", self._table, chain, mark, 2)


def _netlink() -> socket.socket:
    assert AF_NETLINK is not None
    sock = socket.socket(AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    sock.bind((0, 0))
    return sock


def _nested(kind: int, value: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, value)


def _be32(number: int) -> bytes:
    return struct.pack(">I", number & 0xFFFFFFFF)


def _name(text: str) -> bytes:
    return os.fsencode(text) + b"\0"


def _table_parts(family: str, table: str) -> Iterator[tuple[int, int, int, bytes]]:
    body = attribute(1, _name(table)) + attribute(2, _be32(NFT_TABLE_F_OWNER))
    yield NFT_MSG_NEWTABLE, NLM_F_CREATE, _FAMILIES[family], body


def _chain(
    family: str, table: str, chain: str, hook: int, priority: int, device: str | None = None
) -> tuple[int, int, int, bytes]:
    where = attribute(1, _be32(hook)) + attribute(2, _be32(priority))
    if device is not None:
        where += attribute(3, _name(device))
    body = attribute(1, _name(table)) + attribute(3, _name(chain)) + _nested(4, where)
    body += attribute(5, _be32(1)) + attribute(7, _name("filter"))  # policy accept
    return NFT_MSG_NEWCHAIN, NLM_F_CREATE, _FAMILIES[family], body


def _rule(family: str, table: str, chain: str, mark: Mark, offset: int) -> tuple[int, int, int, bytes]:
    """``meta l4proto … th dport|sport … meta nftrace set 1``."""
    expressions = _meta(16) + _equals(bytes([_PROTOCOLS[mark.protocol]]))
    expressions += _payload(2, offset, 2) + _equals(struct.pack(">H", mark.port))
    one = _expression("immediate", attribute(1, _be32(1)) + _nested(2, attribute(1, b"\x01")))
    expressions += one + _expression("meta", attribute(2, _be32(12)) + attribute(3, _be32(1)))
    body = attribute(1, _name(table)) + attribute(2, _name(chain)) + _nested(4, expressions)
    return NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, _FAMILIES[family], body


def _expression(name: str, data: bytes) -> bytes:
    return _nested(1, attribute(1, _name(name)) + _nested(2, data))


def _meta(key: int) -> bytes:
    return _expression("meta", attribute(1, _be32(1)) + attribute(2, _be32(key)))


def _payload(base: int, offset: int, size: int) -> bytes:
    numbers = (1, base, offset, size)
    return _expression("payload", b"".join(attribute(kind, _be32(x)) for kind, x in enumerate(numbers, 1)))


def _equals(value: bytes) -> bytes:
    return _expression("cmp", attribute(1, _be32(1)) + attribute(2, _be32(0)) + _nested(3, attribute(1, value)))


def _commit(sock: socket.socket, parts: Iterable[tuple[int, int, int, bytes]]) -> None:
    """All of it or nothing. Raises OSError with the first errno that the kernel answers."""
    out = _message(NFNL_MSG_BATCH_BEGIN, 0, 0, 0, b"", NFNL_SUBSYS_NFTABLES >> 8)
    sequence = 0
    for kind, flags, family, body in parts:
        sequence += 1
        out += _message(NFNL_SUBSYS_NFTABLES | kind, NLM_F_ACK | flags, sequence, family, body)
    out += _message(NFNL_MSG_BATCH_END, 0, sequence + 1, 0, b"", NFNL_SUBSYS_NFTABLES >> 8)
    sock.settimeout(5.0)
    sock.send(out)
    waiting, first = sequence, 0
    while waiting > 0:
        for message in messages(sock.recv(1 << 16)):
            if message.kind == NLMSG_ERROR:
                code = -struct.unpack_from("=i", message.body)[0]
                if message.sequence == 0 and code:
                    raise OSError(code, os.strerror(code))
                waiting -= 1
                first = first or code
    if first:
        raise OSError(first, os.strerror(first))


def _message(kind: int, flags: int, sequence: int, family: int, body: bytes, resource: int = 0) -> bytes:
    payload = struct.pack(">BBH", family, 0, resource) + body
    return _HEADER.pack(_HEADER.size + len(payload), kind, NLM_F_REQUEST | flags, sequence, 0) + payload


def _read(body: bytes, own: str) -> TraceMessage | None:
    found = attributes(body, _TRACE, 4)
    table, chain = (os.fsdecode(found.get(kind, b"").rstrip(b"\0")) for kind in (1, 2))
    kind = _KINDS.get(struct.unpack(">I", found.get(4, bytes(4)))[0])
    if not table or kind is None:
        return None
    verdict = "continue"
    if kind == "policy" and 16 in found:
        verdict = _VERDICTS.get(struct.unpack(">I", found[16])[0], "?")
    elif 5 in found:
        inner = attributes(found[5], _VERDICT)
        verdict = _VERDICTS.get(struct.unpack(">i", inner.get(1, _be32(-1)))[0], "?")
    return TraceMessage(
        number=struct.unpack(">I", found.get(6, bytes(4)))[0],
        family=_FAMILY_NAMES.get(body[0], str(body[0])),
        table=table,
        chain=chain,
        kind=kind,
        verdict=verdict,
        handle=struct.unpack(">Q", found[3])[0] if 3 in found else None,
        is_own=table == own,
        flow=_flow(found),
        incoming=_device(found.get(10)),
    )


def _flow(found: dict[int, bytes]) -> tuple[str, str, int, str, int] | None:
    """From the headers, which come with the first row of each base chain."""
    network, transport = found.get(8), found.get(9)
    if network is None or transport is None or len(transport) < 4:
        return None
    version = network[0] >> 4
    if version == 4 and len(network) >= 20:
        family, protocol, source, destination = socket.AF_INET, network[9], network[12:16], network[16:20]
    elif version == 6 and len(network) >= 40:
        family, protocol, source, destination = socket.AF_INET6, network[6], network[8:24], network[24:40]
    else:
        return None
    name = next((name for name, number in _PROTOCOLS.items() if number == protocol), None)
    if name is None:
        return None
    source_port, destination_port = struct.unpack_from(">HH", transport)
    return (
        name,
        socket.inet_ntop(family, source),
        source_port,
        socket.inet_ntop(family, destination),
        destination_port,
    )


def _device(index: bytes | None) -> str | None:
    if index is None:
        return None
    try:
        return socket.if_indextoname(struct.unpack(">I", index)[0])
    except OSError:
        return None
