"""Why a cell differs from its expectation, in words: what changed meanwhile, who is to blame, or who answered. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netprobe.outcome.blame import Blame
from netprobe.outcome.failures import FOREIGN_REPLY, Outcome
from netprobe.reach.facts import HostFacts
from netprobe.reach.messages import Answer
from netprobe.reach.predict import Prediction, Situation
from netprobe.reach.proof import OTHER_LISTENER, UNPROVEN
from netprobe.verdicts import Verdict

__all__ = ["Context", "changes", "difference"]

_WILDCARDS = ("0.0.0.0", "::")
_LISTENERS_OF_THIS_RUN = (OTHER_LISTENER, "corrupt")  # a wrong responder that is no other service: the cause says all


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about a cell besides its two verdicts.

    ``answer`` is the prober's (None: nothing was probed), ``blame`` who stopped the probe. ``changes`` happened on the
    responder's host during the run.
    """

    answer: Answer | None = None
    changes: tuple[str, ...] = ()
    blame: Blame | None = None


def difference(situation: Situation, expected: Prediction, observed: Outcome, context: Context) -> str:
    """One or two sentences about a cell whose observed verdict is not the expected one."""
    if observed.row == UNPROVEN:
        return "what both sides tell of a connection must agree before it counts"
    has_cause = observed.row in (*_LISTENERS_OF_THIS_RUN, FOREIGN_REPLY)
    explain = None if has_cause else _EXPLANATIONS.get(observed.verdict)
    explained = "" if explain is None else explain(situation, expected, context)
    if context.blame is not None and not has_cause:
        explained = "" if context.changes and not context.blame.certain else str(context.blame)
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
    Verdict.WRONG_RESPONDER: _wrong_responder,
    Verdict.NOT_BINDABLE: _not_bindable,
}  # of a probe that failed the blame says all; not-tested has its cause, and nothing to add
