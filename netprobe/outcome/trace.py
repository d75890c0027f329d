"""What the rules of one host did with a packet of ours: a row for each step, a record for each packet.

The kernel's own words are :mod:`netprobe.kernel.nf_trace`'s. These are what is judged, whether they were read here or
by a prober at a vantage, which is why a row has the rule's text: only its own host can tell it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.kernel.nf_trace import Mark, Packet

__all__ = ["End", "Mark", "TraceRow", "TracedPacket"]


class End(StrEnum):
    """How a packet's way through one host ended."""

    STOPPED = "stopped"
    SOCKET = "came to its socket"
    LEFT = "left"
    BETWEEN = "lost between the hooks"
    BEFORE_IP = "lost between the interface and IP"


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One step. ``kind`` is ``rule``, ``return`` or ``policy``; ``verdict`` that of it, in nft's words.

    ``handle`` is the rule's (nft -a); a policy has none, and neither has the end of a chain. ``hook`` is where the
    chain was called from. ``is_own``: of the table that only watches. ``text`` is the rule as its owner wrote it (None
    where that cannot be had); ``is_iptables``: by iptables.
    """

    family: str
    table: str
    chain: str
    kind: str
    verdict: str
    handle: int | None = None
    hook: str | None = None
    is_own: bool = False
    text: str | None = None
    is_iptables: bool = False

    @property
    def place(self) -> str:
        """``table inet filter, chain input, handle 14``."""
        handle = "" if self.handle is None else f", handle {self.handle}"
        return f"table {self.family} {self.table}, chain {self.chain}{handle}"

    @property
    def rejects(self) -> bool:
        """It sends a refusal, and does not only drop."""
        return self.text is not None and "reject" in self.text.lower()


@dataclass(frozen=True, slots=True)
class TracedPacket:
    """A packet's way through one host: from whom to whom as it began, through which interfaces, each row in order.

    ``direction`` is ``question`` or ``answer``. ``sources`` and ``destinations`` are the addresses and ports that it
    had, the first ones and those that it was translated to.
    """

    direction: str
    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    incoming: str | None = None
    outgoing: str | None = None
    rows: tuple[TraceRow, ...] = ()
    sources: tuple[tuple[str, int], ...] = ()
    destinations: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, packet: Packet) -> TracedPacket:
        """As the kernel told it; no row has a text yet."""
        rows = tuple(TraceRow(*row) for row in packet.rows)
        return cls(*packet[:8], rows, packet.sources, packet.destinations)

    @property
    def stopped_by(self) -> TraceRow | None:
        """The rule or the policy that ended its way: it dropped it (``reject`` does, too), or took it for itself."""
        ends = ("drop", "stolen", "queue")
        return next((row for row in self.rows if row.verdict in ends and not row.is_own), None)

    def passed(self, hook: str, family: str = "inet") -> bool:
        """Did it come out behind all rules of a hook?"""
        return any(row.is_own and row.chain == f"late_{hook}" and row.family == family for row in self.rows)

    def entered(self, hook: str) -> bool:
        """Did it come before any rule of a hook?"""
        return any(row.is_own and row.chain.rstrip("0123456789") == hook for row in self.rows)

    @property
    def end(self) -> End:
        """Where its way ended."""
        if self.stopped_by is not None:
            return End.STOPPED
        if self.passed("input"):
            return End.SOCKET
        if self.passed("postrouting") or self.passed("postrouting", "bridge"):
            return End.LEFT
        if self.entered("prerouting") or self.entered("output"):
            return End.BETWEEN
        return End.BEFORE_IP

    @property
    def translated_to(self) -> tuple[str, int] | None:
        """Where it was sent instead, if a rule changed that."""
        return self.destinations[-1] if len(self.destinations) > 1 else None

    def is_of(self, question: Mark) -> bool:
        """Does it belong to this question? What the mark leaves open is not compared; translated ends count, too."""
        wanted = question if self.direction == "question" else question.answer
        if wanted.protocol not in (None, self.protocol):
            return False
        sources = ((self.source, self.source_port), *self.sources)
        destinations = ((self.destination, self.destination_port), *self.destinations)
        return _has(sources, wanted.source, wanted.source_port) and _has(
            destinations, wanted.destination, wanted.destination_port
        )


def _has(known: tuple[tuple[str, int], ...], address: str | None, port: int | None) -> bool:
    return any(address in (None, a) and port in (None, p) for a, p in known)
