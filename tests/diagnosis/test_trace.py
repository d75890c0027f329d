"""Messages of the kernel's trace become packets: each begins where it was marked, and the latest ones are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.diagnosis import trace
from netprobe.diagnosis.trace import Packets
from netprobe.kernel.nf_trace import TraceMessage

FLOW = ("tcp", "10.0.0.2", 40000, "10.0.0.1", 80)
MARK = TraceMessage(7, "inet", "netprobe_1", "prerouting", "rule", "continue", 2, True, FLOW, "eth0")
DROP = TraceMessage(7, "inet", "f", "input", "rule", "drop", 14, False, FLOW, "eth0")
PASSED = TraceMessage(7, "inet", "netprobe_1", "late_input", "policy", "accept", None, True, FLOW, None)


def packets(*messages: TraceMessage) -> Packets:
    found = Packets()
    found.add(messages)
    return found


def test_a_packet_is_what_one_mark_began() -> None:
    (first,) = packets(MARK, DROP)
    assert (first.protocol, first.source, first.source_port, first.incoming) == ("tcp", "10.0.0.2", 40000, "eth0")
    assert first.stopped_by is not None
    assert (first.stopped_by.chain, first.stopped_by.handle) == ("input", 14)
    assert not first.passed("input")


def test_a_number_that_is_used_again_is_another_packet() -> None:
    one, two = packets(MARK, DROP, MARK, PASSED)
    assert one.stopped_by is not None
    assert two.stopped_by is None
    assert two.passed("input")


def test_what_a_device_has_marked_goes_on_with_the_next_mark() -> None:
    device = replace(MARK, family="netdev", chain="ingress_eth0")
    (only,) = packets(device, replace(device, kind="policy", verdict="accept", handle=None), MARK, DROP)
    assert only.stopped_by is not None


def test_another_destination_in_a_later_chain_is_a_translation() -> None:
    elsewhere = replace(PASSED, flow=(*FLOW[:3], "172.17.0.2", 8080))
    (only,) = packets(MARK, elsewhere)
    assert only.translated_to == ("172.17.0.2", 8080)
    (only,) = packets(MARK, PASSED)
    assert only.translated_to is None


def test_mixed_messages_are_told_apart_by_their_numbers() -> None:
    other = replace(MARK, number=8, flow=(*FLOW[:2], 40001, *FLOW[3:]))
    one, two = packets(MARK, other, replace(DROP, number=8), PASSED)
    assert (one.stopped_by, two.stopped_by is not None) == (None, True)


def test_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_MOST_PACKETS", 3)
    found = packets(*(replace(MARK, number=n, flow=(*FLOW[:2], n, *FLOW[3:])) for n in range(9)))
    assert [packet.source_port for packet in found] == [6, 7, 8]
    found.add([replace(DROP, number=0, flow=None)])  # of one that is gone, and without addresses
    assert [packet.source_port for packet in found] == [6, 7, 8]
