"""Ctrl-C while a bindtest runs or keeps its listeners open: the first one ends it in good order."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["interruptible", "wait_for_interrupt"]


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


def wait_for_interrupt(seconds: float, announce: Callable[[], None]) -> None:
    """Return after ``seconds``, or at Ctrl-C, which is a normal exit as soon as ``announce`` is called."""
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()
    with interruptible(lambda: ended.put(None)), suppress(queue.Empty):
        announce()
        ended.get(timeout=seconds)
