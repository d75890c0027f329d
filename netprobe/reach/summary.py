"""What the cells of a run add up to: a line per bind address, and groups where there are many vantages. Pure.

A matrix of 300 vantages has 300 columns, which nobody reads; what matters is that 298 agree, and which two do not. So
from :data:`MANY_VANTAGES` on, agreements are made: they replace the matrix on the screen and are added to the JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.endpoints import format_endpoint
from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change, place_of
from netprobe.reach.findings import AUTOMATIC, Places, Untested, call_vantage, unusable
from netprobe.reach.name_remarks import NameRemark
from netprobe.reach.rules import RULES, Rule
from netprobe.reach.run_facts import HostSummary, RunFacts, VantageSummary
from netprobe.reach.vantages import LOCAL
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
    ``names`` is what of a destination's name decides who is reached.
    """

    conclusions: tuple[Conclusion, ...]
    agreements: tuple[Agreement, ...] | None = None
    rules: tuple[AppliedRule, ...] | None = None
    changes: tuple[Change, ...] | None = None
    at: str | None = None
    took_s: float | None = None
    version: str | None = None
    command: str | None = None
    status: int | None = None
    host: HostSummary | None = None
    not_tested: tuple[Untested, ...] | None = None
    vantages: tuple[VantageSummary, ...] | None = None
    names: tuple[NameRemark, ...] | None = None

    def of_run(self, facts: RunFacts, untested: tuple[Untested, ...], status: int) -> Summary:
        """With what there is to say of the run itself."""
        return replace(
            self,
            at=facts.at,
            took_s=facts.took_s,
            version=facts.version,
            command=facts.command,
            status=status,
            host=facts.host,
            not_tested=untested,
            vantages=facts.vantages,
        )


def summarize(
    cells: Sequence[Cell],
    *,
    own: Collection[str] = (),
    places: Places = AUTOMATIC,
    with_rules: bool = False,
    changes: tuple[Change, ...] | None = None,
) -> Summary:
    """What the cells of a run add up to. ``own`` are the addresses of the host that listens, as far as known."""
    many = len({cell.vantage for cell in cells}) >= MANY_VANTAGES
    return Summary(
        conclusions=_Conclusions(cells, frozenset(own), places, changes).all(),
        agreements=_agreements(cells) if many else None,
        rules=_applied_rules(cells) if with_rules else None,
        changes=changes,
    )


def _applied_rules(cells: Sequence[Cell]) -> tuple[AppliedRule, ...]:
    """The rules that applied, each once, in the order of the cells."""
    applied: list[Rule] = [RULES[name] for name in dict.fromkeys(name for cell in cells for name in cell.rules)]
    return tuple(AppliedRule(rule.id, rule.text, rule.source) for rule in applied)


# A line for each bind address.


