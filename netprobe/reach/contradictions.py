"""What no prober can say of a cell, however well formed each of its fields is: one table. Pure.

A vantage that says it is not wrong about the network but about itself (another program speaks there, or a liar), so the
first row that applies ends it, as a field out of range does. What only the responder can know, such as whether a proof
is one, is not here but in :mod:`netprobe.reach.proof`: there, being wrong is an observation.

The rows follow from ``netprobe/prober``; ``tests/reach/test_contradictions.py`` has an example of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from itertools import pairwise
from typing import Final

from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.rung import Came, Rung
from netprobe.prober.ladder import LADDER_S
from netprobe.prober.pacing import PACE_S
from netprobe.prober.sockets import can_have_seen
from netprobe.prober.udp import DATAGRAM_LIMIT
from netprobe.reach.messages import STAGES, Answer, CellRequest, Ladder, LadderRequest, Request
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["CONTRADICTIONS", "LADDER_CONTRADICTIONS", "contradiction", "ladder_contradiction"]

LATE_S: Final = 2.0  # a prober's timers may be this late, and its clock this fast, without being odd
ROUNDING_MS: Final = 1.0

Test = Callable[[Answer, CellRequest, Request], bool]
LadderTest = Callable[[Ladder, LadderRequest], bool]

# How far a probe has come (the last stage that it began) when it ends like that.
STAGES_OF: Final[Mapping[str, frozenset[str]]] = {
    "proof": frozenset({"answer", "payload"}),
    "timeout": frozenset({"connect", "answer", "payload"}),
    "closed": frozenset({"answer", "payload"}),
    "foreign": frozenset({"answer"}),
    "corrupt": frozenset({"payload"}),
    "self": frozenset({"connect", "answer"}),
    "error": STAGES,
}

# RFC 792: the messages that report an error. RFC 4443 section 2.1: those of ICMPv6 have types below 128.
ICMP_ERRORS: Final[Mapping[str, frozenset[int]]] = {
    "icmp": frozenset({3, 4, 5, 11, 12}),
    "icmp6": frozenset(range(128)),
}


def contradiction(answer: Answer, cell: CellRequest, request: Request, since_asked_s: float) -> str | None:
    """What is wrong with ``answer`` to ``cell``, in words without its values; None if nothing is.

    ``since_asked_s`` is how long ago the request was sent, by the clock here. A clock that stood still meanwhile (a
    suspended laptop) is no reason to doubt a vantage that stayed within what it was asked for.
    """
    allowed_s = 2 * request.timeout + request.patience + PACE_S
    if answer.elapsed_ms > 1000 * (max(since_asked_s, allowed_s) + LATE_S):
        return "elapsed_ms is longer than it can have taken"
    return next((what for what, is_so in CONTRADICTIONS if is_so(answer, cell, request)), None)


def _lacks_a_part_of_the_reply(answer: Answer, cell: CellRequest, request: Request) -> bool:
    """A reply is one line: all of it is known, or nothing."""
    parts = (answer.observed, answer.observed_port, answer.local, answer.rtt_ms, answer.challenge, answer.replied_from)
    return answer.names_a_listener and None in parts


def _has_a_part_of_no_reply(answer: Answer, cell: CellRequest, request: Request) -> bool:
    parts = (answer.observed, answer.observed_port, answer.local, answer.rtt_ms, answer.receipt)
    return not answer.names_a_listener and any(part is not None for part in parts)


def _has_another_payload(answer: Answer, cell: CellRequest, request: Request) -> bool:
    """The size is what was asked for; a datagram is cut (--payload in netprobe-bindtest(1))."""
    sizes = (answer.payload_size, answer.payload_sent, answer.payload_received)
    if answer.stage != "payload":
        return sizes != (None, None, None)
    wanted = request.payload_size if cell.protocol == "tcp" else min(request.payload_size, DATAGRAM_LIMIT)
    return answer.payload_size != wanted or None in sizes


def _sent_more_than_all(answer: Answer, cell: CellRequest, request: Request) -> bool:
    """Only what was changed on its way can come back longer than it was sent."""
    size = answer.payload_size or 0
    return (answer.payload_sent or 0) > size or ((answer.payload_received or 0) > size and answer.result != "corrupt")


def _is_another_family(answer: Answer, cell: CellRequest, request: Request) -> bool:
    """A socket has addresses of its own family only; an IPv4-mapped one is of IPv6."""
    six = ":" in cell.address
    return any((":" in address) != six for address in (answer.source, answer.replied_from) if address is not None)


def _was_seen_in_another_family(answer: Answer, cell: CellRequest, request: Request) -> bool:
    """A listener's reply that says so is none to a prober, whoever has signed it."""
    return answer.observed is not None and not can_have_seen(cell.address, answer.observed, answer.local or "-")


