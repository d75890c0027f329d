"""Asking every vantage at once: one session each, one thread each, all events into one queue.

A session hides what lies between here and a vantage: nothing (``local``) or a subprocess, which waits for its turn if
it is a login. There is one for each vantage, not one for each cell, because getting there is what costs: a login takes
tenths of a second and some of an sshd's few unauthenticated places (sshd_config(5), MaxStartups), a cell takes a round
trip.

Each session blocks in a thread of its own. An event loop for all of them would have to include the local prober's
selector loop and subprocess pipes; threads let each be written in the way that suits it, and they only wait. What they
have in common is one ``SimpleQueue``: its ``put`` is reentrant, so that a signal handler may use it while the very
thread that it interrupts holds the queue, where ``Queue`` or ``Event`` would deadlock.

They are started as there is room (:mod:`netprobe.reach.sessions.room`), and the others wait. Since each session has an
end (:mod:`netprobe.reach.sessions.deadline`), so has the waiting. What the system refuses all the same, because others
use up its processes or descriptors, is tried again, and is not tested when there is no room even for one.
"""

from __future__ import annotations

import errno
import queue
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from netprobe.errors import CannotRunError, NetprobeError
from netprobe.reach.messages import Message, Request
from netprobe.reach.programs import NO_ROOM
from netprobe.reach.sessions.receiver import Emit
from netprobe.reach.sessions.room import Room

__all__ = ["Ended", "Event", "Events", "Failed", "Interrupted", "Received", "Session", "Tick", "ask"]

TICK_S = 0.2
JOIN_S = 2.0  # how long all stopped sessions are waited for
RETRY_S = 5.0  # how long the only session is tried again for which the system has no room


class Session(Protocol):
    """One vantage, and a conversation with its prober.

    ``run`` sends a request and blocks until the prober is done with it. Each message goes to ``emit`` as it comes:
    a ``Hello``, an ``Answer`` for each cell, ``Done``; or a ``Crash``. It raises a :class:`NetprobeError` when the
    vantage cannot be used, dies, or says what no prober says. Nothing of it is left behind when ``run`` is over, and
    it is over in time (:mod:`netprobe.reach.sessions.deadline`). An OSError of ``NO_ROOM`` before anything was emitted
    asks to be run again later.

    ``stop`` may be called from any thread, at any time, more than once: ``run`` then ends within a second, without an
    error, and with whatever it has emitted until then.
    """

    @property
    def name(self) -> str:
        """The vantage's name: the column."""

    def run(self, request: Request, emit: Emit) -> None:
        """Ask, and emit what comes."""

    def stop(self) -> None:
        """End now."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a vantage, and when it came (time.monotonic())."""

    vantage: str
    message: Message
    at: float = field(default_factory=time.monotonic, compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """A vantage that could not be used, or no longer."""

    vantage: str
    error: NetprobeError


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of each vantage."""

    vantage: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened for a fifth of a second: time to show progress."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Somebody wants the asking to end: put into the queue by a signal handler. ``how`` is raised for it."""

    how: KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class _Postponed:
    """A session that the system had no room for; never given to who asks."""

    vantage: str
    error: OSError


Event = Received | Failed | Ended | Tick | Interrupted
Events = queue.SimpleQueue[Event | _Postponed]


def ask(requests: Sequence[tuple[Session, Request]], events: Events) -> Generator[Event, None, None]:
    """Run all sessions, as many at once as there is room for, and give their events as they come through ``events``.

    A session that fails does so alone. Whatever ends the iteration, Ctrl-C too, the sessions are stopped and waited
    for.
    """
    asking = _Asking(requests, events)
    try:
        yield from asking.events()
    finally:
        asking.stop()


class _Asking:
    """The sessions that run, and those that wait for room."""

    def __init__(self, requests: Sequence[tuple[Session, Request]], events: Events) -> None:
        self._events = events
        self._room = Room([request for _, request in requests])
        self._all = {session.name: (session, self._room.fitted(request)) for session, request in requests}
        self._waiting = deque(self._all)
        self._running: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._refused_at: float | None = None  # since when there is no room for even one
        self._paused = False

    def events(self) -> Iterator[Event]:
        """Until the last one has ended."""
        while self._waiting or self._running:
            self._start_what_fits()
            try:
                event = self._events.get(timeout=TICK_S)
            except queue.Empty:
                event = Tick()
                self._paused = False
            if isinstance(event, _Postponed):
                yield from self._postpone(event)
                continue
            if isinstance(event, Ended):
                self._running.discard(event.vantage)
                self._room.give_back(self._all[event.vantage][1])
                self._refused_at = None
                self._paused = False
            yield event

    def stop(self) -> None:
        """End those that run."""
        for name in self._running:
            self._all[name][0].stop()
        until = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _start_what_fits(self) -> None:
        while self._waiting and not self._paused:
            name = self._waiting[0]
            session, request = self._all[name]
            if not self._room.take(request):
                return
            self._waiting.popleft()
            self._running.add(name)
            thread = threading.Thread(
                target=_run, args=(session, request, self._events), name=f"netprobe-{name}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # "can't start new thread": it has no errno
                self._events.put(_Postponed(name, OSError(errno.EAGAIN, str(error))))
                return
            self._threads = [other for other in self._threads if other.is_alive()]
            self._threads.append(thread)

    def _postpone(self, refused: _Postponed) -> Iterator[Event]:
        """Let it wait for another one to end. Where none runs, others use up the system: then only for some seconds."""
        name = refused.vantage
        self._running.discard(name)
        self._room.refused(self._all[name][1])
        self._paused = True
        if not self._running:
            self._refused_at = self._refused_at or time.monotonic()
            if time.monotonic() >= self._refused_at + RETRY_S:
                yield Failed(name, CannotRunError(name, refused.error.strerror or str(refused.error)))
                yield Ended(name)
                self._paused = False  # nor will there be any for the next one
                return
        self._waiting.appendleft(name)


def _run(session: Session, request: Request, events: Events) -> None:
    """A session's thread."""
    name = session.name
    emitted = False

    def emit(message: Message) -> None:
        nonlocal emitted
        emitted = True
        events.put(Received(name, message))

    last: Ended | _Postponed = Ended(name)
    try:
        session.run(request, emit)
    except NetprobeError as error:
        events.put(Failed(name, error))
    except OSError as error:
        if error.errno in NO_ROOM and not emitted:
            last = _Postponed(name, error)
        else:
            events.put(Failed(name, CannotRunError(name, error.strerror or str(error))))
    except Exception as error:  # a fault of ours must not sink the other vantages
        events.put(Failed(name, CannotRunError(name, f"internal error: {type(error).__name__}: {error}")))
    finally:
        events.put(last)
