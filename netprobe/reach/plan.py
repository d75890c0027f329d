"""Which cells there are: bind addresses x protocols x destinations x vantages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from netprobe.errors import InvalidInputError
from netprobe.reach.records import Address, HostFacts, Listening, Question, in_order

__all__ = ["ANY4", "ANY6", "default_binds", "destinations_of", "questions_of"]

ANY4 = Address.parse("0.0.0.0")
ANY6 = Address.parse("::")
MOST_CELLS = 200_000


def default_binds(host: HostFacts) -> tuple[Address, ...]:
    """Every local address and both wildcards; IPv4 first."""
    own = [entry.address for entry in host.addresses]
    four = [address for address in own if address.version == 4]
    six = [address for address in own if address.version == 6]
    return in_order([*four, ANY4, *six, *([ANY6] if host.ipv6 else [])])


def destinations_of(listener: Listening, host: HostFacts, to: Sequence[Address] = ()) -> tuple[Address, ...]:
    """What is asked about one listener: every local address of the families it could serve, the wildcard(s) of
    those families, the bound address itself, and whatever ``--to`` adds.
    """
    bind = listener.bind
    versions = {4} if bind.version == 4 or bind.mapped else {6}
    if bind.is_wildcard and bind.version == 6:
        versions = {4, 6}
    local = [entry.address for entry in host.addresses if entry.address.version in versions]
    itself = [] if bind.is_wildcard or bind.mapped else [bind]
    four = [x for x in [*local, *itself] if x.version == 4]
    six = [x for x in [*local, *itself] if x.version == 6]
    return in_order([*four, *([ANY4] if 4 in versions else []), *six, *([ANY6] if 6 in versions else []), *to])


def questions_of(
    listeners: Sequence[Listening], vantages: Sequence[str], host: HostFacts, to: Sequence[Address] = ()
) -> Iterator[Question]:
    """Every cell, in the order in which it is shown; more than anybody could read is refused."""
    numbers = count()
    for vantage in vantages:
        for listener in listeners:
            for destination in destinations_of(listener, host, to):
                number = next(numbers)
                if number >= MOST_CELLS:
                    raise InvalidInputError(
                        "plan", f"more than {MOST_CELLS:,} cells", "choose bind addresses with --addr"
                    )
                yield Question(number, listener, destination, vantage)
