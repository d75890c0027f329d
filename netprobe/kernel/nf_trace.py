"""What the rules of this network namespace do with packets of ours: nf_tables' own trace (NFT_MSG_TRACE).

A table of our own marks the packets before any other rule sees them, in ``netdev`` at each device, in ``bridge`` where
there are bridges, and in ``inet``; from there on the kernel reports each rule that it applies to them. Chains without
rules behind all others tell that nothing at a hook stopped a packet. The table sends, drops and changes nothing, needs
no connection tracking, and goes with its socket (:mod:`netprobe.kernel.nf_tables`).

The marks are keys of sets, one rule for each shape of them: a rule a mark was tried first, and with 1,000 cells every
packet of the host had to pass 2,000 rules. A marking rule ends its chain, so that a packet which two rules would mark
is told of once.

The kernel makes its number of a packet out of the buffer's address, so the next packet of the connection has the same
one: a packet begins at our first marking rule, and what follows with the same number belongs to it.

A silent trace is only worth something when nothing was left out. Each marking rule counts what it matched before its
limit: ``incomplete`` compares that with the rows that came. This module travels: Python 3.6 and later, standard library
only.
"""

import errno
import itertools
import os
import socket
import struct
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from netprobe.kernel import nf_tables, rtnetlink
from netprobe.kernel.constants import AF_NETLINK
from netprobe.kernel.netlink import attribute, attributes, each_attribute, messages
from netprobe.kernel.nf_tables import FAMILY_NAMES, Change, NfTables, string

__all__ = ["PREFIX", "Mark", "Packet", "Row", "Tracer"]

PREFIX = "netprobe_"  # of our tables' names
RATE, BURST = 1000, 2000  # packets a second that one marking rule marks
MOST_PACKETS = 20_000  # that are kept
MOST_ROWS = 500  # of one packet: firewalld's longest way has a hundred
OWNED = True  # False: as on a kernel before 5.12, where a table is nobody's
EXPIRES_S = 60.0  # how long a mark marks there

SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE = 270, 1, 9
_DEVICES = 256  # of one chain: NFT_NETDEVICE_MAX
_OLD = (errno.EINVAL, errno.EOPNOTSUPP)  # what kernels before 5.12 say of the owner
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
_PROTOCOL_NAMES = {number: name for name, number in _PROTOCOLS.items()}
_VERDICTS = {
    0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat",
    -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return",
}  # fmt: skip
_KINDS = {1: "policy", 2: "return", 3: "rule"}
_TRACE = frozenset(range(1, 17))
_INT = struct.Struct(">i")
_PORTS = struct.Struct(">HH")
# Where a packet can be on its way. A mark that is not further on than the last one is that of the next packet.
_STAGES = {
    ("netdev", "ingress"): 0, ("bridge", "prerouting"): 1, ("inet", "prerouting"): 3, ("inet", "output"): 5,
    ("bridge", "output"): 8,
}  # fmt: skip
_LATE = {("inet", "late_input"): 4, ("inet", "late_forward"): 4, ("inet", "late_output"): 6,
         ("inet", "late_postrouting"): 7}  # fmt: skip
_TYPES = {("address", 4): 7, ("address", 6): 8, ("port", 4): 13, ("port", 6): 13}  # nft's numbers of datatypes
_numbers = itertools.count(1)


class Mark(NamedTuple):
    """Packets to trace: a question's, by what is known of it, and those of its answer, the other way round."""

    protocol: Optional[str] = None
    source: Optional[str] = None
    source_port: Optional[int] = None
    destination: Optional[str] = None
    destination_port: Optional[int] = None

    @property
    def answer(self) -> "Mark":
        """The way back."""
        return Mark(self.protocol, self.destination, self.destination_port, self.source, self.source_port)

    def versions(self) -> Tuple[int, ...]:
        """Of which IP it can be."""
        known = [address for address in (self.source, self.destination) if address is not None]
        return (6 if ":" in known[0] else 4,) if known else (4, 6)


class Row(NamedTuple):
    """One step of a packet. ``kind`` is ``rule``, ``return`` or ``policy``; ``verdict`` is in nft's words.

    ``handle`` is the rule's; the end of a chain is a rule without one. ``hook`` is that of the base chain from which
    the chain was called, None where that is gone. ``is_own``: of the table that only watches.
    """

    family: str
    table: str
    chain: str
    kind: str
    verdict: str
    handle: Optional[int] = None
    hook: Optional[str] = None
    is_own: bool = False