def _connected_elsewhere(answer: Answer, cell: CellRequest, request: Request) -> bool:
    """A TCP connection's peer is the one that was asked (getpeername(2)), unless a wildcard was."""
    if cell.protocol != "tcp" or answer.replied_from is None:
        return False
    asked, peer = ScopedAddress.parse(cell.address), ScopedAddress.parse(answer.replied_from)
    return not (asked.mapped or asked.ip).is_unspecified and asked.ip != peer.ip


def _is_no_icmp_error(answer: Answer, cell: CellRequest, request: Request) -> bool:
    return _is_no_error_of(cell.address, answer.icmp)


def _is_no_error_of(address: str, icmp: QueuedError | None) -> bool:
    """Its type is that of an error, and it is of the destination's family."""
    if icmp is None or not icmp.is_icmp:
        return False
    asked = ScopedAddress.parse(address)
    family = "icmp" if asked.version == 4 or asked.mapped else "icmp6"
    return icmp.origin != family or icmp.type not in ICMP_ERRORS[icmp.origin]


def _is_offended_by_another_family(answer: Answer, cell: CellRequest, request: Request) -> bool:
    return _has_an_offender_of_another_family(answer.icmp)


def _has_an_offender_of_another_family(icmp: QueuedError | None) -> bool:
    """On an IPv6 socket, the sender of an ICMP error of IPv4 is a mapped address (ipv6(7))."""
    if icmp is None or icmp.offender is None or not icmp.is_icmp:
        return False
    offender = ip_address(icmp.offender)
    mapped = offender.version == 6 and offender.ipv4_mapped is not None
    return (offender.version == 4 or mapped) != (icmp.origin == "icmp")


CONTRADICTIONS: Final[tuple[tuple[str, Test], ...]] = (
    ("stage is none in which that result comes", lambda a, c, r: a.stage not in STAGES_OF[a.result]),
    ("an error has neither errno nor words", lambda a, c, r: a.result == "error" and not (a.errno or a.error)),
    ("errno belongs to an error only", lambda a, c, r: a.result != "error" and bool(a.errno or a.error)),
    ("limited belongs to a time-out only", lambda a, c, r: a.limited and a.result != "timeout"),
    ("nobody limits what is not limited", lambda a, c, r: a.limited_by is not None and not a.limited),
    ("a datagram is not closed", lambda a, c, r: a.result == "closed" and c.protocol == "udp"),
    ("connect_ms belongs to TCP only", lambda a, c, r: a.connect_ms is not None and c.protocol == "udp"),
    ("connect_ms is longer than all of it", lambda a, c, r: (a.connect_ms or 0.0) > a.elapsed_ms + ROUNDING_MS),
    ("rtt_ms is longer than all of it", lambda a, c, r: (a.rtt_ms or 0.0) > a.elapsed_ms + ROUNDING_MS),
    (
        "listener belongs to a proof or a payload",
        lambda a, c, r: a.names_a_listener != (a.result == "proof" or a.stage == "payload"),
    ),
    ("listener comes with the whole reply", _lacks_a_part_of_the_reply),
    ("the reply is not without its listener", _has_a_part_of_no_reply),
    (
        "the payload was asked for, and is not there",
        lambda a, c, r: a.result == "proof" and (a.stage == "payload") != (r.payload_size > 0),
    ),
    ("payload_size is not what was asked for", _has_another_payload),
    ("payload_received is more than there was", _sent_more_than_all),
    (
        "a proof comes with all of its payload",
        lambda a, c, r: a.result == "proof" and a.payload_received != a.payload_size,
    ),
    ("source or replied_from is of another family", _is_another_family),
    ("observed is of another family", _was_seen_in_another_family),
    ("replied_from is not where it was connected to", _connected_elsewhere),
    ("icmp is not an error of that family", _is_no_icmp_error),
    ("icmp has an offender of another family", _is_offended_by_another_family),
)


