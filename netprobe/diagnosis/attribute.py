"""From what was seen of a probe that failed to who stopped it. Pure.

The order is that of a packet's life seen from the one place that can be asked without rights: the listener's host. What
the listening program saw comes first, then what its kernel knows of the connection, then what its kernel has counted,
together with the route or the setting that explains the count. The first that names a step ends it.

A count alone names nothing: it is of all traffic. It does so together with a configuration by which the kernel says
that it would have done just that to just this probe. What was looked at and did not show anything rules causes out, and
what nothing rules out remains: a reader is told both, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from netprobe.diagnosis import ladder
from netprobe.diagnosis.ladder import Climbed
from netprobe.diagnosis.legacy_counters import Legacy
from netprobe.diagnosis.trace import Trace
from netprobe.kernel.error_queue import QueuedError
from netprobe.kernel.net_counters import Counters
from netprobe.outcome.blame import Blame, Excluded, Layer
from netprobe.outcome.evidence import HOST_UNREACHABLE, ICMP_WORDS, NET_UNREACHABLE, PROHIBITED
from netprobe.outcome.trace import End, TracedPacket, TraceRow
from netprobe.verdicts import Verdict

__all__ = ["HALF_OPEN", "RouteBack", "Seen", "StrictFilter", "blame_for"]

HALF_OPEN: Final = "SYN-RECV"
_RULES: Final = "sudo nft -a list ruleset"
_DID: Final = {"stolen": "taken", "queue": "handed to a program"}
_PROGRAMS: Final = {"ip": "iptables", "ip6": "ip6tables"}
_SLOW_SHARE: Final = 0.4  # of the time-out: a handshake that took so much of it left too little for the answer


@dataclass(frozen=True, slots=True)
class RouteBack:
    """What the listener's kernel says of the way to the probe's source: an ``errno``, or out of which interface."""

    errno: str | None
    interface: str | None = None
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class StrictFilter:
    """An interface on which the kernel would drop the probe, because the way back leaves by another one (RFC 3704)."""

    interface: str
    back_by: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known of one failed probe.

    ``vantage`` and ``host`` are the names of the two ends in a sentence, ``source`` the probe's address (as the
    listener saw it, or as the vantage says). ``stage`` is the last one that the probe began, ``waited_s`` how long it
    waited, ``handshake_ms`` what its handshake took. ``arrived_from``: the listening program got the question from
    there; ``send_error``: what sending the answer raised. ``connection``: the state of its connection in the listener's
    kernel; ``could_look``: that kernel was asked. ``moved`` is what it counted since the run began, ``drops`` what did
    not fit into this listener's buffer or queue. ``trace`` is what the rules there did, if that was to be seen,
    ``elsewhere`` the same of those vantages where it was, the probe's own first. ``legacy`` is what iptables-legacy has
    counted at the listener's host, where a packet was lost between the rules that can be traced. ``errno`` is what a
    call of the probe raised, ``has_ended``: the connection ended or was reset. ``limited``: the other host is known to
    limit its ICMP errors; ``vantages`` took part, and may share an address that it counts.
    ``answered``: the other protocol, if that was answered on this path. ``climbed`` is a ladder to the destination.
    """

    verdict: Verdict
    expected: Verdict | None
    protocol: str
    stage: str | None
    vantage: str
    host: str
    source: str | None
    destination: str
    port: int
    same_host: bool = False
    waited_s: float | None = None
    attempts: int = 1
    timeout_s: float = 2.0
    handshake_ms: float | None = None
    arrived_from: str | None = None
    send_error: str | None = None
    connection: str | None = None
    could_look: bool = False
    moved: Counters = field(default_factory=Counters)
    drops: int = 0
    queue_full: bool = False
    route_back: RouteBack | None = None
    strict_filters: tuple[StrictFilter, ...] = ()
    icmp: QueuedError | None = None
    offender_is_host: bool = False
    offender_is_vantage: bool = False
    answered: str | None = None
    trace: Trace | None = None
    errno: str | None = None
    has_ended: bool = False
    limited: bool = False
    vantages: int = 1
    climbed: Climbed | None = None
    elsewhere: tuple[Trace, ...] = ()
    legacy: Legacy | None = None

    @property
    def traces(self) -> tuple[Trace, ...]:
        """In the order in which a question comes by; what lies between is in no order that anybody knows."""
        return self.elsewhere if self.trace is None else (*self.elsewhere, self.trace)

    @property
    def vantage_trace(self) -> Trace | None:
        """That of where the probe came from, if it was traced."""
        return next((trace for trace in self.elsewhere if trace.place == self.vantage), None)


