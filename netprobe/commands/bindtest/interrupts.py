"""Ctrl-C while a bindtest runs or keeps its listeners open: the first one ends it in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call ``interrupt``; a second one is a KeyboardInterrupt at once.

    ``interrupt`` runs between any two instructions of the main thread, so it must not take a lock which that thread
    may hold: a ``SimpleQueue``'s ``put`` is safe there, an ``Event``'s ``set`` is not.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupt()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
