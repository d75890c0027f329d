"""The packets of a run as the kernel's own trace tells them (:mod:`netprobe.kernel.nf_trace`), and their rules.

Messages of many packets come mixed, and only the first one of each base chain has addresses. Here they become packets
again, of which the latest ones are kept.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from netprobe.kernel.nf_trace import TraceMessage
from netprobe.outcome.trace import TracedPacket, TraceRow

__all__ = ["Packets", "Rule", "rule_of"]

_MOST_PACKETS: Final = 20_000
_NFT_S: Final = 5.0
_MOST_TEXT: Final = 400  # characters of a rule


@dataclass(slots=True)
class Packets:
    """What was traced, the oldest first."""

    _all: dict[int, TracedPacket] = field(default_factory=dict)
    _current: dict[int, int] = field(default_factory=dict)  # by the kernel's number: ours
    _count: int = 0

    def __iter__(self) -> Iterator[TracedPacket]:
        return iter(self._all.values())

    def add(self, messages: Iterable[TraceMessage]) -> None:
        """Put each message where it belongs."""
        for message in messages:
            self._add(message)

    def _add(self, message: TraceMessage) -> None:
        row = TraceRow(
            message.family, message.table, message.chain, message.kind, message.verdict, message.handle, message.is_own
        )
        number = self._current.get(message.number)
        packet = None if number is None else self._all.get(number)
        if packet is None or self._begins(message, packet):
            if message.flow is None:
                return
            number, packet = self._new(message), TracedPacket(*message.flow, message.incoming)
        assert number is not None
        there = packet.destinations
        if message.flow is not None and message.flow[3:] not in there:
            there = (*there, message.flow[3:])
        incoming = packet.incoming or message.incoming
        self._all[number] = replace(packet, rows=(*packet.rows, row), destinations=there, incoming=incoming)

    @staticmethod
    def _begins(message: TraceMessage, packet: TracedPacket) -> bool:
        """Is it the rule that marks? What a device has marked already is marked once more, and is no other packet."""
        is_mark = message.is_own and message.handle is not None
        return is_mark and not all(row.family == "netdev" for row in packet.rows)

    def _new(self, message: TraceMessage) -> int:
        self._count += 1
        self._current[message.number] = self._count
        if len(self._all) >= _MOST_PACKETS:
            del self._all[next(iter(self._all))]
        self._all[self._count] = TracedPacket("", "", 0, "", 0, None)
        return self._count


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule or a policy in its own words (None where those cannot be had), and whose it is."""

    row: TraceRow
    text: str | None
    is_iptables: bool = False

    @property
    def place(self) -> str:
        """``table inet filter, chain input, handle 14``."""
        handle = "" if self.row.handle is None else f", handle {self.row.handle}"
        return f"table {self.row.family} {self.row.table}, chain {self.row.chain}{handle}"

    @property
    def rejects(self) -> bool:
        """It sends a refusal, and does not only drop."""
        return self.text is not None and "reject" in self.text.lower()


def rule_of(row: TraceRow) -> Rule:
    """The rule of a row, as ``nft -a list chain`` prints it."""
    program = shutil.which("nft")
    if program is None:
        return Rule(row, None)
    argv = [program, "-a", "list", "chain", row.family, row.table, row.chain]
    try:
        ran = subprocess.run(
            argv, capture_output=True, text=True, timeout=_NFT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeError):
        return Rule(row, None)
    is_iptables = "managed by iptables-nft" in ran.stdout + ran.stderr
    if row.kind == "policy":
        return Rule(row, f"policy {row.verdict}", is_iptables)
    found = re.search(rf"^\s*(.*?) # handle {row.handle}$", ran.stdout, re.MULTILINE)
    return Rule(row, found[1][:_MOST_TEXT] if found else None, is_iptables)
