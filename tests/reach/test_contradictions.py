"""What no prober says: an example of each row, and that true probers say none of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.rung import Came, Rung
from netprobe.prober.ladder import LADDER_S
from netprobe.reach.contradictions import (
    CONTRADICTIONS,
    LADDER_CONTRADICTIONS,
    contradiction,
    ladder_contradiction,
)
from netprobe.reach.messages import Answer, CellRequest, Ladder, LadderRequest, Request

TCP = CellRequest(0, "tcp", "192.0.2.1", 9)
UDP = CellRequest(0, "udp", "192.0.2.1", 9)
SIX = CellRequest(0, "udp", "2001:db8::1", 9)
MAPPED = CellRequest(0, "tcp", "::ffff:192.0.2.1", 9)
ANY = CellRequest(0, "tcp", "0.0.0.0", 9)
PLAIN = Request("n", 1.0)
PAYLOAD = Request("n", 1.0, payload_size=100_000)

PROOF = Answer(
    0, "proof", "answer", elapsed_ms=2.0, attempts=1, challenge="ab", source="192.0.2.9", source_port=4000,
    replied_from="192.0.2.1", rtt_ms=1.0, listener="t0@192.0.2.1", observed="198.51.100.9", observed_port=5000,
    local="192.0.2.1", receipt="cd",
)  # fmt: skip
WITH_PAYLOAD = replace(PROOF, stage="payload", payload_size=100_000, payload_sent=100_000, payload_received=100_000)
SILENT = Answer(0, "timeout", "answer", elapsed_ms=1000.0)
FAILED = Answer(0, "error", "connect", errno="ECONNREFUSED", error="Connection refused", elapsed_ms=1.0)


def icmp(kind: int, origin: str = "icmp", offender: str | None = "192.0.2.1") -> Answer:
    return replace(FAILED, icmp=QueuedError(origin, kind, 1, offender, "EHOSTUNREACH", 113))


# A NAT64 (RFC 6052) with its well-known prefix, and with one of the network's own.
NAT64 = CellRequest(0, "udp", "64:ff9b::192.0.2.1", 9)
OWN_NAT64 = CellRequest(0, "udp", "2001:db8:64::192.0.2.1", 9)
OF_SIX = replace(PROOF, source="2001:db8::9", replied_from="2001:db8::1", observed="2001:db8::9", local="2001:db8::1")

# What is said (part of a row of the table), the answer, the cell, the request
EXAMPLES: list[tuple[str, Answer, CellRequest, Request]] = [
    ("stage is none", replace(PROOF, stage="connect"), UDP, PLAIN),
    ("stage is none", replace(SILENT, stage="bind"), TCP, PLAIN),
    ("stage is none", replace(SILENT, result="self", stage="payload"), UDP, PAYLOAD),
    ("neither errno nor words", replace(FAILED, errno=None, error=None), TCP, PLAIN),
    ("neither errno nor words", replace(FAILED, errno=None, error=""), TCP, PLAIN),
    ("errno belongs", replace(SILENT, errno="ECONNREFUSED"), TCP, PLAIN),
    ("errno belongs", replace(PROOF, error="why"), UDP, PLAIN),
    ("limited", replace(FAILED, limited=True), UDP, PLAIN),
    ("nobody limits", replace(SILENT, limited_by="192.0.2.1"), UDP, PLAIN),
    ("datagram is not closed", replace(SILENT, result="closed"), UDP, PLAIN),
    ("connect_ms belongs", replace(SILENT, connect_ms=1.0), UDP, PLAIN),
    ("connect_ms is longer", replace(FAILED, connect_ms=50.0), TCP, PLAIN),
    ("rtt_ms is longer", replace(PROOF, rtt_ms=50.0), UDP, PLAIN),
    ("listener belongs", replace(PROOF, result="timeout"), UDP, PLAIN),
    ("listener belongs", replace(SILENT, stage="payload"), UDP, PAYLOAD),
    ("listener comes with", replace(PROOF, challenge=None), UDP, PLAIN),
    ("listener comes with", replace(PROOF, observed=None), UDP, PLAIN),
    ("listener comes with", replace(PROOF, rtt_ms=None), UDP, PLAIN),
    ("listener comes with", replace(PROOF, replied_from=None), UDP, PLAIN),
    ("without its listener", replace(SILENT, observed="192.0.2.1"), UDP, PLAIN),
    ("without its listener", replace(SILENT, receipt="ab"), UDP, PLAIN),
    ("was asked for, and", PROOF, UDP, PAYLOAD),
    ("was asked for, and", WITH_PAYLOAD, TCP, PLAIN),
    ("not what was asked", replace(WITH_PAYLOAD, payload_size=99_999, payload_received=99_999), TCP, PAYLOAD),
    ("not what was asked", WITH_PAYLOAD, UDP, PAYLOAD),
    ("not what was asked", replace(WITH_PAYLOAD, result="timeout", payload_sent=None), TCP, PAYLOAD),
    ("not what was asked", replace(SILENT, payload_received=3), TCP, PAYLOAD),
    ("more than there was", replace(WITH_PAYLOAD, payload_sent=100_001), TCP, PAYLOAD),
    ("more than there was", replace(WITH_PAYLOAD, result="timeout", payload_received=100_001), TCP, PAYLOAD),
    ("all of its payload", replace(WITH_PAYLOAD, payload_received=99_999), TCP, PAYLOAD),
    ("another family", replace(PROOF, source="2001:db8::1"), UDP, PLAIN),
    ("another family", replace(PROOF, replied_from="2001:db8::1"), UDP, PLAIN),
    ("another family", replace(PROOF, source="192.0.2.1"), SIX, PLAIN),
    ("observed is of another family", replace(PROOF, observed="2001:db8::9"), UDP, PLAIN),
    ("observed is of another family", replace(PROOF, observed="2001:db8::9"), TCP, PLAIN),
    ("observed is of another family", replace(PROOF, source="::ffff:192.0.2.9", replied_from="::ffff:192.0.2.1",
                                              observed="2001:db8::9"), MAPPED, PLAIN),
    ("observed is of another family", replace(OF_SIX, observed="192.0.2.9"), SIX, PLAIN),
    ("observed is of another family", replace(OF_SIX, observed="192.0.2.9", local="-"), SIX, PLAIN),
    ("observed is of another family", replace(OF_SIX, observed="::ffff:192.0.2.9"), SIX, PLAIN),
    ("not where it was connected", replace(PROOF, replied_from="192.0.2.2"), TCP, PLAIN),
    ("not an error of that family", icmp(8), TCP, PLAIN),
    ("not an error of that family", icmp(1, "icmp6", "2001:db8::1"), TCP, PLAIN),
    ("not an error of that family", icmp(3), SIX, PLAIN),
    ("not an error of that family", icmp(128, "icmp6", "2001:db8::1"), SIX, PLAIN),
    ("offender of another family", icmp(3, offender="2001:db8::1"), TCP, PLAIN),
    ("offender of another family", icmp(1, "icmp6", "192.0.2.1"), SIX, PLAIN),
]  # fmt: skip

TRUE: list[tuple[Answer, CellRequest, Request]] = [
    (PROOF, UDP, PLAIN),
    (replace(PROOF, connect_ms=0.5), TCP, PLAIN),
    (replace(PROOF, rtt_ms=2.0004), UDP, PLAIN),
    (replace(PROOF, receipt=None, local="-"), UDP, PLAIN),
    (replace(PROOF, replied_from="203.0.113.5"), UDP, PLAIN),
    (replace(PROOF, source=None), UDP, PLAIN),
    (replace(PROOF, source="127.0.0.1", replied_from="127.0.0.1"), ANY, PLAIN),
    (replace(PROOF, source="::ffff:192.0.2.9", replied_from="::ffff:192.0.2.1"), MAPPED, PLAIN),
    (OF_SIX, SIX, PLAIN),
    (replace(OF_SIX, replied_from=NAT64.address, observed="192.0.2.64", local="0.0.0.0"), NAT64, PLAIN),
    (replace(OF_SIX, replied_from=OWN_NAT64.address, observed="192.0.2.64", local="192.0.2.1"), OWN_NAT64, PLAIN),
    (WITH_PAYLOAD, TCP, PAYLOAD),
    (replace(WITH_PAYLOAD, result="corrupt", payload_received=100_001), TCP, PAYLOAD),
    (replace(WITH_PAYLOAD, result="timeout", payload_received=3), TCP, PAYLOAD),
    (replace(WITH_PAYLOAD, payload_size=60_000, payload_sent=60_000, payload_received=60_000), UDP, PAYLOAD),
    (SILENT, TCP, PLAIN),
    (SILENT, TCP, PAYLOAD),
    (replace(SILENT, elapsed_ms=6000.0, limited=True), UDP, PLAIN),
    (replace(SILENT, elapsed_ms=6000.0, limited=True, limited_by="192.0.2.1"), UDP, PLAIN),
    (FAILED, TCP, PLAIN),
    (replace(FAILED, stage="socket", errno=None, error="getsockaddrarg: port must be 0-65535."), TCP, PLAIN),
    (icmp(3), TCP, PLAIN),
    (icmp(3, offender=None), TCP, PLAIN),
    (icmp(3, offender="::ffff:192.0.2.1"), MAPPED, PLAIN),
    (icmp(1, "icmp6", "2001:db8::1"), SIX, PLAIN),
    (icmp(0, "local", None), SIX, PLAIN),
]


@pytest.mark.parametrize(("words", "answer", "cell", "request_"), EXAMPLES)
def test_what_no_prober_says_is_named(words: str, answer: Answer, cell: CellRequest, request_: Request) -> None:
    said = contradiction(answer, cell, request_, 1.0)
    assert said is not None and words in said


@pytest.mark.parametrize(("answer", "cell", "request_"), TRUE)
def test_what_probers_say_is_none(answer: Answer, cell: CellRequest, request_: Request) -> None:
    assert contradiction(answer, cell, request_, 1.0) is None


def test_every_row_has_an_example() -> None:
    named = {contradiction(answer, cell, request, 1.0) for _, answer, cell, request in EXAMPLES}
    assert [what for what, _ in CONTRADICTIONS if what not in named] == []


def test_nothing_takes_longer_than_has_passed_or_was_allowed() -> None:
    slow = replace(SILENT, elapsed_ms=60_000.0)
    assert contradiction(slow, TCP, PLAIN, 1.0) == "elapsed_ms is longer than it can have taken"
    assert contradiction(slow, TCP, PLAIN, 60.0) is None
    assert contradiction(slow, TCP, Request("n", 30.0), 1.0) is None  # this side's clock stood still meanwhile


CLIMB = LadderRequest("192.0.2.1", 80, "tcp", control_port=22)
CLIMB_6 = LadderRequest("2001:db8::1", 80, "udp")
BIG = LadderRequest("192.0.2.1", 80, "udp", size=1500)
MAPPED_CLIMB = LadderRequest("::ffff:192.0.2.1", 80, "udp")


def rung(
    ttl: int, kind: int = 11, code: int = 0, origin: str = "icmp", offender: str | None = "192.0.2.9", **more: int
) -> Rung:
    return Rung(ttl, Came.ICMP, QueuedError(origin, kind, code, offender, "EHOSTUNREACH", 113), 1.0, **more)


CLIMBED = Ladder(0, (rung(1), Rung(2, Came.SILENCE), Rung(3, Came.ANSWER, rtt_ms=2.0)), elapsed_ms=2.0)
TRUE_LARGE = Ladder(0, (rung(1), rung(2, 3, 4, mtu=1300)), (Rung(1, Came.ANSWER, rtt_ms=1.0),), 1400, elapsed_ms=9.0)

# What is said (part of a row of the table), the ladder, what was asked for
LADDER_EXAMPLES: list[tuple[str, Ladder, LadderRequest]] = [
    ("neither rungs nor an errno", replace(CLIMBED, rungs=()), CLIMB),
    ("lowest rung is missing", replace(CLIMBED, rungs=(rung(2),)), CLIMB),
    ("lowest rung is missing", replace(CLIMBED, rungs=(rung(1), rung(3))), CLIMB),
    ("rung of the control is missing", replace(CLIMBED, control=(rung(2), rung(4))), CLIMB),
    ("beyond its end", replace(CLIMBED, rungs=(rung(1, 3, 13), rung(2))), CLIMB),
    ("beyond its end", replace(CLIMBED, control=(Rung(1, Came.RST, rtt_ms=0.0), rung(2))), CLIMB),
    ("no control was asked for", replace(CLIMBED, control=(rung(1),)), CLIMB_6),
    ("size is not", CLIMBED, BIG),
    ("size is not", replace(CLIMBED, size=1500), CLIMB),
    ("size is not", replace(TRUE_LARGE, size=1501), BIG),
    ("icmp belongs", replace(CLIMBED, rungs=(Rung(1, Came.ICMP, rtt_ms=0.0),)), CLIMB),
    ("icmp belongs", replace(CLIMBED, rungs=(replace(rung(1), came=Came.ANSWER),)), CLIMB),
    ("this host's own error", replace(CLIMBED, rungs=(rung(1, origin="local"),)), CLIMB),
    ("has no sender", replace(CLIMBED, rungs=(rung(1, offender=None),)), CLIMB),
    ("silence has no rtt_ms", replace(CLIMBED, rungs=(Rung(1, Came.SILENCE, rtt_ms=1.0),)), CLIMB),
    ("silence has no rtt_ms", replace(CLIMBED, rungs=(Rung(1, Came.ANSWER),)), CLIMB),
    ("mtu belongs", replace(CLIMBED, rungs=(rung(1, mtu=1300),)), CLIMB),
    ("not reset", replace(CLIMBED, rungs=(Rung(1, Came.RST, rtt_ms=0.0),)), CLIMB_6),
    ("not reset", replace(CLIMBED, control=(Rung(1, Came.RST, rtt_ms=0.0),)), replace(CLIMB, control_protocol="udp")),
    ("rtt_ms is longer", replace(CLIMBED, rungs=(replace(rung(1), rtt_ms=50.0),)), CLIMB),
    ("error of that family", replace(CLIMBED, rungs=(rung(1, 8),)), CLIMB),
    ("error of that family", replace(CLIMBED, rungs=(rung(1),)), CLIMB_6),
    ("offender of another", replace(CLIMBED, rungs=(rung(1, offender="2001:db8::9"),)), CLIMB),
]


@pytest.mark.parametrize(("words", "ladder", "asked"), LADDER_EXAMPLES)
def test_no_ladder_says(words: str, ladder: Ladder, asked: LadderRequest) -> None:
    said = ladder_contradiction(ladder, asked, 60.0)
    assert said is not None and words in said


def test_each_row_about_ladders_has_an_example() -> None:
    said = {ladder_contradiction(ladder, asked, 60.0) for _, ladder, asked in LADDER_EXAMPLES}
    assert {what for what, _ in LADDER_CONTRADICTIONS} == said


@pytest.mark.parametrize(
    ("ladder", "asked"),
    [
        (CLIMBED, CLIMB),
        (replace(CLIMBED, control=(Rung(3, Came.RST, rtt_ms=0.0),)), CLIMB),
        (replace(CLIMBED, rungs=(), errno="EPERM"), BIG),
        (TRUE_LARGE, BIG),
        (CLIMBED, MAPPED_CLIMB),
    ],
)
def test_a_true_ladder_says_none_of_it(ladder: Ladder, asked: LadderRequest) -> None:
    assert ladder_contradiction(ladder, asked, 0.0) is None


def test_a_ladder_takes_no_longer_than_it_can() -> None:
    late = replace(CLIMBED, elapsed_ms=1000 * (LADDER_S + 3))
    assert ladder_contradiction(late, CLIMB, 0.0) == "elapsed_ms is longer than it can have taken"
    assert ladder_contradiction(late, CLIMB, LADDER_S + 2) is None
