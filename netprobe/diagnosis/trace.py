"""What the rules of one place did with one question and its answers, out of all the packets that were traced there.

Several packets belong to a probe (a handshake, repetitions); the one that was stopped speaks, and certainly so if none
of its kind passed later. Pure but for :func:`with_text`, which asks for a rule's words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from netprobe.kernel.rule_text import rule_text
from netprobe.outcome.trace import End, Mark, TracedPacket, TraceRow

__all__ = ["Trace", "trace_of", "with_text"]


@dataclass(frozen=True, slots=True)
class Trace:
    """The way of a question and of its answer through ``place``; None: no packet of it was seen there.

    Each is the first packet that was stopped, or else the last one. ``incomplete``: not all was told, so that not to
    have seen a packet says nothing. ``passed_later``: what was stopped was followed by packets that were not.
    """

    question: TracedPacket | None = None
    answer: TracedPacket | None = None
    incomplete: bool = False
    passed_later: bool = False
    place: str = "this host"

    @property
    def rule(self) -> TraceRow | None:
        """The one that stopped either of them."""
        return next((x.stopped_by for x in (self.question, self.answer) if x is not None and x.stopped_by), None)


def trace_of(packets: Iterable[TracedPacket], question: Mark, place: str, *, incomplete: bool = False) -> Trace:
    """What was seen of one question at ``place``."""
    traced = list(packets)
    both: dict[str, list[TracedPacket]] = {"question": [], "answer": []}
    # An address that was translated on the way is another one here; the port is rarely changed.
    for mark in (question, question._replace(source=None)):
        for packet in traced:
            if packet.is_of(mark):
                both[packet.direction].append(packet)
        if any(both.values()) or question.source_port is None:
            break
    chosen, later = {}, False
    for direction, found in both.items():
        number = next((n for n, x in enumerate(found) if x.stopped_by is not None), None)
        chosen[direction] = found[-1 if number is None else number] if found else None
        if number is not None:
            later = later or any(x.end in (End.SOCKET, End.LEFT) for x in found[number + 1 :])
    return Trace(chosen["question"], chosen["answer"], incomplete, later, place)


def with_text(row: TraceRow) -> TraceRow:
    """The same, with the rule's words where the row has none: as nft or iptables-nft prints it here."""
    if row.text is not None:
        return row
    found = rule_text(row.family, row.table, row.chain, row.handle if row.kind == "rule" else None)
    text = f"policy {row.verdict}" if row.kind == "policy" else found.text
    return replace(row, text=text, is_iptables=found.is_iptables)
