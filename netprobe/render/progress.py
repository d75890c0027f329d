"""A progress line on stderr: only on a terminal, only after half a second, wiped when done."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from netprobe.text import escape

__all__ = ["ProgressLine"]

_DELAY_S = 0.5  # a run shorter than this shows nothing
_BETWEEN_S = 0.1  # at most ten updates a second


class ProgressLine:
    """One line that overwrites itself; ``show`` limits its own rate, so it may be called for every item of work."""

    def __init__(self, enabled: bool, width: int) -> None:
        self._enabled = enabled
        self._width = width
        self._next = time.monotonic() + _DELAY_S
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def show(self, text: str) -> None:
        """Replace the line by ``text``, cut to the width of the terminal."""
        if not self._enabled or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BETWEEN_S
        self._put("\r\x1b[K" + escape(text)[: max(self._width - 1, 1)])
        self._shown = True

    def clear(self) -> None:
        """Wipe the line, so that a result or an error can be printed."""
        if self._shown:
            self._put("\r\x1b[K")
            self._shown = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def _put(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            self._enabled = False
