"""Differences are explained by what was seen; conclusions are one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.evidence import Evidence
from netprobe.outcome.failures import Outcome
from netprobe.reach.conclude import conclude
from netprobe.reach.explain import Context, difference
from netprobe.reach.host import facts_from_interfaces, host_facts
from netprobe.reach.predict import Prediction, Situation
from netprobe.reach.records import Address, Cell, HostAddress, HostFacts, Listening
from netprobe.verdicts import Verdict

HOST = HostFacts(addresses=(HostAddress(Address.parse("192.168.0.1"), 24, "e0"),))


def said(
    expected: Verdict,
    observed: Verdict,
    context: Context | None = None,
    protocol: str = "tcp",
    own: bool = False,
    same_host: bool = True,
) -> str:
    listener = Listening("t0", Address.parse("0.0.0.0"), "udp" if protocol == "udp" else "tcp", 4000)
    situation = Situation(listener, Address.parse("192.168.0.1"), HOST, HostFacts(), same_host=same_host)
    prediction = Prediction(expected, "so", effective=situation.destination.ip, own=own)
    return difference(situation, prediction, Outcome(observed, "cause", "row"), context or Context())


def test_a_probe_that_arrived_blames_the_path_back() -> None:
    assert "lost on the way back" in said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(arrived_from="192.168.0.2:5"))
    assert "never arrived" in said(Verdict.REACHABLE, Verdict.NO_ANSWER)
    assert "does not leave the host" in said(Verdict.REACHABLE, Verdict.NO_ANSWER, own=True)


def test_an_offender_is_named() -> None:
    seen = Context(Evidence("error", icmp=QueuedError("icmp", 3, 13, "192.168.0.254", "EHOSTUNREACH", 113)))
    for expected in (Verdict.REACHABLE, Verdict.REFUSED):
        assert "192.168.0.254" in said(expected, Verdict.REJECTED, seen)
    assert "192.168.0.254" in said(Verdict.REACHABLE, Verdict.UNREACHABLE, seen)
    assert "own firewall" in said(Verdict.REACHABLE, Verdict.REJECTED)


def test_what_changed_in_mid_run_comes_first() -> None:
    changed = ("192.168.0.1 vanished from this host in mid-run",)
    assert said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(changes=changed)) == changed[0]


def test_large_packets_that_vanish_are_a_matter_of_the_mtu() -> None:
    assert "MTU" in said(Verdict.REACHABLE, Verdict.NO_ANSWER, Context(Evidence("timeout", stage="payload")))


def test_a_translation_shows_in_the_address_that_the_listener_was_asked_at() -> None:
    assert "10.0.0.9" in said(Verdict.REFUSED, Verdict.REACHABLE, Context(asked_at="10.0.0.9"))
    assert "translation" in said(Verdict.REFUSED, Verdict.REACHABLE)


def test_a_service_of_the_vantage_itself() -> None:
    assert "vantage itself" in said(Verdict.REFUSED, Verdict.WRONG_RESPONDER, own=True, same_host=False)
    assert "192.0.2.9" in said(Verdict.REACHABLE, Verdict.WRONG_RESPONDER, Context(replied_from="192.0.2.9"))


@pytest.mark.parametrize("observed", Verdict)
@pytest.mark.parametrize("expected", Verdict)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_every_difference_has_words(expected: Verdict, observed: Verdict, protocol: str) -> None:
    assert said(expected, observed, protocol=protocol)


CELL = Cell(
    bind="0.0.0.0", port=41234, protocol="tcp", destination="127.0.0.1", vantage="local", expected=Verdict.REACHABLE,
    observed=Verdict.REACHABLE, because=None, cause=None, errno=None, source=None, replied_from=None, rtt_ms=1.0,
    differs=False, difference=None, icmp=None, observed_source=None, payload_bytes=None, rules=(),
)  # fmt: skip


def line(*cells: Cell) -> str:
    (conclusion,) = conclude(cells)
    return conclusion.text


def test_one_line_says_who_gets_in_where() -> None:
    nic = replace(CELL, destination="192.168.0.1")
    assert line(CELL, nic) == "0.0.0.0:41234 is open to local on 127.0.0.1 and 192.168.0.1"
    assert line(CELL, replace(CELL, vantage="pc2")) == "0.0.0.0:41234 is open to local and pc2 on 127.0.0.1"
    closed = replace(nic, vantage="pc2", observed=Verdict.REFUSED)
    assert line(CELL, closed) == "0.0.0.0:41234 is open to local on 127.0.0.1; closed to pc2"


def test_protocols_apart_where_they_differ() -> None:
    udp = replace(CELL, protocol="udp", port=5, observed=Verdict.NO_ANSWER, differs=True)
    text = line(CELL, udp)
    assert text.startswith("0.0.0.0 (tcp 41234, udp 5) is open to local, tcp on 127.0.0.1, udp nowhere")
    assert text.endswith("1 of 2 cells is not as expected")


def test_many_addresses_are_counted_and_wildcards_are_no_addresses() -> None:
    many = [replace(CELL, destination=f"10.0.0.{n}") for n in range(9)]
    assert "on 9 addresses" in line(*many, replace(CELL, destination="0.0.0.0"))


def test_what_could_not_be_bound_or_tested() -> None:
    assert "could not be bound: taken" in line(replace(CELL, observed=Verdict.NOT_BINDABLE, cause="taken"))
    assert "not tested from local" in line(replace(CELL, observed=Verdict.NOT_TESTED))


def test_the_interface_readers_see_the_addresses_that_the_prober_sees() -> None:
    facts = host_facts()
    again = facts_from_interfaces(replace(facts, links=(), addresses=()))
    assert set(again.addresses) == set(facts.addresses)
    assert {(x.name, x.loopback) for x in again.links} == {(x.name, x.loopback) for x in facts.links}
