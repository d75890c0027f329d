"""The five forms of a command's results, one writer each: table, plain, json, ndjson and csv.

Everything that depends on the format is here. A command adds records to its document and never asks which format was
chosen. That keeps the forms in step: the JSON keys, the CSV header and the default columns are all read from the same
record type in the same order.

Writers for people escape whatever is unprintable in a record, CSV does so too (it is opened in spreadsheets and read
line by line), and puts an apostrophe before what a spreadsheet would run as a formula. JSON carries the text as it is,
unprintable characters as JSON's own escapes. Streams are flushed with every record, so that ``| while read`` and
``| head -1`` work while a command still runs.

csv, json and rich are imported by the writer that needs them: rich alone costs 41 ms, and a pipe never sees it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from netprobe.errors import NetprobeError
from netprobe.render.fields import Json, as_json, escaped, leaf_names, plain_line, read
from netprobe.render.terminal import Terminal, fold
from netprobe.render.view import Column, View
from netprobe.text import escape, escape_json

__all__ = [
    "CsvWriter",
    "JsonWriter",
    "NdjsonWriter",
    "PlainWriter",
    "TableWriter",
    "Writer",
    "json_document",
    "writer_for",
]

# What a spreadsheet takes for the begin of a formula, also in full width (OWASP, CSV Injection). Tabs and carriage
# returns, which are on that list, too, are escaped before.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Writer(Protocol[R_contra]):
    """What a document hands its records to, one by one, and at the end the rest of what it knows."""

    whole: ClassVar[bool] = False  # written at the end, with a place for what concerns all records
    lists_errors: ClassVar[bool] = False  # errors are part of it; elsewhere they go to stderr only

    def add(self, record: R_contra) -> None:
        """Take one more record; a stream writes and flushes it now."""

    def note(self, line: str) -> None:
        """Write a line that is for people."""
        return

    def end(self, head: object | None, errors: Sequence[NetprobeError]) -> None:
        """Write what was kept (nothing, for a stream). ``head`` is a record of further top-level keys."""
        return


def writer_for(form: str, schema: str, record_types: tuple[type, ...], view: View[R], terminal: Terminal) -> Writer[R]:
    """The writer of ``form``, a word of ``--format`` (netprobe/commands/command.py)."""
    match form:
        case "table":
            return TableWriter(record_types, view, terminal)
        case "plain":
            return PlainWriter(record_types, view)
        case "json":
            return JsonWriter(schema)
        case "ndjson":
            return NdjsonWriter()
        case "csv":
            return CsvWriter(record_types)
    raise ValueError(form)


class TableWriter(Writer[R], Generic[R]):
    """For a person at a terminal: the view's own layout, a line per record as it comes, or a table."""

    whole = True

    def __init__(self, record_types: tuple[type, ...], view: View[R], terminal: Terminal) -> None:
        self._view = view
        self._terminal = terminal
        self._record_types = record_types
        self._line = _line_function(record_types, view)
        self._records: list[R] = []
        self._screen = None if view.screen is None else view.screen(terminal)

    def add(self, record: R) -> None:
        """Show a record of a stream; keep any other."""
        if self._screen is not None:
            self._screen.add(escaped(record))
        elif self._view.streams:
            self._write_folded(self._line(escaped(record)))
        else:
            self._records.append(escaped(record))

    def note(self, line: str) -> None:
        """Write the line, folded; a screen has words of its own."""
        if self._screen is None:
            self._write_folded(escape(line, keep="\t"))

    def end(self, head: object | None, errors: Sequence[NetprobeError]) -> None:
        """Print the table; without records only if there is a ``head``."""
        if self._screen is not None:
            self._screen.end(escaped(head))
        elif self._view.table is not None:
            if self._records or head is not None:
                self._view.table(self._records, self._terminal)
        elif self._records:
            from netprobe.render.table import print_table

            columns = self._view.columns or [Column(name, name) for name in leaf_names(*self._record_types)]
            print_table(self._records, columns, self._terminal)
        sys.stdout.flush()

    def _write_folded(self, text: str) -> None:
        _write(fold(text, self._terminal))