def blame_for(seen: Seen) -> Blame | None:
    """Who stopped it; None where there is nothing to blame anybody for."""
    traced = _by_rule(seen) or _by_legacy_rule(seen) or _translated(seen)
    if traced is not None:
        return traced
    match seen.verdict:
        case Verdict.NO_ANSWER:
            return _silence(seen) if seen.expected == Verdict.REACHABLE else _silence_of_nobody(seen)
        case Verdict.REFUSED:
            return _refusal(seen)
        case Verdict.REJECTED | Verdict.UNREACHABLE:
            return _reported(seen)
        case _:
            return None


# What the kernel's trace names.


def _by_rule(seen: Seen) -> Blame | None:
    """A rule stopped the question, or the answer: of the listener's host, of the vantage, or of one on the way."""
    if seen.verdict == Verdict.REACHABLE:
        return None
    for trace in seen.traces:
        if trace.question is not None and trace.question.stopped_by is not None:
            return _stopped(trace, trace.question.stopped_by, is_question=True)
    for trace in reversed(seen.traces):
        if trace.answer is not None and trace.answer.stopped_by is not None:
            return _stopped(trace, trace.answer.stopped_by, is_question=False)
    return None


def _stopped(trace: Trace, row: TraceRow, *, is_question: bool) -> Blame:
    did = Verdict.REJECTED if row.rejects else _DID.get(row.verdict, "dropped")
    evidence = [f"The kernel's trace saw it: {row.place}."]
    question = trace.question
    if question is not None and question.incoming is not None:
        evidence.append(f"The question came from {question.source}, by {question.incoming}.")
    command = f"sudo nft -a list chain {row.family} {row.table} {row.chain}"
    if row.is_iptables:
        command = f"sudo {_PROGRAMS.get(row.family, 'iptables')} -t {row.table} -S {row.chain}"
    return Blame(
        place=trace.place,
        layer=Layer.IPTABLES if row.is_iptables else Layer.NFTABLES,
        what=f"{did} by a rule" if is_question else f"the answer was {did} by a rule",
        text=row.text or row.place,
        evidence=tuple(evidence),
        certain=not trace.passed_later,
        remaining=("what lost the packets that passed this rule later",) if trace.passed_later else (),
        command=command,
    )


def _by_legacy_rule(seen: Seen) -> Blame | None:
    """iptables-legacy tells no trace anything, and counts."""
    legacy, trace = seen.legacy, seen.trace
    if legacy is None or trace is None or legacy.culprit is None or seen.verdict == Verdict.REACHABLE:
        return None
    culprit, question = legacy.culprit, trace.question
    is_question = question is not None and question.end is End.BETWEEN
    did = Verdict.REJECTED if culprit.rejects else "dropped"
    lost = "question" if is_question else "answer"
    return Blame(
        place=seen.host,
        layer=Layer.IPTABLES,
        what=f"{did} by a rule" if is_question else f"the answer was {did} by a rule",
        text=culprit.text,
        evidence=(
            f"The kernel's trace saw the {lost} at the rules of {seen.host}, and none of nf_tables stop it.",
            f"Of iptables-legacy one counter moved meanwhile that can be of it, by just what was lost: "
            f"{_packets(culprit.packets)}.",
        ),
        certain=True,
        command=f"sudo {culprit.program}-legacy-save -c -t {culprit.table}",
    )


