"""Places at sshds: ten at each, those of a login together, fewer after drops."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from netprobe.reach.sessions.start_queue import (
    GIVE_UP_S,
    LATE_S,
    LONGEST_PAUSE_S,
    LONGEST_S,
    PLACES,
    StartQueue,
    Turn,
)

GOES_ON = threading.Event()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> StartQueue:
    return StartQueue(clock)


def waiting(turn: Turn, stopped: threading.Event) -> tuple[threading.Thread, list[bool]]:
    """A thread that waits for its turn, and what came of it."""
    came: list[bool] = []
    thread = threading.Thread(target=lambda: came.append(turn.wait(stopped)))
    thread.start()
    return thread, came


def started(queue: StartQueue, count: int, *sshds: str) -> list[Turn]:
    """So many turns that have come."""
    turns = [queue.turn(sshds) for _ in range(count)]
    assert all(turn.wait(GOES_ON) for turn in turns)
    return turns


def has_room(queue: StartQueue, *sshds: str) -> bool:
    """Would one more come at once? It waits no longer than it takes to say so."""
    stopped = threading.Event()
    turn = queue.turn(sshds)
    thread, came = waiting(turn, stopped)
    thread.join(0.1)
    stopped.set()
    thread.join()
    turn.over()
    return came == [True]


def places(queue: StartQueue, sshd: str) -> int:
    """How many may start at once now, while nobody does."""
    turns = []
    while has_room(queue, sshd):
        turns += started(queue, 1, sshd)
    for turn in turns:
        turn.over()
    return len(turns)


def test_an_sshd_has_ten_places_and_another_one_has_its_own(queue: StartQueue) -> None:
    assert places(queue, "a") == PLACES
    started(queue, PLACES, "a")
    assert has_room(queue, "b")


@pytest.mark.parametrize("end", [Turn.over, Turn.arrived])
def test_a_place_that_is_given_back_is_the_next_one_s(queue: StartQueue, end: object) -> None:
    first, *_ = started(queue, PLACES, "a")
    thread, came = waiting(queue.turn(["a"]), GOES_ON)
    assert not came
    assert callable(end)
    end(first)
    end(first)  # twice gives one place
    thread.join()
    assert came == [True]
    assert not has_room(queue, "a")


@pytest.mark.parametrize("sshds", [("jump", "a"), ("a", "jump"), ("jump", "jump", "a")])
def test_who_waits_for_one_sshd_holds_no_place_at_another(queue: StartQueue, sshds: Sequence[str]) -> None:
    started(queue, PLACES, "a")
    stopped = threading.Event()
    threads = [waiting(queue.turn(sshds), stopped)[0] for _ in range(PLACES)]
    assert has_room(queue, "jump")
    stopped.set()
    for thread in threads:
        thread.join()


def test_who_is_stopped_does_not_wait(queue: StartQueue) -> None:
    started(queue, PLACES, "a")
    stopped = threading.Event()
    thread, came = waiting(queue.turn(["a"]), stopped)
    stopped.set()
    thread.join(10)
    assert came == [False]
    assert queue.turn(["b"]).wait(stopped) is False


def test_each_drop_takes_a_place_and_ten_arrivals_give_one_back(queue: StartQueue) -> None:
    turns = started(queue, PLACES, "a")
    for turn in turns[2:]:
        turn.over()
        assert turn.dropped() is not None
    for turn in turns[:2]:
        turn.arrived()
    assert places(queue, "a") == 2
    for _ in range(10):
        (turn,) = started(queue, 1, "a")
        turn.arrived()
    assert places(queue, "a") == 3


def test_one_place_is_always_left(queue: StartQueue) -> None:
    (turn,) = started(queue, 1, "a")
    turn.over()
    for _ in range(PLACES + 5):
        turn.dropped()
    assert places(queue, "a") == 1


def test_pauses_grow_to_an_end_and_differ(queue: StartQueue) -> None:
    pauses = [[turn.dropped() or 0.0 for _ in range(12)] for turn in (queue.turn(["a"]), queue.turn(["a"]))]
    assert pauses[0] != pauses[1]
    for few in pauses:
        assert 0.1 <= few[0] <= 0.25
        assert 2.0 <= few[-1] <= 4.0


def test_an_sshd_that_lets_nobody_in_is_given_up(queue: StartQueue, clock: Clock) -> None:
    turn = queue.turn(["jump", "a"])
    for _ in range(int(GIVE_UP_S)):
        assert turn.dropped() is not None
        clock.now += 1
    assert turn.dropped() is None
    assert queue.turn(["b"]).dropped() is not None


def test_one_that_lets_others_in_is_tried_on_but_not_for_ever(queue: StartQueue, clock: Clock) -> None:
    turn = queue.turn(["a"])
    began = clock.now
    while (pause := turn.dropped()) is not None:
        clock.now += pause
        (other,) = started(queue, 1, "a")
        other.arrived()
        assert clock.now - began < LONGEST_S
    assert clock.now - began > 5 * GIVE_UP_S


def drops(queue: StartQueue, clock: Clock, seconds: float) -> int:
    """How many logins one session makes at an sshd that drops each of them so late."""
    turn = queue.turn(["a"])
    for count in range(1, 1000):
        assert turn.wait(GOES_ON)
        clock.now += seconds
        turn.over()
        pause = turn.dropped()
        if pause is None:
            return count
        clock.now += pause
    raise AssertionError("it has no end")


@pytest.mark.parametrize("seconds", [LATE_S + 0.1, 19.9, 20.0, 30.0])
def test_a_late_drop_is_no_lack_of_places_and_ends_it(queue: StartQueue, clock: Clock, seconds: float) -> None:
    assert drops(queue, clock, seconds) == 1
    assert places(queue, "a") == PLACES


@pytest.mark.parametrize("seconds", [0.0, 5.0, LATE_S - 0.1])
def test_drops_have_an_end_however_far_they_are_apart(queue: StartQueue, clock: Clock, seconds: float) -> None:
    began = clock.now
    assert drops(queue, clock, seconds) > 1
    assert clock.now - began < GIVE_UP_S + 2 * (LATE_S + LONGEST_PAUSE_S)


def test_the_wait_for_a_place_does_not_count(queue: StartQueue, clock: Clock) -> None:
    turn = queue.turn(["a"])
    for _ in range(10):
        clock.now += 2 * LONGEST_S
        assert turn.wait(GOES_ON)
        turn.over()
        assert turn.dropped() is not None


def test_a_drop_before_a_time_in_which_nobody_tried_is_forgotten(queue: StartQueue, clock: Clock) -> None:
    (turn,) = started(queue, 1, "a")
    turn.over()
    assert turn.dropped() is not None
    clock.now += 10 * GIVE_UP_S
    (turn,) = started(queue, 1, "a")
    turn.over()
    assert turn.dropped() is not None


def known(queue: StartQueue) -> int:
    """How many sshds it remembers."""
    return len(queue._sshds)


def test_an_sshd_that_nobody_uses_is_forgotten(queue: StartQueue, clock: Clock) -> None:
    for number in range(1000):
        (turn,) = started(queue, 1, f"host {number}")
        turn.arrived()
        clock.now += 1
    assert known(queue) <= 2 * GIVE_UP_S + 2


def test_one_at_which_somebody_logs_in_is_not_forgotten(queue: StartQueue, clock: Clock) -> None:
    turns = started(queue, PLACES, "a")
    clock.now += 10 * GIVE_UP_S
    assert not has_room(queue, "a")
    for turn in turns:
        turn.over()
    assert places(queue, "a") == PLACES