class PlainWriter(Writer[R], Generic[R]):
    """For pipes: a line per record as it comes, fields separated by tabs unless the view has its own line."""

    def __init__(self, record_types: tuple[type, ...], view: View[R]) -> None:
        self._line = _line_function(record_types, view)

    def add(self, record: R) -> None:
        """Write the record's line."""
        _write(self._line(escaped(record)))

    def note(self, line: str) -> None:
        """Write the line; tabs separate its fields."""
        _write(escape(line, keep="\t"))


def _line_function(record_types: tuple[type, ...], view: View[R]) -> Callable[[R], str]:
    """What makes a record's plain line: the view, or its columns, or every field."""
    if view.plain is not None:
        return view.plain
    names = [column.field for column in view.columns] or leaf_names(*record_types)
    return lambda record: plain_line(record, names)


class JsonWriter(Writer[R], Generic[R]):
    """One document ``{"schema": …, further keys…, "results": […], "errors": […]}``, written at the end."""

    whole = True
    lists_errors = True

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._records: list[R] = []

    def add(self, record: R) -> None:
        """Keep the record as it is: a ping's next message must not wait for the conversion of the last reply."""
        self._records.append(record)

    def end(self, head: object | None, errors: Sequence[NetprobeError]) -> None:
        """Write the document."""
        _write(json_document(self._schema, head, self._records, errors))


def json_document(schema: str, head: object | None, records: Sequence[object], errors: Sequence[NetprobeError]) -> str:
    """The text of a document. A key of ``head`` that does not apply to this run (None) is left out."""
    keys = as_json(head)
    document: dict[str, Json] = {
        "schema": schema,
        **{key: value for key, value in (keys.items() if isinstance(keys, dict) else ()) if value is not None},
        "results": [as_json(record) for record in records],
        "errors": [{"what": error.what, "why": error.why, "hint": error.hint} for error in errors],
    }
    return _json_text(document, indent=2)


class NdjsonWriter(Writer[R], Generic[R]):
    """One JSON object per line, a line per record as it comes."""

    def add(self, record: R) -> None:
        """Write the record's line."""
        _write(_json_text(as_json(record)))


class CsvWriter(Writer[R], Generic[R]):
    """RFC 4180 with line feeds: the keys as header, a row per record; a list or record inside a cell is JSON."""

    def __init__(self, record_types: tuple[type, ...]) -> None:
        import csv

        self._names = leaf_names(*record_types)
        self._rows = csv.writer(sys.stdout, lineterminator="\n")
        self._rows.writerow(self._names)
        sys.stdout.flush()

    def add(self, record: R) -> None:
        """Write the record's row."""
        self._rows.writerow([_csv_cell(read(record, name)) for name in self._names])
        sys.stdout.flush()


def _csv_cell(value: object) -> str | int | float | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return _text_cell(value)
    if isinstance(value, (tuple, list)) and all(isinstance(entry, str) for entry in value):
        return _text_cell(" ".join(value))
    return _text_cell(_json_text(as_json(value)))


def _text_cell(text: str) -> str:
    """Escaped, and with the apostrophe that makes a spreadsheet take it for text, blanks before the sign or not.

    Numbers are no text: -5 stays -5.
    """
    shown = escape(text)
    return f"'{shown}" if shown.lstrip(" ")[:1] in _FORMULA else shown


def _json_text(value: Json, indent: int | None = None) -> str:
    """JSON as stdout can carry it: printable characters themselves, or as ``\\uXXXX`` where its encoding lacks one.

    A lone surrogate (a file name that is not UTF-8) is what even UTF-8 lacks. Left to the error handler of the
    stream, such a character would become an escape that is Python's and not JSON's.
    """
    import json

    text = escape_json(json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False))
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, allow_nan=False)
    return text


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