def _translated(seen: Seen) -> Blame | None:
    """A rule of the listener's host sent the question somewhere else."""
    question = seen.trace.question if seen.trace is not None else None
    if question is None or question.translated_to is None or seen.verdict == Verdict.REACHABLE:
        return None
    address, port = question.translated_to
    there = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return Blame(
        place=seen.host,
        layer=Layer.NAT,
        what="sent elsewhere by an address translation",
        evidence=(
            f"The kernel's trace saw the question to {seen.destination} port {seen.port} leave for {there} instead.",
        ),
        certain=True,
        command=_RULES,
    )


# Silence.


def _silence(seen: Seen) -> Blame:
    for judge in _JUDGES:
        found = judge(seen)
        if found is not None:
            return found
    return _never_arrived(seen)


def _own_interface(seen: Seen) -> Blame | None:
    """It never left the vantage."""
    if seen.errno not in ("ENOBUFS", "ENOMEM"):
        return None
    return Blame(
        place=seen.vantage,
        layer=Layer.LINK,
        what="dropped by its own interface",
        evidence=(f"Sending failed with {seen.errno}: the interface or its queue dropped it.",),
        remaining=("a larger packet than the other end of the link takes (MTU)", "a full queue"),
        command="ip -s -s link",
    )


def _payload_hangs(seen: Seen) -> Blame | None:
    if seen.stage != "payload":
        return None
    if seen.has_ended:
        return Blame(
            place=None,
            layer=Layer.UNKNOWN,
            what="broken off in the middle of the payload",
            evidence=("The question was answered; then the connection ended.",),
        )
    blame = Blame(
        place=None,
        layer=Layer.MTU,
        what="small packets pass, large ones do not",
        evidence=("The small question was answered.",),
        remaining=("a link on the path with a smaller MTU, whose ICMP errors are lost", "a rule for large packets"),
        command=f"ip route get {seen.destination}",
    )
    return _with_ladder(seen, blame)


def _not_sent(seen: Seen) -> Blame | None:
    """The listening program got the question, and its kernel did not take the answer."""
    if seen.arrived_from is None or seen.send_error is None:
        return None
    arrived = f"The question arrived, from {seen.arrived_from}."
    if seen.send_error in ("ENETUNREACH", "EHOSTUNREACH", "EINVAL"):
        return Blame(
            place=seen.host,
            layer=Layer.ROUTE,
            what="no route back",
            text=f"ip route get {seen.source}: {seen.send_error}",
            evidence=(arrived, f"Sending the answer failed ({seen.send_error})."),
            certain=True,
            command=f"ip route get {seen.source}",
        )
    if seen.send_error in ("EPERM", "EACCES"):
        return Blame(
            place=seen.host,
            layer=Layer.UNKNOWN,
            what="the answer was not allowed to leave",
            evidence=(arrived, f"Sending the answer was forbidden by {seen.host} itself ({seen.send_error})."),
            remaining=(f"a rule for what {seen.host} sends", "a program of its control group (cgroup-bpf)"),
            command=_RULES,
        )
    if seen.send_error in ("ENOBUFS", "ENOMEM"):
        return Blame(
            place=seen.host,
            layer=Layer.QUEUE,
            what="the answer did not leave",
            evidence=(arrived, f"The interface's queue dropped the answer ({seen.send_error})."),
            certain=True,
            command="tc -s qdisc",
        )
    return Blame(
        place=seen.host,
        layer=Layer.UNKNOWN,
        what="the answer did not leave",
        evidence=(arrived, f"Sending the answer failed ({seen.send_error})."),
    )


def _answer_lost(seen: Seen) -> Blame | None:
    """The listening program answered."""
    if seen.arrived_from is None:
        return None
    evidence = [f"The question arrived, from {seen.arrived_from}, and was answered."]
    if seen.handshake_ms is not None and _is_slow(seen):
        evidence.append(_slow_words(seen))
        return _slow(seen, tuple(evidence))
    return _lost_on_the_way_back(seen, tuple(evidence))


