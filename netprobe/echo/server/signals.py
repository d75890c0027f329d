"""SIGINT and SIGTERM as something to wait for beside sockets: the first one asks for an end, the second demands it."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Signals"]

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """A context, of the main thread, in which signals are counted and make ``fileno()`` readable.

    A second signal raises KeyboardInterrupt wherever the program is, unless ``demanding`` is False.
    """

    def __init__(self, demanding: bool = True) -> None:
        self.count = 0
        self._demanding = demanding
        self._before: dict[int, Any] = {}
        self._wakeup = -1
        self._reading, self._writing = socket.socketpair()
        for end in (self._reading, self._writing):
            end.setblocking(False)

    def fileno(self) -> int:
        """What is readable when a signal has come."""
        return self._reading.fileno()

    def clear(self) -> None:
        """It is not readable any more."""
        with suppress(BlockingIOError):
            self._reading.recv(4096)

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._came) for number in NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, action in self._before.items():
            signal.signal(number, action)
        self._reading.close()
        self._writing.close()

    def _came(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1 and self._demanding:
            raise KeyboardInterrupt
