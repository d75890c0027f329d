"""Two absolute ends and a silence: what a vantage says moves none of the ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.reach.messages import SOCKETS_ANYWHERE, CellRequest, LadderRequest, Request
from netprobe.reach.sessions.deadline import GRACE_S, HELLO_S, Deadline
from netprobe.reach.vantages import KEEP_ALIVE_S

REQUEST = Request("n", timeout=2.0, patience=5.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def trickle(deadline: Deadline, clock: Clock) -> float:
    """Seconds until the end, when something comes every second."""
    began = clock.now
    while deadline.rest():
        clock.now += min(1.0, deadline.rest())
        deadline.heard()
        assert clock.now < began + 1000
    return clock.now - began


def test_an_endless_banner_ends_before_the_hello(clock: Clock) -> None:
    deadline = Deadline("v", REQUEST, clock)
    assert trickle(deadline, clock) == HELLO_S == 20.0
    assert deadline.error().reason == "no hello"


def test_heartbeats_prolong_nothing_after_the_hello(clock: Clock) -> None:
    deadline = Deadline("v", REQUEST, clock)
    clock.now += 19.0
    deadline.heard()
    deadline.said_hello()
    assert trickle(deadline, clock) == 2.0 + 5.0 + GRACE_S <= 2.0 + 5.0 + 10.0
    assert deadline.error().reason == "not done in time"
    deadline.said_hello()
    assert not deadline.rest()


def test_silence_ends_it_sooner(clock: Clock) -> None:
    deadline = Deadline("v", replace(REQUEST, timeout=0.5), clock)
    deadline.said_hello()
    clock.now += 3.0
    deadline.heard()
    assert deadline.rest() == 5.5
    clock.now += 5.5
    assert not deadline.rest()
    assert "nothing received for 5.5 s" in str(deadline.error())


def cells(count: int) -> tuple[CellRequest, ...]:
    return tuple(CellRequest(number, "tcp", "192.0.2.1", 9) for number in range(count))


@pytest.mark.parametrize(
    ("request_", "longest"),
    [
        (REQUEST, 7.0),
        (replace(REQUEST, cells=cells(SOCKETS_ANYWHERE)), 7.0),
        (replace(REQUEST, cells=cells(SOCKETS_ANYWHERE + 1)), 9.0),
        (replace(REQUEST, cells=cells(SOCKETS_ANYWHERE + 1), sockets=100_000), 9.0),
        (replace(REQUEST, cells=cells(30), sockets=10), 11.0),
        (replace(REQUEST, cells=cells(30), sockets=10, timeout=0.1), 7.1),  # a round is given a second
        (replace(REQUEST, cells=cells(1), payload_size=1), 9.0),  # a wait for the answer, one for the payload
    ],
)
def test_the_rounds_are_counted_here(request_: Request, longest: float) -> None:
    assert request_.longest_s == longest


def test_a_prober_lives_until_it_was_given_up() -> None:
    life = REQUEST.for_a_far_prober().life
    assert life is not None
    assert REQUEST.longest_s + GRACE_S < life < REQUEST.longest_s + GRACE_S + 10


def test_a_silence_is_no_absolute_end(clock: Clock) -> None:
    """What came while this side was busy reading ends a silence, however late it is looked at; and moves no end."""
    request = replace(REQUEST, patience=60.0)
    deadline = Deadline("v", request, clock)
    deadline.said_hello()
    clock.now += request.timeout + KEEP_ALIVE_S + 0.1
    assert deadline.rest() == 0 and not deadline.is_over()
    deadline.heard()
    assert deadline.rest() > 0
    clock.now = 100.0 + request.longest_s + GRACE_S
    deadline.heard()
    assert deadline.rest() == 0 and deadline.is_over()


def test_what_only_adds_gets_no_time_of_its_own(clock: Clock) -> None:
    before = Deadline("v", REQUEST, clock)
    before.said_hello()
    clock.now += 3.0
    ladders = Deadline("v", Request("n", 2.0, ladders=(LadderRequest("192.0.2.1", 80, "tcp"),)), clock, before)
    ladders.said_hello()
    assert trickle(ladders, clock) == 2.0 + 5.0 + GRACE_S - 3.0
