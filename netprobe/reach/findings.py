"""What a run found, for a person: each cause once, what was not tested, and what to look at next. Pure.

A matrix says what; a reader wants to know what to make of it. Three things are easily missed there, and each has a
list of its own here, which the terminal and the report page both show:

* One cause usually makes many cells differ (a rule for tcp makes one for each destination). :func:`findings_of` groups
  the cells that share verdicts, cause and explanation, so that a cause is told once, with its cells.
* What was not asked reads as "fine" in any matrix. :func:`untested_of` names it: other hosts above all, because a host
  reaches its own addresses without passing a network card or a rule for one (ip-route(8), table local).
* What to do next is a command to *look* with. None opens or changes anything: whether a firewall that stops a probe is
  a fault or the very thing that is wanted is not for a tool to know.

Where a question got no answer, what is told is what was seen: whether it reached the listener, and whether the other
protocol was answered on the same path. Everything that could explain the rest is listed as what remains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from netprobe.outcome.blame import Blame, Layer
from netprobe.reach.cells import Cell
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.vantages import LOCAL
from netprobe.verdicts import Verdict

__all__ = [
    "AUTOMATIC",
    "MANUAL",
    "Command",
    "Finding",
    "Places",
    "Untested",
    "call_vantage",
    "commands_for",
    "findings_of",
    "next_steps",
    "untested_of",
    "unusable",
]

_MOST_NAMES: Final = 3  # up to this many addresses are listed, more are counted
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})
_SILENCE: Final = re.compile(r"silence for ([\d.]+) s")
_CLOSED: Final = re.compile(r"nothing listens .*?\(or [^)]*\)(?:: (.*))?")
_NUMBER: Final = re.compile(r"\b\d+\b(?![.:])")
_SECONDS: Final = re.compile(r"(?<=for )[\d.]+(?= s\b)")
_ELSEWHERE: Final = re.compile(r"answered from (\S+), not from \S+: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Places:
    """How the two ends of a run are called: the vantage ``local``, and the ``listener``'s host.

    ``system`` is the listener's: commands to look with are Linux's.
    """

    local: str = "this host"
    listener: str = "this host"
    system: str = "linux"

    @property
    def away(self) -> str | None:
        """Where a command for the listener's host is to be typed; None: here."""
        return None if self.local == self.listener else self.listener


AUTOMATIC: Final = Places()
MANUAL: Final = Places(
    "this machine", "the other machine"
)  # of ``--connect``, which runs where the questions come from


@dataclass(frozen=True, slots=True)
class Command:
    """A command line to paste, and the host to paste it on (None: this one)."""

    line: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, with all cells that show it: ``cells`` are positions in the run's list of cells.

    ``differs``: not as expected. Otherwise it is a remark on cells that are as expected and yet unusual.
    ``where`` names the cells, ``what`` says what happened there in a few words, ``because`` what was seen of it and
    what that leaves, in sentences.
    """

    differs: bool
    expected: Verdict | None
    observed: Verdict
    where: str
    what: str
    because: tuple[str, ...]
    cells: tuple[int, ...]
    commands: tuple[Command, ...]

    @property
    def title(self) -> str:
        """``tcp from pc2 to 10.10.152.8: expected reachable, no answer in 2 s``."""
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Untested:
    """Something that this run says nothing about, and why that matters."""

    what: str
    why: str


def call_vantage(name: str, places: Places = AUTOMATIC) -> str:
    """A vantage as a sentence calls it: ``local`` is this host."""
    return places.local if name == LOCAL else name


def unusable(cells: Sequence[Cell]) -> dict[str, str]:
    """The vantages that answered nothing of what they were asked, each with the reason: they have no column."""
    answered: set[str] = set()
    reasons: dict[str, str] = {}
    for cell in cells:
        if cell.observed == Verdict.NOT_TESTED:
            reasons.setdefault(cell.vantage, cell.cause or "no reason is known")
        elif cell.observed != Verdict.NOT_BINDABLE:
            answered.add(cell.vantage)
    return {name: why for name, why in reasons.items() if name not in answered}


# Causes.


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the cells of one finding have in common.

    ``said`` are the cause and its explanation as the cells have them, ``other`` is the other protocol where that one
    was answered on the same path, ``translated`` the vantage that comes through an address translation. ``blame`` is
    who stopped them, but for what was counted and seen of each.
    """

    differs: bool
    expected: Verdict | None
    observed: Verdict
    what: str
    said: tuple[str, ...] = ()
    other: str = ""
    translated: str = ""
    blame: tuple[object, ...] = ()


