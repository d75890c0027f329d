"""What a prediction is made from, and what it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from netprobe.reach.records import Address, BindOptions, HostFacts, Listening
from netprobe.verdicts import Verdict

__all__ = ["LOOPBACK4", "Ip", "Prediction", "Situation"]

Ip = IPv4Address | IPv6Address
LOOPBACK4 = IPv4Address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expected verdict (None: no rule knows), why in one sentence, and the rules that had a say."""

    verdict: Verdict | None
    because: str
    rules: tuple[str, ...]


@dataclass(slots=True)
class Situation:
    """All that a prediction depends on. ``effective`` is where the destination really leads, as steps find out."""

    listener: Listening
    destination: Address
    host: HostFacts
    vantage: HostFacts
    options: BindOptions = field(default_factory=BindOptions)
    source: Address | None = None
    listeners: Sequence[Listening] = ()
    same_host: bool = True
    timeout: float = 2.0
    effective: Ip = LOOPBACK4
    own: bool = False
    rules: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def end(self, verdict: Verdict | None, because: str, *rules: str) -> Prediction:
        """The verdict, after what earlier steps noted."""
        sentence = "; ".join([*self.notes, because])
        return Prediction(verdict, sentence, tuple(dict.fromkeys([*self.rules, *rules])))

    def note(self, because: str | None, *rules: str) -> None:
        """A rule that had a say without deciding."""
        self.rules += rules
        if because:
            self.notes.append(because)
