"""Why a cell differs from its expectation: the likeliest causes, each backed by what was seen. Pure.

Nothing is stated as a fact that was not observed: silence has many causes, and they are listed as such. What the
responder saw narrows them down most (a probe that arrived was not dropped on the forward path), so that comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from netprobe.outcome.evidence import PROHIBITED
from netprobe.outcome.failures import FOREIGN_REPLY, Outcome
from netprobe.reach.facts import HostFacts
from netprobe.reach.messages import Answer
from netprobe.reach.predict import Prediction, Situation
from netprobe.reach.proof import OTHER_LISTENER, UNPROVEN
from netprobe.verdicts import Verdict

__all__ = ["NEVER_ARRIVED", "Context", "changes", "difference"]

NEVER_ARRIVED: Final = "the question never arrived at the listener"
"""What begins the explanation of a silence of which the responder saw nothing; after a colon, what that leaves."""
_WILDCARDS = ("0.0.0.0", "::")
_LISTENERS_OF_THIS_RUN = (OTHER_LISTENER, "corrupt")  # a wrong responder that is no other service: the cause says all


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about a cell besides its two verdicts.

    ``answer`` is the prober's (None: nothing was probed), ``arrived_from`` the source address that the responder saw.
    ``changes`` happened on the responder's host during the run, in which ``vantages`` took part.
    """

    answer: Answer | None = None
    arrived_from: str | None = None
    changes: tuple[str, ...] = ()
    vantages: int = 1

    @property
    def stage(self) -> str | None:
        """The last stage that the probe began."""
        return None if self.answer is None else self.answer.stage

    @property
    def offender(self) -> str | None:
        """Who sent the ICMP error."""
        return None if self.answer is None or self.answer.icmp is None else self.answer.icmp.offender


def difference(situation: Situation, expected: Prediction, observed: Outcome, context: Context) -> str:
    """One or two sentences about a cell whose observed verdict is not the expected one."""
    if observed.row == UNPROVEN:
        return "what both sides tell of a connection must agree before it counts"
    has_cause = observed.row in (*_LISTENERS_OF_THIS_RUN, FOREIGN_REPLY)
    explain = None if has_cause else _EXPLANATIONS.get(observed.verdict)
    explained = "" if explain is None else explain(situation, expected, context)
    return "; ".join(part for part in (*context.changes, explained) if part) or (observed.cause or "")


def changes(situation: Situation, expected: Prediction, now: HostFacts) -> tuple[str, ...]:
    """What changed on the listener's host since the listeners were opened, as far as it touches the cell."""
    host, bind = situation.host, situation.listener.bind
    found = []
    for ip in dict.fromkeys((expected.effective, bind.mapped or bind.ip)):
        if ip is None:
            continue
        if host.has(ip) and not now.has(ip):
            found.append(f"{ip} vanished from this host during the run")
        holder = host.holder(ip)
        before, after = (facts.link(holder.interface if holder else None) for facts in (host, now))
        if before is not None and before.up and (after is None or not after.up):
            found.append(f"{before.name} went down during the run")
    return tuple(dict.fromkeys(found))


def _silent(situation: Situation, expected: Prediction, context: Context) -> str:
    """Expected an answer, or at least a refusal, and got silence."""
    if expected.verdict == Verdict.REFUSED:
        return _silent_instead_of_refused(situation, context)
    if context.stage == "payload":
        if context.answer is not None and context.answer.result != "timeout":
            return ""  # the connection ended or was reset, which says nothing of the size of packets
        return "small packets passed; a smaller MTU on the path, whose ICMP errors are lost, looks like this"
    if context.arrived_from is not None:
        arrived = (
            f"the probe arrived (from {context.arrived_from}) and was answered; the answer was lost on the way back"
        )
        return f"{arrived}: a firewall or another route in that direction"
    if context.changes:
        return ""
    if expected.own:
        return f"{NEVER_ARRIVED}; a packet to a host's own address does not leave the host, so it was dropped there"
    if situation.listener.protocol == "udp":
        return f"{NEVER_ARRIVED}: dropped by the vantage, on the path, or before the listener"
    if context.stage == "answer":
        return f"{NEVER_ARRIVED}, although something accepted the connection: a proxy, or a rule let only that pass"
    # A listener sees no connection whose SYN-ACK was lost (RFC 9293 section 3.5): the way back is as likely.
    return f"{NEVER_ARRIVED}: dropped by the vantage, on the path there or back, or by the listener's host"


