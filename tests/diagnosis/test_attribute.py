"""Who is to blame, by what was seen: each step of a packet's life, and what must not be claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netprobe.diagnosis.attribute import HALF_OPEN, RouteBack, Seen, StrictFilter, blame_for
from netprobe.diagnosis.ladder import Climbed
from netprobe.diagnosis.legacy_counters import Legacy, Moved
from netprobe.diagnosis.trace import Trace
from netprobe.kernel.error_queue import QueuedError
from netprobe.kernel.net_counters import Counters
from netprobe.outcome.blame import Blame, Excluded, Layer
from netprobe.outcome.rung import Came, Rung
from netprobe.outcome.trace import TracedPacket, TraceRow
from netprobe.verdicts import Verdict

SILENT = Seen(
    verdict=Verdict.NO_ANSWER,
    expected=Verdict.REACHABLE,
    protocol="tcp",
    stage="connect",
    vantage="pc2",
    host="this host",
    source="10.0.0.2",
    destination="10.0.0.1",
    port=80,
    could_look=True,
    route_back=RouteBack(None, "eth0"),
)
MOVED = Counters({"TcpExtIPReversePathFilter": 2, "IpOutNoRoutes": 2, "TcpExtListenDrops": 2})


def blamed(**seen: Any) -> Blame:
    found = blame_for(replace(SILENT, **seen))
    assert found is not None
    return found


def icmp(kind: int, code: int, offender: str = "10.0.0.1", origin: str = "icmp") -> QueuedError:
    return QueuedError(errno="EHOSTUNREACH", number=113, origin=origin, type=kind, code=code, offender=offender)


def test_nothing_seen_is_nothing_claimed() -> None:
    found = blamed()
    assert (found.place, found.layer, found.what, found.certain) == (None, Layer.UNKNOWN, "never arrived", False)
    assert found.evidence == ("The question never reached the listener: this host has no connection of it.",)
    assert found.remaining == ("a rule at pc2, on the path, or on this host", "no route there", "packets lost")
    assert [each.what for each in found.excluded] == ["no route back", "the reverse path filter"]


def test_where_the_kernel_could_not_be_asked_it_is_not_quoted() -> None:
    found = blamed(could_look=False, route_back=None)
    assert found.evidence == ("The question never reached the listener.",)
    assert found.excluded == ()
    assert found.remaining == (
        "a rule at pc2, on the path there or back, or on this host", "no route there or back", "packets lost",
    )  # fmt: skip


def test_what_came_through_by_the_other_protocol_rules_the_routes_out() -> None:
    found = blamed(answered="udp", moved=MOVED, strict_filters=(StrictFilter("eth0", "eth1"),))
    assert found.what == "never arrived"
    assert found.remaining == ("a rule for tcp at pc2, on the path, or on this host", "packets lost")
    assert Excluded("the routes", "udp was answered") in found.excluded


def test_a_half_open_connection_has_arrived() -> None:
    found = blamed(connection=HALF_OPEN)
    assert (found.what, found.layer, found.certain) == ("the answer was lost on the way back", Layer.PATH, False)
    assert "SYN-RECV" in found.evidence[0]
    assert "never" not in str(found)


def test_a_connection_whose_answer_has_no_route() -> None:
    found = blamed(connection=HALF_OPEN, route_back=RouteBack("ENETUNREACH"))
    assert (found.place, found.layer, found.what) == ("this host", Layer.ROUTE, "no route back")


@pytest.mark.parametrize(("moved", "certain"), [(MOVED, True), (Counters(), False)])
def test_no_route_back_is_certain_once_the_kernel_has_counted_it(moved: Counters, certain: bool) -> None:
    found = blamed(route_back=RouteBack("ENETUNREACH"), moved=moved)
    assert (found.layer, found.certain, bool(found.remaining)) == (Layer.ROUTE, certain, not certain)


def test_a_reverse_path_filter_needs_both_the_count_and_the_setting() -> None:
    strict = (StrictFilter("eth1", "eth0"),)
    assert blamed(moved=MOVED, strict_filters=strict, route_back=None).layer == Layer.RP_FILTER
    assert blamed(moved=MOVED, strict_filters=strict, route_back=None).certain
    assert blamed(moved=MOVED, route_back=None).layer == Layer.UNKNOWN
    assert blamed(strict_filters=strict).layer == Layer.UNKNOWN
    two = blamed(moved=MOVED, strict_filters=(*strict, StrictFilter("eth2", "eth0")), route_back=None)
    assert not two.certain
    assert two.remaining == ("the filter of eth1", "the filter of eth2")


@pytest.mark.parametrize(
    ("error", "layer", "certain"),
    [
        ("ENETUNREACH", Layer.ROUTE, True),
        ("EPERM", Layer.UNKNOWN, False),
        ("ENOBUFS", Layer.QUEUE, True),
        ("EMSGSIZE", Layer.UNKNOWN, False),
    ],
)
def test_an_answer_that_was_not_sent(error: str, layer: Layer, certain: bool) -> None:
    found = blamed(protocol="udp", arrived_from="10.0.0.2", send_error=error)
    assert (found.place, found.layer, found.certain) == ("this host", layer, certain)
    assert any(error in text for text in found.sentences)
    assert "was answered" not in str(found)


def test_an_answer_that_was_sent_was_lost() -> None:
    found = blamed(protocol="udp", arrived_from="10.0.0.2")
    assert found.what == "the answer was lost on the way back"
    assert found.evidence == ("The question arrived, from 10.0.0.2, and was answered.",)


def test_a_handshake_that_took_most_of_the_time_is_a_slow_path() -> None:
    found = blamed(stage="answer", handshake_ms=800.0, timeout_s=1.0)
    assert found.what == "a slow path"
    assert blamed(stage="answer", handshake_ms=80.0, timeout_s=1.0).what == "accepted, then silence"
    for each in (found, blamed(stage="answer", handshake_ms=80.0)):
        assert "never" not in str(each)


def test_queues() -> None:
    assert blamed(queue_full=True, drops=3).layer == Layer.QUEUE
    assert blamed(protocol="udp", drops=3).layer == Layer.QUEUE
    assert not blamed(protocol="udp", drops=3).certain  # others' datagrams were in that buffer, too


def test_counts_alone_are_only_mentioned() -> None:
    found = blamed(moved=Counters({"IpInAddrErrors": 3}))
    assert found.what == "never arrived"
    assert "perhaps" in found.evidence[-1]


def test_a_reset_is_nobodys_until_somebody_is_seen() -> None:
    found = blamed(verdict=Verdict.REFUSED)
    assert (found.place, found.certain) == (None, False)
    assert Excluded("this host's own TCP", "it has sent no reset meanwhile (OutRsts)") in found.excluded
    assert not blamed(verdict=Verdict.REFUSED, moved=Counters({"TcpOutRsts": 1})).excluded


@pytest.mark.parametrize(
    ("error", "layer", "certain"),
    [
        (icmp(3, 13), Layer.UNKNOWN, False),
        (icmp(3, 0, "10.9.9.9"), Layer.ROUTE, True),
        (icmp(3, 1, "10.9.9.9"), Layer.NEIGHBOUR, False),
        (icmp(1, 1, "fd00::1", "icmp6"), Layer.UNKNOWN, False),
    ],
)
def test_an_icmp_error_is_of_who_sent_it(error: QueuedError, layer: Layer, certain: bool) -> None:
    found = blamed(verdict=Verdict.REJECTED, icmp=error)
    assert (found.place, found.layer, found.certain) == (error.offender, layer, certain)
    assert blamed(verdict=Verdict.REJECTED, icmp=error, offender_is_host=True).place == "this host"
    assert blamed(verdict=Verdict.REJECTED, icmp=error, offender_is_vantage=True).place == "pc2"


def test_a_closed_port_may_be_one_that_a_translation_leads_to() -> None:
    found = blamed(verdict=Verdict.REJECTED, icmp=icmp(3, 3), offender_is_host=True)
    assert (found.place, found.certain) == (None, False)
    assert any("translation" in cause for cause in found.remaining)


def test_without_an_error_of_somebody_else_it_is_the_vantage() -> None:
    assert blamed(verdict=Verdict.UNREACHABLE).place == "pc2"
    assert blamed(verdict=Verdict.REJECTED).place == "pc2"
    assert blamed(verdict=Verdict.REJECTED, stage="answer").place is None


def test_a_connection_that_ended_says_nothing_of_the_mtu() -> None:
    assert blamed(stage="payload", arrived_from="10.0.0.2").layer == Layer.MTU
    assert blamed(stage="payload", arrived_from="10.0.0.2", has_ended=True).layer == Layer.UNKNOWN


def test_what_the_own_interface_dropped_never_left() -> None:
    found = blamed(protocol="udp", stage="payload", errno="ENOBUFS", arrived_from="10.0.0.2", has_ended=True)
    assert (found.place, found.layer) == ("pc2", Layer.LINK)


def test_silence_instead_of_a_refusal() -> None:
    closed = {"expected": Verdict.REFUSED, "protocol": "udp"}
    assert blamed(**closed).what == "dropped instead of refused"
    assert blamed(**closed, limited=True).layer == Layer.ICMP_LIMIT
    assert not blamed(**closed, limited=True).certain
    assert "3 vantages" in blamed(**closed, vantages=3).remaining[0]


def test_what_answered_is_nobodys_fault() -> None:
    assert blame_for(replace(SILENT, verdict=Verdict.REACHABLE)) is None
    assert blame_for(replace(SILENT, verdict=Verdict.REFUSED, expected=Verdict.NO_ANSWER)) is None


MARKED = TraceRow("inet", "netprobe_1_1", "prerouting", "rule", "accept", 2, "prerouting", True)
STOP = TraceRow("inet", "f", "c", "rule", "drop", 4, "output", text="tcp dport 80 drop")
LEFT = TraceRow("inet", "netprobe_1_1", "late_postrouting", "policy", "accept", None, "postrouting", True)
PACKET = TracedPacket("question", "tcp", "10.0.0.2", 40000, "10.0.0.1", 80, rows=(MARKED,))


def way(*rows: TraceRow) -> TracedPacket:
    return replace(PACKET, rows=(MARKED, *rows))


def test_a_rule_is_named_where_it_is() -> None:
    found = blamed(trace=Trace(), elsewhere=(Trace(way(LEFT), place="pc2"), Trace(way(STOP), place="router")))
    assert (found.place, found.layer, found.text, found.certain) == ("router", Layer.NFTABLES, STOP.text, True)


def test_a_rule_that_others_of_the_same_probe_passed_later_is_not_certain() -> None:
    found = blamed(elsewhere=(Trace(way(STOP), place="pc2", passed_later=True),))
    assert (found.place, found.certain, len(found.remaining)) == ("pc2", False, 1)


def test_an_incomplete_trace_excludes_nothing() -> None:
    found = blamed(trace=Trace(incomplete=True))
    assert "the rules of this host" not in [each.what for each in found.excluded]
    assert "on this host" in found.remaining[0]


def test_iptables_legacy_is_only_blamed_by_a_counter_that_is_ours_alone() -> None:
    rule = Moved("iptables", "filter", "-A INPUT -p tcp -m tcp --dport 80 -j DROP", 2)
    found = blamed(trace=Trace(PACKET), legacy=Legacy((rule,), 2))
    assert (found.layer, found.text, found.certain) == (Layer.IPTABLES, rule.text, True)
    found = blamed(trace=Trace(PACKET), legacy=Legacy((rule,), 3))
    assert (found.certain, found.remaining[0]) == (False, f"iptables-legacy: {rule.text}")


SILENCE = tuple(Rung(ttl, Came.SILENCE) for ttl in range(1, 31))
LADDER = Climbed("10.0.0.1", 80, "tcp", SILENCE, control_port=80, control_protocol="udp", control=SILENCE)
LARGE = Climbed("10.0.0.1", 80, "udp", SILENCE, 1500, 80, "udp", SILENCE)


def test_a_ladder_says_nothing_of_another_port_or_of_packets_of_another_size() -> None:
    assert blamed(climbed=LADDER).what == "silent from the first hop on"
    assert blamed(climbed=replace(LADDER, port=81)) == blamed()
    assert blamed(climbed=LARGE) == blamed()
    assert blamed(climbed=LADDER, stage="payload") == blamed(stage="payload")
    refused = {"verdict": Verdict.REFUSED, "errno": "ECONNREFUSED"}
    assert blamed(climbed=replace(LADDER, port=81), **refused) == blamed(**refused)


def test_what_got_through_later_is_said_of_what_did() -> None:
    answered = (Rung(1, Came.ANSWER, None, 1.0),)
    found = blamed(climbed=replace(LADDER, rungs=answered), protocol="udp")
    assert found.evidence[-1] == "Once more after that, tcp port 80 was answered at hop 1."
    found = blamed(climbed=replace(LARGE, rungs=answered), stage="payload")
    assert found.evidence[-1] == "Once more after that, udp port 80 with 1500 bytes was answered at hop 1."


def test_the_answer_to_a_payload_may_be_what_is_lost() -> None:
    small = blamed(climbed=LADDER)
    assert not any("answer" in cause for cause in small.remaining)  # the listener's kernel has no connection of it
    assert any("answer" in cause for cause in blamed(climbed=LARGE, stage="payload").remaining)
