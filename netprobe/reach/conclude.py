"""One line for each bind address: who gets in, where. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netprobe.endpoints import format_endpoint
from netprobe.reach.records import Cell
from netprobe.verdicts import Verdict

__all__ = ["Conclusion", "conclude"]

LISTED = 4  # so many addresses are named, more are counted
WILDCARDS = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The line about one bind address."""

    bind: str | None
    text: str


def conclude(cells: Iterable[Cell]) -> tuple[Conclusion, ...]:
    """A line for every bind address, in the order of the cells."""
    by_bind: dict[str | None, list[Cell]] = {}
    for cell in cells:
        by_bind.setdefault(cell.bind, []).append(cell)
    return tuple(Conclusion(bind, line_about(same)) for bind, same in by_bind.items())


def line_about(cells: Sequence[Cell]) -> str:
    """All that one bind address's cells come to."""
    name = endpoint(cells)
    if all(cell.observed == Verdict.NOT_BINDABLE for cell in cells):
        return f"{name} could not be bound: {cells[0].cause}"
    vantages: dict[str, list[str]] = {}
    for vantage in dict.fromkeys(cell.vantage for cell in cells):
        vantages.setdefault(openness([cell for cell in cells if cell.vantage == vantage]), []).append(vantage)
    line = f"{name} is " + "; ".join(said.format(to=listed(names)) for said, names in vantages.items())
    differing = sum(cell.differs for cell in cells)
    if differing:
        line += f"; {differing} of {len(cells)} cells {'is' if differing == 1 else 'are'} not as expected"
    return line


def openness(cells: Sequence[Cell]) -> str:
    """``open to {to} on …`` for one vantage's cells."""
    tested = [cell for cell in cells if cell.observed not in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE)]
    if not tested:
        return "not tested from {to}"
    reached = {
        protocol: reached_addresses([cell for cell in tested if cell.protocol == protocol])
        for protocol in dict.fromkeys(cell.protocol for cell in tested)
    }
    if len(set(reached.values())) == 1:
        addresses = next(iter(reached.values()))
        return f"open to {{to}} on {some(addresses)}" if addresses else "closed to {to}"
    parts = [f"{protocol} on {some(there)}" if there else f"{protocol} nowhere" for protocol, there in reached.items()]
    return f"open to {{to}}, {', '.join(parts)}"


def reached_addresses(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The destinations that answered; a wildcard only counts where nothing else did."""
    there = tuple(dict.fromkeys(cell.destination for cell in cells if cell.observed == Verdict.REACHABLE))
    return tuple(address for address in there if address not in WILDCARDS) or there


def endpoint(cells: Sequence[Cell]) -> str:
    """``0.0.0.0:41234``, ``[::]:41234``, or the ports apart where they differ."""
    bind = cells[0].bind or "?"
    ports = {cell.protocol: cell.port for cell in cells}
    different = set(ports.values())
    if different == {None}:
        return bind
    if len(different) == 1:
        return format_endpoint(bind, different.pop())
    return f"{bind} ({', '.join(f'{protocol} {port}' for protocol, port in ports.items() if port)})"


def some(addresses: Sequence[str]) -> str:
    """The addresses, or how many they are."""
    return listed(addresses) if len(addresses) <= LISTED else f"{len(addresses)} addresses"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