def _silent_instead_of_refused(situation: Situation, context: Context) -> str:
    """Expected a refusal, got silence."""
    if context.answer is not None and context.answer.limited:
        return "the host rate-limits its ICMP errors; a longer --patience would settle it"
    dropped = "dropped instead of refused: a firewall at either end or on the path, or a lost answer"
    if situation.listener.protocol == "udp" and context.vantages > 1 and not situation.same_host:
        limit = f"likely the host's ICMP rate limit, if some of the {context.vantages} vantages share an address"
        return f"{limit}; or {dropped}"
    return dropped


def _refused(situation: Situation, expected: Prediction, context: Context) -> str:
    """Expected something else, got a reset or a closed port."""
    if context.changes:
        return ""
    if situation.listener.protocol == "udp":
        return "the port was reported closed although the listener is open: a firewall, or another host at that address"
    return "the listener is open: a firewall resets, or another host has that address"


def _is_prohibited(context: Context) -> bool:
    """Does the ICMP error say that it was forbidden?"""
    icmp = None if context.answer is None else context.answer.icmp
    return icmp is not None and (icmp.origin, icmp.type, icmp.code) in PROHIBITED


def _rejected(situation: Situation, expected: Prediction, context: Context) -> str:
    """Got an ICMP error."""
    if context.offender is not None:
        rule = f"a firewall rule at {context.offender}"
        # A route of type prohibit sends the very error of a rule (ip-route(8)).
        return f"{rule}, or a route of type prohibit there" if _is_prohibited(context) else rule
    if situation.listener.protocol == "tcp" and context.stage in ("answer", "payload"):
        return "a firewall on the path or at either end, after the handshake"
    return "the vantage's own firewall"


def _unreachable(situation: Situation, expected: Prediction, context: Context) -> str:
    """There is no route, or no neighbour."""
    if context.offender is not None:
        return f"look at the routes of {context.offender}"
    return "" if context.changes else "look at the routes of the vantage"


def _wrong_responder(situation: Situation, expected: Prediction, context: Context) -> str:
    """Something other than the listener answered."""
    port = situation.listener.port
    if expected.own and not situation.same_host:
        return f"something at the vantage itself listens on port {port}"
    where = (context.answer and context.answer.replied_from) or situation.destination
    return f"something else has port {port} at {where}: a port proxy, a redirect, or another service"


def _reached(situation: Situation, expected: Prediction, context: Context) -> str:
    """The listener proved itself although the rules say it cannot be reached there."""
    reached_at = None if context.answer is None else context.answer.local
    known = (situation.destination.text, str(expected.effective), *_WILDCARDS)  # a UDP wildcard sees itself
    if reached_at and reached_at not in known:
        return f"the listener was reached at {reached_at}: address translation on the path"
    return "the listener did answer: address translation on the path, or a rule that netprobe does not know"


def _not_bindable(situation: Situation, expected: Prediction, context: Context) -> str:
    """There was no listener to probe."""
    return "the listener could not be opened"


_EXPLANATIONS: dict[Verdict, Callable[[Situation, Prediction, Context], str]] = {
    Verdict.REACHABLE: _reached,
    Verdict.REFUSED: _refused,
    Verdict.REJECTED: _rejected,
    Verdict.UNREACHABLE: _unreachable,
    Verdict.NO_ANSWER: _silent,
    Verdict.WRONG_RESPONDER: _wrong_responder,
    Verdict.NOT_BINDABLE: _not_bindable,
}  # not-tested has its cause, and nothing to add