class Packet(NamedTuple):
    """A packet's way. ``direction`` is ``question`` or ``answer``; ``incoming`` and ``outgoing`` are interfaces.

    ``destinations`` and ``sources`` are the addresses and ports that it had, the first and those it was translated to.
    """

    direction: str
    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    incoming: Optional[str]
    outgoing: Optional[str]
    rows: Tuple[Row, ...]
    sources: Tuple[Tuple[str, int], ...]
    destinations: Tuple[Tuple[str, int], ...]


class _Flow(NamedTuple):
    version: int
    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int


class _Way:
    """A packet while its rows come."""

    def __init__(self, direction: str, flow: _Flow) -> None:
        self.direction = direction
        self.flow = flow
        self.stage = -1
        self.ended = False
        self.rows: List[Row] = []
        self.hook: Optional[str] = None
        self.incoming: Optional[str] = None
        self.outgoing: Optional[str] = None
        self.sources = [(flow.source, flow.source_port)]
        self.destinations = [(flow.destination, flow.destination_port)]

    def packet(self) -> Packet:
        flow = self.flow
        name = _PROTOCOL_NAMES.get(flow.protocol, str(flow.protocol))
        ends = tuple(self.sources), tuple(self.destinations)
        return Packet(self.direction, name, *flow[2:], self.incoming, self.outgoing, tuple(self.rows), *ends)


class _Shape(NamedTuple):
    """What marks have in common: which fields are given, and where they stand."""

    version: int
    protocol: Optional[int]
    given: Tuple[bool, bool, bool, bool]  # source, destination, source port, destination port

    def key(self, mark: Mark) -> bytes:
        """The mark as a key of this shape's set."""
        family = socket.AF_INET6 if self.version == 6 else socket.AF_INET
        fields = []
        for value in (mark.source, mark.destination):
            if value is not None:
                fields.append(socket.inet_pton(family, value))
        for port in (mark.source_port, mark.destination_port):
            if port is not None:
                fields.append(struct.pack(">H", port))
        if len(fields) == 1:
            return fields[0]
        return b"".join(field + bytes(-len(field) % 4) for field in fields)

    def of(self, flow: _Flow) -> Optional[bytes]:
        """A packet's key of this shape, None where it has another one."""
        if flow.version != self.version or self.protocol not in (None, flow.protocol):
            return None
        fields = (flow.source, flow.destination, flow.source_port, flow.destination_port)
        chosen = [field if self.given[at] else None for at, field in enumerate(fields)]
        return self.key(Mark(None, chosen[0], chosen[2], chosen[1], chosen[3]))  # type: ignore[arg-type]

    def loads(self) -> Tuple[bytes, List[int]]:
        """The expressions that load such a key, and nft's datatypes of its parts."""
        wide = 16 if self.version == 6 else 4
        start = 8 if self.version == 6 else 12
        places = (
            ("address", nf_tables.NETWORK_HEADER, start, wide),
            ("address", nf_tables.NETWORK_HEADER, start + wide, wide),
            ("port", nf_tables.TRANSPORT_HEADER, 0, 2),
            ("port", nf_tables.TRANSPORT_HEADER, 2, 2),
        )
        loads, types, word = b"", [], 0
        for at, (kind, base, offset, length) in enumerate(places):
            if self.given[at]:
                loads += nf_tables.payload(base, offset, length, word)
                types.append(_TYPES[kind, self.version])
                word += (length + 3) // 4
        return loads, types