def _slow_handshake(seen: Seen) -> Blame | None:
    """The listener's kernel accepted; its program got nothing."""
    if seen.handshake_ms is None:
        return None
    evidence = ("The connection was accepted.",)
    if _is_slow(seen):
        return _slow(seen, (*evidence, _slow_words(seen)))
    return Blame(
        place=None,
        layer=Layer.PATH,
        what="accepted, then silence",
        evidence=(*evidence, "The question that followed did not reach the listener, or its answer was lost."),
        remaining=(
            f"a rule for established connections at {seen.vantage}, on the path, or on {seen.host}",
            "a proxy in between that accepted in the listener's place",
        ),
        command=_RULES,
    )


def _is_slow(seen: Seen) -> bool:
    return (seen.handshake_ms or 0.0) >= 1000 * _SLOW_SHARE * seen.timeout_s


def _slow_words(seen: Seen) -> str:
    return f"Its handshake took {(seen.handshake_ms or 0.0) / 1000:.1f} s of the {seen.timeout_s:g} s that it had."


def _slow(seen: Seen, evidence: tuple[str, ...]) -> Blame:
    return Blame(
        place=None,
        layer=Layer.PATH,
        what="a slow path",
        evidence=evidence,
        remaining=("a slow path: more --timeout would show", "an answer that was lost"),
    )


def _half_open(seen: Seen) -> Blame | None:
    """The kernel has answered a SYN, and waits for the client."""
    if seen.connection is None:
        return None
    if seen.connection != HALF_OPEN:
        return Blame(
            place=seen.host,
            layer=Layer.SOCKET,
            what="accepted by the kernel, and not answered",
            evidence=(f"The connection is {seen.connection} on {seen.host}.",),
            remaining=(f"the last packets of the handshake were lost on the way to {seen.vantage}",),
        )
    evidence = f"The SYN arrived and was answered: the connection was in {HALF_OPEN} on {seen.host}."
    return _lost_on_the_way_back(seen, (evidence,))


def _lost_on_the_way_back(seen: Seen, evidence: tuple[str, ...]) -> Blame:
    back = seen.route_back
    if back is not None and back.errno is not None:
        return _without_route(seen, back.errno, evidence)
    by = "" if back is None or back.interface is None else f" (it leaves by {back.interface})"
    remaining = ["another way back than the way there, or a rule on it"]
    excluded = [Excluded("all that stops a question", "it arrived")]
    here, there = seen.trace, seen.vantage_trace
    if here is not None and here.answer is not None and here.answer.end is End.LEFT:
        excluded.append(Excluded(f"the rules of {seen.host}", "the trace saw the answer leave"))
    else:
        remaining.insert(0, f"a rule for what {seen.host} sends{by}")
    if there is not None and there.answer is not None and there.answer.end is End.SOCKET:
        excluded.append(Excluded(f"the rules of {seen.vantage}", "the trace saw the answer pass them"))
    else:
        remaining.append(f"a rule at {seen.vantage} for what comes in")
    return Blame(
        place=None,
        layer=Layer.PATH,
        what="the answer was lost on the way back",
        evidence=evidence,
        remaining=tuple(remaining),
        excluded=tuple(excluded),
        command=_RULES,
    )


def _no_route_back(seen: Seen) -> Blame | None:
    """No route to the source: TCP then drops the SYN inside, and shows no connection."""
    back = seen.route_back
    return None if back is None or back.errno is None or seen.answered else _without_route(seen, back.errno)


def _without_route(seen: Seen, errno: str, evidence: tuple[str, ...] = ()) -> Blame:
    moved = seen.moved["IpOutNoRoutes"] + seen.moved["Ip6OutNoRoutes"]
    counted = f"It has counted {_packets(moved)} without a route meanwhile (OutNoRoutes)." if moved else ""
    told = f"{_subject(seen.host)} has no route back to {seen.source} ({errno})."
    return Blame(
        place=seen.host,
        layer=Layer.ROUTE,
        what="no route back",
        text=f"ip route get {seen.source}: {errno}",
        evidence=tuple(text for text in (*evidence, told, counted) if text),
        certain=bool(moved),
        remaining=() if moved else ("the question may have been stopped before that",),
        command=f"ip route get {seen.source}",
    )


