"""The records of lists of words and counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KindCount", "Word"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word that ``--is``, ``--only`` and ``--not`` take: a ``kind`` or a ``predicate``."""

    word: str
    sort: str
    meaning: str


@dataclass(frozen=True, slots=True)
class KindCount:
    """How many addresses of a stream are of a kind; ``percent`` 0 to 100."""

    kind: str
    count: int
    percent: float
