"""Which cells there are: bind addresses x protocols x destinations x vantages. Pure.

The whole plan is made before anything is probed: every vantage gets all its questions in one request, and cells come
out in this order, whichever vantage answers first.

The wildcards are destinations, too: what connecting to 0.0.0.0 means differs between systems, and tutorials get it
wrong (netprobe-bindtest(1)).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from netprobe.errors import InvalidInputError
from netprobe.reach.facts import HostFacts
from netprobe.reach.listener import Listener
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["Question", "default_binds", "destinations_of", "questions_of"]

_ANY4: Final = ScopedAddress.parse("0.0.0.0")
_ANY6: Final = ScopedAddress.parse("::")
_MOST_CELLS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Question:
    """One cell before it is probed: from which vantage, to which destination of which listener."""

    id: int
    listener: Listener
    destination: ScopedAddress
    vantage: str


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


def questions_of(
    listeners: Sequence[Listener],
    vantages: Sequence[str],
    host: HostFacts,
    to: Sequence[ScopedAddress] = (),
    version: int | None = None,
) -> Iterator[Question]:
    """Every cell, in display order; more than anybody could read are refused.

    With a ``version``, its destinations only: what is bound to ``::`` can be reached over both.
    """
    numbers = count()
    for vantage in vantages:
        for listener in listeners:
            for destination in destinations_of(listener, host, to):
                if version not in (None, destination.version):
                    continue
                number = next(numbers)
                if number >= _MOST_CELLS:
                    raise InvalidInputError(
                        "plan", f"more than {_MOST_CELLS:,} cells", "choose bind addresses with --addr"
                    )
                yield Question(number, listener, destination, vantage)


def _in_order(addresses: Iterable[ScopedAddress]) -> tuple[ScopedAddress, ...]:
    """Each address once, in the order of first appearance."""
    return tuple(dict.fromkeys(addresses))
