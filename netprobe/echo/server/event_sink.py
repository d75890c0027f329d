"""An event sink that neither blocks nor ends a server, whatever happens to its output.

A server that writes its log to a pipe stops when nobody reads the pipe: 64 KiB of lines, and write(2) blocks the event
loop with all its connections. One that writes it to a file ends when the disk is full. A thread or a growing queue
would only move the problem. So an event that cannot be written now (``write`` raises OSError) is lost and counted, the
first loss is said once on stderr, and when the output takes an event again, the number of those lost goes before it.
Only the summary waits, for a second: a run without it has failed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from netprobe.echo.server.events import EventsDropped, ServerEvent, ServerSummary, utc_now
from netprobe.echo.server.log_stream import LogStream
from netprobe.errors import CannotRunError

__all__ = ["EventSink", "SummaryLostError"]

_SUMMARY_TIMEOUT: Final = 1.0  # seconds that the summary may wait
_UNREAD: Final = "nobody reads it"


class SummaryLostError(CannotRunError):
    """The summary could not be written. ``reader_gone``: nobody was there to read it (EPIPE)."""

    def __init__(self, why: str, reader_gone: bool) -> None:
        super().__init__("standard output", why)
        self.reader_gone = reader_gone


class EventSink:
    """Passes events to ``write`` and counts those for which it raises OSError or MemoryError.

    ``stream`` is where they end up, if that is a stream that can be told how long to wait. ``complain`` gets the first
    reason for a loss. Raises SummaryLostError where the summary cannot be written in time, and nothing else.
    """

    def __init__(
        self,
        write: Callable[[ServerEvent], None],
        stream: LogStream | None = None,
        complain: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._write = write
        self._stream = stream
        self._complain = complain
        self._complained = False
        self._lost = 0
        self._cause: str | None = None  # errno of the last loss; None: nobody read it

    def __call__(self, event: ServerEvent) -> None:
        last = isinstance(event, ServerSummary)
        if last and self._stream is not None:
            self._stream.patience = _SUMMARY_TIMEOUT
        try:
            if self._lost:
                self._write(EventsDropped(utc_now(), self._lost, self._cause))
                self._lost = 0
            self._write(event)
        except BlockingIOError:
            self._count(None, _UNREAD, last)
        except OSError as error:
            self._count(errno.errorcode.get(error.errno or 0), error.strerror or str(error), last)
        except MemoryError:
            self._count("ENOMEM", os.strerror(errno.ENOMEM), last)

    def _count(self, cause: str | None, why: str, last: bool) -> None:
        self._lost += 1
        self._cause = cause
        if not self._complained:
            self._complained = True
            self._complain(why)
        if last:
            lost = f"{why}: {self._lost:,} events were lost, including the summary"
            raise SummaryLostError(lost, reader_gone=cause == "EPIPE")
