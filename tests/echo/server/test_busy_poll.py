"""When the loop busy-polls and when it sleeps, on a clock that passes only while something is waited for."""

from __future__ import annotations

import os

import pytest

from netprobe.echo.server import busy_poll
from netprobe.echo.server.busy_poll import busy_polling, window_s


class Clock:
    """Time that passes only while the loop waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.events: list[float] = []  # when they come
        self.slept = 0
        self.polled = 0
        monkeypatch.setattr(busy_poll, "monotonic", lambda: self.now)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        if timeout == 0:
            self.polled += 1
            self.now += 1e-6
        else:
            self.slept += 1
            self.now = max(self.now, min(self.events[0], self.now + (float("inf") if timeout is None else timeout)))
        if self.events and self.events[0] <= self.now:
            self.events.pop(0)
            return [(3, 1)]
        return []


def test_close_messages_are_busy_polled_and_silence_is_slept_through(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    wait = busy_polling(clock.poll, 100e-6)
    clock.events = [1.0, 1.000_05, 1.000_10, 1.000_15, 2.0, 3.0]
    assert wait(None) == [(3, 1)]  # after a second: no reason to busy-poll
    assert wait(None) == [(3, 1)]
    assert (clock.slept, clock.polled) == (2, 0)
    assert wait(None) == [(3, 1)]
    assert wait(None) == [(3, 1)]
    assert clock.slept == 2  # the next two came within 100 us each
    polled = clock.polled
    assert wait(None) == [(3, 1)]
    assert clock.slept == 3
    assert clock.polled - polled <= 101  # fruitless polling is bounded
    polled = clock.polled
    assert wait(None) == [(3, 1)]
    assert (clock.slept, clock.polled) == (4, polled)  # and not done again


def test_a_timeout_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    wait = busy_polling(clock.poll, 100e-6)
    clock.events = [0.000_01, 9.0]
    assert wait(0.5) == [(3, 1)]
    assert wait(0.5) == []
    assert 0.5 <= clock.now < 0.501


def test_without_a_window_the_poll_is_unchanged() -> None:
    def poll(_timeout: float | None) -> list[tuple[int, int]]:
        return []

    assert busy_polling(poll, 0) is poll


def test_busy_polling_yields_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    yields = 0

    def yield_cpu() -> None:
        nonlocal yields
        yields += 1
        clock.now += 30e-6  # another process runs

    monkeypatch.setattr(os, "sched_yield", yield_cpu, raising=False)
    wait = busy_polling(clock.poll, 100e-6)
    clock.events = [0.000_01, 9.0]
    wait(None)
    wait(None)
    assert yields == 4  # and that counts as time


@pytest.mark.parametrize(("asked", "cores", "seconds"), [(None, 1, 0), (None, 2, 100e-6), (0, 8, 0), (50, 1, 50e-6)])
def test_the_window_depends_on_the_option_and_the_cores(asked: int | None, cores: int, seconds: float) -> None:
    assert window_s(asked, cores) == seconds
