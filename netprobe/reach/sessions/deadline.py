"""When a session is over, whatever the other side does: two absolute ends, and a silence that ends it sooner.

A vantage has 20 s from the start of its program to the hello (a login included), and from there what the request needs,
``Request.longest_s``, and a grace. Neither end is moved by anything that comes from there. A deadline that each byte
renewed was tried first: heartbeats, a banner of a byte a second or one answer a minute then kept a run going for ever,
and with it all the other vantages' report. Only silence is measured from the last byte: it is the sign of a link
that died, and it can only end a session before its time.

The grace is for what is not waiting: routes and addresses that are looked up, a processor shared by 60 probers, the way
back of the answers. It is 6 s, so that together with the second or two in which a process is ended no session lasts
longer than 10 s beyond what its request needs.

A request that only adds to answers that are there, such as one for ladders, moves no end either: it has what is left of
the time for the cells, of which a normal vantage needs a third.

A wait for a place in a queue comes before all this and does not count. It is bounded all the same, because those who
hold the places are sessions with an end (:mod:`netprobe.reach.sessions.start_queue`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from netprobe.reach.messages import Request
from netprobe.reach.vantage_errors import VantageError
from netprobe.reach.vantages import CONNECT_S, KEEP_ALIVE_S

__all__ = ["GRACE_S", "HELLO_S", "Deadline"]

HELLO_S = CONNECT_S + 10.0  # from the start of the program, or of the login, to the hello
GRACE_S = 6.0  # beyond what the request needs


class Deadline:
    """The ends of one session. It starts when it is made; the session calls ``heard`` and ``said_hello``.

    A session waits no longer than ``rest()`` at a time. Once that is 0 and nothing waits to be read, or ``is_over()``,
    it raises ``error()``.
    """

    def __init__(
        self,
        name: str,
        request: Request,
        clock: Callable[[], float] = time.monotonic,
        before: Deadline | None = None,
    ) -> None:
        self._name = name
        self._clock = clock
        self._needed_s = request.longest_s + GRACE_S
        self._silence_s = request.timeout + KEEP_ALIVE_S
        self._heard_at = clock()
        self._ends_at = self._heard_at + HELLO_S
        self._has_hello = False
        if request.only_adds and before is not None:
            self._ends_at, self._has_hello = before._ends_at, before._has_hello

    def heard(self) -> None:
        """Something came: the link lives. It moves no end."""
        self._heard_at = self._clock()

    def said_hello(self) -> None:
        """The prober runs, and its time begins. Only the first call counts."""
        if not self._has_hello:
            self._has_hello = True
            self._ends_at = self._clock() + self._needed_s

    def rest(self) -> float:
        """Seconds that are left, never less than 0."""
        ends_at = min(self._ends_at, self._heard_at + self._silence_s) if self._has_hello else self._ends_at
        return max(0.0, ends_at - self._clock())

    def is_over(self) -> bool:
        """An absolute end has come: not a silence, which what waits to be read would end."""
        return self._clock() >= self._ends_at

    def error(self) -> VantageError:
        """Why it is over."""
        if not self._has_hello:
            return VantageError(self._name, "no hello", f"no hello from the prober within {HELLO_S:g} s")
        if self._clock() < self._ends_at:
            return VantageError(self._name, "link died", f"nothing received for {self._silence_s:g} s")
        return VantageError(self._name, "not done in time", f"the prober was not done within {self._needed_s:g} s")
