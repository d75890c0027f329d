"""The messages between netprobe and a prober, and the one place that trusts a vantage.

A vantage is somebody else's machine: what comes from there may be a login banner, another program's output, or a lie.
A lie that is caught late does damage far from where it came in: a port of 70000 in a report, an escape sequence in a
terminal, a KeyError that ends the run of all the others. So each JSON object becomes a frozen dataclass here, after
type, range, length and characters of every field have been checked, and nothing behind this module sees a dict. What
does not pass raises :class:`MalformedMessageError`; the session turns that into the end of that vantage, alone.

The checks are written out instead of derived from annotations or a schema library: the ranges are the point, a
schema would hide them behind the types, and a dependency that parses untrusted input has to be trusted itself.
``bool`` is refused where a number is expected (it is an ``int`` to Python). The error names the field and never
repeats its value: the value is what is not trusted.

This process's own prober is read through the same checks: one kind of answer, and each local run tests them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from ipaddress import ip_address
from itertools import pairwise
from typing import Any, TypeVar

from netprobe.diagnosis.ladder import Climbed
from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.rung import Came, Rung
from netprobe.outcome.trace import TracedPacket, TraceRow
from netprobe.prober import ladder as ladders
from netprobe.prober.facts import REQUEST_VERSION
from netprobe.prober.ladder import MOST_HOPS
from netprobe.prober.names import MOST_ADDRESSES, RESOLVE_S
from netprobe.prober.pacing import PATIENCE_S
from netprobe.reach.facts import HostAddress, HostFacts, Link, RouteLookup, system_name
from netprobe.reach.listener import Protocol
from netprobe.reach.scoped_address import ScopedAddress

__all__ = [
    "Answer",
    "CellRequest",
    "Crash",
    "Done",
    "Heartbeat",
    "Hello",
    "Ladder",
    "LadderRequest",
    "Looked",
    "MalformedMessageError",
    "Message",
    "Request",
    "Resolved",
    "ToldPacket",
    "TraceMark",
    "Tracing",
    "parse_facts",
    "parse_message",
]

T = TypeVar("T")
Check = Callable[[object], T]

# What is asked.

HEARTBEAT_S = 1.0
STAY_S = 8.0  # how much longer than its request needs a prober may live at a vantage; we give it up before
SOCKETS_ANYWHERE = 192  # open at once at any vantage: the smallest usual limit, macOS's 256, without a reserve of 64
MOST_FAILED = 1000
MOST_LADDERS = 20
LEAST_SIZE = 576  # bytes of a datagram that every host takes (RFC 791 section 3.1): enough for a question, too
MOST_SIZE = 65535
ROUND_S = 1.0  # the least that a further round of so many cells is given, for what is work there and not waiting


@dataclass(frozen=True, slots=True)
class CellRequest:
    """One cell as a prober is asked for it.

    ``host``: the address is one of the host under test, so that its ICMP limit is shared with its other addresses.
    ``zone`` may be the prober's ``ANY_ZONE``: then it tries every link it has. ``challenge`` is the beginning of the
    challenge of each of its probes, so that the proof of one cell is none of another.
    """

    id: int
    protocol: Protocol
    address: str
    port: int
    host: bool = False
    zone: str | None = None
    source: str | None = None
    source_zone: str | None = None
    challenge: str | None = None


@dataclass(frozen=True, slots=True)
class LadderRequest:
    """A ladder as a prober is asked for it: how far a probe comes, hop by hop.

    With ``size`` (bytes of the IP packet), it is one of datagrams that must not be fragmented, and its control one of
    small datagrams. Otherwise there is a control where ``control_port`` or ``control_protocol`` is given (each is the
    ladder's own unless it is), and the ladder itself is silent or ends in a reset: what gets through there shows that
    this is about the port. A control of UDP needs no open port, since a closed one answers as well.
    """

    address: str
    port: int
    protocol: Protocol
    zone: str | None = None
    source: str | None = None
    source_zone: str | None = None
    size: int | None = None
    control_port: int | None = None
    control_protocol: Protocol | None = None

    def __post_init__(self) -> None:
        if self.size is not None and (self.protocol != "udp" or not LEAST_SIZE <= self.size <= MOST_SIZE):
            raise ValueError(f"a ladder with a size is one of UDP, from {LEAST_SIZE} to {MOST_SIZE} bytes")

    @property
    def has_control(self) -> bool:
        """May it have a control?"""
        return any(asked is not None for asked in (self.size, self.control_port, self.control_protocol))

    @property
    def control(self) -> tuple[Protocol, int]:
        """What the control asks; a large ladder's is small, and of UDP like it."""
        protocol = self.protocol if self.size else self.control_protocol or self.protocol
        return protocol, self.control_port or self.port

    def climbed(self, ladder: Ladder) -> Climbed:
        """The two sides of it together, for :func:`netprobe.diagnosis.ladder.judge`."""
        protocol, port = self.control
        return Climbed(
            address=self.address,
            port=self.port,
            protocol=self.protocol,
            rungs=ladder.rungs,
            size=ladder.size,
            control_port=port,
            control_protocol=protocol,
            control=ladder.control,
        )


@dataclass(frozen=True, slots=True)
class TraceMark:
    """Packets that a vantage is to trace: those of questions to a port, at an address or at any, and their answers."""

    protocol: Protocol
    address: str | None
    port: int


@dataclass(frozen=True, slots=True)
class Request:
    """What one vantage is asked at a time. Times are in seconds.

    ``names`` (ASCII) are to be resolved there, within ``resolve`` seconds. What is asked next depends on what came:
    ``follow_up`` makes that request of it (None: nothing more), and it has at most ``cells_to_follow`` cells.

    ``ladders`` are climbed after the cells, one for each destination: a further one would use up the ICMP errors that
    its routers send to this vantage, and what they no longer send would look like a drop.

    ``sockets`` limits how many are open at once, ``heartbeat`` is the interval of the prober's signs of life, and
    ``life`` is how long it may run before it ends itself; without them the prober decides, is quiet, and has no end.
    ``stays`` is how much longer it is to wait for what is asked next.

    ``trace`` are the packets to follow through the rules there from now on, ``look`` asks for what was seen of them.
    """

    nonce: str
    timeout: float
    cells: tuple[CellRequest, ...] = ()
    patience: float = PATIENCE_S
    payload_size: int = 0
    sockets: int | None = None
    heartbeat: float | None = None
    life: float | None = None
    names: tuple[str, ...] = ()
    resolve: float = RESOLVE_S
    cells_to_follow: int = 0
    follow_up: Callable[[Replies], Request | None] | None = field(default=None, repr=False, compare=False)
    ladders: tuple[LadderRequest, ...] = ()
    stays: float = 0.0
    trace: tuple[TraceMark, ...] | None = None
    look: bool = False

    def __post_init__(self) -> None:
        if len(self.ladders) > MOST_LADDERS:
            raise ValueError(f"more than {MOST_LADDERS} ladders")
        if len({(ladder.address, ladder.zone) for ladder in self.ladders}) != len(self.ladders):
            raise ValueError("two ladders to one destination")

    @property
    def only_adds(self) -> bool:
        """Are there only ladders in it? All cells have their answers then, and keep them if nothing comes any more."""
        return bool(self.ladders) and not self.cells and not self.names

    @property
    def most_cells(self) -> int:
        """How many cells it has, or may have once names are resolved."""
        return max(len(self.cells), self.cells_to_follow)

    @property
    def longest_s(self) -> float:
        """How long a prober may need from its hello to ``done``, if every cell stays silent to its last moment.

        A cell waits for an answer, then as long for the payload if there is one. More cells than a vantage can have
        sockets are asked in rounds, and silent ones once more within the patience. How many sockets that are is
        assumed here and never asked: a vantage that may say so could stretch its time. One with fewer is cut short.
        """
        if self.names:
            rest = replace(self, names=())
            return self.resolve + (rest.longest_s if self.cells or self.ladders else 0.0)
        climbing = ladders.longest_s(len(self.ladders))
        if self.ladders and not self.cells:
            return climbing
        each = self.timeout * (2 if self.payload_size else 1)
        at_once = min(self.sockets or SOCKETS_ANYWHERE, SOCKETS_ANYWHERE)
        further_rounds = max(0, len(self.cells) - 1) // at_once
        return each + further_rounds * max(each, ROUND_S) + self.patience + climbing

    def for_a_far_prober(self) -> Request:
        """The same with a heartbeat and an end, for a prober that only its own clock can stop when the link is gone."""
        return replace(self, heartbeat=HEARTBEAT_S, life=self.longest_s + STAY_S + self.stays)

    def to_json(self) -> dict[str, Any]:
        """The object that the prober reads; what is not set is left out."""
        return {
            "version": REQUEST_VERSION,
            "nonce": self.nonce,
            "timeout": self.timeout,
            "patience": self.patience,
            "payload": self.payload_size,
            **({"names": list(self.names), "resolve": self.resolve} if self.names else {}),
            **_set(sockets=self.sockets, heartbeat=self.heartbeat, life=self.life),
            **({"trace": [[x.protocol, x.address, x.port] for x in self.trace]} if self.trace is not None else {}),
            **({"look": True} if self.look else {}),
            "cells": [
                {
                    "id": cell.id,
                    "protocol": cell.protocol,
                    "address": cell.address,
                    "port": cell.port,
                    "host": cell.host,
                    **_set(zone=cell.zone, source=cell.source, source_zone=cell.source_zone, challenge=cell.challenge),
                }
                for cell in self.cells
            ],
            **({"ladders": [_ladder_to_json(ladder) for ladder in self.ladders]} if self.ladders else {}),
        }


def _ladder_to_json(ladder: LadderRequest) -> dict[str, Any]:
    return {
        "address": ladder.address,
        "port": ladder.port,
        "protocol": ladder.protocol,
        **_set(
            zone=ladder.zone,
            source=ladder.source,
            source_zone=ladder.source_zone,
            size=ladder.size,
            control_port=ladder.control_port,
            control_protocol=ladder.control_protocol,
        ),
    }


def _set(**fields: object) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


# What is answered.


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message: where the prober runs. ``error_queue``: it can tell an ICMP error from a reset."""

    facts: HostFacts
    error_queue: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one cell, as evidence: what it means is for ``netprobe.outcome`` to say.

    ``source`` is the probe's own address, ``observed`` the one that the responder saw it come from, ``local`` the one
    at which the responder was asked, ``replied_from`` where the answer came from. ``listener`` is the responder's name
    for the listener that answered: without it nothing is a proof. ``receipt`` is what the responder gave for having
    seen that; only the responder can read it. ``limited``: the silence may be an ICMP rate limit, of
    ``limited_by``, who sent such errors for other questions.
    """

    id: int
    result: str
    stage: str
    errno: str | None = None
    error: str | None = None
    icmp: QueuedError | None = None
    elapsed_ms: float = 0.0
    attempts: int = 0
    challenge: str | None = None
    source: str | None = None
    source_port: int | None = None
    replied_from: str | None = None
    connect_ms: float | None = None
    rtt_ms: float | None = None
    listener: str | None = None
    observed: str | None = None
    observed_port: int | None = None
    local: str | None = None
    payload_size: int | None = None
    payload_sent: int | None = None
    payload_received: int | None = None
    sample: str | None = None
    limited: bool = False
    receipt: str | None = None
    limited_by: str | None = None

    @property
    def is_silent(self) -> bool:
        """Did its time run out?"""
        return self.result == "timeout"

    @property
    def is_refused(self) -> bool:
        """Was it reset, by whomever?"""
        return self.errno == "ECONNREFUSED" and self.icmp is None

    @property
    def names_a_listener(self) -> bool:
        """Does it say that a listener of this run answered, whether or not the payload came back?"""
        return self.listener is not None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the vantage's own resolver makes of a name: ``addresses`` in its order, and ``left_out``, how many more.

    ``error`` is what it said instead (``EAI_NONAME``: RFC 3493 section 6.1); without either it said nothing in time.
    """

    name: str
    addresses: tuple[ScopedAddress, ...] = ()
    left_out: int = 0
    error: str | None = None

    def of_version(self, version: int | None) -> Resolved:
        """As if it had been asked for the addresses of one family only: ``version`` is 4 or 6, None is both."""
        found = tuple(address for address in self.addresses if version in (None, address.version))
        if len(found) == len(self.addresses):
            return self
        return replace(self, addresses=found, error=None if found else "EAI_ADDRFAMILY")


@dataclass(frozen=True, slots=True)
class Ladder:
    """What came of one ladder: ``number`` is its place in the request, ``rungs`` and ``control`` by ascending TTL.

    ``size`` is how large its datagrams were: less than was asked for, where the vantage's own link takes no more.
    ``errno`` is why the vantage could not send, itself; rungs may have gone before that.
    """

    number: int
    rungs: tuple[Rung, ...] = ()
    control: tuple[Rung, ...] = ()
    size: int | None = None
    errno: str | None = None
    elapsed_ms: float = 0.0

    @property
    def every_rung(self) -> tuple[Rung, ...]:
        """Its own and the control's."""
        return (*self.rungs, *self.control)


@dataclass(frozen=True, slots=True)
class Replies:
    """What came of a request that decides what is asked next: who runs there, what names stand for, what failed.

    ``failed`` are the answers of cells that stayed silent or were refused, the first ``MOST_FAILED`` of them.
    """

    facts: HostFacts
    resolved: tuple[Resolved, ...] = ()
    failed: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The prober lives, and has nothing else to say."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The prober's own fault; its last message. ``traceback`` is Python's, with its line ends."""

    traceback: str

    @property
    def summary(self) -> str:
        """The exception without the frames, and without what would fill a page."""
        return self.traceback.strip().rpartition("\n")[2][:300]


@dataclass(frozen=True, slots=True)
class Done:
    """Every name, every cell and every ladder of a request has been answered."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """The trace there is open, or ``why_not``. ``remarks``: what is not as it should be, although it is."""

    why_not: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToldPacket:
    """What was seen there of a packet; one with a ``number`` that was told before says more of the same."""

    number: int
    packet: TracedPacket


@dataclass(frozen=True, slots=True)
class Looked:
    """All packets of a look have been told. ``incomplete``: there were more than could be followed."""

    incomplete: bool


Message = Hello | Resolved | Answer | Ladder | Heartbeat | Crash | Done | Tracing | ToldPacket | Looked


class MalformedMessageError(ValueError):
    """An object that no prober of this version sends; the text names the field, without its value."""


def parse_message(value: object) -> Message:
    """The message that a decoded JSON object is; :class:`MalformedMessageError` when anything about it is off."""
    fields = _Object(value, "message")
    if sum(kind in fields for kind in _KINDS) > 1:
        raise MalformedMessageError("the message is of two kinds at once")
    if "hello" in fields:
        hello = fields.required("hello", lambda hello: _Object(hello, "hello"))
        return Hello(_facts(hello), hello.given("error_queue", _boolean, False))
    if "cell" in fields:
        return _answer(_Object(value, "answer"))
    if "name" in fields:
        return _resolved(_Object(value, "name"))
    if "ladder" in fields:
        return _ladder(fields.required("ladder", lambda ladder: _Object(ladder, "ladder")))
    if "crash" in fields:
        return Crash(fields.required("crash", _traceback))
    if "tracing" in fields:
        tracing = _Object(fields.required("tracing", _same), "tracing")
        return Tracing(tracing.optional("why_not", _text(200)), tracing.given("remarks", _remarks, ()))
    if "packet" in fields:
        return _told_packet(_Object(fields.required("packet", _same), "packet"))
    if "looked" in fields:
        return Looked(_Object(fields.required("looked", _same), "looked").required("incomplete", _boolean))
    if "done" in fields:
        fields.required("done", _true)
        return Done()
    if "alive" in fields:
        fields.required("alive", _true)
        return Heartbeat()
    raise MalformedMessageError("the message is of an unknown kind")


def parse_facts(hello: object) -> HostFacts:
    """The facts in a prober's hello: those of this host are read by the same checks."""
    return _facts(_Object(hello, "hello"))


# The messages, field by field.

_KINDS = ("hello", "name", "cell", "ladder", "tracing", "packet", "looked", "crash", "done", "alive")
RESULTS = frozenset({"proof", "timeout", "closed", "foreign", "corrupt", "self", "error"})
STAGES = frozenset({"socket", "bind", "connect", "answer", "payload"})

ADDRESS_STATES = frozenset({"preferred", "deprecated", "optimistic", "tentative", "dadfailed"})
CAME = frozenset(Came)

# And addresses. A host with containers has hundreds, but kube-proxy with IPVS gives a node every service's address, and
# Kubernetes is made for 10,000 services, of one or two addresses each. So many take half a second to check, and 20 MB.
MOST_LINKS = 20_000
MOST_ROUTES = 200_000  # one for each destination: as many as a plan may have cells
MOST_MS = 1e12
MOST_BYTES = 64 << 20  # of payload: the limit of --payload
MOST_ROWS = 64  # of one packet: its own, one for each hook, and the one that stopped it
MOST_ENDS = 8  # addresses that one packet had
FAMILIES = frozenset({"inet", "ip", "ip6", "arp", "netdev", "bridge"})
VERDICTS = frozenset(
    {"drop", "accept", "stolen", "queue", "repeat", "continue", "break", "jump", "goto", "return", "?"}
)
DIRECTIONS = frozenset({"question", "answer"})
PROTOCOLS = frozenset({"tcp", "udp"})
HOOKS = frozenset({"prerouting", "input", "forward", "output", "postrouting", "ingress", "egress"})
SAMPLE_LENGTH = 60  # characters, one for each byte that was received


def _facts(hello: _Object) -> HostFacts:
    hello.required("version", _version)
    links = hello.each("links", MOST_LINKS, _link)
    names = {link.index: link.name for link in links}
    return HostFacts(
        system=system_name(hello.given("os", _text(100), "")),
        release=hello.given("release", _text(200), ""),
        python=hello.given("python", _text(100), ""),
        host=hello.given("host", _text(255), ""),
        addresses=hello.each("addresses", MOST_LINKS, lambda entry: _host_address(entry, names)),
        links=links,
        routes=dict(hello.each("routes", MOST_ROUTES, _route)),
        ipv6=hello.given("ipv6", _boolean, True),
        stack=hello.optional("stack", _text(200)),
        unusable=hello.each("unusable", MOST_LINKS, lambda entry: _host_address(entry, names)),
    )


def _link(link: _Object) -> Link:
    index = link.required("index", _integer(0, 2**31 - 1))
    return Link(
        name=_link_name(link.required("name", _name(64)), index),
        index=index,
        up=link.required("up", _boolean),
        loopback=link.required("loopback", _boolean),
    )


def _link_name(name: str, index: int) -> str:
    """Linux takes nearly any 15 bytes as a name (dev_valid_name); what is not printable goes by its number, which is
    as good a zone (RFC 4007 section 11.2).
    """
    return name if name and name.isprintable() else str(index)


def _host_address(entry: _Object, names: dict[int, str]) -> HostAddress:
    ip = ip_address(entry.required("address", _address))
    interface = names.get(entry.given("index", _none_or(_integer(0, 2**31 - 1)), None) or 0)
    zone = interface if ip.version == 6 and ip.is_link_local else None
    prefix = entry.optional("prefix", _integer(0, ip.max_prefixlen))
    return HostAddress(ScopedAddress(ip, zone), prefix, interface, entry.optional("state", _one_of(ADDRESS_STATES)))


def _route(route: _Object) -> tuple[str, RouteLookup]:
    destination = route.required("destination", _address)
    zone = route.optional("zone", _name(64))  # as it was asked for: a key of the lookups, and nothing else
    source = route.optional("source", _address)
    return f"{destination}%{zone}" if zone else destination, RouteLookup(
        source, route.optional("errno", _errno), route.optional("gateway", _address)
    )


def _answer(fields: _Object) -> Answer:
    answer = Answer(
        id=fields.required("cell", _integer(0, 2**31 - 1)),
        result=fields.required("result", _one_of(RESULTS)),
        stage=fields.required("stage", _one_of(STAGES)),
        errno=fields.optional("errno", _errno),
        error=fields.optional("error", _text(500)),
        icmp=fields.optional("icmp", lambda icmp: _queued_error(_Object(icmp, "icmp"))),
        elapsed_ms=fields.given("elapsed_ms", _milliseconds, 0.0),
        attempts=fields.given("attempts", _integer(0, 1_000_000), 0),
        challenge=fields.optional("challenge", _hexadecimal),
        source=fields.optional("source", _zoned_address),
        source_port=fields.optional("source_port", _port),
        replied_from=fields.optional("replied_from", _zoned_address),
        connect_ms=fields.optional("connect_ms", _milliseconds),
        rtt_ms=fields.optional("rtt_ms", _milliseconds),
        listener=fields.optional("listener", _text(200)),
        observed=fields.optional("observed", _address),
        observed_port=fields.optional("observed_port", _port),
        local=fields.optional("local", _address_or_dash),
        payload_size=fields.optional("payload_size", _integer(0, MOST_BYTES)),
        payload_sent=fields.optional("payload_sent", _integer(0, MOST_BYTES)),
        payload_received=fields.optional("payload_received", _integer(0, MOST_BYTES)),
        sample=fields.optional("sample", _sample),
        limited=fields.given("limited", _boolean, False),
        receipt=fields.optional("receipt", _hexadecimal),
        limited_by=fields.optional("limited_by", _address),
    )
    if answer.result == "proof" and answer.listener is None:
        raise MalformedMessageError("answer: a proof names no listener")
    return answer


def _resolved(fields: _Object) -> Resolved:
    found = Resolved(
        name=fields.required("name", _text(255)),
        addresses=fields.required("addresses", _resolved_addresses),
        left_out=fields.given("left_out", _integer(0, 1_000_000), 0),
        error=fields.optional("error", _resolver_error),
    )
    is_late = fields.given("late", _boolean, False)
    if sum((bool(found.addresses), found.error is not None, is_late)) != 1:
        raise MalformedMessageError("name: not one of addresses, error and late")
    if found.left_out and len(found.addresses) != MOST_ADDRESSES:
        raise MalformedMessageError("name: left_out although there is room for more addresses")
    return found


def _resolved_addresses(value: object) -> tuple[ScopedAddress, ...]:
    if not isinstance(value, list) or len(value) > MOST_ADDRESSES:
        raise ValueError(f"not a list of at most {MOST_ADDRESSES}")
    found = tuple(ScopedAddress.parse(_zoned_address(text)) for text in value)
    if len(set(found)) != len(found):
        raise ValueError("a list with an address twice")
    return found


def _ladder(ladder: _Object) -> Ladder:
    return Ladder(
        number=ladder.required("number", _integer(0, MOST_LADDERS - 1)),
        rungs=_rungs(ladder, "rungs"),
        control=_rungs(ladder, "control"),
        size=ladder.optional("size", _integer(0, MOST_SIZE)),
        errno=ladder.optional("errno", _errno),
        elapsed_ms=ladder.given("elapsed_ms", _milliseconds, 0.0),
    )


def _rungs(ladder: _Object, key: str) -> tuple[Rung, ...]:
    rungs = ladder.each(key, MOST_HOPS, _rung)
    if any(rung.ttl >= above.ttl for rung, above in pairwise(rungs)):
        raise MalformedMessageError(f"ladder: {key} is not in the order of its ttl")
    return rungs


def _rung(rung: _Object) -> Rung:
    return Rung(
        ttl=rung.required("ttl", _integer(1, MOST_HOPS)),
        came=Came(rung.required("came", _one_of(CAME))),
        icmp=rung.optional("icmp", lambda icmp: _queued_error(_Object(icmp, "icmp"))),
        rtt_ms=rung.optional("rtt_ms", _milliseconds),
        mtu=rung.optional("mtu", _integer(1, 2**32 - 1)),  # ee_info has 32 bits
    )


def _told_packet(packet: _Object) -> ToldPacket:
    return ToldPacket(
        packet.required("number", _integer(0, 2**31 - 1)),
        TracedPacket(
            direction=packet.required("direction", _one_of(DIRECTIONS)),
            protocol=packet.required("protocol", _one_of(PROTOCOLS)),
            source=packet.required("source", _address),
            source_port=packet.required("source_port", _port),
            destination=packet.required("destination", _address),
            destination_port=packet.required("destination_port", _port),
            incoming=packet.optional("incoming", _text(64)),
            outgoing=packet.optional("outgoing", _text(64)),
            rows=packet.each("rows", MOST_ROWS, _trace_row),
            sources=packet.given("sources", _ends, ()),
            destinations=packet.given("destinations", _ends, ()),
        ),
    )


def _trace_row(row: _Object) -> TraceRow:
    return TraceRow(
        family=row.required("family", _one_of(FAMILIES)),
        table=row.required("table", _text(255)),
        chain=row.required("chain", _text(255)),
        kind=row.required("kind", _one_of(frozenset({"rule", "return", "policy"}))),
        verdict=row.required("verdict", _one_of(VERDICTS)),
        handle=row.optional("handle", _integer(0, 2**63)),
        hook=row.optional("hook", _one_of(HOOKS)),
        is_own=row.given("is_own", _boolean, False),
        text=row.optional("text", _text(400)),
        is_iptables=row.given("is_iptables", _boolean, False),
    )


def _ends(value: object) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, list) or len(value) > MOST_ENDS:
        raise ValueError(f"not a list of at most {MOST_ENDS}")
    if any(not isinstance(end, list) or len(end) != 2 for end in value):
        raise ValueError("not a list of addresses with their ports")
    return tuple((_address(address), _port(port)) for address, port in value)