class _Conclusions:
    """The answer of each bind address, in the order of the cells: to whom it is open, and how many cells differ.

    Of a manual run it is the answer of each target: where the listener is bound is only known if it answered.
    """

    def __init__(
        self, cells: Sequence[Cell], own: frozenset[str], places: Places, changes: Sequence[Change] | None
    ) -> None:
        self._groups: dict[object, list[Cell]] = {}
        for cell in cells:
            self._groups.setdefault((cell.destination, cell.port) if places.away else cell.bind, []).append(cell)
        self._own = own
        self._places = places
        self._is_compared = changes is not None
        self._changed = frozenset(change.where for change in changes or ())
        self._unusable = unusable(cells)
        self._vantages = len({cell.vantage for cell in cells})

    def all(self) -> tuple[Conclusion, ...]:
        """One for each bind address."""
        return tuple(Conclusion(_bind_of(same), self._line(same)) for same in self._groups.values())

    def _line(self, cells: Sequence[Cell]) -> str:
        name = self._endpoint(cells)
        if all(cell.observed == Verdict.NOT_BINDABLE for cell in cells):
            return f"{name} could not be bound: {cells[0].cause}"
        asked = [cell for cell in cells if cell.observed not in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE)]
        if not asked:
            return f"{name} was not tested: {self._reasons(cells)}"
        by_vantage: dict[str, list[Cell]] = {}
        for cell in cells:
            by_vantage.setdefault(cell.vantage, []).append(cell)
        alike: dict[tuple[str, str], list[str]] = {}
        for vantage, same in by_vantage.items():
            if vantage in self._unusable:
                continue
            alike.setdefault(self._openness(same), []).append(call_vantage(vantage, self._places))
        parts = [
            f"{before} {_counted(names)}{after}" for (before, after), names in sorted(alike.items(), key=_open_first)
        ]
        line = f"{name} is {'; '.join(parts)}"
        if len(self._groups) == 1:
            line += self._lost()
        number, word = self._off(asked)
        return f"{line}; {number} of {len(asked)} cell{'s' if len(asked) > 1 else ''} {word}" if number else line

    def _endpoint(self, cells: Sequence[Cell]) -> str:
        if not self._places.away:
            return _endpoint(cells)
        bind = _bind_of(cells)
        target = format_endpoint(cells[0].destination, cells[0].port)
        return target if bind in (None, cells[0].destination) else f"{target} (bound to {bind})"

    def _lost(self) -> str:
        """The vantages that could not be used; where there are several binds, it is not told with each of them."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self._unusable.items():
            by_reason.setdefault(reason, []).append(call_vantage(name, self._places))
        return "".join(
            f"; {_counted(names)} {'was' if len(names) == 1 else 'were'} not asked: {reason}"
            for reason, names in by_reason.items()
        )

    def _reasons(self, cells: Sequence[Cell]) -> str:
        """Why nobody was asked: ``web1: connection refused``, lest the listener be taken for what refused."""
        by_cause: dict[str, dict[str, None]] = {}
        for cell in cells:
            if cell.observed == Verdict.NOT_TESTED:
                by_cause.setdefault(cell.cause or "no reason is known", {})[cell.vantage] = None
        return "; ".join(
            cause if LOCAL in names or cause.startswith("interrupted by ") else f"{_counted(list(names))}: {cause}"
            for cause, names in by_cause.items()
        )

    def _off(self, asked: Sequence[Cell]) -> tuple[int, str]:
        """How many cells are not as they should be: by the file, where there is one, or else by the rules."""
        if self._is_compared:
            return sum(place_of(cell) in self._changed for cell in asked), "changed"
        number = sum(cell.differs for cell in asked)
        return number, "differs" if number == 1 else "differ"

    def _openness(self, cells: Sequence[Cell]) -> tuple[str, str]:
        """What the cells of one vantage add up to, as the words before and after its name: ``open to … on 192.0.2.1``.

        Where it was reached is only told of the one vantage of a run: of several, that is what the matrix is for.
        """
        tested = [cell for cell in cells if cell.observed not in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE)]
        if not tested:
            return _NOT_ASKED
        reached = {
            protocol: _reached_addresses([cell for cell in tested if cell.protocol == protocol])
            for protocol in dict.fromkeys(cell.protocol for cell in tested)
        }
        there = [protocol for protocol, addresses in reached.items() if addresses]
        if not there:
            return "not reachable from", ""
        only = f" by {there[0]} only" if len(there) < len(reached) else ""
        if self._vantages > 1:
            return "open to", only
        if only or len(set(reached.values())) == 1:
            return "open to", self._where(reached[there[0]], tested) + only
        parts = [f"{protocol}{self._where(addresses, tested)}" for protocol, addresses in reached.items()]
        return "open to", f", {', '.join(parts)}"

    def _where(self, reached: Sequence[str], cells: Sequence[Cell]) -> str:
        """`` on 192.0.2.1``; nothing where that is what was bound."""
        bind = cells[0].bind
        if tuple(reached) == (bind,) or self._places.away:
            return ""
        asked = dict.fromkeys(cell.destination for cell in cells)
        own = {version: [x for x in asked if x in self._own and (":" in x) == six] for version, six in _VERSIONS}
        words = {"every address it has": own["IPv4"] + own["IPv6"]} if own["IPv4"] and own["IPv6"] else {}
        words |= {f"every {version} address it has": addresses for version, addresses in own.items()}
        for every, addresses in words.items():
            if bind in _WILDCARDS and addresses and set(addresses) == set(reached):
                return f" on {every}"
        return f" on {_some(reached)}"


_NOT_ASKED: Final = ("not tested from", "")
_VERSIONS: Final = (("IPv4", False), ("IPv6", True))


def _open_first(group: tuple[tuple[str, str], list[str]]) -> int:
    return ("open to", "not reachable from", "not tested from").index(group[0][0])


def _reached_addresses(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The destinations that answered; a wildcard only counts where nothing else did."""
    there = tuple(dict.fromkeys(cell.destination for cell in cells if cell.observed == Verdict.REACHABLE))
    return tuple(address for address in there if address not in _WILDCARDS) or there


def _bind_of(cells: Sequence[Cell]) -> str | None:
    """The bind address, as far as any of the cells knows it."""
    return next((cell.bind for cell in cells if cell.bind), None)


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


def _counted(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return _listed(names) if more <= 0 else f"{', '.join(names[:_MOST_NAMES])} and {more} more"


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
