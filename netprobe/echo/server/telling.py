"""Telling what happens without waiting for who is told: a reader that does not read must not hold up a server."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Final

from netprobe.echo.server.happenings import Happening, Summary, Unread, utc_now
from netprobe.errors import CannotRunError

__all__ = ["Telling"]

PATIENCE: Final = 1.0  # seconds that the summary may wait


class Telling:
    """Passes events on to ``say`` as long as the descriptor ``out``, where they end up, takes a line at once.

    The others are left out, and their number is the next event that is told. Raises CannotRunError where not even the
    summary can be told in time.
    """

    def __init__(self, say: Callable[[Happening], None], out: int | None) -> None:
        self._say = say
        self._unread = 0
        self._poll = None
        if out is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(out, select.POLLOUT)

    def __call__(self, event: Happening) -> None:
        last = isinstance(event, Summary)
        if self._poll is not None and not self._poll.poll(PATIENCE * 1000 if last else 0):
            self._unread += 1
            if last:
                why = f"nobody reads it: {self._unread:,} events were left out, the summary among them"
                raise CannotRunError("standard output", why)
            return
        if self._unread:
            self._say(Unread("unread", utc_now(), self._unread))
            self._unread = 0
        self._say(event)
