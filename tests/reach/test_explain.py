"""Differences are explained by what was seen, and by nothing else."""

from __future__ import annotations

import pytest

from netprobe.kernel.error_queue import QueuedError
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


def test_a_probe_that_arrived_blames_the_path_back() -> None:
    assert "lost on the way back" in said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(arrived_from="192.168.0.2:5"))
    assert "never arrived" in said(Verdict.REACHABLE, Verdict.NO_ANSWER)
    assert "does not leave the host" in said(Verdict.REACHABLE, Verdict.NO_ANSWER, own=True)


def test_a_handshake_that_did_not_end_may_have_lost_its_way_back() -> None:
    asked = Context(Answer(0, "timeout", "connect"))
    assert "there or back" in said(Verdict.REACHABLE, Verdict.NO_ANSWER, asked)
    assert "back" not in said(Verdict.REACHABLE, Verdict.NO_ANSWER, asked, protocol="udp")
    accepted = said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(Answer(0, "timeout", "answer")))
    assert "something accepted the connection" in accepted
    assert "dropped" not in accepted


def test_a_connection_that_ended_says_nothing_of_the_mtu() -> None:
    for result in ("closed", "error"):
        context = Context(Answer(0, result, "payload"), arrived_from="192.168.0.2:5")
        assert said(Verdict.REACHABLE, Verdict.NO_ANSWER, context) == "cause"


def test_a_payload_that_came_back_changed_is_no_other_service() -> None:
    context = Context(Answer(0, "corrupt", "payload"))
    assert said(Verdict.REACHABLE, Verdict.WRONG_RESPONDER, context, row="corrupt") == "cause"


def test_a_prohibited_packet_may_have_met_a_route_and_no_rule() -> None:
    for code, words in ((13, "or a route of type prohibit there"), (1, "a firewall rule at 192.168.0.254")):
        error = QueuedError("icmp", 3, code, "192.168.0.254", "EHOSTUNREACH", 113)
        text = said(Verdict.REACHABLE, Verdict.REJECTED, Context(Answer(0, "error", "connect", icmp=error)))
        assert text.endswith(words)


def test_an_offender_is_named() -> None:
    context = Context(
        Answer(0, "error", "connect", icmp=QueuedError("icmp", 3, 13, "192.168.0.254", "EHOSTUNREACH", 113))
    )
    for expected in (Verdict.REACHABLE, Verdict.REFUSED):
        assert "192.168.0.254" in said(expected, Verdict.REJECTED, context)
    assert "192.168.0.254" in said(Verdict.REACHABLE, Verdict.UNREACHABLE, context)
    assert "own firewall" in said(Verdict.REACHABLE, Verdict.REJECTED)


def test_what_changed_during_the_run_comes_first() -> None:
    changed = ("192.168.0.1 vanished from this host during the run",)
    assert said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(changes=changed)) == changed[0]


def test_large_packets_that_vanish_are_a_matter_of_the_mtu() -> None:
    assert "MTU" in said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(Answer(0, "timeout", "payload")))


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
