"""Asking many vantages: as many at once as there is room for, and nobody lost."""

from __future__ import annotations

import errno
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from netprobe.reach.messages import CellRequest, Done, Request
from netprobe.reach.sessions import room as rooms
from netprobe.reach.sessions import session as sessions
from netprobe.reach.sessions.receiver import Emit
from netprobe.reach.sessions.session import Ended, Event, Failed, Received, Tick, ask

REQUEST = Request("n", 1.0)
NO_MORE = OSError(errno.EAGAIN, "no more")


@dataclass
class Place:
    """Where made-up sessions run; counts them."""

    room: int = 1_000_000  # sessions that the "system" allows at once
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def session(self, name: str, act: Callable[[], None] = lambda: None) -> Made:
        return Made(name, self, act)


class Made:
    """A session that does what it is told."""

    def __init__(self, name: str, place: Place, act: Callable[[], None]) -> None:
        self.name = name
        self.stopped = threading.Event()
        self._place = place
        self._act = act

    def run(self, request: Request, emit: Emit) -> None:
        place = self._place
        with place.lock:
            if place.now >= place.room:
                raise NO_MORE
            place.now += 1
            place.most = max(place.most, place.now)
        try:
            self._act()
            emit(Done())
        finally:
            with place.lock:
                place.now -= 1

    def stop(self) -> None:
        self.stopped.set()


def events_of(made: Sequence[Made], request: Request = REQUEST) -> list[Event]:
    return [e for e in ask([(session, request) for session in made], queue.SimpleQueue()) if not isinstance(e, Tick)]


def names(events: Sequence[Event], kind: type[Received] | type[Failed] | type[Ended]) -> list[str]:
    return sorted(event.vantage for event in events if isinstance(event, kind))


@pytest.fixture
def place() -> Iterator[Place]:
    before = threading.active_count()
    yield Place()
    assert threading.active_count() == before


def test_at_most_64_run_at_once_and_all_are_asked(place: Place) -> None:
    made = [place.session(f"v{number:03}") for number in range(300)]
    events = events_of(made)
    assert names(events, Ended) == names(events, Received) == [session.name for session in made]
    assert 0 < place.most <= 64


def test_descriptors_that_are_not_there_are_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "descriptors_for", lambda count: 60)
    monkeypatch.setattr(rooms, "_open_descriptors", lambda: 10)
    cells = tuple(CellRequest(number, "tcp", "192.0.2.1", 9) for number in range(6))
    events = events_of([place.session(f"v{number}") for number in range(9)], Request("n", 1.0, cells))
    assert len(names(events, Received)) == 9
    assert place.most <= 2  # each needs 12 and two a cell


def test_a_request_too_big_for_the_room_is_asked_in_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "descriptors_for", lambda count: 110)
    monkeypatch.setattr(rooms, "_open_descriptors", lambda: 10)
    cells = tuple(CellRequest(number, "tcp", "192.0.2.1", 9) for number in range(100))
    request = Request("n", 1.0, cells)
    assert rooms.Room([request]).fitted(request).sockets == 19
    assert rooms.Room([REQUEST]).fitted(REQUEST) is REQUEST


def test_there_is_room_for_one_whatever_the_limit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "descriptors_for", lambda count: 1)
    assert len(names(events_of([place.session(f"v{number}") for number in range(5)]), Received)) == 5
    assert place.most == 1


def test_what_the_system_refuses_is_run_when_another_has_ended(place: Place) -> None:
    place.room = 3
    made = [place.session(f"v{number:02}") for number in range(40)]
    events = events_of(made)
    assert names(events, Received) == names(events, Ended) == [session.name for session in made]
    assert not names(events, Failed)


def test_where_there_is_no_room_for_even_one_each_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "RETRY_S", 0.1)
    place.room = 0
    events = events_of([place.session(f"v{number}") for number in range(70)])
    assert len(names(events, Failed)) == len(names(events, Ended)) == 70
    assert {event.error.why for event in events if isinstance(event, Failed)} == {"no more"}


def test_threads_that_cannot_be_started_are_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    refusals = iter([False, True, True, False, True])

    def sometimes(thread: threading.Thread) -> None:
        if next(refusals, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", sometimes)
    assert len(names(events_of([place.session(f"v{number}") for number in range(9)]), Received)) == 9


def test_the_end_of_the_asking_stops_those_that_run_and_starts_no_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "AT_ONCE", 2)
    made: list[Made] = []

    def until_stopped(number: int) -> Callable[[], None]:
        def act() -> None:
            made[number].stopped.wait(60)

        return act

    for number in range(5):
        made.append(place.session(f"v{number}", until_stopped(number)))
    asking = ask([(session, REQUEST) for session in made], queue.SimpleQueue())
    assert isinstance(next(asking), Tick)
    asking.close()
    assert [session.stopped.is_set() for session in made] == [True, True, False, False, False]


def test_a_fault_of_ours_ends_one_session_and_is_named(place: Place) -> None:
    def fault() -> None:
        raise ZeroDivisionError("oh")

    events = events_of([place.session("bad", fault), place.session("good")])
    assert names(events, Failed) == ["bad"]
    assert names(events, Received) == ["good"]
