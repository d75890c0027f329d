"""The vantages whose rules are watched while a run lasts: each by a session of its own, beside the one that asks.

Why two: a router has to follow what other vantages ask, so its trace must be open before the first of them has
sent anything, and be read after the last one has given up; the session that asks may have been over long before. All
watches start at once with the sessions that ask, which wait for them before their first cell.

Nobody looks while all goes well. When a cell failed, all watches are asked at once for what is new, at most five times
a second; a look that began after a cell's answer had come has all packets of that cell. What a vantage says concerns
itself: its packets are only compared with the questions that failed, and it is named as the place.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.errors import NetprobeError
from netprobe.outcome.trace import TracedPacket
from netprobe.reach.messages import Crash, Hello, Looked, Message, Replies, Request, ToldPacket, TraceMark, Tracing
from netprobe.reach.sessions.deadline import GRACE_S, HELLO_S
from netprobe.reach.sessions.session import Session

__all__ = ["MOST_WATCHES", "Seen", "Watches"]

MOST_WATCHES: Final = 32  # each is a process here and there for as long as the run lasts
_LOOK_S: Final = 3.0  # how long a look is waited for
_PAUSE_S: Final = 0.2  # between two looks
_JOIN_S: Final = 2.0
_LOOK: Final = object()
_Order = object | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one vantage has seen until now."""

    vantage: str
    packets: tuple[TracedPacket, ...]
    incomplete: bool


class _Watch:
    """One vantage. Its session runs in a thread, and waits there for orders between what it asks."""

    def __init__(self, session: Session, marks: tuple[TraceMark, ...], stays: float) -> None:
        self.session = session
        self.name = session.name
        self.why_not: str | None = None
        self.remarks: tuple[str, ...] = ()
        self.stack: str | None = None
        self.is_ready = threading.Event()  # it traces, or does not
        self.has_looked = threading.Event()
        self.has_failed = False  # the session itself: whoever asks from there says why
        self.packets: dict[int, TracedPacket] = {}
        self.incomplete = False
        self._has_ended = False
        self._stays = stays
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._first = Request("", _LOOK_S, patience=0.0, stays=stays, trace=marks, follow_up=self._next)
        self._thread = threading.Thread(target=self._run, name=f"netprobe-watch-{self.name}", daemon=True)

    def start(self) -> None:
        """Raises RuntimeError where there is no room for a thread."""
        self._thread.start()

    @property
    def traces(self) -> bool:
        """Does it, now?"""
        return self.is_ready.is_set() and self.why_not is None and not self._has_ended

    def look(self) -> None:
        """Ask for what is new; ``has_looked`` is set once it is there."""
        self.has_looked.clear()
        if self._has_ended:
            self.incomplete = True
            self.has_looked.set()
        else:
            self._orders.put(_LOOK)

    def stop(self) -> None:
        """End it."""
        self._orders.put(None)
        self.session.stop()

    def join(self, seconds: float) -> None:
        """Wait for its end, if it ever began."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _next(self, replies: Replies) -> Request | None:
        """What to ask next; in the session's thread. One that does not trace is not asked anything."""
        order = self._orders.get() if self.why_not is None else None
        if order is None:
            return None
        return Request("", _LOOK_S, patience=0.0, stays=self._stays, look=True, follow_up=self._next)

    def _run(self) -> None:
        try:
            self.session.run(self._first, self._take)
        except NetprobeError as error:
            self._fail(error.why)
        except Exception as error:  # a fault of ours must not sink the run
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            self._has_ended = True
            self.incomplete = True
            if not self.is_ready.is_set():
                self.why_not = self.why_not or "it ended"
            self.is_ready.set()
            self.has_looked.set()

    def _fail(self, why: str) -> None:
        self.has_failed = True
        self.why_not = self.why_not or why

    def _take(self, message: Message) -> None:
        match message:
            case Hello():
                self.stack = message.facts.stack
            case Tracing():
                self.why_not, self.remarks = message.why_not, message.remarks
                self.is_ready.set()
            case ToldPacket():
                self.packets[message.number] = message.packet
            case Looked():
                self.incomplete = message.incomplete
                self.has_looked.set()
            case Crash():
                self._fail(f"the prober crashed: {message.summary}")
            case _:
                pass


class Watches:
    """Those of one run. ``start`` before anything is asked, ``wait`` before the first cell, ``close`` at the end."""

    def __init__(self) -> None:
        self._all: list[_Watch] = []
        self._left_out: list[str] = []
        self._looked_at = float("-inf")
        self._is_closed = threading.Event()
        self._own_stack: str | None = None

    def __bool__(self) -> bool:
        return bool(self._all)

    def start(self, sessions: Sequence[Session], marks: tuple[TraceMark, ...], stays: float, stack: str | None) -> None:
        """Open the traces; ``stack`` is this host's own, which is traced from here."""
        self._own_stack = stack
        self._left_out = [session.name for session in sessions[MOST_WATCHES:]]
        for session in sessions[:MOST_WATCHES]:
            watch = _Watch(session, marks, stays)
            self._all.append(watch)
            try:
                watch.start()
            except RuntimeError as error:  # "can't start new thread"
                watch.why_not = str(error)
                watch.is_ready.set()

    def wait(self) -> None:
        """Until each traces or does not: a probe that was sent before would not be seen."""
        until = time.monotonic() + HELLO_S + GRACE_S
        for watch in self._all:
            while not watch.is_ready.is_set() and not self._is_closed.is_set() and time.monotonic() < until:
                watch.is_ready.wait(0.05)

    def look(self, at: float) -> tuple[Seen, ...]:
        """What each has seen, of all that happened until ``at`` (time.monotonic()) at least."""
        watches = list(self._tracing())
        if watches and self._looked_at <= at:
            time.sleep(max(0.0, self._looked_at + _PAUSE_S - time.monotonic()))
            self._looked_at = time.monotonic()
            for watch in watches:
                watch.look()
            for watch in watches:
                if not watch.has_looked.wait(max(0.0, self._looked_at + _LOOK_S - time.monotonic())):
                    watch.incomplete = True
        return tuple(Seen(x.name, tuple(dict(x.packets).values()), x.incomplete) for x in watches)

    def untraced(self) -> Iterator[tuple[str, str]]:
        """(vantage, why) of each that does not trace, or not all. Not where the session failed: that is said anyway."""
        for watch in self._all:
            if watch.is_ready.is_set() and watch.why_not is not None and not watch.has_failed:
                yield watch.name, f"{watch.why_not}; no rule there is named"
            else:
                yield from ((watch.name, remark) for remark in watch.remarks)
        for name in self._left_out:
            yield name, f"not more than {MOST_WATCHES} vantages are traced; no rule there is named"

    def release(self) -> None:
        """Let nobody wait for them any longer."""
        self._is_closed.set()

    def close(self) -> None:
        """Stop all of them."""
        self.release()
        for watch in self._all:
            watch.stop()
        until = time.monotonic() + _JOIN_S
        for watch in self._all:
            watch.join(max(0.0, until - time.monotonic()))

    def _tracing(self) -> Iterator[_Watch]:
        """Those that trace, each network stack once, and not this host's own."""
        known = {self._own_stack} - {None}
        for watch in self._all:
            if watch.traces and watch.stack not in known:
                yield watch
                known |= {watch.stack} - {None}
