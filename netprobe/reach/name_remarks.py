"""What there is to say about the names of a run: what they stand for at a vantage, where that decides who is reached.

Clients try a name's addresses in their resolver's order, and many try only the first one. So it is told where the first
address of a name is not the one that is reached, or where all of them are the vantage itself: ``localhost`` is never
this host when somebody else says it (RFC 6761 section 6.3). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.reach.cells import Cell
from netprobe.reach.host_name import HostName
from netprobe.reach.listener import Listener
from netprobe.reach.messages import Resolved
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.vantages import LOCAL
from netprobe.verdicts import Verdict

__all__ = ["NameRemark", "name_details", "name_remarks"]

_HERE: Final = "this host"
_MOST_NAMES: Final = 4  # vantages that are named, more are counted


@dataclass(frozen=True, slots=True)
class NameRemark:
    """What holds for ``name`` at ``vantages``, by the words that a sentence has for them."""

    name: str
    vantages: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.name} at {_listed(self.vantages)} {self.text}"


def name_remarks(
    names: Sequence[HostName],
    resolved: Mapping[str, Sequence[Resolved]],
    cells: Iterable[Cell],
    listeners: Sequence[Listener],
    here: str = _HERE,
) -> tuple[NameRemark, ...]:
    """What is worth telling, once for all vantages of which it is true. ``resolved`` is by vantage, ``here`` is what
    ``local`` is called.
    """
    reached: dict[tuple[str, str], set[str]] = {}
    elsewhere: set[str] = set()  # vantages whose loopback is not this host's
    for cell in cells:
        if cell.destination_name is None:
            continue
        there = reached.setdefault((cell.vantage, cell.destination_name), set())
        if cell.observed == Verdict.REACHABLE:
            there.add(cell.destination)
        elif cell.vantage != LOCAL:
            elsewhere.add(cell.vantage)
    texts = {name.ascii: name.text for name in names}
    binds = dict.fromkeys(str(listener.bind) for listener in listeners if listener.is_open)
    found: dict[tuple[str, str], list[str]] = {}
    for vantage, answers in resolved.items():
        for answer in answers:
            name = texts[answer.name]
            there = reached.get((vantage, name), set())
            for text in _about(answer, there, list(binds), is_elsewhere=vantage in elsewhere):
                found.setdefault((name, text), []).append(here if vantage == LOCAL else vantage)
    return tuple(NameRemark(name, tuple(vantages), text) for (name, text), vantages in found.items())


def name_details(names: Sequence[HostName], resolved: Mapping[str, Sequence[Resolved]]) -> tuple[NameRemark, ...]:
    """What each name stands for at each vantage, alike ones together."""
    texts = {name.ascii: name.text for name in names}
    found: dict[tuple[str, str], list[str]] = {}
    for vantage, answers in resolved.items():
        for answer in answers:
            if answer.addresses:
                same = found.setdefault((texts[answer.name], f"is {_in_order(answer.addresses)}"), [])
                same.append(_HERE if vantage == LOCAL else vantage)
    return tuple(NameRemark(name, tuple(vantages), text) for (name, text), vantages in found.items())


def _about(answer: Resolved, reached: set[str], binds: Sequence[str], *, is_elsewhere: bool) -> Iterable[str]:
    addresses = [str(address) for address in answer.addresses]
    if answer.left_out:
        total = len(addresses) + answer.left_out
        yield f"has {total} addresses; the first {len(addresses)} were asked"
    if not addresses:
        return
    if not reached:
        if is_elsewhere and all(address.is_loopback for address in answer.addresses):
            yield f"is that host itself, not this one: {_listed(addresses)}"
        return
    if len(reached) == len(addresses):
        return
    bound = [bind for bind in binds if bind in addresses]
    if bound == list(binds) and set(bound) == reached:
        yield f"is {_in_order(answer.addresses)}; you bound {_listed(bound)} only"
    else:
        there = [address for address in addresses if address in reached]
        yield f"is {_in_order(answer.addresses)}; reached at {_listed(there)} only"


def _in_order(addresses: Sequence[ScopedAddress]) -> str:
    """``::1 first, then 127.0.0.1``."""
    first, *others = (str(address) for address in addresses)
    return f"{first} first, then {_listed(others)}" if others else first


def _listed(words: Sequence[str]) -> str:
    """``a, b and c``; ``a, b, c, d and 5 more``."""
    if len(words) > _MOST_NAMES + 1:
        return f"{', '.join(words[:_MOST_NAMES])} and {len(words) - _MOST_NAMES} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