def _reverse_path(seen: Seen) -> Blame | None:
    """rp_filter: counted, and a strict interface over which the way back does not lead."""
    moved = seen.moved["TcpExtIPReversePathFilter"]
    if not moved or not seen.strict_filters or seen.answered:
        return None
    filters = seen.strict_filters
    first = filters[0]
    back = f", the way back to {seen.source} leaves by {first.back_by}" if first.back_by else ""
    names = " or ".join(each.interface for each in filters)
    return Blame(
        place=seen.host,
        layer=Layer.RP_FILTER,
        what="dropped by the reverse path filter",
        text=f"net.ipv4.conf.{first.interface}.rp_filter = 1",
        evidence=(
            f"{_subject(seen.host)} has dropped {_packets(moved)} by that meanwhile (IPReversePathFilter).",
            f"The filter of {names} is strict{back}.",
        ),
        certain=moved >= seen.attempts and len(filters) == 1,
        remaining=() if len(filters) == 1 else tuple(f"the filter of {each.interface}" for each in filters),
        command=f"sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{first.interface}.rp_filter",
    )


def _queue_is_full(seen: Seen) -> Blame | None:
    if seen.protocol == "tcp" and seen.queue_full:
        return Blame(
            place=seen.host,
            layer=Layer.QUEUE,
            what="the listener's queue is full",
            evidence=(f"Its accept queue is full, and {seen.drops} connections were dropped there.",),
            certain=seen.drops > 0,
            command=f"ss -lnt 'sport = :{seen.port}'",
        )
    if seen.protocol == "udp" and seen.drops:
        return Blame(
            place=seen.host,
            layer=Layer.QUEUE,
            what="the listener's buffer was full",
            evidence=(f"{seen.drops} datagrams did not fit into this listener's receive buffer.",),
            remaining=("the question was among them, or it was lost elsewhere",),
            command=f"ss -lnum 'sport = :{seen.port}'",
        )
    return None


_HINTS: Final = (
    (("IpInAddrErrors", "Ip6InAddrErrors"), "packets for addresses that are not here, or that it does not forward"),
    (("IpExtInNoRoutes", "Ip6InNoRoutes"), "packets that it had no route for"),
    (("TcpExtTCPReqQFullDrop",), "connection requests that did not fit into a queue"),
    (("TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors"), "packets with a wrong checksum"),
    (("Conntrackdrop",), "packets that connection tracking had no room for"),
    (("Ip6InDiscards",), "IPv6 packets that it discarded, as an interface without IPv6 does"),
)


def _never_arrived(seen: Seen) -> Blame:
    """No sign of it anywhere: what was looked at, and what that leaves."""
    hints = []
    for names, what in _HINTS:
        moved = sum(seen.moved[name] for name in names)
        if moved:
            hints.append(f"{_subject(seen.host)} has counted meanwhile: {moved} {what}; perhaps these.")
    evidence = "The question never reached the listener"
    if seen.could_look and seen.protocol == "tcp":
        evidence += f": {seen.host} has no connection of it"
    if seen.answered:
        evidence += f"; {seen.answered} on that path was answered"
    remaining, excluded, told = _where_it_may_be(seen)
    evidence += told
    if seen.answered:
        excluded.append(Excluded("the routes", f"{seen.answered} was answered"))
    elif seen.route_back is not None and seen.route_back.errno is None:
        by = f" by {seen.route_back.interface}" if seen.route_back.interface else ""
        excluded.append(Excluded("no route back", f"{seen.host} has one{by}"))
    if seen.could_look and not seen.answered and not seen.same_host and not seen.moved["TcpExtIPReversePathFilter"]:
        excluded.append(Excluded("the reverse path filter", f"{seen.host} has counted none"))
    blame = Blame(
        place=None,
        layer=Layer.UNKNOWN,
        what="never arrived",
        evidence=(f"{evidence}.", *hints),
        remaining=remaining,
        excluded=tuple(excluded),
        command=_RULES,
    )
    return _with_ladder(seen, blame)


