"""Between which two hops a probe was lost, by its ladder and the control ladder. Pure.

What a ladder shows is one-sided. A router looks at the time to live before its forward rules do at the packet, so
"silent behind router k" is the same picture for a drop in k's forward or output, in the next hop's prerouting or
input, for a next hop that is not there or has no route back, and for an answer that is lost on its way. All of these
remain, in words; a control ladder, to a port that works, rules out those that are not about the port. A rung that is
silent below one that was answered is no fault: that router sends no ICMP errors, or no more of them.

Only an ICMP error that names its sender is ever certain: who rejected it, or which link it did not fit into.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from netprobe.outcome.blame import Blame, Excluded, Layer
from netprobe.outcome.evidence import Icmp
from netprobe.outcome.rung import Came, Rung

__all__ = ["Climbed", "judge"]

LOOP = 3  # times that a router must answer: twice, over paths of different length, needs no loop


@dataclass(frozen=True, slots=True)
class Climbed:
    """A ladder to ``address``, and what came of it. ``size`` is that of its datagrams where they were large.

    ``control`` is the ladder to ``control_port`` (for a large one: with small datagrams), from where it began.
    """

    address: str
    port: int
    protocol: str
    rungs: tuple[Rung, ...]
    size: int | None = None
    control_port: int | None = None
    control_protocol: str | None = None
    control: tuple[Rung, ...] = ()


def judge(climbed: Climbed, there: bool = False, innocent: bool = False) -> Blame | None:
    """What the ladder says of a probe that failed; None where it got through, or could not be sent.

    ``there``: it is known to be lost on the way there, and not its answer. ``innocent``: it is known not to have come
    as far as the rules of the server.
    """
    rungs = climbed.rungs
    if not rungs:
        return None
    end = next((rung for rung in rungs if rung.is_end), None)
    if end is None:
        return _loop(climbed) or _silence(climbed, there, innocent)
    if end.came is Came.ANSWER:
        return None
    if end.came is Came.RST:
        return _reset(climbed, end)
    return _too_big(climbed, end) if end.is_too_big else _rejection(climbed, end)


def _rejection(climbed: Climbed, end: Rung) -> Blame:
    """An ICMP error that is none of a hop's: its sender says that it goes no further."""
    icmp = _icmp(end)
    router = "" if _is_destination(climbed, end.router) else ", nearer than the server"
    return Blame(
        place=end.router,
        layer=Layer.PATH,
        what=f"answers '{icmp.name}'",
        evidence=(f"{_asked(climbed)}: '{icmp.name}' from {end.router} at hop {end.ttl}{router}",),
        certain=end.router is not None,
    )


def _too_big(climbed: Climbed, end: Rung) -> Blame:
    """The router before a narrow link; a MTU of 0 is one that it did not tell (RFC 1191 section 5)."""
    told = f"MTU {end.mtu}" if end.mtu else "a smaller MTU"
    return Blame(
        place=end.router,
        layer=Layer.MTU,
        what=f"takes no packets of {climbed.size} bytes: {told}" if climbed.size else f"takes no packet: {told}",
        text=told if end.mtu else None,
        evidence=(f"{_asked(climbed)}: '{_icmp(end).name}' from {end.router} at hop {end.ttl}, {told}",),
        certain=end.router is not None,
    )


def _reset(climbed: Climbed, end: Rung) -> Blame:
    """A reset bears the server's address, whoever sent it: only how far it came from tells."""
    behind, after = _behind(climbed), f"hop {end.ttl}"
    evidence = (f"{_asked(climbed)}: reset at {after}",)
    server = _server(climbed)
    if server is not None and server.ttl > end.ttl:
        return Blame(
            place=None,
            layer=Layer.PATH,
            what=f"reset {behind}, nearer than the server",
            evidence=(*evidence, f"{_through(climbed)}, so the server is hop {server.ttl}"),
            remaining=(
                f"a rule that rejects it with a reset: in forward{_of_the_last(climbed)}, or where {after} takes it in",
                f"a program or a device at {after} that answers in the server's name",
            ),
            excluded=(Excluded("the server itself", f"it is hop {server.ttl}"),),
        )
    is_as_far = server is not None and server.ttl == end.ttl
    return Blame(
        place=None,
        layer=Layer.UNKNOWN,
        what=f"reset at {after}" + (", as far as the server" if is_as_far else ""),
        evidence=(*evidence, _through(climbed)) if is_as_far else evidence,
        remaining=(
            "the server has nothing there, or a rule of its own that resets",
            f"a device before it that answers in its name{_of_the_last(climbed, ', behind ')}",
        ),
    )