def _remarks(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_ENDS:
        raise ValueError(f"not a list of at most {MOST_ENDS}")
    return tuple(_text(200)(remark) for remark in value)


def _queued_error(error: _Object) -> QueuedError:
    return QueuedError(
        origin=error.required("origin", _origin),
        type=error.required("type", _integer(0, 255)),
        code=error.required("code", _integer(0, 255)),
        offender=error.optional("offender", _address),
        errno=error.required("errno", _errno),
        number=error.required("number", _integer(0, 2**31 - 1)),
    )


class _Object:
    """A JSON object whose fields are checked as they are taken."""

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, dict):
            raise MalformedMessageError(f"{name}: not an object")
        self._fields: dict[str, Any] = value
        self._name = name

    def __contains__(self, key: str) -> bool:
        return key in self._fields

    def required(self, key: str, check: Check[T]) -> T:
        """The field; it must be there."""
        if key not in self._fields:
            raise MalformedMessageError(f"{self._name}: {key} is missing")
        return self._checked(key, check)

    def optional(self, key: str, check: Check[T]) -> T | None:
        """The field, or None where it is absent or null."""
        return None if self._fields.get(key) is None else self._checked(key, check)

    def given(self, key: str, check: Check[T], default: T) -> T:
        """The field, or ``default`` where it is absent; null is not absent."""
        return self._checked(key, check) if key in self._fields else default

    def each(self, key: str, most: int, build: Callable[[_Object], T]) -> tuple[T, ...]:
        """The objects of a list; an absent list is empty."""
        items = self._fields.get(key, [])
        if not isinstance(items, list) or len(items) > most:
            raise MalformedMessageError(f"{self._name}: {key} is not a list of at most {most}")
        return tuple(build(_Object(item, f"{self._name}: {key}")) for item in items)

    def _checked(self, key: str, check: Check[T]) -> T:
        try:
            return check(self._fields[key])
        except MalformedMessageError:
            raise
        except ValueError as error:
            raise MalformedMessageError(f"{self._name}: {key} is {error}") from None