def _ladder_of(seen: Seen) -> Climbed | None:
    """The ladder, if it is about this probe: to its port, and a large one only where it was large."""
    climbed = seen.climbed
    if climbed is None or climbed.port != seen.port or (climbed.size is not None) != (seen.stage == "payload"):
        return None
    return climbed


def _with_ladder(seen: Seen, blame: Blame) -> Blame:
    """What both ends know of a silence, and between which hops it began."""
    climbed = _ladder_of(seen)
    if climbed is None:
        return blame
    trace = seen.trace
    # A listener of UDP tells what it was asked, a kernel which SYNs it has answered: else an answer may have been lost,
    # as that to a payload, of which nobody tells.
    told = seen.protocol == "udp" or seen.could_look
    there = told and seen.expected == Verdict.REACHABLE and seen.stage != "payload"
    innocent = trace is not None and trace.question is None and not trace.incomplete
    found = ladder.judge(climbed, there, innocent)
    if found is None:
        answered = next((rung for rung in climbed.rungs if rung.is_end), None)
        if answered is None:
            return blame
        asked = f"{climbed.protocol} port {climbed.port}{f' with {climbed.size} bytes' if climbed.size else ''}"
        return replace(
            blame, evidence=(*blame.evidence, f"Once more after that, {asked} was answered at hop {answered.ttl}.")
        )
    if seen.stage != "payload" and climbed.protocol != seen.protocol and (found.excluded or found.certain):
        return blame  # it is about that protocol
    excluded = tuple(dict.fromkeys((*found.excluded, *blame.excluded)))
    evidence = (*blame.evidence, *(f"{_capitalised(said)}." for said in found.evidence))
    if any(x.question is not None and (x.place != seen.vantage or x.question.end is not End.LEFT) for x in seen.traces):
        return replace(blame, evidence=evidence)  # which tells more than between which hops it was
    remaining = found.remaining if found.certain else (*found.remaining, *(x for x in blame.remaining if "XDP" in x))
    command = found.command or blame.command
    return replace(found, evidence=evidence, remaining=remaining, excluded=excluded, command=command)


def _where_it_may_be(seen: Seen) -> tuple[tuple[str, ...], list[Excluded], str]:
    """What may have stopped a question that nobody saw; what did not; and how a sentence about it goes on."""
    trace, left = seen.trace, seen.vantage_trace
    question = trace.question if trace is not None else None
    excluded = []
    if left is not None and left.question is not None and left.question.end is End.LEFT:
        excluded.append(Excluded(f"the rules of {seen.vantage}", "the trace saw the question leave"))
    came_by = [x for x in seen.elsewhere if x is not left and x.question is not None and x.question.end is End.LEFT]
    excluded += [Excluded(f"the rules of {each.place}", "the trace saw the question leave") for each in came_by]
    if question is not None and question.end is End.SOCKET:
        excluded.append(Excluded(f"the rules of {seen.host}", "the trace saw the question pass them"))
        return ("packets lost", *_no_routes(seen)), excluded, ""
    if question is not None:
        excluded.append(Excluded(f"the rules of {seen.host}", "the trace saw none stop it"))
        legacy = seen.legacy
        if legacy is None or question.end is not End.BETWEEN:
            return (_between(question, seen.host, may_be_legacy=False),), excluded, ""
        rules = tuple(f"{x.program}-legacy: {x.text}" for x in legacy.moved)
        return (*rules, _between(question, seen.host, may_be_legacy=not rules)), excluded, ""
    if seen.same_host:
        return (f"a rule of {seen.host}: what it sends to its own address does not leave it",), excluded, ""
    for each in seen.elsewhere:
        if each.question is not None and each.question.end in (End.BETWEEN, End.BEFORE_IP):
            excluded.append(Excluded(f"the rules of {each.place}", "the trace saw none stop it"))
            return (_between(each.question, each.place), "packets lost"), excluded, ""
    unseen = trace is not None and not trace.incomplete
    # A SYN whose answer was lost leaves a half-open connection behind; where nobody could look, it may be that.
    back = " there or back" if seen.protocol == "tcp" and not seen.could_look else ""
    places = [] if any(x.what == f"the rules of {seen.vantage}" for x in excluded) else [f"at {seen.vantage}"]
    places.append("on the path" if unseen else f"on the path{back}")
    places += [] if unseen else [f"on {seen.host}"]
    where = f"{', '.join(places[:-1])}, or {places[-1]}" if len(places) > 2 else " or ".join(places)
    remaining = [f"a rule for {seen.protocol} {where}" if seen.answered and not unseen else f"a rule {where}"]
    remaining += [] if seen.answered else [f"no route{back or ' there'}"]
    remaining.append("packets lost")
    if not unseen:
        return tuple(remaining), excluded, ""
    remaining.append(f"tc or XDP on {seen.host}")
    excluded.append(Excluded(f"the rules of {seen.host}", "the trace saw no packet of it"))
    return tuple(remaining), excluded, "; no packet of it reached its rules"


