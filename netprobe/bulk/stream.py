"""A stream of addresses from its source to its writer: labelled lines or full records, by one process or several.

A stream is labelled in blocks of 256 KiB, and by several processes once it has turned out to be large (8 MiB): what is
smaller is done before they would have started. With blocks of 64 KiB two processes were slower on a pipe than one. Of a
file the workers read and write their parts by themselves and only agree on the order, so that this process is not in
the way: on 20 M lines two are 1.86 to 1.98 times as fast as one. What comes through a pipe, or goes to a terminal with
a progress line, passes through this process; there two are about 1.4 times as fast.

Nothing here knows of formats or terminals: results go to the :class:`Writer` that is handed in.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import IO, Protocol

from netprobe.address.classification import Classification
from netprobe.address.classifier import classify
from netprobe.address.predicates import matches
from netprobe.bulk.blocks import BLOCK_SIZE, Block, FileParts, blocks_of, file_parts, pauses, size_of
from netprobe.bulk.filters import (
    NOTHING,
    BadLine,
    BlockResult,
    Plan,
    bad_line,
    classified,
    fields_of,
    lines_of,
    process_block,
)
from netprobe.bulk.labels import is_skipped, prepare
from netprobe.bulk.workers import deliver_in_turn, map_in_order
from netprobe.errors import AddressError
from netprobe.kernel.processors import available_cores

__all__ = ["KindCount", "Progress", "Totals", "Writer", "classify_many", "label_stream", "record_stream"]

_LARGE = 8 << 20  # bytes; from here on several processes pay off


@dataclass(frozen=True, slots=True)
class KindCount:
    """How many addresses of a stream are of a kind; ``percent`` 0 to 100."""

    kind: str
    count: int
    percent: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stream is: ``lines`` so far, and ``done`` of ``size`` bytes; ``size`` None: not known."""

    lines: int
    done: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a stream came to: its kinds, the most frequent first, and whether all are what was asked for."""

    counts: tuple[KindCount, ...]
    yes: bool


class Writer(Protocol):
    """Where a stream's results go.

    ``descriptor`` is the file descriptor that workers may write text to by themselves; None if all text is to come
    through :meth:`text`.
    """

    @property
    def descriptor(self) -> int | None: ...

    def text(self, data: bytes) -> None:
        """Whole lines, to be written as they are."""

    def bad_line(self, line: BadLine) -> None:
        """A line that is not an address."""

    def progress(self, progress: Progress) -> None:
        """Called after every block."""


def label_stream(source: IO[bytes], plan: Plan, processes: int | None, writer: Writer) -> Totals:
    """Write every line that passes with its label; with ``plan.counting`` only count.

    ``processes`` None means one a core (8 at most) for what is large, one otherwise.
    """
    prepare()
    counts: Counter[str] = Counter()
    yes, lines, size = True, 0, size_of(source)
    for result, done in _block_results(source, plan, processes, size, writer.descriptor):
        if result.text:
            writer.text(result.text)
        for bad in result.bad:
            writer.bad_line(bad)
        counts.update(result.counts)
        yes = yes and result.yes
        lines += result.lines
        writer.progress(Progress(lines, done, size))
    total = counts.total()
    return Totals(tuple(KindCount(kind, n, round(100 * n / total, 3)) for kind, n in counts.most_common()), yes)


def record_stream(source: IO[bytes], plan: Plan, add: Callable[[Classification], None], writer: Writer) -> Totals:
    """``add`` the full record of every line that passes; bad lines go to ``writer``, kinds are not counted."""
    yes, number = True, 0
    for block in blocks_of(source):
        lines, too_long = lines_of(block)
        for bad in too_long:
            writer.bad_line(bad)
        for number, text in enumerate(fields_of(lines, plan), block.first_line):
            if is_skipped(text):
                continue
            try:
                found = classified(text, plan)
            except AddressError as error:
                writer.bad_line(bad_line(number, error)._replace(hint=error.hint))
                continue
            if plan.filter.keeps(found):
                add(found)
            if plan.asked and not matches(found, plan.asked):
                yes = False
        writer.progress(Progress(number, 0, None))
    return Totals((), yes)


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


def _block_results(
    source: IO[bytes], plan: Plan, processes: int | None, size: int | None, descriptor: int | None
) -> Iterator[tuple[BlockResult, int]]:
    """The result of each block, in order, and how many bytes are done."""
    wanted = min(available_cores(), 8) if processes is None else processes
    if size is not None and size < (_LARGE if processes is None else BLOCK_SIZE):
        wanted = 1
    if size is not None and wanted > 1 and descriptor is not None and hasattr(os, "fork"):
        parts = file_parts(source, size)
        results = deliver_in_turn(
            parts.number, wanted, partial(_process_part, plan, parts), partial(_write_part, descriptor)
        )
        for part, result in enumerate(results, 1):
            yield result, min(part * BLOCK_SIZE, size)
        source.seek(parts.end)
        return
    blocks = blocks_of(source)
    begun = source.tell() if size is not None else 0
    for result in _processed(plan, blocks, source, wanted, large=size is not None or processes is not None):
        yield result, source.tell() - begun if size is not None else 0


def _processed(
    plan: Plan, blocks: Iterator[Block], source: IO[bytes], processes: int, large: bool
) -> Iterator[BlockResult]:
    work = partial(process_block, plan)
    if not large:
        yield from map(work, _up_to_large(blocks))
    first = next(blocks, None)
    if first is not None:
        yield from map_in_order(work, chain([first], blocks), processes, partial(pauses, source))


def _up_to_large(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks up to the size from which several processes pay off."""
    taken = 0
    while taken < _LARGE and (block := next(blocks, None)) is not None:
        taken += len(block.data)
        yield block


def _process_part(plan: Plan, parts: FileParts, part: int) -> BlockResult:
    data = parts.lines(part)
    return NOTHING if data is None else process_block(plan, Block(data, 0))


def _write_part(descriptor: int, result: BlockResult, lines_before: int) -> tuple[BlockResult, int]:
    """Write the text here and now; the rest of the result is for the process that sums up."""
    view = memoryview(result.text)
    while view:
        view = view[os.write(descriptor, view) :]
    bad = tuple(line._replace(number=lines_before + 1 + line.number) for line in result.bad)
    return result._replace(text=b"", bad=bad), lines_before + result.lines
