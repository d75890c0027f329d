"""Of all packets that were traced at a place those of one question, and which of them speaks for it."""

from __future__ import annotations

from dataclasses import replace

from netprobe.diagnosis.trace import trace_of
from netprobe.outcome.trace import End, Mark, TracedPacket, TraceRow

MARKED = TraceRow("inet", "netprobe_1_1", "prerouting", "rule", "accept", 2, "prerouting", True)
DROP = TraceRow("inet", "f", "input", "rule", "drop", 14, "input")
PASSED = TraceRow("inet", "netprobe_1_1", "late_input", "policy", "accept", None, "input", True)
LEFT = TraceRow("inet", "netprobe_1_1", "late_postrouting", "policy", "accept", None, "postrouting", True)
QUESTION = TracedPacket("question", "tcp", "10.0.0.2", 40000, "10.0.0.1", 80, "eth0", rows=(MARKED,))
ANSWER = TracedPacket("answer", "tcp", "10.0.0.1", 80, "10.0.0.2", 40000, rows=(MARKED,))
ASKED = Mark("tcp", "10.0.0.2", 40000, "10.0.0.1", 80)


def ended(packet: TracedPacket, *rows: TraceRow) -> TracedPacket:
    return replace(packet, rows=(MARKED, *rows))


def test_where_a_way_ended() -> None:
    assert ended(QUESTION, DROP).end is End.STOPPED
    assert ended(QUESTION, PASSED).end is End.SOCKET
    assert ended(ANSWER, LEFT).end is End.LEFT
    assert QUESTION.end is End.BETWEEN
    assert replace(QUESTION, rows=(replace(MARKED, family="netdev", chain="ingress"),)).end is End.BEFORE_IP


def test_a_bridge_hands_a_frame_on_and_its_input_is_not_a_socket() -> None:
    bridge = [replace(row, family="bridge") for row in (PASSED, LEFT)]
    assert ended(QUESTION, bridge[0]).end is End.BETWEEN
    assert ended(QUESTION, bridge[1]).end is End.LEFT


def test_the_packet_that_was_stopped_speaks() -> None:
    trace = trace_of([ended(QUESTION, PASSED), ended(QUESTION, DROP)], ASKED, "pc2")
    assert (trace.place, trace.rule, trace.passed_later) == ("pc2", DROP, False)


def test_one_that_passed_later_takes_the_certainty_away() -> None:
    assert trace_of([ended(QUESTION, DROP), ended(QUESTION, PASSED)], ASKED, "pc2").passed_later


def test_both_directions_are_told_apart() -> None:
    trace = trace_of([ended(QUESTION, PASSED), ended(ANSWER, DROP)], ASKED, "pc2")
    assert trace.question is not None
    assert trace.question.stopped_by is None
    assert trace.answer is not None
    assert trace.rule == DROP


def test_other_questions_packets_are_not_its() -> None:
    others = [
        replace(QUESTION, source_port=40001),
        replace(QUESTION, destination_port=81),
        replace(QUESTION, destination="10.0.0.3"),
        replace(QUESTION, protocol="udp"),
        replace(ANSWER, direction="question"),
    ]
    trace = trace_of(others, ASKED, "pc2")
    assert (trace.question, trace.answer) == (None, None)


def test_a_source_that_was_translated_is_known_by_its_port() -> None:
    masked = replace(QUESTION, source="192.0.2.1")
    assert trace_of([masked], ASKED, "pc2").question == masked
    assert trace_of([masked, QUESTION], ASKED, "pc2").question == QUESTION
    assert trace_of([masked], ASKED._replace(source_port=None), "pc2").question is None


def test_a_destination_that_was_translated_is_still_the_questions() -> None:
    there = replace(QUESTION, destinations=(("10.0.0.1", 80), ("172.17.0.2", 8080)))
    trace = trace_of([there], ASKED, "pc2")
    assert trace.question is not None
    assert trace.question.translated_to == ("172.17.0.2", 8080)
