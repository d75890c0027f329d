"""Bytes that every place of a stream foretells: what comes back is checked without keeping what was sent."""

from __future__ import annotations

import random
from functools import cache

__all__ = ["CHUNK", "Pattern"]

PERIOD = 65_521  # bytes, a prime: no message size that people choose hides a shift
CHUNK = 256 * 1024  # the longest piece


@cache
def _text() -> bytes:
    period = random.Random(862).randbytes(PERIOD)
    return period * (-(-CHUNK // PERIOD) + 1)


class Pattern:
    """The endless stream of one connection; each ``number`` has its own, so that streams which get mixed up show."""

    __slots__ = ("_start", "_text", "_view")

    def __init__(self, number: int) -> None:
        self._text = _text()
        self._view = memoryview(self._text)
        self._start = number * 7919 % PERIOD

    def piece(self, position: int, size: int) -> memoryview:
        """``size`` bytes (at most CHUNK) of the stream from ``position`` on."""
        at = (self._start + position) % PERIOD
        return self._view[at : at + size]

    def fits(self, position: int, data: bytes) -> bool:
        """Is ``data`` (at most CHUNK bytes) what the stream has at ``position``?"""
        return self._text.startswith(data, (self._start + position) % PERIOD)
