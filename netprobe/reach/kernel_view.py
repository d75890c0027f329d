"""What this host's kernel knows of the probes that failed: connections nobody accepted, counts, routes, filters.

A listening program sees what its kernel hands to it. What the kernel dropped before, and what it answered without being
heard, only the kernel can tell; and it tells anybody: half-open connections (sock_diag(7)), the counters of /proc/net,
its own routing of the answer (rtnetlink(7)), the settings of its filters (/proc/sys). All of it is read after a probe
has failed. While all goes well there is one reading of the counters at the beginning, about 2 ms, and from then on only
half-open connections are looked at, while probes wait.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

from netprobe.diagnosis.attribute import HALF_OPEN, RouteBack, Seen, StrictFilter
from netprobe.diagnosis.ladder import Climbed
from netprobe.diagnosis.legacy_counters import Legacy, LegacyCounters, read_legacy_counters
from netprobe.diagnosis.trace import Trace, trace_of, with_text
from netprobe.kernel import rtnetlink, sock_diag
from netprobe.kernel.net_counters import Counters, read_counters
from netprobe.kernel.nf_trace import Mark, Tracer
from netprobe.kernel.sock_diag import DiagSocket
from netprobe.outcome.trace import End, TracedPacket, TraceRow
from netprobe.reach.facts import HostFacts
from netprobe.reach.listener import Listener
from netprobe.reach.messages import Answer
from netprobe.reach.plan import Question
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.visitors import Arrival
from netprobe.reach.watches import Seen as SeenThere
from netprobe.verdicts import Verdict

__all__ = ["Failure", "KernelView", "is_local", "may_bind_any", "with_vantages"]

FRESH_S: Final = 0.2  # how old what was read may be: many cells fail at the same moment
WATCH_S: Final = 0.4  # how often half-open connections are looked at, which last a second
WATCH_SHARE: Final = 0.02  # of the time, at most, where there are very many
MOST_WATCHED: Final = 100_000
_SYS: Final = Path("/proc/sys/net")
_CONF: Final = _SYS / "ipv4" / "conf"
_STATES: Final = {sock_diag.SYN_RECV: HALF_OPEN, sock_diag.ESTABLISHED: "ESTABLISHED"}
_STRICT: Final = "1"  # rp_filter: 0 off, 1 strict, 2 loose; the greater one of "all" and the interface's own counts


@dataclass(frozen=True, slots=True)
class Failure:
    """One cell that was not as expected, and all that both sides have said of it. Names are those of a sentence.

    ``answered`` is the other protocol, if it was answered on the same path; ``vantages`` take part in the run, and
    ``others`` are the facts of those elsewhere.
    """

    question: Question
    answer: Answer
    expected: Verdict | None
    observed: Verdict
    arrival: Arrival | None
    host: HostFacts
    vantage: HostFacts
    same_host: bool
    timeout_s: float
    host_name: str
    vantage_name: str
    answered: str | None = None
    vantages: int = 1
    climbed: Climbed | None = None
    others: tuple[HostFacts, ...] = ()


@dataclass(slots=True)
class KernelView:
    """Looks once for all that fail at the same moment."""

    _before: Counters = field(default_factory=Counters)
    _now: Counters = field(default_factory=Counters)
    _read_at: float = -1.0
    _sockets: dict[tuple[int, int, int], tuple[float, list[DiagSocket] | None]] = field(default_factory=dict)
    _ports: frozenset[int] = frozenset()  # of TCP
    _half_open: dict[tuple[int, int], set[str]] = field(default_factory=dict)  # by both ports: the other ends
    _watched: int = 0  # of them; strangers may send from any address
    _watch_at: float = 0.0
    _tracer: Tracer | None = None
    untraced: tuple[str, ...] = ()  # why there is no trace, or what is not traced
    _legacy: LegacyCounters = field(default_factory=LegacyCounters)
    _texts: dict[TraceRow, TraceRow] = field(default_factory=dict)
    _filters: dict[tuple[str, str], tuple[StrictFilter, ...]] = field(default_factory=dict)
    _routes: dict[tuple[str, str], RouteBack | None] = field(default_factory=dict)

    def begin(self, listeners: Iterable[Listener]) -> None:
        """Before the first probe."""
        self._before = read_counters()
        self._ports = frozenset(x.port for x in listeners if x.is_open and x.protocol == "tcp")
        self._watch_at = time.monotonic() + WATCH_S

    def trace(self, listeners: Iterable[Listener], lasts_s: float) -> None:
        """Follow the packets to and from these through the rules, as far as that is allowed, for so long at most."""
        marks = dict.fromkeys(Mark(x.protocol, None, None, None, x.port) for x in listeners if x.is_open)
        if not marks:
            return
        tracer = Tracer(tuple(marks), lasts_s)
        tracer.__enter__()
        why = tracer.why_not()
        self.untraced = (f"{why}; no rule is named",) if why is not None else tracer.remarks
        self._tracer = tracer if why is None else None
        if why is None:
            self._legacy = read_legacy_counters()

    def watch(self) -> None:
        """Note which connections are half open, if it is time; to be called several times a second.

        Where a rule of this host drops the SYN-ACK, the kernel is told so when it sends it again, a second later, and
        forgets the connection: measured, 1.0 s after each SYN (net/ipv4/inet_connection_sock.c, reqsk_timer_handler).
        Looked at after a probe had failed, it was as if no SYN had come. A run that is over before WATCH_S has nothing
        that waits.
        """
        began = time.monotonic()
        if began < self._watch_at or not self._ports:
            return
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                found = sock_diag.half_open(family)
            except OSError:
                continue
            for each in found:
                if each.local_port in self._ports and self._watched < MOST_WATCHED:
                    ends = self._half_open.setdefault((each.local_port, each.remote_port), set())
                    self._watched += each.remote not in ends
                    ends.add(each.remote)
        now = time.monotonic()
        self._watch_at = now + max(WATCH_S, (now - began) / WATCH_SHARE)

    def follow(self) -> None:
        """Take what the trace has, so that there is room for more."""
        if self._tracer is not None:
            self._tracer.read()

    def close(self) -> None:
        """Stop the trace; nothing of it stays behind."""
        if self._tracer is not None:
            self._tracer.close()

    def see(self, failure: Failure) -> Seen:
        """All that is known of one failure."""
        question, answer, arrival = failure.question, failure.answer, failure.arrival
        listener = question.listener
        source = arrival.peer if arrival is not None else _source(failure)
        destination = _plain(question.destination)
        sockets = self._sockets_of(question)
        connection, is_ambiguous = _state_of(self._other_ends(question, answer, sockets or ()), source, failure.others)
        listening = next((x for x in sockets or () if x.state in (sock_diag.LISTEN, sock_diag.CLOSE)), None)
        offender = answer.icmp.offender if answer.icmp is not None else None
        elsewhere = source is not None and not failure.same_host
        trace = self._traced(question, answer, source)
        return Seen(
            verdict=failure.observed,
            expected=failure.expected,
            protocol=listener.protocol,
            stage=answer.stage,
            vantage=failure.vantage_name,
            host=failure.host_name,
            source=source,
            destination=destination,
            port=listener.port,
            same_host=failure.same_host,
            waited_s=answer.elapsed_ms / 1000,
            attempts=max(answer.attempts, 1),
            timeout_s=failure.timeout_s,
            handshake_ms=answer.connect_ms,
            arrived_from=arrival.peer if arrival is not None else None,
            send_error=arrival.send_error if arrival is not None else None,
            connection=connection,
            could_look=sockets is not None and not is_ambiguous,
            moved=self._moved(),
            drops=(listening.drops or 0) if listening is not None else 0,
            queue_full=listening is not None and 0 < listening.backlog < listening.queued,
            route_back=self.route_back(destination, source) if elsewhere and source is not None else None,
            strict_filters=self.strict_filters(destination, source, failure.host) if elsewhere and source else (),
            icmp=answer.icmp,
            offender_is_host=offender is not None and offender in failure.host.texts,
            answered=failure.answered,
            trace=trace,
            legacy=None if trace is None else self._legacy_of(trace),
            errno=answer.errno,
            has_ended=answer.result != "timeout",
            limited=answer.limited,
            vantages=failure.vantages,
            climbed=failure.climbed,
            offender_is_vantage=offender is not None and offender in failure.vantage.texts,
        )

    def _other_ends(self, question: Question, answer: Answer, sockets: Iterable[DiagSocket]) -> dict[str, str]:
        """Who has, or had, a connection with both ports of the probe, and in which state it is."""
        if answer.source_port is None or question.listener.protocol != "tcp":
            return {}
        found = dict.fromkeys(self._half_open.get((question.listener.port, answer.source_port), ()), HALF_OPEN)
        same = (x for x in sockets if x.remote_port == answer.source_port and x.state in _STATES)
        return found | {each.remote: _STATES[each.state] for each in same}

    def _traced(self, question: Question, answer: Answer, source: str | None) -> Trace | None:
        """The packets of one probe, and the rule that stopped one of them."""
        if self._tracer is None:
            return None
        packets = (TracedPacket.of(packet) for packet in self._tracer.packets(answer.source_port))
        trace = trace_of(packets, _mark(question, answer, source), "this host", incomplete=self._tracer.incomplete)
        return replace(
            trace,
            question=self._with_text(trace.question),
            answer=self._with_text(trace.answer),
        )

    def _legacy_of(self, trace: Trace) -> Legacy | None:
        """What iptables-legacy counted, where it is there and a packet was lost between the hooks."""
        lost = next((x for x in (trace.question, trace.answer) if x is not None and x.end is End.BETWEEN), None)
        if lost is None or not self._legacy or self._tracer is None:
            return None
        now = read_legacy_counters()  # before the packets: one more that is lost meanwhile only takes certainty away
        moved = [
            x
            for x in now.since(self._legacy)
            if x.stops and x.can_be_of(lost.protocol, lost.source_port, lost.destination_port)
        ]
        packets = [TracedPacket.of(packet) for packet in self._tracer.packets()]
        same = [x for x in packets if x.direction == lost.direction and x.end is End.BETWEEN]
        return Legacy(tuple(moved), len(same), now.why_not)

    def _with_text(self, packet: TracedPacket | None) -> TracedPacket | None:
        """The rule that stopped it in its own words; each is asked for once."""
        stop = None if packet is None else packet.stopped_by
        if packet is None or stop is None:
            return packet
        if stop not in self._texts:
            self._texts[stop] = with_text(stop)
        return replace(packet, rows=tuple(self._texts[row] if row is stop else row for row in packet.rows))

    def _moved(self) -> Counters:
        now = time.monotonic()
        if now - self._read_at > FRESH_S:
            self._read_at, self._now = now, read_counters()
        return self._now.since(self._before)

    def _sockets_of(self, question: Question) -> list[DiagSocket] | None:
        """The sockets at the listener's port; None where the kernel does not tell."""
        listener = question.listener
        family = socket.AF_INET if listener.bind.version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_TCP if listener.protocol == "tcp" else socket.IPPROTO_UDP
        key = (family, protocol, listener.port)
        read_at, found = self._sockets.get(key, (-1.0, None))
        now = time.monotonic()
        if now - read_at > FRESH_S:
            try:
                found = sock_diag.sockets_at(*key)
            except OSError:
                found = None
            self._sockets[key] = (now, found)
        return found

    def route_back(self, destination: str, source: str) -> RouteBack | None:
        """Where an answer would go; asked once for each pair of addresses."""
        key = (destination, source)
        if key not in self._routes:
            self._routes[key] = _ask_back(destination, source)
        return self._routes[key]

    def strict_filters(self, destination: str, source: str, host: HostFacts) -> tuple[StrictFilter, ...]:
        """The interfaces that would drop such a packet, that of the destination first."""
        if ":" in destination:
            return ()  # there is no rp_filter for IPv6
        key = (destination, source)
        if key not in self._filters:
            back = self.route_back(destination, source)
            by = back.interface if back is not None else None
            holder = next((x.interface for x in host.addresses if x.address.text == destination), None)
            links = sorted((x for x in host.links if x.up and not x.loopback), key=lambda link: link.name != holder)
            self._filters[key] = tuple(
                StrictFilter(link.name, by)
                for link in links
                if _is_strict(link.name) and _is_dropped(destination, source, link.index)
            )
        return self._filters[key]


