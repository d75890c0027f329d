"""Differences are explained by what was seen, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.outcome.blame import Blame, Layer
from netprobe.outcome.failures import FOREIGN_REPLY, Outcome
from netprobe.reach.explain import Context, difference
from netprobe.reach.facts import HostAddress, HostFacts
from netprobe.reach.listener import Listener
from netprobe.reach.messages import Answer
from netprobe.reach.predict import Prediction, Situation
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.verdicts import Verdict

HOST = HostFacts(addresses=(HostAddress(ScopedAddress.parse("192.168.0.1"), 24, "e0"),))


def said(
    expected: Verdict,
    observed: Verdict,
    context: Context | None = None,
    protocol: str = "tcp",
    own: bool = False,
    same_host: bool = True,
    row: str = "row",
) -> str:
    listener = Listener("t0", ScopedAddress.parse("0.0.0.0"), "udp" if protocol == "udp" else "tcp", 4000)
    situation = Situation(listener, ScopedAddress.parse("192.168.0.1"), HOST, HostFacts(), same_host=same_host)
    prediction = Prediction(expected, "so", effective=situation.destination.ip, own=own)
    return difference(situation, prediction, Outcome(observed, "cause", row), context or Context())


def test_what_replies_like_netprobe_is_not_called_another_service() -> None:
    context = Context(Answer(0, "foreign", "answer", replied_from="192.0.2.9"))
    assert said(Verdict.REACHABLE, Verdict.WRONG_RESPONDER, context, row=FOREIGN_REPLY) == "cause"


def test_a_payload_that_came_back_changed_is_no_other_service() -> None:
    context = Context(Answer(0, "corrupt", "payload"))
    assert said(Verdict.REACHABLE, Verdict.WRONG_RESPONDER, context, row="corrupt") == "cause"


def test_what_changed_during_the_run_comes_first() -> None:
    changed = ("192.168.0.1 vanished from this host during the run",)
    assert said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(changes=changed)) == changed[0]
    unsure = Blame(None, Layer.UNKNOWN, "never arrived", remaining=("a rule", "a route"))
    assert said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(changes=changed, blame=unsure)) == changed[0]
    sure = replace(unsure, what="no route back", certain=True, remaining=())
    assert said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(changes=changed, blame=sure)) == (
        f"{changed[0]}; no route back"
    )


def test_who_is_to_blame_is_said_in_full() -> None:
    blame = Blame("pc2", Layer.ROUTE, "no route there", evidence=("It says so.",), remaining=("one", "two"))
    said_of_it = said(Verdict.REACHABLE, Verdict.UNREACHABLE, Context(blame=blame))
    assert said_of_it == "no route there, on pc2: It says so. What remains: one, or two."


def test_a_translation_shows_in_the_address_that_the_listener_was_asked_at() -> None:
    assert "10.0.0.9" in said(
        Verdict.REFUSED, Verdict.REACHABLE, Context(Answer(0, "proof", "answer", local="10.0.0.9"))
    )
    assert "translation" in said(Verdict.REFUSED, Verdict.REACHABLE)


def test_a_service_of_the_vantage_itself() -> None:
    assert "vantage itself" in said(Verdict.REFUSED, Verdict.WRONG_RESPONDER, own=True, same_host=False)
    context = Context(Answer(0, "foreign", "answer", replied_from="192.0.2.9"))
    assert "192.0.2.9" in said(Verdict.REACHABLE, Verdict.WRONG_RESPONDER, context)


@pytest.mark.parametrize("observed", Verdict)
@pytest.mark.parametrize("expected", Verdict)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_every_difference_has_words(expected: Verdict, observed: Verdict, protocol: str) -> None:
    assert said(expected, observed, protocol=protocol)