def findings_of(cells: Sequence[Cell], places: Places = AUTOMATIC) -> tuple[Finding, ...]:
    """Each cause once: differences first, remarks after them, both in the order of the cells."""
    groups: dict[_Kind, list[int]] = {}
    answered = {(*_path(cell), cell.protocol) for cell in cells if cell.observed == Verdict.REACHABLE}
    for position, cell in enumerate(cells):
        kind = _kind(cell, answered)
        if kind is not None:
            groups.setdefault(kind, []).append(position)
    several = len({cell.bind for cell in cells}) > 1 and places.away is None
    found = []
    for kind, positions in groups.items():
        same = [cells[position] for position in positions]
        found.append(
            Finding(
                differs=kind.differs,
                expected=kind.expected,
                observed=kind.observed,
                where=_where(same, places, name_binds=several),
                what=f"{kind.what}{_waited(same) if kind.differs else ''}",
                because=_because(kind, same, places),
                cells=tuple(positions),
                commands=commands_for(same, places, path_works=bool(kind.other)),
            )
        )
    return tuple(sorted(found, key=lambda finding: not finding.differs))


def _path(cell: Cell) -> tuple[int | None, str, str]:
    """From where to where, whatever is bound there."""
    return (cell.port, cell.destination, cell.vantage)


def _kind(cell: Cell, answered: set[tuple[int | None, str, str, str]]) -> _Kind | None:
    """The kind of finding that a cell is part of; None: there is nothing to tell of it."""
    if cell.observed in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE):
        return None
    if cell.differs:
        silence = _SILENCE.fullmatch(cell.cause or "") if cell.observed == Verdict.NO_ANSWER else None
        seen = "no answer" if silence else f"observed {cell.observed}"
        difference = None if cell.blame is not None or cell.difference == cell.cause else cell.difference
        said = (None if silence else _impersonal(cell), _without_address(difference, cell) if difference else None)
        return _Kind(
            True,
            cell.expected,
            cell.observed,
            f"expected {cell.expected}, {seen}",
            tuple(text for text in said if text),
            next((x for x in ("tcp", "udp") if x != cell.protocol and (*_path(cell), x) in answered), ""),
            blame=_culprit(cell.blame),
        )
    if cell.observed == Verdict.NO_ANSWER and cell.expected == Verdict.NO_ANSWER and cell.because is not None:
        return _Kind(False, cell.expected, cell.observed, "no answer, as expected", (cell.because,))
    if cell.observed == Verdict.NO_ANSWER and cell.expected == Verdict.REFUSED and cell.cause:
        # Behind an ICMP rate limit: no contradiction, and no refusal either, though it counts as expected.
        return _Kind(False, cell.expected, cell.observed, "silence, which may be a refusal", (cell.cause,))
    if cell.observed != Verdict.REACHABLE:
        # Nothing was expected of an address that neither side has, and what came of it has its cause all the same.
        if cell.expected is not None or cell.cause is None:
            return None
        return _Kind(False, None, cell.observed, f"observed {cell.observed}", (_impersonal(cell) or cell.cause,))
    elsewhere = _ELSEWHERE.fullmatch(cell.cause or "")
    if elsewhere is not None:
        return _Kind(False, None, cell.observed, f"answered from {elsewhere[1]}", (elsewhere[2],))
    if _is_translated(cell):
        return _Kind(False, None, cell.observed, "reached through a NAT", translated=cell.vantage)
    if cell.cause is not None:
        return _Kind(False, None, cell.observed, "reachable, but unusual", (cell.cause,))
    return None


def _culprit(blame: Blame | None) -> tuple[object, ...]:
    """Two cells with the same one have one cause."""
    if blame is None:
        return ()
    return (blame.place, blame.layer, blame.what, blame.text, blame.certain, blame.remaining)


def _impersonal(cell: Cell) -> str | None:
    """The cause without what is peculiar to one cell, so that equal causes are equal."""
    probed = cell.destination.partition("%")[0]
    if cell.cause is None:
        return None
    closed = _CLOSED.fullmatch(cell.cause)
    if closed is not None and cell.differs and cell.expected == Verdict.REACHABLE:
        # Whether nothing listens there is the very question.
        return _without_address(closed[1], cell) if closed[1] else "the connection was refused"
    cause = _SECONDS.sub(lambda found: _rounded(found[0]), cell.cause)
    cause = cause.replace(f"on port {cell.port} ", "on that port ")
    return _without_address(cause.replace(f"not from {probed}", "not from the address that was asked"), cell)


def _without_address(text: str, cell: Cell) -> str:
    """Who sent the ICMP error is peculiar to a cell where it is the one that was asked: a host has many addresses."""
    probed = cell.destination.partition("%")[0]
    if cell.icmp is None or cell.icmp.offender is None or cell.icmp.offender.partition("%")[0] != probed:
        return text
    return re.sub(rf"\b(at|by|from) {re.escape(cell.icmp.offender)}(?![\w.:%])", r"\1 the address that was asked", text)


