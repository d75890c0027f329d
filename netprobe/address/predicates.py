"""Questions that an address answers with yes or no: ``--is``, ``--only`` and ``--not`` of ``netprobe classify``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netprobe.address.kinds import KINDS
from netprobe.errors import InvalidInputError

if TYPE_CHECKING:
    from netprobe.address.classification import Classification

__all__ = ["PREDICATES", "check_predicate", "is_kind", "matches"]

# What is asked besides the kinds themselves, each with its meaning.
PREDICATES: dict[str, tuple[str, Callable[[Classification], bool]]] = {
    "global": ("globally reachable, by IANA's property", lambda c: c.globally_reachable is True),
    "special": ("inside a special block", lambda c: c.block is not None),
    "v4": ("IPv4", lambda c: c.version == 4),
    "v6": ("IPv6", lambda c: c.version == 6),
    "class-a": ("class A", lambda c: c.class_ is not None and c.class_.letter == "A"),
    "class-b": ("class B", lambda c: c.class_ is not None and c.class_.letter == "B"),
    "class-c": ("class C", lambda c: c.class_ is not None and c.class_.letter == "C"),
    "class-d": ("class D", lambda c: c.class_ is not None and c.class_.letter == "D"),
    "class-e": ("class E", lambda c: c.class_ is not None and c.class_.letter == "E"),
    "broadcast": ("a broadcast of any kind", lambda c: any("-1" in role.notation for role in c.roles)),
    "source": ("may be the source of a packet", lambda c: _may(c, "source")),
    "destination": ("may be the destination of a packet", lambda c: _may(c, "destination")),
}


def check_predicate(word: str) -> str:
    """``word`` if it is a kind or a predicate. Raises InvalidInputError with what it may have meant."""
    if is_kind(word) or word in PREDICATES:
        return word
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), [*KINDS, *PREDICATES], n=1)
    hint = f"did you mean {close[0]}?" if close else "'netprobe classify --kinds' lists them"
    raise InvalidInputError(word, "no kind and no predicate", hint)


def is_kind(word: str) -> bool:
    """Is ``word`` a kind, which a stream is filtered by without making records?"""
    return word in KINDS


def matches(found: Classification, word: str) -> bool:
    """Does an address (all of a range) have the kind or the property?"""
    return found.kind == word if word in KINDS else PREDICATES[word][1](found)


def _may(found: Classification, direction: str) -> bool:
    if found.role is not None and not getattr(found.role, direction):
        return False
    return found.block is None or getattr(found.block, direction) is not False
