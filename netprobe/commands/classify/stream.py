"""``netprobe classify`` of a stream: blocks of lines in, blocks of labelled lines out, by one process or several."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

from netprobe.address.bulk import is_skipped, prepare
from netprobe.address.classification import Classification
from netprobe.address.stream import NOTHING, BadLine, Block, Outcome, Plan, classified, fields_of, handle
from netprobe.address.words import KindCount
from netprobe.commands.classify.blocks import BLOCK_SIZE, FileParts, blocks_of, file_parts, pauses, size_of
from netprobe.commands.classify.run import question_of
from netprobe.errors import AddressError, CannotRunError, Exit, InvalidInputError
from netprobe.parallel import available_cores, in_order, in_turn
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.render.output import Document, Output
    from netprobe.render.terminal import Terminal

__all__ = ["stream"]

LARGE = 8 << 20  # bytes; from here on several processes pay off


def stream(output: Output, addresses: Sequence[str], options: Mapping[str, Any]) -> Exit:
    """Classify every line of standard input or of a file; a bad line is told and the rest goes on."""
    question_of(options)
    source = _open(output, addresses, options)
    plan = Plan(
        field=options["field"],
        delimiter=options["delimiter"],
        asked=options["is"],
        only=options["only"],
        excluded=options["not"],
        counting=options["count"],
        lenient=options["lenient"],
        nat64=options["nat64"],
        prefix=options["prefix"],
    )
    with source:
        if output.for_people or plan.counting:
            return _labelled(output, source, plan, options["processes"])
        return _records(output, source, plan)


def _open(output: Output, addresses: Sequence[str], options: Mapping[str, Any]) -> IO[bytes]:
    if len(addresses) > (0 if options["file"] else 1):
        raise InvalidInputError("a stream and addresses", "one or the other", "put the addresses into the stream")
    for name in ("here", "bits"):
        if options[name]:
            raise InvalidInputError(f"--{name}", "is for addresses, not for streams", "name the addresses as arguments")
    if options["delimiter"] is not None and options["field"] is None:
        raise InvalidInputError("--delimiter", "needs --field", "--field 1 is the first one")
    if options["delimiter"] == "":
        raise InvalidInputError("--delimiter", "is empty")
    if options["file"]:
        try:
            return open(options["file"], "rb")  # noqa: PTH123 (loading pathlib takes as long as 15,000 lines)
        except OSError as error:
            raise CannotRunError(options["file"], error.strerror or str(error)) from error
    if output.terminal.stdin_tty:
        raise InvalidInputError("-", "standard input is a terminal", "netprobe classify - < FILE, or --file FILE")
    return open(sys.stdin.fileno(), "rb", closefd=False)


def _labelled(output: Output, source: IO[bytes], plan: Plan, processes: int | None) -> Exit:
    prepare()
    counts: Counter[str] = Counter()
    command = "classify count" if plan.counting else "classify"
    with output.document(command, KindCount, View(plain=_count_line, table=_histogram)) as document:
        began, lines = monotonic(), 0
        out = sys.stdout.buffer
        sys.stdout.flush()
        size = size_of(source)
        with output.progress() as progress:
            for outcome, done in _outcomes(plan, source, size, processes, output.terminal.stdout_tty):
                if outcome.text:
                    progress.clear()
                    out.write(outcome.text)
                    out.flush()
                _tell_bad(outcome, document)
                counts.update(outcome.counts)
                if not outcome.yes:
                    document.answer(Exit.NO)
                lines += outcome.lines
                progress.show(_progress(lines, monotonic() - began, done, size))
        total = counts.total()
        for kind, count in counts.most_common():
            document.add(KindCount(kind, count, round(100 * count / total, 3)))
    return document.status


def _outcomes(
    plan: Plan, source: IO[bytes], size: int | None, processes: int | None, on_terminal: bool
) -> Iterator[tuple[Outcome, int]]:
    """What becomes of each block, in order, and how many bytes are done.

    Several processes join in once the stream has shown to be large. Of a file they fetch and write their parts by
    themselves; a stream, and what goes to a terminal with a progress line in it, passes through this process.
    """
    wanted = min(available_cores(), 8) if processes is None else processes
    if size is not None and size < (LARGE if processes is None else BLOCK_SIZE):
        wanted = 1
    if size is not None and wanted > 1 and hasattr(os, "fork") and not on_terminal:
        parts = file_parts(source, size)
        work = partial(_handled_part, plan, parts)
        for part, outcome in enumerate(in_turn(parts.number, wanted, work, _written), 1):
            yield outcome, min(part * BLOCK_SIZE, size)
        source.seek(parts.end)
        return
    blocks = blocks_of(source)
    begun = source.tell() if size is not None else 0
    for outcome in _handled(plan, blocks, source, wanted, large=size is not None or processes is not None):
        yield outcome, source.tell() - begun if size is not None else 0


def _handled(plan: Plan, blocks: Iterator[Block], source: IO[bytes], processes: int, large: bool) -> Iterator[Outcome]:
    work = partial(handle, plan)
    if not large:
        yield from map(work, _first_ones(blocks))
    first = next(blocks, None)
    if first is not None:
        yield from in_order(work, chain([first], blocks), processes, partial(pauses, source))


def _handled_part(plan: Plan, parts: FileParts, part: int) -> Outcome:
    data = parts.lines(part)
    return NOTHING if data is None else handle(plan, Block(data, 0))


def _written(outcome: Outcome, lines_before: int) -> tuple[Outcome, int]:
    """Write the text here and now; the rest of the outcome is for the process that sums up."""
    view = memoryview(outcome.text)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]
    bad = tuple(BadLine(lines_before + 1 + line.number, line.error) for line in outcome.bad)
    return outcome._replace(text=b"", bad=bad), lines_before + outcome.lines


def _first_ones(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks up to the size that makes a stream a large one."""
    taken = 0
    while taken < LARGE and (block := next(blocks, None)) is not None:
        taken += len(block.data)
        yield block


