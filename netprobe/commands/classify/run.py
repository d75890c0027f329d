"""``netprobe classify``: its options turned into calls, the records into a document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING

import click

from netprobe.address.classification import Classification
from netprobe.address.classifier import classify
from netprobe.address.reader import takes_prefix
from netprobe.errors import AddressError, CannotRunError, Exit, InvalidInputError
from netprobe.render.classify import plain_lines, print_classifications
from netprobe.render.view import View
from netprobe.text import escape

if TYPE_CHECKING:
    from netprobe.render.output import Document, Output

__all__ = ["ClassifyOptions", "run"]


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """The command line of ``netprobe classify``; a field has its option's name, but ``asked`` is ``--is``
    and ``excluded`` is ``--not``.

    ``field`` counts from 1, ``processes`` None leaves the number to netprobe.
    """

    addresses: tuple[str, ...]
    prefix: int | None
    here: bool
    bits: bool
    nat64: tuple[str, ...]
    lenient: bool
    asked: str | None
    only: tuple[str, ...]
    excluded: tuple[str, ...]
    count: bool
    file: str | None
    field: int | None
    delimiter: str | None
    processes: int | None
    registry: bool
    kinds: bool
    card: bool

    @property
    def is_stream(self) -> bool:
        """Are the addresses lines of a file or of standard input?"""
        return self.file is not None or "-" in self.addresses


def run(output: Output, options: ClassifyOptions) -> Exit:
    """Print a table, or classify the addresses of a stream or of the command line."""
    if options.registry or options.kinds:
        from netprobe.commands.classify import tables

        return tables.registry(output) if options.registry else tables.kinds(output)
    if not (options.addresses or options.is_stream):
        raise click.UsageError("no address", click.get_current_context())
    words = (*options.only, *options.excluded, *((options.asked,) if options.asked else ()))
    if words:
        from netprobe.address.predicates import check_predicates

        check_predicates(words)
    return _stream(output, options) if options.is_stream else _arguments(output, options)


def _arguments(output: Output, options: ClassifyOptions) -> Exit:
    """Classify every argument; a bad one is an error and the rest is answered."""
    only_answers = options.asked is not None and (output.quiet or output.for_people)
    locate = _locator(output) if options.here else None
    view = View(plain=plain_lines, table=partial(print_classifications, bits=options.bits, card=options.card))
    with output.document("classify", Classification, view) as document:
        found = list(_classified(options, document))
        if options.count:
            raise InvalidInputError("--tally", "counts a stream", "use it with - or --file")
        for record in _filtered(found, options) if not only_answers else ():
            document.add(locate(record) if locate else record)
        if options.asked is not None:
            _answer(found, options.asked, document, quiet=output.quiet)
    return document.status


def _classified(options: ClassifyOptions, document: Document[Classification]) -> Iterator[Classification]:
    for text in options.addresses:
        try:
            yield classify(text, options.prefix if takes_prefix(text) else None, options.nat64, options.lenient)
        except AddressError as error:
            document.error(error)


def _filtered(found: Sequence[Classification], options: ClassifyOptions) -> Iterable[Classification]:
    if not options.only and not options.excluded:
        return found
    from netprobe.address.predicates import Filter

    return filter(Filter(options.only, options.excluded).keeps, found)


def _locator(output: Output) -> Callable[[Classification], Classification]:
    from netprobe import api
    from netprobe.commands.command import detail_netifaces

    locate = api.locator()
    detail_netifaces(output)
    return locate


def _answer(found: Iterable[Classification], word: str, document: Document[Classification], *, quiet: bool) -> None:
    """Yes or no for each address; one no makes the exit status."""
    from netprobe.address.predicates import matches

    for record in found:
        yes = matches(record, word)
        document.answer(Exit.OK if yes else Exit.NO)
        if not quiet:
            document.note(f"{escape(record.input)}\t{'yes' if yes else 'no'}\t{record.kind}")


def _stream(output: Output, options: ClassifyOptions) -> Exit:
    """Classify every line of standard input or of a file; a bad line is an error and the rest goes on."""
    from netprobe.address.predicates import Filter
    from netprobe.bulk.filters import Plan
    from netprobe.bulk.stream import KindCount, label_stream, record_stream
    from netprobe.render.classify import StreamWriter, count_line, print_histogram

    plan = Plan(
        field=options.field,
        delimiter=options.delimiter,
        asked=options.asked,
        filter=Filter(options.only, options.excluded),
        counting=options.count,
        lenient=options.lenient,
        nat64=options.nat64,
        prefix=options.prefix,
    )
    if not output.for_people and not plan.counting:
        with (
            output.document("classify", Classification) as records,
            _source(output, options) as source,
            output.progress() as progress,
        ):
            totals = record_stream(source, plan, records.add, StreamWriter(records, progress, output.terminal))
            records.answer(Exit.OK if totals.yes else Exit.NO)
        return records.status
    command = "classify count" if plan.counting else "classify"
    with (
        output.document(command, KindCount, View(plain=count_line, table=print_histogram)) as counts,
        _source(output, options) as source,
    ):
        with output.progress() as progress:
            writer = StreamWriter(counts, progress, output.terminal)
            totals = label_stream(source, plan, options.processes, writer)
        counts.answer(Exit.OK if totals.yes else Exit.NO)
        for count in totals.counts:
            counts.add(count)
    return counts.status


def _source(output: Output, options: ClassifyOptions) -> IO[bytes]:
    """The file or standard input, opened; first what a stream cannot take is refused."""
    from netprobe.bulk.blocks import begin_text

    if len(options.addresses) > (0 if options.file else 1):
        raise InvalidInputError("a stream and addresses", "one or the other", "put the addresses into the stream")
    for name, given in (("--here", options.here), ("--bits", options.bits), ("--card", options.card)):
        if given:
            raise InvalidInputError(name, "is for addresses, not for streams", "name the addresses as arguments")
    if options.delimiter is not None and options.field is None:
        raise InvalidInputError("--delimiter", "needs --field", "--field 1 is the first one")
    if options.delimiter == "":
        raise InvalidInputError("--delimiter", "is empty")
    if options.file:
        try:
            file = open(options.file, "rb")  # noqa: PTH123, SIM115 (loading pathlib takes as long as 15,000 lines)
        except OSError as error:
            raise CannotRunError(options.file, error.strerror or str(error)) from error
        begin_text(file)
        return file
    if sys.stdin is None:  # <&-
        raise CannotRunError("standard input", "it is closed", "netprobe classify - < FILE, or --file FILE")
    if output.terminal.stdin_tty:
        raise InvalidInputError("-", "standard input is a terminal", "netprobe classify - < FILE, or --file FILE")
    stream = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115 (closes nothing)
    begin_text(stream)
    return stream