def _between(packet: TracedPacket, place: str, *, may_be_legacy: bool = True) -> str:
    """What loses a packet that no traced rule has stopped."""
    if packet.end is End.BEFORE_IP:
        by = f" on {packet.incoming}" if packet.incoming else ""
        return f"what {place} does before its rules{by}: another MAC address, a wrong header, IPv6 switched off"
    legacy = ", iptables-legacy" if may_be_legacy else ""
    return f"what {place} does between its rules: routes, filters of addresses{legacy}"


def _no_routes(seen: Seen) -> tuple[str, ...]:
    return () if seen.answered else ("no route back",)


_JUDGES: Final[tuple[Callable[[Seen], Blame | None], ...]] = (
    _own_interface,
    _payload_hangs,
    _not_sent,
    _answer_lost,
    _slow_handshake,
    _half_open,
    _no_route_back,
    _reverse_path,
    _queue_is_full,
)


def _subject(name: str) -> str:
    """At the beginning of a sentence: names stay as they are."""
    return f"T{name[1:]}" if name.startswith("this ") else name


def _capitalised(words: str) -> str:
    """At the beginning of a sentence: protocols are names."""
    return f"{words[:3].upper()}{words[3:]}" if words.startswith(("tcp ", "udp ")) else f"{words[0].upper()}{words[1:]}"


def _packets(number: int) -> str:
    return f"{number} packet{'s' if number != 1 else ''}"


def _silence_of_nobody(seen: Seen) -> Blame:
    """A closed port that stays silent."""
    accepted = _slow_handshake(seen)
    if accepted is not None:
        return accepted
    if seen.limited:
        return Blame(
            place=None,
            layer=Layer.ICMP_LIMIT,
            what="the host limits its ICMP errors",
            remaining=("a closed port whose refusal it has not sent: a longer --patience would settle it", "a rule"),
        )
    remaining = [f"a rule at {seen.vantage}, on the path, or on {seen.host}", "a refusal that was lost"]
    if seen.protocol == "udp" and seen.vantages > 1 and not seen.same_host:
        remaining.insert(
            0, f"the host's limit of ICMP errors, if some of the {seen.vantages} vantages share an address"
        )
    blame = Blame(
        place=None,
        layer=Layer.UNKNOWN,
        what="dropped instead of refused",
        remaining=tuple(remaining),
        command=_RULES,
    )
    return _with_ladder(seen, blame)


# Refusals, and what somebody says of it.