def with_vantages(seen: Seen, failure: Failure, looks: Sequence[SeenThere]) -> Seen:
    """The same, with what the rules of vantages did with the question and its answer: its own first."""
    own = failure.question.vantage
    mark = _mark(failure.question, failure.answer, _source(failure))
    found = [
        trace_of(x.packets, mark, x.vantage, incomplete=x.incomplete)
        for x in sorted(looks, key=lambda look: look.vantage != own)
    ]
    return replace(seen, elsewhere=tuple(found))


def _mark(question: Question, answer: Answer, source: str | None) -> Mark:
    """The packets of one probe. To the unspecified address it goes to the vantage itself, by one of its addresses."""
    listener, asked = question.listener, question.destination
    there = None if asked.is_wildcard else _plain(asked)
    return Mark(listener.protocol, source, answer.source_port, there, listener.port)


def is_local(address: str) -> bool:
    """Does the kernel deliver packets to ``address`` to this host? So it is for whole prefixes, too (AnyIP)."""
    try:
        return rtnetlink.route_to(address).is_local
    except OSError:
        return False


@cache
def may_bind_any(version: int) -> bool:
    """Is ip_nonlocal_bind set, for IPv4 or IPv6? It is read once: listeners are opened once."""
    try:
        return (_SYS / f"ipv{version}" / "ip_nonlocal_bind").read_text("ascii").strip() == "1"
    except (OSError, ValueError):
        return False


