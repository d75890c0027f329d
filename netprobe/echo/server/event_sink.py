"""An event sink that never blocks on a slow reader.

A server that writes its log to a pipe stops when nobody reads the pipe: 64 KiB of lines, and write(2) blocks the event
loop with all its connections. A thread or a growing queue would only move the problem. So before each event poll(2) is
asked whether the output takes a line; if not, the event is dropped and counted, and the count is the next event that is
written. Only the summary waits, for a second: a run without it has failed. The cost is one poll(2) per event, and
events are rare: at most one per connection.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Final

from netprobe.echo.server.events import EventsDropped, ServerEvent, ServerSummary, utc_now
from netprobe.errors import CannotRunError

__all__ = ["EventSink"]

_SUMMARY_TIMEOUT: Final = 1.0  # seconds that the summary may wait


class EventSink:
    """Passes events to ``write`` as long as ``descriptor``, where they end up, takes a line without blocking.

    ``descriptor`` None: there is nothing to poll, everything is written. Raises CannotRunError where the summary
    cannot be written in time.
    """

    def __init__(self, write: Callable[[ServerEvent], None], descriptor: int | None) -> None:
        self._write = write
        self._dropped = 0
        self._poll = None
        if descriptor is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)

    def __call__(self, event: ServerEvent) -> None:
        last = isinstance(event, ServerSummary)
        if self._poll is not None and not self._poll.poll(_SUMMARY_TIMEOUT * 1000 if last else 0):
            self._dropped += 1
            if last:
                why = f"nobody reads it: {self._dropped:,} events were dropped, including the summary"
                raise CannotRunError("standard output", why)
            return
        if self._dropped:
            self._write(EventsDropped(utc_now(), self._dropped))
            self._dropped = 0
        self._write(event)