# The checks: each returns what it was given, with its type, or raises ValueError ("is ...").

_ERRNO = re.compile(r"(E|WSA)[A-Z0-9]{1,30}|[0-9]{1,10}", re.ASCII)  # a number: one that the prober's system lacks
_RESOLVER_ERROR = re.compile(r"EAI_[A-Z]{1,30}|(E|WSA)[A-Z0-9]{1,30}|-?[0-9]{1,10}", re.ASCII)
_CHALLENGE = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_ZONE = re.compile(r"[^\s/%]{1,64}")
_ORIGIN = re.compile(r"local|icmp|icmp6|[0-9]{1,3}", re.ASCII)  # a number: newer than the prober's table


def _version(value: object) -> int:
    if type(value) is not int or value != REQUEST_VERSION:
        raise ValueError(f"not {REQUEST_VERSION}")
    return value


def _same(value: object) -> object:
    """Checked by who takes it apart."""
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _true(value: object) -> bool:
    if value is not True:
        raise ValueError("not true")
    return True


@cache
def _integer(low: int, high: int) -> Check[int]:
    def check(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"not an integer from {low} to {high}")
        return value

    return check


_port = _integer(0, 65535)


def _none_or(check: Check[T]) -> Check[T | None]:
    return lambda value: None if value is None else check(value)