class Tracer:
    """``with Tracer(marks) as tracer: …; tracer.packets()``, in the network namespace of who enters.

    Entering never raises for what the kernel refuses: ``why_not()`` says it, and no packet is seen. Whoever waits for
    other things, too, waits for ``fileno()`` and calls ``read()``: 8 MB of rows wait here at most.
    """

    def __init__(self, marks: Sequence[Mark], expires_s: float = EXPIRES_S) -> None:
        self.marks = tuple(marks)
        self.remarks: Tuple[str, ...] = ()  # what is not as it should be, although it traces
        self.has_owner = True
        self._expires_ms = int(1000 * expires_s)
        self._table = "{}{}_{}".format(PREFIX, os.getpid(), next(_numbers))
        self._tables: Optional[NfTables] = None
        self._ears: Optional[socket.socket] = None
        self._why_not: Optional[str] = "it is not open"
        self._lost = False
        self._directions: Dict[_Shape, Dict[bytes, str]] = {}
        for direction, all_marks in (
            ("answer", [mark.answer for mark in self.marks]),
            ("question", list(self.marks)),
        ):
            for mark in all_marks:
                given = (mark.source, mark.destination, mark.source_port, mark.destination_port)
                protocol = None if mark.protocol is None else _PROTOCOLS[mark.protocol]
                for version in mark.versions():
                    shape = _Shape(version, protocol, tuple(x is not None for x in given))  # type: ignore[arg-type]
                    self._directions.setdefault(shape, {})[shape.key(mark)] = direction
        self._families: Set[str] = set()
        self._marked = 0
        self._ways: List[_Way] = []
        self._current: Dict[bytes, _Way] = {}
        self._hooks: Dict[Tuple[str, str, str], Optional[str]] = {}
        self._interfaces: Dict[int, str] = {}

    def __enter__(self) -> "Tracer":
        try:
            self._open()
            self._why_not = None
        except OSError as error:
            self._why_not = _reason(error)
            self.close()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def why_not(self) -> Optional[str]:
        """Why it traces nothing; None while it does, and after that."""
        return self._why_not

    def fileno(self) -> int:
        """The descriptor that is readable when there are rows."""
        assert self._ears is not None
        return self._ears.fileno()

    def close(self) -> None:
        """Stop. The packets stay."""
        if self._ears is not None:
            self._ears.close()
        if self._tables is not None:
            if not self.has_owner:
                self._remove([(family, self._table) for family in self._families])
            self._tables.close()
        self._ears = self._tables = None

    def packets(self, port: Optional[int] = None) -> List[Packet]:
        """Those that were seen so far, in the order in which they came; with a ``port``, those to or from one of it."""
        self.read()
        return [
            way.packet()
            for way in self._ways
            if port is None or port in (way.flow.source_port, way.flow.destination_port)
        ]

    @property
    def incomplete(self) -> bool:
        """There were packets of which nothing, or not all, was told: too many for the limit, or for the buffer."""
        if self._tables is None or self._lost:
            return self._lost
        matched = 0
        try:
            for family in sorted(self._families):
                number = nf_tables.FAMILIES[family]
                for _, body in self._tables.ask(nf_tables.GETRULE, number, _named(self._table), every=True):
                    matched += _counted(attributes(body, frozenset((1, 4))), self._table)
        except OSError:
            return True  # somebody took the table away (it has no owner before Linux 5.12)
        self.read()
        return self._lost or self._marked < matched

    def read(self) -> None:
        """Take the rows that have come."""
        while self._ears is not None:
            try:
                data = self._ears.recv(1 << 18)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._lost = True
                continue
            for message in messages(data):
                if message.kind == nf_tables.SUBSYSTEM | nf_tables.TRACE:
                    self._take(message.body)

    # Opening.

    def _open(self) -> None:
        self._tables = NfTables()
        self._ears = socket.socket(_netlink(), socket.SOCK_RAW, nf_tables.NETLINK_NETFILTER)
        nf_tables.widen(self._ears, nf_tables.SO_RCVBUFFORCE, socket.SO_RCVBUF)
        self._ears.bind((0, 0))
        self._ears.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
        self._ears.setblocking(False)
        self.has_owner = OWNED
        try:
            self._tables.commit(self._changes("inet"))
        except OSError as error:
            if not self.has_owner or error.errno not in _OLD:
                raise
            self.has_owner = False
            self._tables.commit(self._changes("inet"))
        if not self.has_owner:
            self.remarks += ("before Linux 5.12 its marks expire after {:g} s".format(self._expires_ms / 1000),)
            self._remove(list(self._orphans()))
        self._families.add("inet")
        links = rtnetlink.links()
        bridges = any(link.kind == "bridge" for link in links)
        for family, devices in (("netdev", [link.name for link in links]), ("bridge", [])):
            if family == "netdev" or bridges:
                try:
                    self._tables.commit(self._changes(family, devices))
                    self._families.add(family)
                except OSError as error:
                    self.remarks += ("no rules of the family {}: {}".format(family, error.strerror),)

    def _changes(self, family: str, devices: Sequence[str] = ()) -> Iterator[Change]:
        """The table of one family."""
        name = self._table
        yield nf_tables.table(family, name, self.has_owner)
        rules = []
        for number, (shape, keys) in enumerate(self._directions.items(), 1):
            loads, types = shape.loads()
            which = "marks{}".format(number)
            if types:
                length = len(next(iter(keys)))
                expires = None if self.has_owner else self._expires_ms
                yield nf_tables.set_of_keys(family, name, which, number, types, length, expires is not None)
                for change in nf_tables.set_elements(family, name, which, list(keys), expires):
                    yield change
                loads += nf_tables.look_up(which, number)
            rules.append(_version(shape.version, family) + _protocol(shape.protocol) + loads)
        chains = [hook for of, hook in _STAGES if of == family]
        if family == "inet":
            chains.append("late_postrouting")  # an answer has its last address only there
        for hook in chains:
            lots = [devices[at : at + _DEVICES] for at in range(0, len(devices), _DEVICES)] or [()]
            for lot, some in enumerate(lots):
                of = hook if not lot else "{}{}".format(hook, lot)
                late = hook.startswith("late_")
                # In inet, before raw (-300) and defragmentation (-400), as nothing that matters is earlier.
                priority = nf_tables.LAST if late else nf_tables.FIRST
                yield nf_tables.chain(family, name, of, hook.replace("late_", ""), priority, some)
                for matches in rules:
                    end = (
                        nf_tables.counter()
                        + nf_tables.limit(RATE, BURST)
                        + nf_tables.set_nftrace()
                        + nf_tables.accept()
                    )
                    yield nf_tables.rule(family, name, of, matches + end)
        if family != "netdev":
            for hook in ("input", "forward", "output") + (("postrouting",) if family == "bridge" else ()):
                yield nf_tables.chain(family, name, "late_" + hook, hook, nf_tables.LAST)

    def _orphans(self) -> Iterator[Tuple[str, str]]:
        """Tables of ours that somebody left behind who was killed; they match nothing any more."""
        assert self._tables is not None
        for family, body in self._tables.ask(nf_tables.GETTABLE, 0, b"", every=True):
            name = _text(attributes(body, frozenset((1,))).get(1, b""))
            process = name[len(PREFIX) :].partition("_")[0] if name.startswith(PREFIX) else ""
            if process.isdigit() and not Path("/proc", process).exists():
                yield FAMILY_NAMES.get(family, ""), name

    def _remove(self, tables: Sequence[Tuple[str, str]]) -> None:
        assert self._tables is not None
        for family, name in tables:
            try:
                self._tables.commit([(nf_tables.DELTABLE, 0, nf_tables.FAMILIES[family], _named(name))])
            except (OSError, KeyError):
                continue

    # Reading.

    def _take(self, body: bytes) -> None:
        """One row."""
        found = attributes(body, _TRACE, 4)
        table = _text(found.get(1, b""))
        is_own = table == self._table
        if 6 not in found or (table.startswith(PREFIX) and not is_own):
            return  # somebody else's table that only watches
        number = found[6]
        family = FAMILY_NAMES.get(body[0], str(body[0]))
        chain = _text(found.get(2, b""))
        handle = struct.unpack(">Q", found[3])[0] if 3 in found else None
        stage = _LATE.get((family, chain), -1)
        marks = is_own and not chain.startswith("late_")
        if marks:
            stage = _STAGES.get((family, chain.rstrip("0123456789")), -1)
        if is_own and handle is not None:
            self._marked += 1
        flow = _flow(found)
        way = self._current.get(number)
        marks = marks or (is_own and chain == "late_postrouting")
        if marks and flow is not None and handle is not None and (way is None or way.ended or stage <= way.stage):
            way = self._begin(number, flow)
        if way is None:
            return
        if flow is not None:
            way.hook = None if not chain else self._hook_of(family, table, chain)
            self._learn(way, found, flow)
        way.stage = max(way.stage, stage)
        verdict = _verdict(found)
        way.ended = way.ended or verdict in ("drop", "stolen") or (is_own and chain == "late_input")
        if len(way.rows) < MOST_ROWS:
            kind = _KINDS.get(_number(found.get(4)), "?")
            way.rows.append(Row(family, table, chain, kind, verdict, handle, way.hook, is_own))
        else:
            self._lost = True

    def _begin(self, number: bytes, flow: _Flow) -> Optional[_Way]:
        """The packet that starts here, unless there are too many."""
        self._current.pop(number, None)
        if len(self._ways) >= MOST_PACKETS:
            self._lost = True
            return None
        way = _Way(self._direction(flow), flow)
        self._current[number] = way
        self._ways.append(way)
        return way

    def _direction(self, flow: _Flow) -> str:
        found = "question"
        for shape, keys in self._directions.items():
            key = shape.of(flow)
            if key is not None and key in keys:
                found = keys[key]
                if found == "question":
                    break
        return found

    def _learn(self, way: _Way, found: Dict[int, bytes], flow: _Flow) -> None:
        """The interfaces, and what an address translation made of it."""
        if 10 in found:
            way.incoming = way.incoming or self._interface(_number(found[10]))
        if 12 in found:
            way.outgoing = self._interface(_number(found[12]))
        for pair, known in (
            ((flow.source, flow.source_port), way.sources),
            ((flow.destination, flow.destination_port), way.destinations),
        ):
            if known[-1] != pair:
                known.append(pair)

    def _interface(self, index: int) -> str:
        if index not in self._interfaces:
            try:
                self._interfaces[index] = socket.if_indextoname(index)
            except OSError:
                self._interfaces[index] = str(index)
        return self._interfaces[index]

    def _hook_of(self, family: str, table: str, chain: str) -> Optional[str]:
        """At which hook a base chain stands; asked once."""
        key = (family, table, chain)
        if key not in self._hooks:
            self._hooks[key] = None
            assert self._tables is not None
            try:
                body = self._tables.ask(
                    nf_tables.GETCHAIN,
                    nf_tables.FAMILIES[family],
                    _named(table) + attribute(3, string(chain)),
                )[0][1]
                where = attributes(attributes(body, frozenset((4,)))[4], frozenset((1,)))
                self._hooks[key] = nf_tables.hook_name(family, _number(where[1]))
            except (OSError, LookupError):
                pass  # the rules were loaded anew meanwhile
        return self._hooks[key]