def ladder_contradiction(ladder: Ladder, asked: LadderRequest, since_asked_s: float) -> str | None:
    """The same for a ladder: it is timed by its own start, and starts when the cells are done."""
    if ladder.elapsed_ms > 1000 * (max(since_asked_s, LADDER_S) + LATE_S):
        return "elapsed_ms is longer than it can have taken"
    return next((what for what, is_so in LADDER_CONTRADICTIONS if is_so(ladder, asked)), None)


def _of_any_rung(test: Callable[[Rung], bool]) -> LadderTest:
    return lambda ladder, asked: any(map(test, ladder.every_rung))


def _goes_on_beyond_its_end(ladder: Ladder, asked: LadderRequest) -> bool:
    return any(rung.is_end for rung in (*ladder.rungs[:-1], *ladder.control[:-1]))


def _has_a_reset_datagram(ladder: Ladder, asked: LadderRequest) -> bool:
    both = ((asked.protocol, ladder.rungs), (asked.control[0], ladder.control))
    return any(rung.came is Came.RST and protocol == "udp" for protocol, rungs in both for rung in rungs)


def _has_another_size(ladder: Ladder, asked: LadderRequest) -> bool:
    """A ladder that could not be sent tells none."""
    if ladder.size is None:
        return asked.size is not None and bool(ladder.rungs)
    return asked.size is None or ladder.size > asked.size


LADDER_CONTRADICTIONS: Final[tuple[tuple[str, LadderTest], ...]] = (
    ("there are neither rungs nor an errno", lambda ladder, asked: not ladder.rungs and ladder.errno is None),
    (
        "the lowest rung is missing",
        lambda ladder, asked: any(rung.ttl != number for number, rung in enumerate(ladder.rungs, 1)),
    ),
    (
        "a rung of the control is missing",
        lambda ladder, asked: any(above.ttl != rung.ttl + 1 for rung, above in pairwise(ladder.control)),
    ),
    ("it goes on beyond its end", _goes_on_beyond_its_end),
    (
        "no control was asked for",
        lambda ladder, asked: bool(ladder.control) and not asked.has_control,
    ),
    ("size is not what was asked for", _has_another_size),
    ("icmp belongs to an ICMP error only", _of_any_rung(lambda r: (r.came is Came.ICMP) != (r.icmp is not None))),
    ("icmp is this host's own error", _of_any_rung(lambda r: r.icmp is not None and not r.icmp.is_icmp)),
    ("a rung has no sender", _of_any_rung(lambda r: r.icmp is not None and r.icmp.offender is None)),
    ("silence has no rtt_ms", _of_any_rung(lambda r: (r.came is Came.SILENCE) != (r.rtt_ms is None))),
    ("mtu belongs to a packet that was too big", _of_any_rung(lambda r: r.mtu is not None and not r.is_too_big)),
    ("a datagram is not reset", _has_a_reset_datagram),
    (
        "rtt_ms is longer than all of it",
        lambda ladder, asked: any((rung.rtt_ms or 0.0) > ladder.elapsed_ms + ROUNDING_MS for rung in ladder.every_rung),
    ),
    (
        "icmp is not an error of that family",
        lambda ladder, asked: any(_is_no_error_of(asked.address, rung.icmp) for rung in ladder.every_rung),
    ),
    (
        "icmp has an offender of another family",
        _of_any_rung(lambda r: _has_an_offender_of_another_family(r.icmp)),
    ),
)
