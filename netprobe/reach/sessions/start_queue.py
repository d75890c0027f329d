"""A few logins at a time at each sshd: between its start and the hello of its prober, a session holds a place there.

An sshd lets only so many strangers log in at once and drops others at random from the tenth on (sshd_config(5),
MaxStartups 10:30:100). So there are ten places at each sshd that a login passes, jump hosts included, and a login takes
its places at all of them together, or waits: who held some and waited for others could wait for ever.

Ten may still be too many: an administrator allows fewer (PerSourceMaxStartups), or others log in at the same time. Each
drop takes one place away, down to one, and ten arrivals in a row give one back. So what an sshd allows is found in one
round, whatever it is: of ten at once at an sshd that takes two, eight are dropped and two places are left. Who was
dropped tries again, after a pause that grows and is never the same for two, for as long as that sshd lets somebody in
every now and then. One that has let nobody in for 20 s will not soon: strangers keep their places for up to two minutes
(LoginGraceTime), and a program that refuses this host looks just the same.

The wait for a place is no part of a session's own time, because it is not the vantage's doing. It needs no time-out of
its own: each place is held by a session that has 20 s to its hello (:mod:`netprobe.reach.sessions.deadline`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

__all__ = ["GIVE_UP_S", "StartQueue", "Turn"]

PLACES = 10
IN_A_ROW = 10  # arrivals that give a place back
GIVE_UP_S = 20.0  # an sshd that has let nobody in for so long is not tried again
PAUSE_S = 0.25  # after the first drop; twice as long after each further one
LONGEST_PAUSE_S = 4.0
LOOK_S = 0.2  # how often a waiting session looks whether it was stopped


class _Sshd:
    """One sshd: how many may log in at once, how many do, and since when it lets nobody in."""

    def __init__(self) -> None:
        self.places = PLACES
        self.held = 0
        self._in_a_row = 0  # arrivals
        self._dropping_since: float | None = None
        self._dropped_at = 0.0

    def arrived(self) -> None:
        self._dropping_since = None
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            self._in_a_row = 0
            self.places = min(self.places + 1, PLACES)

    def dropped(self, now: float) -> bool:
        """Should it be tried again?"""
        self._in_a_row = 0
        self.places = max(1, self.places - 1)
        if self._dropping_since is None or now - self._dropped_at > GIVE_UP_S:  # or nobody has tried for as long
            self._dropping_since = now
        self._dropped_at = now
        return now - self._dropping_since < GIVE_UP_S


class StartQueue:
    """The sshds of a run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._sshds: dict[str, _Sshd] = {}

    def turn(self, sshds: Sequence[str]) -> Turn:
        """A turn at all of these, by whatever names, that has not been waited for yet."""
        with self._changed:
            return Turn(self._changed, [self._sshds.setdefault(name, _Sshd()) for name in set(sshds)], self._clock)


class Turn:
    """One session's places. It may be waited for again once it is over."""

    def __init__(self, changed: threading.Condition, sshds: Sequence[_Sshd], clock: Callable[[], float]) -> None:
        self._changed = changed
        self._sshds = sshds
        self._clock = clock
        self._held = False
        self._pause_s = PAUSE_S

    def wait(self, stopped: threading.Event) -> bool:
        """True when it is our turn, False when we were stopped before it came."""
        with self._changed:
            while not stopped.is_set():
                if all(sshd.held < sshd.places for sshd in self._sshds):
                    for sshd in self._sshds:
                        sshd.held += 1
                    self._held = True
                    return True
                self._changed.wait(LOOK_S)
        return False

    def arrived(self) -> None:
        """The hello has come: let the next one start. Safe to call twice, as ``over`` is."""
        if self._held:
            with self._changed:
                for sshd in self._sshds:
                    sshd.arrived()
            self.over()

    def over(self) -> None:
        """Let the next one start."""
        with self._changed:
            if self._held:
                self._held = False
                for sshd in self._sshds:
                    sshd.held -= 1
                self._changed.notify_all()

    def dropped(self) -> float | None:
        """We were dropped: the pause until we should try again, in seconds; None if that makes no sense any more."""
        now = self._clock()
        with self._changed:
            again = [sshd.dropped(now) for sshd in self._sshds]
        if not all(again):
            return None
        pause = random.uniform(0.5, 1.0) * self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause
