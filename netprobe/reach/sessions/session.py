"""Asking every vantage at once: one session each, one thread each, all events into one queue.

A session hides what lies between here and a vantage: nothing (``local``), a subprocess, or a connection of asyncssh.
There is one for each vantage, not one for each cell, because getting there is what costs: a login takes tenths of a
second and some of an sshd's few unauthenticated places (sshd_config(5), MaxStartups), a cell takes a round trip.

Each session blocks in a thread of its own. An event loop for all of them would have to include the local prober's
selector loop, subprocess pipes and asyncssh; threads let each be written in the way that suits it, and they only
wait. What they have in common is one ``SimpleQueue``: its ``put`` is reentrant, so that a signal handler may use it
while the very thread that it interrupts holds the queue, where ``Queue`` or ``Event`` would deadlock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from netprobe.errors import CannotRunError, NetprobeError
from netprobe.reach.messages import Message, Request
from netprobe.reach.sessions.receiver import Emit

__all__ = ["Ended", "Event", "Events", "Failed", "Interrupted", "Received", "Session", "Tick", "ask"]

TICK_S = 0.2
JOIN_S = 2.0  # how long a stopped session is waited for


class Session(Protocol):
    """One vantage, and a conversation with its prober.

    ``run`` sends a request and blocks until the prober is done with it. Each message goes to ``emit`` as it comes:
    a ``Hello``, an ``Answer`` for each cell, ``Done``; or a ``Crash``. It raises a :class:`NetprobeError` when the
    vantage cannot be used, dies, or says what no prober says. Nothing of it is left behind when ``run`` is over.

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
    """A message of a vantage."""

    vantage: str
    message: Message


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
    """Somebody wants the asking to end: put into the queue by a signal handler."""


Event = Received | Failed | Ended | Tick | Interrupted
Events = queue.SimpleQueue[Event]


def ask(requests: Sequence[tuple[Session, Request]], events: Events) -> Iterator[Event]:
    """Run all sessions at once, and give their events as they come through ``events``.

    A session that fails does so alone. Whatever ends the iteration, Ctrl-C too, the sessions are stopped and waited
    for.
    """
    threads = [
        threading.Thread(target=_run, args=(session, request, events), name=f"netprobe-{session.name}", daemon=True)
        for session, request in requests
    ]
    running = len(threads)
    try:
        for thread in threads:
            thread.start()
        while running:
            try:
                event = events.get(timeout=TICK_S)
            except queue.Empty:
                event = Tick()
            if isinstance(event, Ended):
                running -= 1
            yield event
    finally:
        for session, _ in requests:
            session.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join(JOIN_S)


def _run(session: Session, request: Request, events: Events) -> None:
    """A session's thread."""
    name = session.name
    try:
        session.run(request, lambda message: events.put(Received(name, message)))
    except NetprobeError as error:
        events.put(Failed(name, error))
    except OSError as error:
        events.put(Failed(name, CannotRunError(name, error.strerror or str(error))))
    except Exception as error:  # a fault of ours must not sink the other vantages
        events.put(Failed(name, CannotRunError(name, f"{type(error).__name__}: {error}")))
    finally:
        events.put(Ended(name))
