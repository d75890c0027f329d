"""Which cells there are: bind addresses x protocols x destinations x vantages. Pure.

The whole plan is made before anything is probed: every vantage gets all its questions in one request, and cells come
out in this order, whichever vantage answers first. Only what a destination's name stands for at a vantage is not known
before that vantage has been asked. Then both sides of the conversation, which are two threads, make the questions of it
anew: they are the same questions, so nothing has to be handed over.

The wildcards are destinations, too: what connecting to 0.0.0.0 means differs between systems, and tutorials get it
wrong (netprobe-bindtest(1)).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Final

from netprobe.errors import InvalidInputError
from netprobe.prober.names import MOST_ADDRESSES
from netprobe.reach.facts import HostFacts
from netprobe.reach.host_name import HostName
from netprobe.reach.listener import Listener
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["NamedQuestion", "Plan", "Question", "default_binds", "destinations_of"]

_ANY4: Final = ScopedAddress.parse("0.0.0.0")
_ANY6: Final = ScopedAddress.parse("::")
_MOST_CELLS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Question:
    """One cell before it is probed: from which vantage, to which destination of which listener.

    ``name`` led to the destination there, if one did.
    """

    id: int
    listener: Listener
    destination: ScopedAddress
    vantage: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NamedQuestion:
    """The cell of a name that has no address at the vantage, or none that is known yet: it cannot be asked."""

    listener: Listener
    destination: HostName
    vantage: str

    @property
    def name(self) -> str:
        """As it was given."""
        return self.destination.text


def default_binds(host: HostFacts, version: int | None = None) -> tuple[ScopedAddress, ...]:
    """Every local address and both wildcards; IPv4 first. With a ``version``, its own only."""
    own = [entry.address for entry in host.addresses]
    four = [address for address in own if address.version == 4]
    six = [address for address in own if address.version == 6]
    found = _in_order([*four, _ANY4, *six, *([_ANY6] if host.ipv6 else [])])
    return tuple(address for address in found if version in (None, address.version))


def destinations_of(listener: Listener, host: HostFacts, to: Sequence[ScopedAddress] = ()) -> tuple[ScopedAddress, ...]:
    """The destinations to probe for one listener: every local address of the families it could serve, the wildcard(s)
    of those families, the bound address itself, and whatever ``--to`` adds.
    """
    bind = listener.bind
    versions = {4} if bind.version == 4 or bind.mapped else {6}
    if bind.is_wildcard and bind.version == 6:
        versions = {4, 6}
    local = [entry.address for entry in host.addresses if entry.address.version in versions]
    itself = [] if bind.is_wildcard or bind.mapped else [bind]
    four = [x for x in [*local, *itself] if x.version == 4]
    six = [x for x in [*local, *itself] if x.version == 6]
    return _in_order([*four, *([_ANY4] if 4 in versions else []), *six, *([_ANY6] if 6 in versions else []), *to])


@dataclass(frozen=True)
class Plan:
    """What is asked from every vantage: the same, but for what each makes of the names in ``to``.

    With a ``version``, its destinations only: what is bound to ``::`` can be reached over both.
    """

    listeners: Sequence[Listener]
    vantages: Sequence[str]
    host: HostFacts
    to: Sequence[ScopedAddress | HostName] = ()
    version: int | None = None

    @cached_property
    def names(self) -> tuple[HostName, ...]:
        """What the vantages have to resolve, each once."""
        found: dict[str, HostName] = {}
        for destination in self.to:
            if isinstance(destination, HostName):
                found.setdefault(destination.ascii, destination)
        return tuple(found.values())

    @cached_property
    def most_cells(self) -> int:
        """How many cells a vantage has at most; more in all than anybody could read are refused."""
        if not self.vantages:  # --listen-only asks nothing
            return 0
        total, at_most = 0, _MOST_CELLS // len(self.vantages)
        for listener in self.listeners:
            total += len(self._destinations(listener)) + MOST_ADDRESSES * len(self.names)
            if total > at_most:
                raise InvalidInputError("plan", f"more than {_MOST_CELLS:,} cells", "choose bind addresses with --addr")
        return total

    def _destinations(self, listener: Listener) -> tuple[ScopedAddress, ...]:
        found = destinations_of(listener, self.host, self._addresses)
        return tuple(address for address in found if self.version in (None, address.version))

    @cached_property
    def _addresses(self) -> tuple[ScopedAddress, ...]:
        return tuple(x for x in self.to if isinstance(x, ScopedAddress))

    @cached_property
    def _first(self) -> Mapping[str, int]:
        """The number of each vantage's first cell."""
        return {vantage: number * self.most_cells for number, vantage in enumerate(self.vantages)}

    def questions(
        self, vantage: str, resolved: Mapping[str, Sequence[ScopedAddress]] | None = None
    ) -> Iterator[Question | NamedQuestion]:
        """The cells of a vantage, in display order. ``resolved`` are the addresses there by the name asked for.

        Their numbers are the vantage's own, and the same whenever and wherever this is asked.
        """
        numbers = count(self._first[vantage])
        named: dict[ScopedAddress, str] = {}
        for name in self.names:
            for address in (resolved or {}).get(name.ascii, ()):
                named.setdefault(address, name.text)
        for listener in self.listeners:
            for destination in self._destinations(listener):
                if destination not in named:  # one cell each: those of a name are together, in its resolver's order
                    yield Question(next(numbers), listener, destination, vantage)
            for destination, text in named.items():
                yield Question(next(numbers), listener, destination, vantage, text)
            for name in self.names:
                if not (resolved or {}).get(name.ascii):
                    yield NamedQuestion(listener, name, vantage)


def _in_order(addresses: Iterable[ScopedAddress]) -> tuple[ScopedAddress, ...]:
    """Each address once, in the order of first appearance."""
    return tuple(dict.fromkeys(addresses))
