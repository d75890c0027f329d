"""Yes-or-no questions about an address and their words: ``--is``, ``--only``, ``--not`` of ``netprobe classify``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from netprobe.address.classification import Classification
from netprobe.address.kinds import KINDS
from netprobe.errors import InvalidInputError

__all__ = ["NO_FILTER", "Filter", "Word", "check_predicates", "is_kind", "matches", "words"]

# The questions besides the kinds themselves: what each means, and its answer.
_PREDICATES: dict[str, tuple[str, Callable[[Classification], bool]]] = {
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
    "source": ("may be the source of a packet", lambda c: _may_be(c, "source")),
    "destination": ("may be the destination of a packet", lambda c: _may_be(c, "destination")),
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word that ``--is``, ``--only`` and ``--not`` take: ``sort`` is ``kind`` or ``predicate``."""

    word: str
    sort: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Filter:
    """``--only`` and ``--not``: what has one of the words ``only`` (if there are any) and none of ``excluded``."""

    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.only or self.excluded)

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the filter."""
        return (*self.only, *self.excluded)

    def keeps(self, found: Classification) -> bool:
        """Does an address (all of a range) pass?"""
        return self._passes(partial(matches, found))

    def keeps_kind(self, kind: str) -> bool:
        """Does an address of ``kind`` pass a filter whose words are all kinds?"""
        return self._passes(kind.__eq__)

    def _passes(self, has: Callable[[str], bool]) -> bool:
        return (not self.only or any(map(has, self.only))) and not any(map(has, self.excluded))


NO_FILTER = Filter()


def words() -> Iterator[Word]:
    """Every kind and every predicate with its meaning."""
    yield from (Word(kind, "kind", meaning) for kind, meaning in KINDS.items())
    yield from (Word(word, "predicate", meaning) for word, (meaning, _) in _PREDICATES.items())


def check_predicates(asked: Iterable[str]) -> None:
    """Raises InvalidInputError for the first word that is neither a kind nor a predicate, with what may be meant."""
    for word in asked:
        if is_kind(word) or word in _PREDICATES:
            continue
        from difflib import get_close_matches

        close = get_close_matches(word.lower(), [*KINDS, *_PREDICATES], n=1)
        hint = f"did you mean {close[0]}?" if close else "'netprobe classify --kinds' lists them"
        raise InvalidInputError(word, "neither a kind nor a predicate", hint)


def is_kind(word: str) -> bool:
    """Is ``word`` a kind, which a stream is filtered by without making records?"""
    return word in KINDS


def matches(found: Classification, word: str) -> bool:
    """Does an address (all of a range) have the kind or the property?"""
    return found.kind == word if word in KINDS else _PREDICATES[word][1](found)


def _may_be(found: Classification, direction: str) -> bool:
    if found.role is not None and not getattr(found.role, direction):
        return False
    return found.block is None or getattr(found.block, direction) is not False
