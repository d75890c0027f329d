"""What a run found, for a person: each cause once, what was not tested, and what to look at next. Pure.

A matrix says what; a reader wants to know what to make of it. Three things are easily missed there, and each has a
list of its own here, which the terminal and the report page both show:

* One cause usually makes many cells differ (a rule for tcp makes one for each destination). :func:`findings_of` groups
  the cells that share verdicts, cause and explanation, so that a cause is told once, with its cells.
* What was not asked reads as "fine" in any matrix. :func:`untested_of` names it: other hosts above all, because a host
  reaches its own addresses without passing a network card or a rule for one (ip-route(8), table local).
* What to do next is a command to *look* with. None opens or changes anything: whether a firewall that stops a probe is
  a fault or the very thing that is wanted is not for a tool to know.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.reach.cells import Cell
from netprobe.reach.vantages import LOCAL
from netprobe.verdicts import Verdict

__all__ = ["Command", "Finding", "Untested", "call_vantage", "findings_of", "next_steps", "untested_of"]

_MOST_NAMES: Final = 3  # up to this many addresses are listed, more are counted
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class Command:
    """A command line to paste, and the host to paste it on (None: this one)."""

    line: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, with all cells that show it: ``cells`` are positions in the run's list of cells.

    ``differs``: not as expected. Otherwise it is a remark on cells that are as expected and yet unusual.
    ``because`` has the cause that the probe itself shows, then what explains it, as far as either is known.
    """

    differs: bool
    expected: Verdict | None
    observed: Verdict
    where: str
    because: tuple[str, ...]
    cells: tuple[int, ...]
    commands: tuple[Command, ...]

    @property
    def title(self) -> str:
        """``tcp from pc2 to 10.10.152.8: expected reachable, observed no-answer``."""
        if not self.differs:
            return f"{self.where}: {self.observed}, but unusual"
        return f"{self.where}: expected {self.expected}, observed {self.observed}"


@dataclass(frozen=True, slots=True)
class Untested:
    """Something that this run says nothing about, and why that matters."""

    what: str
    why: str


def call_vantage(name: str) -> str:
    """A vantage as a sentence calls it: ``local`` is this host."""
    return "this host" if name == LOCAL else name


# Causes.


def findings_of(cells: Sequence[Cell]) -> tuple[Finding, ...]:
    """Each cause once: differences first, remarks after them, both in the order of the cells."""
    groups: dict[tuple[bool, Verdict | None, Verdict, tuple[str, ...]], list[int]] = {}
    for position, cell in enumerate(cells):
        if cell.observed in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE) or not _is_remarkable(cell):
            continue
        key = (cell.differs, cell.expected if cell.differs else None, cell.observed, _because(cell))
        groups.setdefault(key, []).append(position)
    found = [
        Finding(
            differs=differs,
            expected=expected,
            observed=observed,
            where=_where([cells[position] for position in positions]),
            because=because,
            cells=tuple(positions),
            commands=_commands([cells[position] for position in positions]),
        )
        for (differs, expected, observed, because), positions in groups.items()
    ]
    return tuple(sorted(found, key=lambda finding: not finding.differs))


def _is_remarkable(cell: Cell) -> bool:
    """Not as expected; or reached, with a cause, which only what is unusual has."""
    return cell.differs or (cell.observed == Verdict.REACHABLE and cell.cause is not None)


def _because(cell: Cell) -> tuple[str, ...]:
    """The cause and its explanation, without what is peculiar to one destination, so that equal causes are equal."""
    probed = cell.destination.partition("%")[0]
    cause = cell.cause.replace(f"not from {probed}", "not from the address that was asked") if cell.cause else None
    return tuple(text for text in (cause, cell.difference if cell.differs else None) if text)


def _where(cells: Sequence[Cell]) -> str:
    """Which cells: ``tcp from pc2 to 10.10.152.8``, with how many they are where that is not obvious."""
    protocols = _listed(_distinct(cells, lambda cell: cell.protocol))
    destinations = _listed(_distinct(cells, lambda cell: cell.destination))
    vantages = _listed([call_vantage(name) for name in _distinct(cells, lambda cell: cell.vantage)])
    text = f"{protocols} from {vantages} to {destinations}"
    binds = _distinct(cells, lambda cell: cell.bind or "?")
    if binds != [cells[0].destination] or len(binds) > 1:
        text += f", bound to {_listed(binds)}"
    return text if len(cells) == 1 else f"{text} ({len(cells)} cells)"


