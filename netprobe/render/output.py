"""One command's output: the same records to a table, plain text, JSON, NDJSON or CSV, and its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from netprobe.errors import Exit, NetprobeError, one_line
from netprobe.render.terminal import Terminal
from netprobe.render.view import Column

__all__ = ["FORMATS", "Document", "Output", "error_lines"]

FORMATS = ("table", "plain", "json", "ndjson", "csv")

# From mild to grave: the exit status of a run is the gravest thing that was said in it.
_GRAVITY = (Exit.OK, Exit.NO, Exit.CANNOT_RUN, Exit.USAGE, Exit.INTERRUPTED)


class Output:
    """Where a command's records and remarks go, as its options and the terminal decide."""

    def __init__(
        self, terminal: Terminal, format: str = "plain", quiet: bool = False, verbose: int = 0, debug: bool = False
    ) -> None:
        self.terminal = terminal
        self.format = format
        self.quiet = quiet
        self.verbose = verbose
        self.debug = debug

    def document(
        self,
        command: str,
        record_type: type,
        *,
        columns: Sequence[Column] | None = None,
        plain: Callable[[Any], str] | None = None,
        line: Callable[[Any], str] | None = None,
        view: Callable[[Document], None] | None = None,
    ) -> Document:
        """The results of ``command``; use it as a context manager and ``add`` records to it.

        ``columns`` choose what the generic table and plain lines show (default: every field). ``plain`` makes a
        record's plain line, ``line`` prints each record at once in table format (streams), ``view`` prints the
        collected table instead of the generic one.
        """
        return Document(self, command, record_type, columns, plain, line, view)

    @property
    def descriptor(self) -> int | None:
        """Where results are written to, for who wants to know whether it takes any; None where that is no file."""
        try:
            return sys.stdout.fileno()
        except (OSError, ValueError, AttributeError):
            return None

    def say(self, text: str) -> None:
        """A remark on stderr, unless ``-q``."""
        if not self.quiet:
            _to_stderr(text)

    def insist(self, text: str) -> None:
        """A line on stderr, also with ``-q``: a part of the answer that has no place in the records."""
        _to_stderr(text)

    def detail(self, text: str, level: int = 1) -> None:
        """A remark on stderr that ``-v`` (``-vv`` for level 2) asks for."""
        if self.verbose >= level:
            _to_stderr(text)

    def progress(self) -> Any:
        """A progress line: ``with output.progress() as line: line.show("…")``. Silent where nobody watches."""
        from netprobe.render.progress import ProgressLine

        return ProgressLine(enabled=self.terminal.stderr_tty and not self.quiet, width=self.terminal.width)


class Document:
    """The results of one run: records, what went wrong beside them, and the exit status they add up to.

    ``head`` takes further top-level keys of the JSON document; ``status`` is the gravest answer so far.
    """

    def __init__(
        self,
        output: Output,
        command: str,
        record_type: type,
        columns: Sequence[Column] | None,
        plain: Callable[[Any], str] | None,
        line: Callable[[Any], str] | None,
        view: Callable[[Document], None] | None,
    ) -> None:
        self.output = output
        self.command = command
        self.record_type = record_type
        self.columns = columns
        self.plain = plain
        self.line = line
        self.view = view
        self.head: dict[str, Any] = {}
        self.records: list[Any] = []
        self.errors: list[NetprobeError] = []
        self.status = Exit.OK
        self._csv: Any = None
        self._finished = False

    @property
    def schema(self) -> str:
        """``netprobe/<command>/1``: the name of this document's form."""
        return f"netprobe/{self.command.replace(' ', '-')}/1"

    def __enter__(self) -> Self:
        if self.output.format == "csv":
            from netprobe.render.delimited import CsvLines

            self._csv = CsvLines(self.record_type, sys.stdout)
        return self

    def add(self, record: Any) -> None:
        """One more record: written and flushed at once where the format is a stream, else kept for the end."""
        form = self.output.format
        if form == "plain":
            _write(self._plain_line(record))
        elif form == "ndjson":
            from netprobe.render.document import compact

            _write(compact(record))
        elif form == "csv":
            self._csv.write(record)
            sys.stdout.flush()
        elif form == "table" and self.line is not None:
            _write(self.line(record))
            if self.view is not None:
                self.records.append(record)
        else:
            self.records.append(record)

    def error(self, error: NetprobeError) -> None:
        """Something failed, the rest goes on: one line on stderr, an entry of ``errors``, and the exit status."""
        report(error)
        self.errors.append(error)
        self.answer(error.exit_code)

    def answer(self, status: Exit) -> None:
        """What a part of the run came to; the gravest answer is the exit status."""
        self.status = max(self.status, status, key=_GRAVITY.index)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, NetprobeError):
            self.errors.append(error)
        elif isinstance(error, KeyboardInterrupt):
            self.errors.append(Interrupted())
        elif error is not None:
            return
        self.finish()

    def finish(self) -> None:
        """Write what was kept for the end. Once: later calls do nothing."""
        if self._finished:
            return
        self._finished = True
        form = self.output.format
        if form == "json":
            from netprobe.render.document import whole

            _write(whole(self.schema, self.head, self.records, self.errors))
        elif form == "table":
            self._finish_table()

    def _finish_table(self) -> None:
        if self.view is not None:
            if self.records or self.head:
                self.view(self)
        elif self.records and self.line is None:
            from netprobe.render.fields import leaf_names
            from netprobe.render.table import print_table

            columns = self.columns or [Column(name, name) for name in leaf_names(self.record_type)]
            print_table(self.records, columns, self.output.terminal)
        sys.stdout.flush()

    def _plain_line(self, record: Any) -> str:
        if self.plain is not None:
            return self.plain(record)
        from netprobe.render.delimited import plain_line
        from netprobe.render.fields import leaf_names

        names = [column.field for column in self.columns] if self.columns else leaf_names(self.record_type)
        return plain_line(record, names)


class Interrupted(NetprobeError):
    """Ctrl-C, as an entry of ``errors``: what was found until then stands before it."""

    exit_code = Exit.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted", "stopped by Ctrl-C before the end")


def error_lines(error: NetprobeError) -> str:
    """``netprobe: what: why``, and ``hint: …`` on a second line where there is something to do."""
    text = f"netprobe: {error}"
    return text if error.hint is None else f"{text}\nhint: {error.hint}"


def report(error: NetprobeError) -> None:
    """Print ``error`` on stderr."""
    _to_stderr(error_lines(error), raw=True)


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _to_stderr(text: str, raw: bool = False) -> None:
    """Best effort: a closed stderr must not change what the run comes to."""
    from contextlib import suppress

    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        sys.stderr.write((text if raw else one_line(text)) + "\n")
        sys.stderr.flush()