def _milliseconds(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value <= MOST_MS:  # type: ignore[operator]  # NaN fails, too
        raise ValueError("not a time in milliseconds")
    return value  # type: ignore[return-value]


def _string(value: object, longest: int) -> str:
    if not isinstance(value, str):
        raise ValueError("not a string")
    if len(value) > longest:
        raise ValueError(f"longer than {longest} characters")
    return value


@cache
def _name(longest: int) -> Check[str]:
    """A name that a system gave, and that may have anything in it."""
    return lambda value: _string(value, longest)


@cache
def _text(longest: int) -> Check[str]:
    """One line of text: no control, formatting, unassigned or surrogate characters."""

    def check(value: object) -> str:
        text = _string(value, longest)
        if not (text.isprintable() or all(_is_printable(character) for character in text)):
            raise ValueError("not printable")
        return text

    return check


def _is_printable(character: str) -> bool:
    """Spaces other than U+0020 are, too: system messages in French have them."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _traceback(value: object) -> str:
    text = _string(value, 100_000)
    if not all(_is_printable(character) or character in "\n\t" for character in text):
        raise ValueError("not printable")
    return text


def _sample(value: object) -> str:
    """What a stranger sent: any bytes, one character each. Whoever shows it escapes it."""
    text = _string(value, SAMPLE_LENGTH)
    if any(character > "\xff" for character in text):
        raise ValueError("not bytes")
    return text


def _matching(pattern: re.Pattern[str], what: str) -> Check[str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"not {what}")
        return value

    return check


_errno = _matching(_ERRNO, "the name of an errno")
_resolver_error = _matching(_RESOLVER_ERROR, "an error of a resolver")
_hexadecimal = _matching(_CHALLENGE, "hexadecimal")
_origin = _matching(_ORIGIN, "the origin of an error")


@cache
def _one_of(words: frozenset[str]) -> Check[str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError("an unknown word")
        return value

    return check


def _address(value: object) -> str:
    """An IP address without a zone."""
    text = _string(value, 45)  # the longest: six groups and a dotted quad
    if not _is_address(text):
        raise ValueError("not an IP address")
    return text


@lru_cache(4096)  # a run's answers name few addresses, again and again
def _is_address(text: str) -> bool:
    if "%" in text or not text.isascii():
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _zoned_address(value: object) -> str:
    """An IP address; a link-local one may have its zone (RFC 4007)."""
    text = _string(value, 45 + 1 + 64)
    address, percent, zone = text.partition("%")
    if percent and not (_ZONE.fullmatch(zone) and zone.isprintable() and ":" in address):
        raise ValueError("not an IP address")
    _address(address)
    return text


def _address_or_dash(value: object) -> str:
    """``-`` is what a responder says whose socket has no address any more."""
    return "-" if value == "-" else _address(value)