def _distinct(cells: Sequence[Cell], key: Callable[[Cell], str]) -> list[str]:
    return list(dict.fromkeys(key(cell) for cell in cells))


def _listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 4 more``."""
    if len(words) > _MOST_NAMES + 1:
        return f"{', '.join(words[:_MOST_NAMES])} and {len(words) - _MOST_NAMES} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# Commands to look with.


def _commands(cells: Sequence[Cell]) -> tuple[Command, ...]:
    """What shows more about a cause, for its first cell: rules, routes, or who has the port."""
    cell = cells[0]
    there = None if cell.vantage == LOCAL else cell.vantage
    destination = cell.destination.partition("%")[0]
    route = Command(f"ip route get {destination}", there)
    rules = Command("sudo nft -a list ruleset")
    holder = f"ss -ln{'t' if cell.protocol == 'tcp' else 'u'}p 'sport = :{cell.port}'"
    match cell.observed:
        case Verdict.NO_ANSWER:
            return (rules, route)
        case Verdict.REFUSED:
            return (Command(holder), rules)
        case Verdict.REJECTED:
            offender = cell.icmp.offender if cell.icmp is not None else None
            return (Command(rules.line, offender), route)
        case Verdict.UNREACHABLE:
            return (route, Command("ip -br address", there))
        case Verdict.WRONG_RESPONDER:
            own = destination in _WILDCARDS or destination == "::1" or destination.startswith("127.")
            return (Command(holder, there if own else None),)
        case _:
            return (route,)


def next_steps(cells: Sequence[Cell], findings: Sequence[Finding], binds: Sequence[str]) -> tuple[Command, ...]:
    """What to run next: what shows the causes; without any, what asks from elsewhere. ``binds`` as they were given."""
    commands = dict.fromkeys(command for finding in findings if finding.differs for command in finding.commands)
    if commands or any(cell.vantage != LOCAL for cell in cells):
        return tuple(commands)
    line = shlex.join(["netprobe", "bindtest", *binds])
    return (Command(f"{line} --from ssh:HOST"), Command(f"{line} --listen-only"))


# What was not tested.


def untested_of(
    cells: Sequence[Cell],
    failed: Mapping[str, str],
    links: Sequence[str],
    *,
    beyond_this_host: bool,
    payload: bool,
) -> tuple[Untested, ...]:
    """What the run says nothing about.

    ``failed`` are vantages that could not be used, with the reason; ``links`` this host's interfaces but loopback;
    ``beyond_this_host``: a vantage with a network stack of its own was asked.
    """
    found = [Untested(name, why) for name, why in failed.items()]
    if not beyond_this_host:
        where = f"a rule for {_listed(links)}" if links else "a rule for one"
        why = (
            f"What a host sends to itself passes no network card and not {where}, "
            "so this says nothing about the network."
        )
        return (*found, Untested("other hosts", why))
    asked = _listed([call_vantage(name) for name in _distinct(cells, lambda cell: cell.vantage) if name not in failed])
    found.append(Untested("other hosts", f"Only {asked} asked."))
    ports = sorted({cell.port for cell in cells if cell.port is not None})
    if ports:
        some = _listed([str(port) for port in ports])
        found.append(Untested("other ports", f"A rule may name a port: {some} says nothing of another one."))
    for version, is_one in (("IPv4", _is_ipv4), ("IPv6", _is_ipv6)):
        if not any(is_one(cell.destination) for cell in cells):
            found.append(Untested(version, f"No {version} address was asked for."))
    for protocol in ("tcp", "udp"):
        if not any(cell.protocol == protocol for cell in cells):
            found.append(Untested(protocol, f"A rule may name a protocol; {protocol} was left out."))
    if not payload:
        found.append(Untested("large packets", "--payload was not given; small ones may pass where large ones do not."))
    return tuple(found)


def _is_ipv4(address: str) -> bool:
    return ":" not in address


def _is_ipv6(address: str) -> bool:
    return ":" in address
