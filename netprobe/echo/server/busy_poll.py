"""How the loop waits: asleep, or busy-polling for a moment while messages follow each other closely.

Going to sleep and being woken costs more than echoing a short message: some microseconds on bare metal, 50 and more in
a virtual machine. So a loop that was woken soon after it fell asleep polls without sleeping, for at most ``window``
seconds, before it sleeps the next time; Linux does the same for network cards (net.core.busy_poll). When nothing
arrives in that time, it sleeps at once from then on, until messages are close together again.

What it costs is CPU time under load, at most one window for each pause. An idle server never spins, and each round
yields the processor, so that a second worker, or the client on the same machine, is not held up.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeAlias

__all__ = ["Poll", "busy_polling", "window_s"]

_DEFAULT_US: Final = 100  # microseconds: twice what waking a virtual machine's processor takes

Poll: TypeAlias = Callable[[float | None], list[tuple[int, int]]]


def window_s(microseconds: int | None, cores: int) -> float:
    """The window in seconds; None asks for the default, which is 0 on a single core."""
    if microseconds is None:
        microseconds = _DEFAULT_US if cores > 1 else 0
    return microseconds / 1_000_000


def busy_polling(poll: Poll, window: float) -> Poll:
    """``poll``, spinning for up to ``window`` seconds before it sleeps; ``poll`` itself where ``window`` is 0."""
    if not window:
        return poll
    yield_cpu: Callable[[], object] = getattr(os, "sched_yield", int)  # to any process that wants this processor
    close = False  # did the last event come within the window?

    def wait(timeout: float | None) -> list[tuple[int, int]]:
        nonlocal close
        if close:
            until = monotonic() + window
            while not (batch := poll(0)):
                if monotonic() >= until:
                    break
                yield_cpu()
            else:
                return batch
        asleep_at = monotonic()
        batch = poll(timeout)
        close = monotonic() - asleep_at < window
        return batch

    return wait
