"""A function over a stream of blocks in several processes: order kept, memory bounded, nobody left behind."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from netprobe.errors import CannotRunError

__all__ = ["available_cores", "in_order"]

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 3  # blocks under way per process


def available_cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _never() -> bool:
    return False


def in_order(
    function: Callable[[T], R], blocks: Iterable[T], processes: int, pausing: Callable[[], bool] = _never
) -> Iterator[R]:
    """``function`` of each block, in the order of the blocks; one process means this one.

    At most three blocks a process are under way, and none is held back while ``pausing`` says that the next block would
    have to be waited for. Raises CannotRunError when a process is killed from outside.
    """
    if processes <= 1:
        yield from map(function, blocks)
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else None)
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_live_and_die_with_parent)
    under_way: deque[Future[R]] = deque()
    try:
        for block in blocks:
            under_way.append(executor.submit(function, block))
            while len(under_way) >= processes * _AHEAD or (under_way and pausing()):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool as error:
        raise CannotRunError("a worker process", "was killed", "--processes 1 works without any") from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _live_and_die_with_parent() -> None:
    """Ctrl-C is the parent's business; when the parent is gone, end."""
    import signal
    import threading
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
