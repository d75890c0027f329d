"""Addresses by the million: a block of lines in, their labels out, with the loops inside C.

A whole block is converted at once: ``map(inet_pton, …)`` turns lines into bytes, an array of their upper halves looks
each one up in a table of 65,536 runs. Only what the table cannot tell (a /32 inside a /16) is looked at by itself,
and what inet_pton(3) does not take (IPv6 among IPv4, prefixes, comments, bad lines) goes through the strict reader.
Where a block repeats itself, as a log does, each distinct text is converted once and remembered.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import repeat
from socket import AF_INET, AF_INET6, inet_pton  # a conversion of text, no I/O
from typing import NamedTuple

from netprobe.address.classification import Classification, classify
from netprobe.address.kinds import segments_of
from netprobe.errors import AddressError

__all__ = ["Labeller", "Tail", "Tails", "block_of", "classify_many", "is_skipped", "kind_of_tail", "prepare"]

_REMEMBERED = 1 << 17  # distinct texts; then the memory starts anew, so that it stays flat
_SAMPLE = 512  # lines of a block that tell whether it repeats itself
_PART = 128  # lines tried at once when a block as a whole could not be converted


Tail = str  # what stands behind a line in plain output: tab, kind, tab, block or -, line feed


class Tails(NamedTuple):
    """One of ``each`` a text; ``clean`` says that there are tails only: neither errors nor None."""

    each: Sequence[Tail | AddressError | None]
    clean: bool


def kind_of_tail(tail: Tail) -> str:
    """The kind in a tail."""
    return tail[1 : tail.index("\t", 1)]


def _tail(kind: str, block: str | None) -> Tail:
    return f"\t{kind}\t{block or '-'}\n"


@cache
def _tails(version: int) -> tuple[list[int], list[Tail]]:
    """Starts of the runs of one family, and the tail of each."""
    starts, segments = segments_of(version)
    return starts, [_tail(segment.kind, segment.block) for segment in segments]


@cache
def _by_upper_half() -> list[Tail | None]:
    """The tail of each IPv4 /16; None where it holds more than one."""
    starts, tails = _tails(4)
    table: list[Tail | None] = [None] * (1 << 16)
    for start, end, tail in zip(starts, [*starts[1:], 1 << 32], tails, strict=True):
        first, after = -(-start >> 16), end >> 16  # the whole /16s inside the run
        if first < after:
            table[first:after] = [tail] * (after - first)
    return table


def prepare() -> None:
    """Make the tables now, so that processes which are forked later share them."""
    _by_upper_half()
    _tails(6)


def is_skipped(text: str) -> bool:
    """Blank lines and comments say nothing."""
    return not text.strip() or text.lstrip().startswith("#")


class Labeller:
    """Finds the tails of texts block by block and remembers those of a stream that repeats itself."""

    def __init__(self) -> None:
        self._memory: dict[str, Tail | AddressError | None] = {}

    def tails(self, texts: Sequence[str]) -> Tails:
        """One tail a text; the error for what is no address; None for blank lines and comments."""
        sample = texts[:_SAMPLE]
        if len(set(sample)) * 2 > len(sample):
            return _convert(texts)
        unknown = list(set(texts).difference(self._memory))
        if len(self._memory) + len(unknown) > _REMEMBERED:
            self._memory.clear()
            unknown = list(set(texts))
        self._memory.update(zip(unknown, _convert(unknown).each, strict=True))
        return _looked_through(list(map(self._memory.__getitem__, texts)))


def _convert(texts: Sequence[str]) -> Tails:
    try:
        return Tails(_all_ipv4(texts), True)
    except (OSError, ValueError):  # ValueError: a null character or a lone surrogate
        return _looked_through(_by_parts(texts))


def _looked_through(tails: Sequence[Tail | AddressError | None]) -> Tails:
    return Tails(tails, set(map(type, tails)) <= {str})


def _by_parts(texts: Sequence[str]) -> list[Tail | AddressError | None]:
    """Part by part, so that a line of another kind slows down its neighbours only."""
    tails: list[Tail | AddressError | None] = []
    for at in range(0, len(texts), _PART):
        part = texts[at : at + _PART]
        try:
            tails += _all_ipv4(part)
        except (OSError, ValueError):
            tails += map(_one, part)
    return tails


def _all_ipv4(texts: Sequence[str]) -> list[Tail | AddressError | None]:
    """Tails of texts that are all plain IPv4 addresses. Raises OSError as soon as one is not."""
    packed = b"".join(map(inet_pton, repeat(AF_INET), texts))
    halves = array("H", packed)
    if sys.byteorder == "little":
        halves.byteswap()
    tails: list[Tail | AddressError | None] = list(map(_by_upper_half().__getitem__, halves[::2]))
    at = -1
    starts, known = _tails(4)
    for _ in range(tails.count(None)):
        at = tails.index(None, at + 1)
        tails[at] = known[bisect_right(starts, int.from_bytes(packed[4 * at : 4 * at + 4])) - 1]
    return tails


def _one(text: str) -> Tail | AddressError | None:
    """One text: IPv4 and IPv6 by inet_pton, all else by the strict reader."""
    family = AF_INET6 if ":" in text else AF_INET
    try:
        number = int.from_bytes(inet_pton(family, text))
    except (OSError, ValueError):
        return _read(text)
    starts, tails = _tails(6 if family == AF_INET6 else 4)
    return tails[bisect_right(starts, number) - 1]


def _read(text: str) -> Tail | AddressError | None:
    if is_skipped(text):
        return None
    try:
        found = classify(text.strip())
    except AddressError as error:
        return error
    return _tail(found.kind, block_of(found))


def block_of(found: Classification) -> str | None:
    """The block of an address, or of a range that lies in one."""
    if found.range is None or (found.network is not None and found.range.first != found.address):
        return found.block.cidr if found.block else None
    blocks = {piece.block for piece in found.range.pieces}
    return blocks.pop() if len(blocks) == 1 else None


def classify_many(lines: Iterable[str], *, lenient: bool = False) -> Iterator[Classification | AddressError]:
    """A full record for each line that is neither blank nor a comment; for a bad line the error, not raised.

    ``lines`` may end in line breaks. Equal lines give equal records, made once as long as they are remembered.
    """
    memory: dict[str, Classification | AddressError] = {}
    for line in lines:
        text = line.strip()
        if is_skipped(text):
            continue
        found = memory.get(text)
        if found is None:
            try:
                found = classify(text, lenient=lenient)
            except AddressError as error:
                found = error
            if len(memory) >= 4096:
                memory.clear()
            memory[text] = found
        yield found
