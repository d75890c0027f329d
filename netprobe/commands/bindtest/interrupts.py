"""Ctrl-C, SIGTERM or SIGHUP while a bindtest runs or keeps its listeners open: the first one ends it in good order.

All three, because a run that a time limit or a lost terminal ends has as much to say, and as much to end, as one that a
person ends. While listeners are only kept open, any of them is the normal end, as for a server.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from netprobe.errors import Terminated

__all__ = ["interruptible"]

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


@contextmanager
def interruptible(interrupt: Callable[[KeyboardInterrupt], None]) -> Iterator[None]:
    """Let the first signal call ``interrupt`` with what the signal would have raised; a second one raises it at once.

    A third one, in the middle of the cleaning, kills: raised there it could only become a traceback.
    A signal that is ignored stays so, but for Ctrl-C: shells have that ignored in what they start in the background.
    ``interrupt`` runs between any two instructions of the main thread, so it must not take a lock which that thread
    may hold: a ``SimpleQueue``'s ``put`` is safe there, an ``Event``'s ``set`` is not.
    """

    def again(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        before.clear()
        raise _raised_by(number)

    def handle(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, again)
        interrupt(_raised_by(number))

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, *(x for x in _ENDING if signal.getsignal(x) is not signal.SIG_IGN)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in before:
            signal.signal(number, handle)
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _raised_by(number: int) -> KeyboardInterrupt:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
