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

An sshd drops whom it has no place for as soon as the connection is there. One that keeps a login waiting and then drops
it has no such reason, and is not tried again: had each of its drops begun a count of its own, a login that is dropped
after 20 s would be tried for ever. And whoever is let in meanwhile, no session tries for longer than two minutes: who
held the places when it began has lost them by then.

The wait for a place is no part of a session's own time, because it is not the vantage's doing. It needs no time-out of
its own: each place is held by a session that has 20 s to its hello (:mod:`netprobe.reach.sessions.deadline`).

An sshd at which nobody has begun to log in for 20 s is forgotten, with what was known of it: whatever kept others out
may have changed, and a program that calls ``netprobe.bindtest()`` for months does not collect all that it has seen.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

from netprobe.reach.vantages import CONNECT_S

__all__ = ["GIVE_UP_S", "StartQueue", "Turn"]

PLACES = 10
IN_A_ROW = 10  # arrivals that give a place back
GIVE_UP_S = 20.0  # an sshd that has let nobody in for so long is not tried again, and unused it is forgotten
LATE_S = CONNECT_S + 2.0  # from the start of a login: a drop after this is none that MaxStartups makes
LONGEST_S = 120.0  # of one session's logins and pauses: LoginGraceTime, by default
PAUSE_S = 0.25  # after the first drop; twice as long after each further one
LONGEST_PAUSE_S = 4.0
LOOK_S = 0.2  # how often a waiting session looks whether it was stopped


class _Sshd:
    """One sshd: how many may log in at once, how many do, and since when it lets nobody in."""

    def __init__(self, now: float) -> None:
        self.places = PLACES
        self._held = 0
        self._started_at = now
        self._in_a_row = 0  # arrivals
        self._dropping_since: float | None = None

    @property
    def has_room(self) -> bool:
        return self._held < self.places

    def is_unused(self, now: float) -> bool:
        """Has nobody begun to log in for long?"""
        return not self._held and now - self._started_at > GIVE_UP_S

    def started(self, now: float) -> None:
        self._held += 1
        self._started_at = now

    def over(self) -> None:
        self._held -= 1

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
        if self._dropping_since is None:
            self._dropping_since = now
        return now - self._dropping_since < GIVE_UP_S


class StartQueue:
    """The sshds of this process, as long as they are used."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.changed = threading.Condition()
        self._sshds: dict[str, _Sshd] = {}
        self._looked_through_at = clock()

    def turn(self, sshds: Sequence[str]) -> Turn:
        """A turn at all of these, by whatever names, that has not been waited for yet."""
        return Turn(self, frozenset(sshds))

    def at(self, names: frozenset[str], now: float) -> list[_Sshd]:
        """Those of these names, new where they are unknown or forgotten. The caller holds ``changed``."""
        if now - self._looked_through_at > GIVE_UP_S:
            self._looked_through_at = now
            self._sshds = {name: sshd for name, sshd in self._sshds.items() if not sshd.is_unused(now)}
        return [self._at(name, now) for name in names]

    def _at(self, name: str, now: float) -> _Sshd:
        known = self._sshds.get(name)
        if known is None or known.is_unused(now):
            known = self._sshds[name] = _Sshd(now)
        return known


class Turn:
    """One session's places. It may be waited for again once it is over."""

    def __init__(self, queue: StartQueue, names: frozenset[str]) -> None:
        self._queue = queue
        self._names = names  # and not the sshds: they may be forgotten while this one waits for another
        self._held: list[_Sshd] = []
        self._started_at: float | None = None
        self._tried_s = 0.0
        self._pause_s = PAUSE_S

    def wait(self, stopped: threading.Event) -> bool:
        """True when it is our turn, False when we were stopped before it came."""
        changed = self._queue.changed
        with changed:
            while not stopped.is_set():
                now = self._queue.clock()
                sshds = self._queue.at(self._names, now)
                if all(sshd.has_room for sshd in sshds):
                    for sshd in sshds:
                        sshd.started(now)
                    self._held = sshds
                    self._started_at = now
                    return True
                changed.wait(LOOK_S)
        return False

    def arrived(self) -> None:
        """The hello has come: let the next one start. Safe to call twice, as ``over`` is."""
        with self._queue.changed:
            for sshd in self._held:
                sshd.arrived()
        self.over()

    def over(self) -> None:
        """Let the next one start."""
        with self._queue.changed:
            if self._held:
                for sshd in self._held:
                    sshd.over()
                self._held = []
                self._queue.changed.notify_all()

    def dropped(self) -> float | None:
        """We were dropped: the pause until we should try again, in seconds; None if that makes no sense any more."""
        now = self._queue.clock()
        took = 0.0 if self._started_at is None else now - self._started_at
        if took > LATE_S:
            return None
        with self._queue.changed:
            again = [sshd.dropped(now) for sshd in self._queue.at(self._names, now)]
        pause = random.uniform(0.5, 1.0) * self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._tried_s += took + pause
        return pause if all(again) and self._tried_s < LONGEST_S else None