def _waited(cells: Sequence[Cell]) -> str:
    """How long the silence was: a cell that was asked again had a longer one, for the same cause."""
    found = [_SILENCE.fullmatch(cell.cause or "") for cell in cells if cell.observed == Verdict.NO_ANSWER]
    waits = sorted({float(_rounded(match[1])) for match in found if match is not None})
    if not waits:
        return ""
    return f" in {waits[0]:g} s" if len(waits) == 1 else f" in {waits[0]:g} to {waits[-1]:g} s"


def _rounded(seconds: str) -> str:
    """A wait to half a second: it is a little longer than ``--timeout``, and never twice the same."""
    number = float(seconds)
    return f"{round(2 * number) / 2:g}" if number >= 1 else f"{number:.1g}"


def _is_translated(cell: Cell) -> bool:
    """Did the listener see another address than the one that the question was sent from?"""
    if cell.source is None or cell.observed_source is None:
        return False
    own, seen = ScopedAddress.parse(cell.source), ScopedAddress.parse(cell.observed_source)
    return (own.mapped or own.ip) != (seen.mapped or seen.ip)


def _because(kind: _Kind, cells: Sequence[Cell], places: Places) -> tuple[str, ...]:
    """Sentences: what was seen, then what that leaves."""
    if kind.translated:
        own, seen = (_distinct(cells, key) for key in (lambda x: x.source or "?", lambda x: x.observed_source or "?"))
        sender = call_vantage(kind.translated, places)
        text = f"{sender} sends from {_listed(own)}; {places.listener} sees {_listed(seen)}."
        return (_sentence(text) if sender == places.local else text,)
    blame = cells[0].blame
    if blame is not None:
        evidence = (
            _seen_of(cells) if kind.observed in (Verdict.NO_ANSWER, Verdict.REFUSED) else ()
        )  # else it is the cause
        where = f", on {_called(blame.place, places)}" if blame.place is not None else ""
        is_told = bool(where) or blame.layer in (Layer.PATH, Layer.MTU)  # else the evidence says it in the same words
        head = [_sentence(f"{blame.what}{where}")] if is_told and evidence else []
        return (*map(_sentence, kind.said), *head, *replace(blame, evidence=evidence).sentences)
    answered = f"{kind.other} on that path was answered" if kind.other else ""
    found = [_sentence(text) for text in kind.said]
    if answered and kind.observed in (Verdict.NO_ANSWER, Verdict.REJECTED, Verdict.REFUSED):
        found.append(_sentence(answered))
    return tuple(found)


def _seen_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What was seen of all these, each once: counts go on meanwhile, so the last one is told."""
    found: dict[str, str] = {}
    for cell in cells:
        for text in cell.blame.evidence if cell.blame is not None else ():
            found[_NUMBER.sub("#", text)] = text
    return tuple(found.values())


def _called(place: str, places: Places) -> str:
    """The place of a blame, which is told by the host that listens."""
    return places.listener if place == AUTOMATIC.listener else place


def _sentence(text: str) -> str:
    """With a capital letter, where it begins with a word and not with a name, and with a full stop."""
    first = text.partition(" ")[0].rstrip(",;:")
    if first.isalpha() and first.islower() and first not in ("tcp", "udp", "accept"):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?")) else f"{text}."


def _where(cells: Sequence[Cell], places: Places, *, name_binds: bool) -> str:
    """Which cells: ``tcp from pc2 to 10.10.152.8``, with how many they are where that is not obvious."""
    protocols = _distinct(cells, lambda cell: cell.protocol)
    destinations = _listed(_distinct(cells, lambda cell: cell.destination))
    vantages = _listed([call_vantage(name, places) for name in _distinct(cells, lambda cell: cell.vantage)])
    text = f"from {vantages} to {destinations}"
    if len(protocols) == 1:
        text = f"{protocols[0]} {text}"
    binds = _distinct(cells, lambda cell: cell.bind or "?")
    more = [f"{len(cells)} cells"] if len(cells) > 1 else []
    if name_binds and binds != _distinct(cells, lambda cell: cell.destination):
        more.insert(0, f"bound to {_listed(binds)}")
    return f"{text} ({'; '.join(more)})" if more else text


def _distinct(cells: Sequence[Cell], key: Callable[[Cell], str]) -> list[str]:
    return list(dict.fromkeys(key(cell) for cell in cells))


def _listed(words: Sequence[str], conjunction: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 4 more``."""
    if len(words) > _MOST_NAMES + 1:
        return f"{', '.join(words[:_MOST_NAMES])} {conjunction} {len(words) - _MOST_NAMES} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


# Commands to look with.


