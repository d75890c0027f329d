"""Addresses by the million: a block of lines in, their labels out, with the loops inside C.

A whole block is converted at once: ``map(inet_pton, …)`` turns lines into bytes, an array of their upper halves looks
each one up in a table of the 65,536 /16s. Only what the table cannot answer (a /32 inside a /16) is bisected by itself,
and what inet_pton(3) refuses (IPv6 among IPv4, prefixes, comments, bad lines) goes through the strict reader. Where a
block repeats itself, as a log does, each distinct text is converted once and remembered.

inet_pton only converts text, it does no I/O, and glibc's accepts no spelling that netprobe/address/reader.py refuses.
One process labels 2.3 to 4.3 M IPv4 lines a second (shared machine, Python 3.11); full records make 0.06 M, a loop over
CPython's ``ipaddress.is_global`` 0.10 to 0.13 M.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import repeat
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

from netprobe.address.classification import Classification
from netprobe.address.classifier import classify
from netprobe.address.kinds import segments_of
from netprobe.errors import AddressError

__all__ = [
    "LONGEST_ADDRESS",
    "Label",
    "Labeller",
    "Labels",
    "block_of",
    "is_skipped",
    "kind_of_label",
    "label_of",
    "prepare",
]

_REMEMBERED = 1 << 17  # distinct texts; then the memory starts anew, so that it stays flat
_SAMPLE = 512  # lines of a block that decide whether it repeats itself
_REMEMBERED_SIZE = 1 << 24  # characters of all of them
LONGEST_ADDRESS = 1000  # characters; what is longer is not looked at
_PART = 128  # lines tried at once when a block as a whole could not be converted


Label = str  # what is written behind a line: tab, kind, tab, block or -, line feed


class Labels(NamedTuple):
    """``each`` has an entry for every text.

    ``clean`` says that all of them are labels, neither errors nor None; ``bare`` that inet_pton(3) took every text as
    it stands, which has then nothing in it but digits and dots.
    """

    each: Sequence[Label | AddressError | None]
    clean: bool
    bare: bool


def kind_of_label(label: Label) -> str:
    """The kind in a label."""
    return label[1 : label.index("\t", 1)]


def label_of(kind: str, block: str | None) -> Label:
    """The label of an address of ``kind`` in the special block ``block``."""
    return f"\t{kind}\t{block or '-'}\n"


@cache
def _runs(version: int) -> tuple[list[int], list[Label]]:
    """Starts of the runs of one family, and the label of each."""
    starts, segments = segments_of(version)
    return starts, [label_of(segment.kind, segment.block) for segment in segments]


@cache
def _by_upper_half() -> list[Label | None]:
    """The label of each IPv4 /16; None where it holds more than one."""
    starts, labels = _runs(4)
    table: list[Label | None] = [None] * (1 << 16)
    for start, end, label in zip(starts, [*starts[1:], 1 << 32], labels, strict=True):
        first, after = -(-start >> 16), end >> 16  # the whole /16s inside the run
        if first < after:
            table[first:after] = [label] * (after - first)
    return table


def prepare() -> None:
    """Make the tables now, so that processes which are forked later share them."""
    _by_upper_half()
    _runs(6)


def is_skipped(text: str) -> bool:
    """Is it a blank line or a comment?"""
    return not text.strip() or text.lstrip().startswith("#")


class Labeller:
    """Finds the labels of texts block by block and remembers those of a stream that repeats itself."""

    def __init__(self) -> None:
        self._memory: dict[str, Label | AddressError | None] = {}
        self._size = 0  # characters
        self._bare = True

    def labels(self, texts: Sequence[str]) -> Labels:
        """One label per text; the error for what is not an address; None for blank lines and comments."""
        sample = texts[:_SAMPLE]
        if len(set(sample)) * 2 > len(sample):
            return _convert(texts)
        unknown = list(set(texts).difference(self._memory))
        if len(self._memory) + len(unknown) > _REMEMBERED or self._size > _REMEMBERED_SIZE:
            self._memory.clear()
            self._size, self._bare = 0, True
            unknown = list(set(texts))
        self._size += sum(map(len, unknown))
        found = _convert(unknown)
        self._bare = self._bare and found.bare
        self._memory.update(zip(unknown, found.each, strict=True))
        return _checked(list(map(self._memory.__getitem__, texts)), self._bare)


def _convert(texts: Sequence[str]) -> Labels:
    try:
        return Labels(_all_ipv4(texts), True, True)
    except (OSError, ValueError):  # ValueError: a null character or a lone surrogate
        return _checked(_by_parts(texts), False)


def _checked(labels: Sequence[Label | AddressError | None], bare: bool) -> Labels:
    return Labels(labels, set(map(type, labels)) <= {str}, bare)


def _by_parts(texts: Sequence[str]) -> list[Label | AddressError | None]:
    """Part by part, so that a line of another kind slows down its neighbours only."""
    labels: list[Label | AddressError | None] = []
    for at in range(0, len(texts), _PART):
        part = texts[at : at + _PART]
        try:
            labels += _all_ipv4(part)
        except (OSError, ValueError):
            labels += map(_one, part)
    return labels


def _all_ipv4(texts: Sequence[str]) -> list[Label | AddressError | None]:
    """Labels of texts that are all plain IPv4 addresses. Raises OSError as soon as one is not."""
    packed = b"".join(map(inet_pton, repeat(AF_INET), texts))
    halves = array("H", packed)
    if sys.byteorder == "little":
        halves.byteswap()
    labels: list[Label | AddressError | None] = list(map(_by_upper_half().__getitem__, halves[::2]))
    at = -1
    starts, known = _runs(4)
    for _ in range(labels.count(None)):
        at = labels.index(None, at + 1)
        labels[at] = known[bisect_right(starts, int.from_bytes(packed[4 * at : 4 * at + 4])) - 1]
    return labels


def _one(text: str) -> Label | AddressError | None:
    """One text: IPv4 and IPv6 by inet_pton, all else by the strict reader."""
    family = AF_INET6 if ":" in text else AF_INET
    try:
        number = int.from_bytes(inet_pton(family, text))
    except (OSError, ValueError):
        return _read(text)
    starts, labels = _runs(6 if family == AF_INET6 else 4)
    return labels[bisect_right(starts, number) - 1]


def _read(text: str) -> Label | AddressError | None:
    if is_skipped(text):
        return None
    if len(text) > LONGEST_ADDRESS:
        return AddressError(text, "not an address")
    try:
        found = classify(text.strip())
    except AddressError as error:
        return error.with_traceback(None)  # which holds every frame that it went through
    return label_of(found.kind, block_of(found))


def block_of(found: Classification) -> str | None:
    """The block of an address, or of a range that lies in one."""
    if found.range is None or (found.network is not None and found.range.first != found.address):
        return found.block.cidr if found.block else None
    blocks = {piece.block for piece in found.range.pieces}
    return blocks.pop() if len(blocks) == 1 else None
