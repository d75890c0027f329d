"""Who stopped a probe, by which rule, route, setting or queue: the record that a cell's explanation becomes.

A blame is ``certain`` only when something was seen that allows no other reading. Otherwise it names what remains, and
what was ruled out by what: a reader can go on from there, and nobody was told a cause that was only likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Blame", "Excluded", "Layer"]


class Layer(StrEnum):
    """Where in a network stack the probe, or its answer, ended."""

    SOCKET = "socket"
    QUEUE = "queue"
    NFTABLES = "nftables"
    IPTABLES = "iptables"
    ROUTE = "route"
    RP_FILTER = "rp_filter"
    NEIGHBOUR = "neighbour"
    ADDRESS_STATE = "address-state"
    MTU = "mtu"
    NAT = "nat"
    SERVICE = "service"
    PATH = "path"
    ICMP_LIMIT = "icmp-limit"
    LINK = "link"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Excluded:
    """A cause that is ruled out (``what``), and what rules it out (``by``)."""

    what: str
    by: str


@dataclass(frozen=True, slots=True)
class Blame:
    """``place`` is the host: ``this host``, a vantage's name, a router's address; None where that is not known.

    ``what`` is what it did there, in a few words ("dropped by a rule"), ``text`` the culprit's own words (a rule as nft
    prints it, a route, a sysctl), ``evidence`` what was seen of it, each a sentence. ``remaining`` are the causes that
    nothing seen so far excludes, ``excluded`` those that are ruled out; both are empty where ``certain``, unless they
    were worth asking. ``command`` is one to look with, on ``place``.
    """

    place: str | None
    layer: Layer
    what: str
    text: str | None = None
    evidence: tuple[str, ...] = ()
    certain: bool = False
    remaining: tuple[str, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    command: str | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it for a reader: the culprit's own words, what was seen, what remains, what does not."""
        found = [*([] if self.text is None else [self.text]), *self.evidence]
        if self.remaining:
            found.append(f"What remains: {_alternatives(self.remaining)}.")
        if self.excluded:
            found.append(f"Ruled out: {'; '.join(f'{each.what} ({each.by})' for each in self.excluded)}.")
        return tuple(found)

    def __str__(self) -> str:
        where = f", on {self.place}" if self.place is not None else ""
        return " ".join((f"{self.what}{where}:", *self.sentences)) if self.sentences else f"{self.what}{where}"


def _alternatives(causes: Sequence[str]) -> str:
    """``a``, ``a, or b``; with semicolons where a cause has a comma itself."""
    mark = ";" if any("," in cause for cause in causes) else ","
    return causes[0] if len(causes) == 1 else f"{f'{mark} '.join(causes[:-1])}{mark} or {causes[-1]}"
