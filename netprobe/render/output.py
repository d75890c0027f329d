"""Where a command's results and remarks go: results to stdout through one writer, everything else to stderr.

A command is handed one :class:`Output`, opens one :class:`Document` for its results, and adds records, errors and
answers to it. It knows neither format nor terminal; the exit status is the most severe of the answers.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Self, TypeVar

from netprobe.errors import Exit, NetprobeError
from netprobe.render.terminal import Terminal
from netprobe.render.view import View
from netprobe.render.writers import writer_for
from netprobe.text import escape, shortened

if TYPE_CHECKING:
    from netprobe.render.progress import ProgressLine

__all__ = ["Document", "Output", "error_lines"]

R = TypeVar("R")

_LONGEST: Final = 1000  # characters of one line about an error
_LONGEST_REMARK: Final = 4000
_MOST_ERRORS: Final = 10_000  # in one document
_SEVERITY: Final = (Exit.OK, Exit.NO, Exit.CANNOT_RUN, Exit.USAGE, Exit.INTERRUPTED)  # from mild to severe


class Output(NamedTuple):
    """The output options of one run and the terminal it has, as one value that commands pass on."""

    terminal: Terminal
    format: str = "plain"  # a word of --format; for writer_for only
    quiet: bool = False
    verbose: int = 0
    debug: bool = False

    def document(
        self,
        command: str,
        record_type: type[R] | tuple[type[R], ...],
        view: View[R] | None = None,
        *,
        endless: bool = False,
    ) -> Document[R]:
        """The results of ``command``; use it as a context manager and ``add`` records to it.

        ``record_type`` is a dataclass, or all those that may occur. An ``endless`` run never completes
        a JSON document: ``--json`` then means one JSON object per line.
        """
        form = "ndjson" if endless and self.format == "json" else self.format
        types = record_type if isinstance(record_type, tuple) else (record_type,)
        return Document(self, f"netprobe/{command.replace(' ', '-')}/1", form, types, view or View())

    @property
    def for_people(self) -> bool:
        """Whether people read the results (table, plain): then their text may be written to stdout as it is."""
        return self.format in ("table", "plain")

    @property
    def in_table(self) -> bool:
        """Whether the results are laid out as a whole for people, so that all that is said of them stands there."""
        return self.format == "table"

    @property
    def in_one_document(self) -> bool:
        """Whether results are kept in memory until the end, however many there are."""
        return self.format == "json"

    @property
    def on_screen(self) -> bool:
        """Whether results are shown on a terminal, which can be redrawn."""
        return self.format == "table" and self.terminal.stdout_tty

    @property
    def descriptor(self) -> int | None:
        """Stdout's file descriptor, so callers can poll for writability; None where stdout is not a file."""
        try:
            return sys.stdout.fileno()
        except (OSError, ValueError, AttributeError):
            return None

    def say(self, text: str) -> None:
        """A remark on stderr, unless ``-q``."""
        if not self.quiet:
            self.always_say(text)

    def always_say(self, text: str) -> None:
        """A line on stderr, also with ``-q``: a part of the answer that has no place in the records."""
        _to_stderr(escape(shortened(text, _LONGEST_REMARK)))

    def detail(self, text: str, level: int = 1) -> None:
        """A remark on stderr that ``-v`` (``-vv`` for level 2) asks for."""
        if self.verbose >= level:
            self.always_say(text)

    def progress(self) -> ProgressLine:
        """A progress line: ``with output.progress() as line: line.show("…")``. Silent unless stderr is a terminal."""
        from netprobe.render.progress import ProgressLine

        return ProgressLine(enabled=self.terminal.stderr_tty and not self.quiet, width=self.terminal.width)


class Document(Generic[R]):
    """The results of one run: records, errors, and the exit status they add up to.

    ``head`` is a frozen dataclass of further top-level keys of the JSON document; it may be set until the end.
    ``status`` is the most severe answer so far.
    """

    def __init__(
        self, output: Output, schema: str, form: str, record_types: tuple[type[R], ...], view: View[R]
    ) -> None:
        self.output = output
        self.head: object | None = None
        self.status = Exit.OK
        self._writer = writer_for(form, schema, record_types, view, output.terminal)
        self._errors: list[NetprobeError] = []
        self._unlisted = 0
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def add(self, record: R) -> None:
        """One more record: written and flushed at once where the format is a stream, else kept for the end."""
        self._writer.add(record)

    def note(self, *lines: str) -> None:
        """Lines on stdout between or after the records, in formats for people (table, plain). Tabs in them stay."""
        for line in lines:
            self._writer.note(line)

    def remark(self, text: str) -> None:
        """What concerns all records, on stderr unless ``-q``, where the format has no place for it beside them."""
        if not self._writer.whole:
            self.output.say(text)

    def detail(self, text: str) -> None:
        """As ``remark``, only with ``-v``."""
        if not self._writer.whole:
            self.output.detail(text)

    def error(self, error: NetprobeError) -> None:
        """Something failed and the run continues: one line on stderr, an entry of ``errors``, and the exit status."""
        _to_stderr(error_lines(str(error), error.hint))
        self._keep(error)
        self.answer(error.exit_code)

    def answer(self, status: Exit) -> None:
        """How a part of the run ended; the most severe answer is the exit status."""
        self.status = max(self.status, status, key=_SEVERITY.index)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, NetprobeError):
            self._keep(error)
        elif isinstance(error, KeyboardInterrupt):
            self._keep(NetprobeError("interrupted", f"stopped by {str(error) or 'Ctrl-C'} before the end"))
        elif error is not None:
            return
        self.finish()

    def finish(self) -> None:
        """Write what was kept for the end. Once: later calls do nothing."""
        if not self._finished:
            self._finished = True
            if self._unlisted:
                self._errors.append(
                    NetprobeError(f"{self._unlisted} further errors", "not listed here", "each is on standard error")
                )
            self._writer.end(self.head, self._errors)

    def _keep(self, error: NetprobeError) -> None:
        """Remember an error for a format that lists errors at the end; a stream's memory stays flat."""
        if not self._writer.lists_errors:
            return
        if len(self._errors) < _MOST_ERRORS:
            self._errors.append(error)
        else:
            self._unlisted += 1


def error_lines(text: str, hint: str | None = None) -> str:
    """The form of every error: ``netprobe: what: why``, and ``hint: …`` below where there is something to do."""
    head = f"netprobe: {escape(shortened(text, _LONGEST))}"
    return head if hint is None else f"{head}\nhint: {escape(shortened(hint, _LONGEST))}"


def _to_stderr(text: str) -> None:
    """Best effort: a closed stderr must not change the exit status."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