def _source(failure: Failure) -> str | None:
    """The address that the probe has by the vantage's own word."""
    answer = failure.answer
    if answer.source is not None:
        return _plain(ScopedAddress.parse(answer.source))
    route = failure.vantage.route_to(failure.question.destination)
    return None if route is None else route.source


def _plain(address: ScopedAddress) -> str:
    return str(address.mapped or address.ip)


def _state_of(ends: Mapping[str, str], source: str | None, others: Sequence[HostFacts]) -> tuple[str | None, bool]:
    """The state of the probe's connection, and whether it cannot be told which one that is.

    It has the probe's address, unless that was translated. But another vantage's probe may have the same port: one
    with an address of that vantage's may be either's, as it may be the one that translates.
    """
    if source is not None and source in ends:
        return ends[source], False
    translated = [state for end, state in ends.items() if not any(end in facts.texts for facts in others)]
    return (translated[0], False) if translated else (None, bool(ends))


def _ask_back(destination: str, source: str) -> RouteBack | None:
    try:
        route = rtnetlink.route_between(destination, source)
    except OSError as error:
        number = error.errno or 0
        if number == errno.EINVAL and not _has(destination):
            return None  # the kernel routes nothing that has another host's address
        return RouteBack(errno.errorcode.get(number, str(number)))
    return RouteBack(None, _interface(route.ifindex), route.gateway)


def _has(address: str) -> bool:
    return any(entry.address == address for entry in rtnetlink.usable_addresses())


def _interface(index: int) -> str | None:
    try:
        return socket.if_indextoname(index) if index else None
    except OSError:
        return None


def _is_strict(interface: str) -> bool:
    values = [_setting(name) for name in ("all", interface)]
    return max(values, default="0") == _STRICT


def _setting(name: str) -> str:
    try:
        return (_CONF / name / "rp_filter").read_text("ascii").strip()
    except (OSError, ValueError):
        return "0"


def _is_dropped(destination: str, source: str, index: int) -> bool:
    """Does the kernel's input routing refuse such a packet on that interface?"""
    try:
        rtnetlink.route_between(source, destination, index)
    except OSError as error:
        return error.errno in (errno.EINVAL, getattr(errno, "EXDEV", errno.EINVAL))
    return False