def _netlink() -> int:
    assert AF_NETLINK is not None
    return AF_NETLINK


def _named(name: str) -> bytes:
    return attribute(1, string(name))


def _version(version: int, family: str) -> bytes:
    """``meta nfproto`` is not known at a device or a bridge; ``meta protocol`` is, everywhere."""
    if family == "inet":
        wanted = socket.AF_INET6 if version == 6 else socket.AF_INET
        return nf_tables.meta(nf_tables.META_NFPROTO) + nf_tables.equals(bytes((int(wanted),)))
    return nf_tables.meta(nf_tables.META_PROTOCOL) + nf_tables.equals(b"\x86\xdd" if version == 6 else b"\x08\x00")


def _protocol(number: Optional[int]) -> bytes:
    if number is None:
        return b""
    return nf_tables.meta(nf_tables.META_L4PROTO) + nf_tables.equals(bytes((number,)))


def _counted(rule: Dict[int, bytes], table: str) -> int:
    """How many packets a rule of ours has counted."""
    if _text(rule.get(1, b"")) != table:
        return 0
    for _, expression in each_attribute(rule.get(4, b"")):
        parts = attributes(expression, frozenset((1, 2)))
        if _text(parts.get(1, b"")) == "counter":
            number: int = struct.unpack(">Q", attributes(parts[2], frozenset((2,)))[2])[0]
            return number
    return 0