def commands_for(cells: Sequence[Cell], places: Places = AUTOMATIC, *, path_works: bool = False) -> tuple[Command, ...]:
    """What shows more about a cause, for its first cell: rules, routes, or who has the port.

    At the vantages it is for as many as are named; of more, the first one stands for all.
    ``path_works``: another question came there and back, so that routes have nothing to tell.
    """
    if places.system != "linux":
        return ()
    cell = cells[0]
    blame = cell.blame
    if blame is not None and blame.command is not None and blame.place is not None:
        place = None if blame.place == AUTOMATIC.listener else blame.place
        return (Command(blame.command, places.away if place is None else _whose(place)),)
    there = _where_to_look([one for one in cells if one.destination == cell.destination])
    destination = cell.destination.partition("%")[0]
    route = Command(f"ip route get {destination}", there)
    rules = Command("sudo nft -a list ruleset", places.away)
    holder = f"ss -ln{'t' if cell.protocol == 'tcp' else 'u'}p 'sport = :{cell.port}'"
    match cell.observed:
        case Verdict.NO_ANSWER if cell.errno == "ENOBUFS":
            links = Command("ip -s link", there)
            return tuple(dict.fromkeys((links, Command(links.line, places.away))))
        case Verdict.NO_ANSWER:
            rest = () if path_works else (route,)
            return tuple(dict.fromkeys((rules, Command(rules.line, there), *rest)))
        case Verdict.REFUSED:
            return (Command(holder, places.away), rules)
        case Verdict.REJECTED:
            offender = cell.icmp.offender if cell.icmp is not None else None
            return (Command(rules.line, f"the host that has {offender}" if offender else there), route)
        case Verdict.UNREACHABLE:
            return (route, Command("ip -br address", there))
        case Verdict.WRONG_RESPONDER:
            own = destination in _WILDCARDS or destination == "::1" or destination.startswith("127.")
            return (Command(holder, there if own else places.away),)
        case _:
            return (rules,)


def _whose(place: str) -> str:
    """``pc2``; ``the host that has 10.2.0.2``."""
    try:
        ip_address(place)
    except ValueError:
        return place
    return f"the host that has {place}"


def _where_to_look(cells: Sequence[Cell]) -> str | None:
    """The vantages of the cells, for the heading of a command; None: this host, or this machine."""
    names = _distinct(cells, lambda cell: cell.vantage)
    if LOCAL in names:
        return None if names[0] == LOCAL else names[0]
    return _listed(names) if len(names) <= _MOST_NAMES else names[0]


def next_steps(
    cells: Sequence[Cell], findings: Sequence[Finding], line: str, places: Places = AUTOMATIC
) -> tuple[Command, ...]:
    """What to run next: what shows the causes; without any, what asks from elsewhere. ``line`` binds the same again.

    ``--connect`` binds nothing, so it cannot go on to ask from elsewhere.
    """
    commands = dict.fromkeys(command for finding in findings if finding.differs for command in finding.commands)
    if commands or places.away or any(cell.vantage != LOCAL for cell in cells):
        return tuple(commands)
    elsewhere = Command(f"{line} --from ssh:HOST")
    if all(cell.bind is not None and ScopedAddress.parse(cell.bind).is_loopback for cell in cells):
        return (elsewhere,)  # there is no address that another machine could be told to connect to
    return (elsewhere, Command(f"{line} --listen-only"))


# What was not tested.


def untested_of(
    cells: Sequence[Cell],
    failed: Mapping[str, str],
    links: Sequence[str],
    *,
    beyond_this_host: bool,
    payload: bool,
    places: Places = AUTOMATIC,
) -> tuple[Untested, ...]:
    """What the run says nothing about.

    ``failed`` are vantages that could not be used, with the reason; ``links`` this host's interfaces but loopback;
    ``beyond_this_host``: a vantage with a network stack of its own was asked.
    """
    found = [Untested(name, why) for name, why in failed.items()]
    lost = [cell for cell in cells if cell.observed == Verdict.NOT_TESTED and cell.vantage not in failed]
    if lost:
        found.append(Untested(f"{len(lost)} cell{'s' if len(lost) > 1 else ''}", f"{lost[0].cause}."))
    if cells and all(cell.observed == Verdict.NOT_BINDABLE for cell in cells):
        return (*found, Untested("everything", "Nothing could be bound, so nothing was asked."))
    if not beyond_this_host:
        where = f"no rule for {_listed(links, 'or')}" if links else "no rule for one"
        why = f"What a host sends to itself passes no network card and {where}, so this says nothing about the network."
        return (*found, Untested("other hosts", why))
    names = [name for name in _distinct(cells, lambda cell: cell.vantage) if name not in failed]
    if not names:
        return (*found, Untested("other hosts", "No host was asked."))
    asked = _listed([call_vantage(name, places) for name in names])
    found.append(Untested("other hosts", f"Only {asked} {'was' if len(names) == 1 else 'were'} asked."))
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
