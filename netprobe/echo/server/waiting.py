"""How the loop waits: asleep, or for a moment awake when messages follow each other closely.

Going to sleep and being woken costs more than a short message: some microseconds on bare metal, 50 and more in a
virtual machine. So a loop that was woken soon after it fell asleep looks again and again, for ``window`` seconds at
most, before it sleeps the next time; Linux does the same for network cards (net.core.busy_poll). When nothing comes for
that long, it sleeps at once from then on, until messages are close again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeAlias

__all__ = ["DEFAULT", "Poll", "awake", "waiting"]

DEFAULT: Final = 100  # microseconds: twice what waking a virtual machine's processor takes

Poll: TypeAlias = Callable[[float | None], list[tuple[int, int]]]


def awake(microseconds: int | None, cores: int) -> float:
    """The window in seconds; where None is asked for, the default, and none on the only one of ``cores``."""
    if microseconds is None:
        microseconds = DEFAULT if cores > 1 else 0
    return microseconds / 1_000_000


def waiting(poll: Poll, window: float) -> Poll:
    """``poll``, looking for up to ``window`` seconds before it sleeps; ``poll`` itself where ``window`` is 0."""
    if not window:
        return poll
    give_way: Callable[[], object] = getattr(os, "sched_yield", int)  # to whoever else wants this processor
    close = False  # did the last event come within the window?

    def wait(timeout: float | None) -> list[tuple[int, int]]:
        nonlocal close
        if close:
            until = monotonic() + window
            while not (batch := poll(0)):
                if monotonic() >= until:
                    break
                give_way()
            else:
                return batch
        asleep_at = monotonic()
        batch = poll(timeout)
        close = monotonic() - asleep_at < window
        return batch

    return wait