def _flow(found: Dict[int, bytes]) -> Optional[_Flow]:
    """The addresses; they come with the first row of each base chain."""
    header, ports = found.get(8, b""), found.get(9, b"")
    numbers = _PORTS.unpack_from(ports) if len(ports) >= 4 else (0, 0)
    if len(header) >= 20 and header[0] >> 4 == 4:
        pair = [socket.inet_ntop(socket.AF_INET, header[at : at + 4]) for at in (12, 16)]
        return _Flow(4, header[9], pair[0], numbers[0], pair[1], numbers[1])
    if len(header) >= 40 and header[0] >> 4 == 6:
        pair = [socket.inet_ntop(socket.AF_INET6, header[at : at + 16]) for at in (8, 24)]
        return _Flow(6, header[6], pair[0], numbers[0], pair[1], numbers[1])
    return None


def _verdict(found: Dict[int, bytes]) -> str:
    """What a rule said, or the policy of a chain that came to its end."""
    if 5 in found:
        parts = attributes(found[5], frozenset((1,)))
        code: int = _INT.unpack(parts[1])[0] if 1 in parts else 1
        return _VERDICTS.get(code if code < 0 else code & 0xFF, str(code))  # the upper bits are a queue, or an errno
    if 16 in found:
        return _VERDICTS.get(_number(found[16]), "?")
    return "continue"


def _number(value: Optional[bytes]) -> int:
    return _INT.unpack(value)[0] if value is not None and len(value) == 4 else 0


def _text(value: bytes) -> str:
    return os.fsdecode(value.rstrip(b"\0"))


def _reason(error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return "needs root (CAP_NET_ADMIN)"
    if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
        return "this kernel has no nf_tables"
    return "refused by nf_tables: {}".format(error.strerror)
