"""Whether a proof is the proof of its cell: ``reachable`` takes both sides.

A vantage knows the nonce, since it asks with it, so it could write any reply itself, or show one of an earlier run, of
another cell, or of another vantage. What it cannot write is the listening side's receipt, which is over all that was
seen there: the challenge, the listener, from which address and port the probe came, and to which it went. And what it
cannot choose is its challenge: it begins as this side said for that cell. So a proof is believed when its challenge is
the cell's own, and the receipt is that of everything else the reply says. Then the two sides speak of one connection.

What may differ is the prober's own address (``source``) from the one that the listener saw (``observed``): an address
translation in between is no lie, and both are reported. Over UDP, the address that answered may be another than the one
that was asked, but only one that the listener can have answered from: its own, or any of this host for a wildcard.

A manual run has no second side to ask (it is a process on another host): its proof is the reply with the nonce alone.
The listening side prints whom it saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.endpoints import format_endpoint
from netprobe.outcome.failures import Outcome
from netprobe.prober import wire
from netprobe.reach.facts import HostFacts
from netprobe.reach.listener import Listener
from netprobe.reach.messages import Answer
from netprobe.reach.plan import Question
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.visitors import Arrival
from netprobe.verdicts import Verdict

__all__ = ["OTHER_LISTENER", "UNPROVEN", "Sighting", "challenge_of", "is_translated", "remark", "weigh"]

# Rows of outcomes, as those of the table of failures: the two sides tell differently; they agree on another listener.
UNPROVEN: Final = "unproven"
OTHER_LISTENER: Final = "other-listener"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What this side knows of an answer: ``is_receipt``: it gave the receipt, for all that the answer says.

    ``challenge`` is the beginning that was given for the cell's challenges, ``arrival`` who came with the answer's.
    """

    challenge: str
    is_receipt: bool
    arrival: Arrival | None = None


def challenge_of(secret: str, question: int) -> str:
    """The beginning of the challenges of a question, which nobody without ``secret`` knows beforehand."""
    return wire.proof(secret, "challenge", question)


def weigh(
    question: Question,
    answer: Answer,
    outcome: Outcome,
    listeners: Sequence[Listener],
    seen: Sighting,
    host: HostFacts,
) -> Outcome:
    """``outcome`` of an answer that names a listener: if the listening side knows of it, and if it is the right one."""
    is_own = (answer.challenge or "").startswith(seen.challenge)
    if not (is_own and seen.is_receipt):
        return Outcome(Verdict.WRONG_RESPONDER, _both_views(answer, listeners, seen, is_own), UNPROVEN)
    if answer.listener != question.listener.id:
        who = _bind_of(answer.listener, listeners) or "?"
        cause = f"another listener of this run answered: the one on {who}"
        return Outcome(Verdict.WRONG_RESPONDER, cause, OTHER_LISTENER)
    unusual = remark(question.destination, answer)
    if unusual is not None and not _can_answer_from(question.listener.bind, answer.replied_from, host):
        says = f"the vantage says that it was answered from {answer.replied_from}"
        cause = f"{says}; the listener on {question.listener.bind} does not answer from there"
        return Outcome(Verdict.WRONG_RESPONDER, cause, UNPROVEN)
    if unusual is None or outcome.verdict != Verdict.REACHABLE:
        return outcome
    return Outcome(outcome.verdict, unusual, "answered-from-elsewhere", outcome.icmp)


def remark(asked: ScopedAddress, answer: Answer) -> str | None:
    """What is unusual about a proof: it came from another address than the one that was asked (UDP)."""
    if answer.replied_from is None or (asked.mapped or asked.ip).is_unspecified:
        return None
    replied = ScopedAddress.parse(answer.replied_from)
    if (asked.mapped or asked.ip) == (replied.mapped or replied.ip):
        return None
    return f"answered from {answer.replied_from}, not from {asked.text}: a connected client would see silence"


def _can_answer_from(bind: ScopedAddress, replied_from: str | None, host: HostFacts) -> bool:
    """May a datagram of the listener have that source? The kernel picks one for a wildcard or a group (ip(7))."""
    if replied_from is None:
        return False
    replied = ScopedAddress.parse(replied_from)
    ip = replied.mapped or replied.ip
    if bind.is_wildcard or bind.is_group or bind.text in host.broadcasts:
        return host.has(ip)
    return ip == (bind.mapped or bind.ip)


def is_translated(answer: Answer) -> bool:
    """Does the listener see another address than the prober has? Zones and IPv4-mapped spellings are none of it."""
    if answer.source is None or answer.observed is None:
        return False
    own, observed = ScopedAddress.parse(answer.source), ScopedAddress.parse(answer.observed)
    return (own.mapped or own.ip) != (observed.mapped or observed.ip)


def _both_views(answer: Answer, listeners: Sequence[Listener], seen: Sighting, is_own: bool) -> str:
    """What the vantage says, and what this side knows of it."""
    listener = _bind_of(answer.listener, listeners)
    who = "an unknown listener" if listener is None else f"the listener on {listener}"
    claim = (
        f"the vantage says that {who} saw it come from {format_endpoint(answer.observed or '?', answer.observed_port)}"
    )
    arrival = seen.arrival
    if arrival is None:
        return f"{claim}; no listener of this run saw that probe"
    where = _bind_of(arrival.listener, listeners) or "?"
    peer = format_endpoint(arrival.peer, arrival.peer_port)
    known = f"the listener on {where} ({arrival.protocol}) saw that probe come from {peer} to {arrival.local}"
    rest = "the receipt for that is not shown" if is_own else "it is not this cell's"
    return f"{claim}; {known}, and {rest}"


def _bind_of(listener: str | None, listeners: Sequence[Listener]) -> str | None:
    return next((str(x.bind) for x in listeners if x.id == listener), None)
