"""What the cells of a run add up to: a line per bind address, and groups where there are many vantages. Pure.

A matrix of 300 vantages has 300 columns, which nobody reads; what matters is that 298 agree, and which two do not. So
from :data:`MANY_VANTAGES` on, agreements are made: they replace the matrix on the screen and are added to the JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.endpoints import format_endpoint
from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change
from netprobe.reach.rules import RULES, Rule
from netprobe.verdicts import Verdict

__all__ = ["MANY_VANTAGES", "AppliedRule", "Summary", "summarize"]

MANY_VANTAGES: Final = 12  # more columns than a terminal has room for

_MOST_ADDRESSES: Final = 4  # up to this many addresses are listed, more are counted
_MOST_NAMES: Final = 8  # vantages listed by name in a group that is not the largest
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The line about one bind address."""

    bind: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Vantages that observed the same: the verdict, with its cause in parentheses where it has one."""

    observed: str
    vantages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the vantages observed of one (protocol, bind address, destination): the largest group first."""

    protocol: str
    bind: str | None
    destination: str
    text: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class AppliedRule:
    """A rule that applied to at least one cell."""

    id: str
    text: str
    source: str

    def __str__(self) -> str:
        return f"{self.id}: {self.text} [{self.source}]"


@dataclass(frozen=True, slots=True)
class Summary:
    """The further keys of a bindtest's document; one that does not apply to a run is None.

    ``agreements`` needs many vantages, ``rules`` needs ``--explain``, ``changes`` a comparison with an expectation.
    """

    conclusions: tuple[Conclusion, ...]
    agreements: tuple[Agreement, ...] | None = None
    rules: tuple[AppliedRule, ...] | None = None
    changes: tuple[Change, ...] | None = None


def summarize(cells: Sequence[Cell], *, with_rules: bool = False, changes: tuple[Change, ...] | None = None) -> Summary:
    """What the cells of a run add up to."""
    many = len({cell.vantage for cell in cells}) >= MANY_VANTAGES
    return Summary(
        conclusions=_conclusions(cells),
        agreements=_agreements(cells) if many else None,
        rules=_applied_rules(cells) if with_rules else None,
        changes=changes,
    )


def _applied_rules(cells: Sequence[Cell]) -> tuple[AppliedRule, ...]:
    """The rules that applied, each once, in the order of the cells."""
    applied: list[Rule] = [RULES[name] for name in dict.fromkeys(name for cell in cells for name in cell.rules)]
    return tuple(AppliedRule(rule.id, rule.text, rule.source) for rule in applied)


# A line for each bind address.


def _conclusions(cells: Sequence[Cell]) -> tuple[Conclusion, ...]:
    """In the order of the cells."""
    by_bind: dict[str | None, list[Cell]] = {}
    for cell in cells:
        by_bind.setdefault(cell.bind, []).append(cell)
    return tuple(Conclusion(bind, _line_about(same)) for bind, same in by_bind.items())


def _line_about(cells: Sequence[Cell]) -> str:
    """What the cells of one bind address add up to."""
    name = _endpoint(cells)
    if all(cell.observed == Verdict.NOT_BINDABLE for cell in cells):
        return f"{name} could not be bound: {cells[0].cause}"
    by_vantage: dict[str, list[Cell]] = {}
    for cell in cells:
        by_vantage.setdefault(cell.vantage, []).append(cell)
    alike: dict[tuple[str, str], list[str]] = {}
    for vantage, same in by_vantage.items():
        alike.setdefault(_openness(same), []).append(vantage)
    line = f"{name} is " + "; ".join(f"{before} {_listed(names)}{after}" for (before, after), names in alike.items())
    differing = sum(cell.differs for cell in cells)
    if differing:
        line += f"; {differing} of {len(cells)} cells {'is' if differing == 1 else 'are'} not as expected"
    return line


def _openness(cells: Sequence[Cell]) -> tuple[str, str]:
    """What the cells of one vantage add up to, as the words before and after its name: ``open to … on 192.0.2.1``."""
    tested = [cell for cell in cells if cell.observed not in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE)]
    if not tested:
        return "not tested from", ""
    reached = {
        protocol: _reached_addresses([cell for cell in tested if cell.protocol == protocol])
        for protocol in dict.fromkeys(cell.protocol for cell in tested)
    }
    if len(set(reached.values())) == 1:
        addresses = next(iter(reached.values()))
        return ("open to", f" on {_some(addresses)}") if addresses else ("closed to", "")
    parts = [f"{protocol} on {_some(there)}" if there else f"{protocol} nowhere" for protocol, there in reached.items()]
    return "open to", f", {', '.join(parts)}"


def _reached_addresses(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The destinations that answered; a wildcard only counts where nothing else did."""
    there = tuple(dict.fromkeys(cell.destination for cell in cells if cell.observed == Verdict.REACHABLE))
    return tuple(address for address in there if address not in _WILDCARDS) or there


def _endpoint(cells: Sequence[Cell]) -> str:
    """``0.0.0.0:41234``, ``[::]:41234``, or both ports where they differ."""
    bind = cells[0].bind or "?"
    ports = {cell.protocol: cell.port for cell in cells}
    different = set(ports.values())
    if len(different) == 1:
        return format_endpoint(bind, different.pop())
    return f"{bind} ({', '.join(f'{protocol} {port}' for protocol, port in ports.items() if port)})"


def _some(addresses: Sequence[str]) -> str:
    """The addresses, or how many they are."""
    return _listed(addresses) if len(addresses) <= _MOST_ADDRESSES else f"{len(addresses)} addresses"


def _listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# Groups of vantages that agree.


def _agreements(cells: Sequence[Cell]) -> tuple[Agreement, ...]:
    """One for each (protocol, bind, destination), in the order of the cells."""
    found: dict[tuple[str, str | None, str], dict[str, list[str]]] = {}
    for cell in cells:
        observed: str = cell.observed
        if cell.cause and cell.observed != Verdict.REACHABLE:
            observed += f" ({cell.cause})"
        groups = found.setdefault((cell.protocol, cell.bind, cell.destination), {})
        groups.setdefault(observed, []).append(cell.vantage)
    return tuple(
        _agreement(
            *key, sorted((Group(x, tuple(names)) for x, names in groups.items()), key=lambda x: -len(x.vantages))
        )
        for key, groups in found.items()
    )


def _agreement(protocol: str, bind: str | None, destination: str, groups: Sequence[Group]) -> Agreement:
    """``…: 312 of 315 vantages: reachable; web17, web18: rejected (…); db3: not-tested (host key unknown)``."""
    total = sum(len(group.vantages) for group in groups)
    parts = [f"{_who(group.vantages, total, largest=group is groups[0])}: {group.observed}" for group in groups]
    text = f"{protocol} {bind} at {destination}: {'; '.join(parts)}"
    return Agreement(protocol, bind, destination, text, tuple(groups))


def _who(names: Sequence[str], total: int, *, largest: bool) -> str:
    """The largest group by its size, any other by the names of its vantages."""
    if len(names) == total and total > 1:
        return f"all {total} vantages"
    if largest and len(names) > 1:
        return f"{len(names)} of {total} vantages"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
