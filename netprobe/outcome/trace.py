"""What the kernel's rules did with one packet, as nf_tables tells it: a row for each rule, return and policy."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TraceRow", "TracedPacket"]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One step. ``kind`` is ``rule``, ``return`` or ``policy``; ``verdict`` that of it, in nft's words.

    ``handle`` is the rule's (nft -a); a policy has none. ``is_own``: of the table that only watches.
    """

    family: str
    table: str
    chain: str
    kind: str
    verdict: str
    handle: int | None = None
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class TracedPacket:
    """A packet's way: where it began, from whom to whom, through which interface, and each row in its order.

    ``destinations`` are the addresses and ports that it had, the first one and those that it was translated to.
    """

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    incoming: str | None
    rows: tuple[TraceRow, ...] = ()
    destinations: tuple[tuple[str, int], ...] = ()

    @property
    def stopped_by(self) -> TraceRow | None:
        """The rule or the policy that dropped it; ``reject`` drops, too."""
        return next((row for row in self.rows if row.verdict == "drop" and not row.is_own), None)

    def passed(self, hook: str) -> bool:
        """Did it come out behind all rules of a hook?"""
        return any(row.is_own and row.chain == f"late_{hook}" for row in self.rows)

    @property
    def translated_to(self) -> tuple[str, int] | None:
        """Where it was sent instead, if a rule changed that."""
        return self.destinations[-1] if len(self.destinations) > 1 else None