def _silence(climbed: Climbed, there: bool, innocent: bool) -> Blame:
    """Nothing came of the rungs above the last router that answered."""
    last = _last_router(climbed)
    following = (0 if last is None else last.ttl) + 1
    passed = [rung for rung in climbed.control if rung.ttl >= following and rung.came is not Came.SILENCE]
    server = _server(climbed)
    is_server = server is not None and server.ttl == following
    next_hop = f"the server (hop {following})" if is_server else f"hop {following}"
    evidence = [f"{_asked(climbed)}: {_hops(climbed.rungs)}then silence up to a TTL of {climbed.rungs[-1].ttl}"]
    if climbed.control:
        evidence.append(_through(climbed) if passed else f"{_control_name(climbed)} is silent from there on, too")
    if passed and climbed.size:
        return Blame(
            place=None,
            layer=Layer.MTU,
            what=f"black hole for {climbed.size} bytes {_behind(climbed)}; small packets get through",
            evidence=tuple(evidence),
            remaining=(
                f"a link {_behind(climbed)} takes less than {climbed.size} bytes, and the ICMP error that says so"
                " is dropped on its way, or never sent",
                "a rule that drops large packets there, or their answers, which are as large, on the way back",
            ),
            excluded=(_has_route(climbed),),
        )
    is_other = climbed.control_protocol not in (None, climbed.protocol)
    for_port = "" if not passed else f" for {climbed.protocol}" if is_other else " for this port"
    far = "further" if server is None else "through"
    here = "what this vantage sends" if last is None else f"what {_name(last)} forwards"
    remaining = [f"a rule{for_port} that drops {here} (" + ("output)" if last is None else "forward, output)")]
    if not (is_server and innocent):
        unless = ", unless that is the server" if innocent else ""
        remaining.append(f"a rule{for_port} that drops what {next_hop} takes in (prerouting, input){unless}")
    if not there:
        remaining.append(f"a rule{for_port} that drops the answer on its way back")
    excluded = (_has_route(climbed),) if passed else ()
    if not passed:
        back = "or has no route on" if there else "has no route on, or none back"
        remaining.append(f"{next_hop} is down or not there, {back}")
    return Blame(
        place=None,
        layer=Layer.PATH,
        what=f"silent {_behind(climbed)}" + (f", where {_control_name(climbed)} gets {far}" if passed else ""),
        evidence=tuple(evidence),
        remaining=tuple(remaining),
        excluded=excluded,
    )


def _has_route(climbed: Climbed) -> Excluded:
    """What a control rules out that got further: all of it if it came to the server, else only the next step."""
    what = "no route on from there" if _server(climbed) is None else "no route, no host or no way back"
    return Excluded(what, _through(climbed))


def _loop(climbed: Climbed) -> Blame | None:
    """Routers that answer again and again, each further from us than before."""
    seen = Counter(rung.router for rung in climbed.rungs if rung.is_hop and rung.router is not None)
    again = [router for router, times in seen.items() if times >= LOOP]
    if not again:
        return None
    return Blame(
        place=again[0],
        layer=Layer.ROUTE,
        what=f"a routing loop through {', '.join(again)}",
        evidence=(f"{_asked(climbed)}: {_hops(climbed.rungs).rstrip(', ')}",),
        certain=True,
    )


def _last_router(climbed: Climbed) -> Rung | None:
    """The highest rung that a router answered because its time to live ran out."""
    return next((rung for rung in reversed(climbed.rungs) if rung.is_hop), None)


def _server(climbed: Climbed) -> Rung | None:
    """The rung of the control at which the server answered: itself, or with an ICMP error of its own."""
    return next(
        (
            rung
            for rung in climbed.control
            if rung.came in (Came.ANSWER, Came.RST) or (rung.is_end and _is_destination(climbed, rung.router))
        ),
        None,
    )


def _is_destination(climbed: Climbed, router: str | None) -> bool:
    return router is not None and _plain(router) == _plain(climbed.address)


def _plain(address: str) -> str:
    """One spelling for each; an IPv4-mapped address is the IPv4 one (RFC 4291 section 2.5.5.2)."""
    ip = ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return str(mapped or ip)


def _icmp(rung: Rung) -> Icmp:
    icmp = None if rung.icmp is None else Icmp.from_queue(rung.icmp)
    assert icmp is not None  # a rung that is an end and neither an answer nor a reset
    return icmp


# Words.


def _name(rung: Rung) -> str:
    return f"{rung.router} (hop {rung.ttl})"


def _behind(climbed: Climbed) -> str:
    last = _last_router(climbed)
    return "from the first hop on" if last is None else f"behind {_name(last)}"


def _of_the_last(climbed: Climbed, before: str = " of ") -> str:
    last = _last_router(climbed)
    return "" if last is None else f"{before}{_name(last)}"


def _asked(climbed: Climbed) -> str:
    """What was sent: ``tcp port 80``."""
    sized = f", {climbed.size} bytes" if climbed.size else ""
    return f"{climbed.protocol} port {climbed.port}{sized}"


def _control_name(climbed: Climbed) -> str:
    protocol = climbed.control_protocol or climbed.protocol
    port = climbed.control_port or climbed.port
    if climbed.size:
        return f"a small packet to {protocol} port {port}"
    return f"{protocol} port {port}"


def _through(climbed: Climbed) -> str:
    """The furthest that came of the control."""
    furthest = next((rung for rung in reversed(climbed.control) if rung.came is not Came.SILENCE), None)
    if furthest is None:
        return f"{_control_name(climbed)} is silent"
    if furthest.is_hop:
        return f"{_control_name(climbed)} gets as far as {_name(furthest)}"
    if furthest.came is Came.ICMP:
        return f"{_control_name(climbed)} is answered with '{_icmp(furthest).name}' by {_name(furthest)}"
    word = "reset" if furthest.came is Came.RST else "answered"
    return f"{_control_name(climbed)} is {word} at hop {furthest.ttl}"


def _hops(rungs: tuple[Rung, ...]) -> str:
    return "".join(f"hop {rung.ttl} {rung.router}, " for rung in rungs if rung.is_hop)
