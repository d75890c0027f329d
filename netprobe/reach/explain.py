"""Why a cell differs from its expectation: the likeliest causes, each named by what was seen. Pure.

Nothing here is stated as a fact that was not observed: silence has many causes, and they are listed as such.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.outcome.failures import Outcome
from netprobe.reach.messages import Answer
from netprobe.reach.predict import Prediction, Situation
from netprobe.reach.records import HostFacts
from netprobe.verdicts import Verdict

__all__ = ["Context", "changes", "difference"]


@dataclass(frozen=True, slots=True)
class Context:
    """What else is known of a cell: its answer, did its question arrive at the listener, what changed in mid-run."""

    answer: Answer | None = None
    arrived_from: str | None = None
    changes: tuple[str, ...] = ()
    asking: int = 1  # vantages of the run

    @property
    def stage(self) -> str | None:
        """How far the probe came."""
        return self.answer.stage if self.answer else None

    @property
    def offender(self) -> str | None:
        """Who sent the ICMP error."""
        return self.answer.icmp.offender if self.answer and self.answer.icmp else None


def changes(at: Situation, now: HostFacts) -> tuple[str, ...]:
    """What changed on the listener's host since the listeners were opened, as far as it touches the cell."""
    found = []
    for ip in dict.fromkeys((at.effective, at.listener.bind.mapped or at.listener.bind.ip)):
        if at.host.has(ip) and not now.has(ip):
            found.append(f"{ip} vanished from this host in mid-run")
        holder = at.host.holder(ip)
        before, after = (x.link(holder.interface if holder else None) for x in (at.host, now))
        if before is not None and before.up and (after is None or not after.up):
            found.append(f"{before.name} went down in mid-run")
    return tuple(dict.fromkeys(found))


def difference(at: Situation, expected: Prediction, observed: Outcome, context: Context) -> str:
    """One or two sentences about a cell whose observed verdict is not the expected one."""
    parts = list(context.changes)
    explained = EXPLANATIONS.get((expected.verdict, observed.verdict)) or EXPLANATIONS.get((None, observed.verdict))
    if explained is not None:
        parts.append(explained(at, context))
    return "; ".join(part for part in parts if part) or (observed.cause or "")


def silent(at: Situation, context: Context) -> str:
    """Expected an answer, heard nothing."""
    if context.stage == "payload":
        return "small packets pass and large ones do not: a smaller MTU on the way whose ICMP errors are lost"
    if context.arrived_from is not None:
        arrived = f"the question arrived (from {context.arrived_from}) and was answered"
        return f"{arrived}; the answer was lost on the way back: a firewall or another route in that direction"
    if context.changes:
        return ""
    if at.own:
        return "the question never arrived, and a packet to an own address does not leave the host: dropped here"
    return "the question never arrived: dropped by the vantage, on the way, or before the listener"


def refused_instead(at: Situation, context: Context) -> str:
    """Expected an answer, got a reset."""
    if context.changes:
        return ""
    if at.listener.protocol == "udp":
        return "the port was reported closed although the listener is open: a firewall, or another host at that address"
    return "the listener is open: a firewall resets, or another host has that address"


def rejected_instead(at: Situation, context: Context) -> str:
    """Expected an answer, got an ICMP error."""
    offender = context.offender
    if offender is None and at.listener.protocol == "tcp" and context.stage in ("answer", "payload"):
        return "a firewall on the way or at either end, after the handshake"
    if offender is None:
        return "the vantage's own firewall"
    return f"a firewall rule at {offender}"


def unreachable_instead(at: Situation, context: Context) -> str:
    """Expected an answer, there is no way."""
    if context.offender:
        return f"look at the routes of {context.offender}"
    return "" if context.changes else "look at the routes of the vantage"


def wrong_instead(at: Situation, context: Context) -> str:
    """Somebody else answered."""
    where = (context.answer.replied_from if context.answer else None) or at.destination
    if at.own and not at.same_host:
        return f"something at the vantage itself listens on port {at.listener.port}"
    return f"something else has port {at.listener.port} at {where}: a port proxy, a redirect, or another service"


def reached_instead(at: Situation, context: Context) -> str:
    """The listener proved itself although the rules say that it cannot be reached there."""
    local = context.answer.local if context.answer else None
    if local and local not in (at.destination.text, str(at.effective), "0.0.0.0", "::"):  # a UDP wildcard sees itself
        return f"the listener was asked at {local}: an address translation on the way"
    return "the listener did answer: an address translation on the way, or a rule that netprobe does not know"


def silent_instead_of_refused(at: Situation, context: Context) -> str:
    """Expected a refusal, heard nothing."""
    if context.answer and context.answer.limited:
        return "the host limits its ICMP errors; more --patience would tell"
    dropped = "dropped instead of refused: a firewall at either end or on the way, or a lost answer"
    if at.listener.protocol == "udp" and context.asking > 1 and not at.same_host:
        limit = f"likely the host's limit of ICMP errors, if some of the {context.asking} vantages share an address"
        return f"{limit}; or {dropped}"
    return dropped


def rejected_instead_of_refused(at: Situation, context: Context) -> str:
    """Expected a reset, got an ICMP error."""
    return rejected_instead(at, context)


def not_bindable_instead(at: Situation, context: Context) -> str:
    """The listener could not be opened."""
    return "the listener could not be opened"


def not_tested(at: Situation, context: Context) -> str:
    """Nothing was asked."""
    return ""


EXPLANATIONS = {
    (Verdict.REACHABLE, Verdict.NO_ANSWER): silent,
    (Verdict.REACHABLE, Verdict.REFUSED): refused_instead,
    (Verdict.REFUSED, Verdict.NO_ANSWER): silent_instead_of_refused,
    (Verdict.REFUSED, Verdict.REJECTED): rejected_instead_of_refused,
    (None, Verdict.NO_ANSWER): silent,
    (None, Verdict.REFUSED): refused_instead,
    (None, Verdict.REJECTED): rejected_instead,
    (None, Verdict.UNREACHABLE): unreachable_instead,
    (None, Verdict.WRONG_RESPONDER): wrong_instead,
    (None, Verdict.REACHABLE): reached_instead,
    (None, Verdict.NOT_BINDABLE): not_bindable_instead,
    (None, Verdict.NOT_TESTED): not_tested,
}