def _tell_bad(outcome: Outcome, document: Document[KindCount]) -> None:
    """One line on stderr for each bad line."""
    for bad in outcome.bad:
        text = bad.error.what or "''"
        document.error(InvalidInputError(f"line {bad.number}: {text}", bad.error.why))


def _progress(lines: int, seconds: float, done: int, size: int | None) -> str:
    share = f", {100 * done / size:.0f}%" if size else ""
    return f"{lines:,} lines, {lines / max(seconds, 1e-9):,.0f} lines/s{share}"


def _histogram(counts: Sequence[KindCount], terminal: Terminal) -> None:
    from netprobe.render.histogram import print_histogram

    print_histogram([(r.kind, r.count, r.percent) for r in counts], terminal)


def _count_line(record: KindCount) -> str:
    return f"{record.kind}\t{record.count}\t{record.percent:g}%"


def _records(output: Output, source: IO[bytes], plan: Plan) -> Exit:
    """Full records, for json, ndjson and csv."""
    from netprobe.address.predicates import matches

    with output.document("classify", Classification) as document, output.progress() as progress:
        began, number = monotonic(), 0
        for block in blocks_of(source):
            lines = block.data.decode("utf-8", "surrogateescape").split("\n")
            for number, text in enumerate(fields_of(lines, plan), block.first_line):
                if is_skipped(text):
                    continue
                try:
                    found = classified(text, plan)
                except AddressError as error:
                    document.error(InvalidInputError(f"line {number}: {error.what}", error.why, error.hint))
                    continue
                stays = not plan.only or any(matches(found, word) for word in plan.only)
                if stays and not any(matches(found, word) for word in plan.excluded):
                    document.add(found)
                if plan.asked and not matches(found, plan.asked):
                    document.answer(Exit.NO)
            progress.show(_progress(number, monotonic() - began, 0, None))
    return document.status
