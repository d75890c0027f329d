"""SIGINT and SIGTERM as an event beside sockets: the first requests a drain, the second ends the process at once.

A poll(2) that a signal interrupts is resumed once the Python handler has run (PEP 475), so the handler alone would not
wake the loop: the signal module's wake-up descriptor is polled beside the sockets. Handlers are installed before the
first event is written, because whoever reads that may send a signal at once.
"""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self

__all__ = ["NUMBERS", "Signals"]

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """A context for the main thread in which signals are counted and make ``fileno()`` readable.

    A second signal raises KeyboardInterrupt wherever the program is, unless ``interrupts`` is False.
    """

    def __init__(self, interrupts: bool = True) -> None:
        self.count = 0
        self._interrupts = interrupts
        self._before: dict[int, Any] = {}
        self._wakeup = -1
        self._reading, self._writing = socket.socketpair()
        for end in (self._reading, self._writing):
            end.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that is readable when a signal has arrived."""
        return self._reading.fileno()

    def clear(self) -> None:
        """Make it unreadable again."""
        with suppress(BlockingIOError):
            self._reading.recv(4096)

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._received) for number in NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, action in self._before.items():
            signal.signal(number, action)
        self._reading.close()
        self._writing.close()

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1 and self._interrupts:
            raise KeyboardInterrupt
