"""A few starts at a time: sessions wait here for their turn before they log in, and give it back at the hello.

An sshd lets only so many strangers log in at once and drops others at random (sshd_config(5), MaxStartups). The place
is what is scarce, not the order, so this is a semaphore. The wait is no part of a session's own time, because it is not
the vantage's doing. It needs no time-out of its own: each place is held by a session that has 20 s to its hello
(:mod:`netprobe.reach.sessions.deadline`), so the n-th in the queue waits at most ``20 s * n / places``.
"""

from __future__ import annotations

import threading

__all__ = ["StartQueue", "Turn"]

LOOK_S = 0.2  # how often a waiting session looks whether it was stopped


class StartQueue:
    """At most ``places`` starts at once; None: as many as there are."""

    def __init__(self, places: int | None = None) -> None:
        self._places = None if places is None else threading.BoundedSemaphore(places)

    def turn(self) -> Turn:
        """A turn that has not been waited for yet."""
        return Turn(self._places)


class Turn:
    """One session's place in a queue."""

    def __init__(self, places: threading.BoundedSemaphore | None) -> None:
        self._places = places
        self._held = False

    def wait(self, stopped: threading.Event) -> bool:
        """True when it is our turn, False when we were stopped before it came."""
        while not stopped.is_set():
            if self._places is None or self._places.acquire(timeout=LOOK_S):
                self._held = self._places is not None
                return True
        return False

    def over(self) -> None:
        """Let the next one start; safe to call twice."""
        if self._held and self._places is not None:
            self._held = False
            self._places.release()