def _refusal(seen: Seen) -> Blame | None:
    """The listener is open, and a reset or a closed port came back."""
    if seen.expected != Verdict.REACHABLE:
        return None
    if seen.icmp is not None and seen.icmp.offender is not None:
        return _reported(seen)
    resets = seen.moved["TcpOutRsts"]
    remaining = [f"a rule that resets, at {seen.vantage}, on the path, or on {seen.host}"]
    excluded = []
    if not seen.same_host:
        remaining.append(f"an address translation: {seen.destination} port {seen.port} leads elsewhere")
        remaining.append(f"another host that has {seen.destination}")
    if seen.could_look and not resets:
        excluded.append(Excluded(f"{seen.host}'s own TCP", "it has sent no reset meanwhile (OutRsts)"))
    blame = Blame(
        place=None,
        layer=Layer.UNKNOWN,
        what="refused, although the listener is open",
        evidence=(f"The listener is open, on port {seen.port}.",),
        remaining=tuple(remaining),
        excluded=tuple(excluded),
        command=_RULES,
    )
    climbed = _ladder_of(seen)
    found = ladder.judge(climbed) if climbed is not None and climbed.protocol == seen.protocol else None
    if found is None:
        return blame
    evidence = (*blame.evidence, *(f"{_capitalised(said)}." for said in found.evidence))
    if found.certain or found.excluded:  # nearer than the server, which then has sent nothing
        return replace(found, evidence=evidence, command=found.command or blame.command)
    return replace(blame, evidence=evidence)


def _reported(seen: Seen) -> Blame | None:
    """An ICMP error blames whoever sent it, and nobody else."""
    icmp = seen.icmp
    if icmp is None or icmp.offender is None or not icmp.is_icmp:
        return _own_side(seen)
    place = seen.host if seen.offender_is_host else seen.vantage if seen.offender_is_vantage else icmp.offender
    kind = (icmp.origin, icmp.type, icmp.code)
    said = (f"{icmp.offender} says so itself: {ICMP_WORDS.get(kind, f'type {icmp.type}, code {icmp.code}')}.",)
    if kind in NET_UNREACHABLE:
        look = f"ip route get {seen.destination}"
        return Blame(place, Layer.ROUTE, "no route there", evidence=said, certain=True, command=look)
    if kind in HOST_UNREACHABLE:
        return Blame(
            place,
            Layer.NEIGHBOUR,
            "nobody answered there",
            evidence=said,
            remaining=(f"no host has {seen.destination} on that link", "a rule that rejects with these words"),
            command=f"ip neighbour show to {seen.destination}",
        )
    if kind in PROHIBITED:
        # A route of type prohibit sends the very error of a rule (ip-route(8)).
        remaining = ("a rule that rejects", "a route of type prohibit")
        return Blame(place, Layer.UNKNOWN, "prohibited", evidence=said, remaining=remaining, command=_RULES)
    return Blame(
        None,  # behind an address translation another host sends it, and the address is that of the translator
        Layer.UNKNOWN,
        "reported as closed",
        evidence=(*said, f"The listener is open, on port {seen.port}.") if seen.expected == Verdict.REACHABLE else said,
        remaining=("a rule that rejects there", "an address translation that leads to a closed port"),
        command=_RULES,
    )


def _own_side(seen: Seen) -> Blame | None:
    """No packet left: the vantage's own kernel refused it."""
    if seen.stage in ("socket", "bind", None):
        return None
    if seen.stage in ("answer", "payload"):
        return Blame(
            None,
            Layer.UNKNOWN,
            "stopped after the handshake",
            evidence=("The connection was accepted, and broken off by an error that names nobody.",),
            remaining=(f"a rule for established connections at {seen.vantage}, on the path, or on {seen.host}",),
            command=_RULES,
        )
    said = (f"The kernel of {seen.vantage} refused to send it.",)
    if seen.verdict == Verdict.UNREACHABLE:
        look = f"ip route get {seen.destination}"
        return Blame(seen.vantage, Layer.ROUTE, "no route there", evidence=said, certain=True, command=look)
    return Blame(seen.vantage, Layer.UNKNOWN, "forbidden by its own output", evidence=said, command=_RULES)
