"""The book of who came: of a fixed size, whoever comes and however often, and whether anybody reads it or not."""

from __future__ import annotations

import pytest

from netprobe.reach import visitors as module
from netprobe.reach.visitors import MOST_ANSWERS, MOST_STRANGERS, MOST_WAITING, Arrival, LeftOut, Visitors


def arrival(peer: str = "192.0.2.1", port: int = 4000, *, proven: bool = True) -> Arrival:
    return Arrival("t0@0.0.0.0", "tcp", peer, port, "192.0.2.9", proven)


def stranger(number: int) -> Arrival:
    return arrival(f"10.0.{number // 256}.{number % 256}", proven=False)


def taken(visitors: Visitors) -> list[Arrival]:
    return list(iter(lambda: visitors.next(0), None))


def test_a_stranger_is_reported_once_and_then_counted() -> None:
    visitors = Visitors()
    for _ in range(5):
        visitors.stranger(stranger(1))
    visitors.stranger(stranger(2))
    assert taken(visitors) == visitors.strangers == [stranger(1), stranger(2)]
    assert visitors.left_out() == [LeftOut("10.0.0.1", False, 4)]


def test_so_many_strangers_are_reported_and_the_others_are_counted_together() -> None:
    visitors = Visitors()
    for number in range(MOST_STRANGERS + 7):
        visitors.stranger(stranger(number))
    assert len(taken(visitors)) == len(visitors.strangers) == MOST_STRANGERS
    assert visitors.left_out() == [LeftOut(None, False, 7)]


def test_a_book_that_nobody_reads_does_not_grow_and_has_room_for_every_stranger() -> None:
    visitors = Visitors()
    for number in range(2 * MOST_WAITING):
        visitors.arrived(f"{number:x}", arrival())
    for number in range(2 * MOST_STRANGERS):
        visitors.stranger(stranger(number))
    reports = taken(visitors)
    assert len([report for report in reports if not report.proven]) == MOST_STRANGERS
    assert len(reports) == MOST_WAITING
    assert visitors.left_out()[-1] == LeftOut(None, True, 2 * MOST_WAITING - (MOST_WAITING - MOST_STRANGERS))
    assert len(visitors.arrivals) == 2 * MOST_WAITING


def test_a_challenge_is_worth_a_few_answers_and_the_first_who_came_with_it_stays() -> None:
    visitors = Visitors()
    assert visitors.arrived("ab", arrival())
    answers = [visitors.arrived("ab", arrival("198.51.100.1", port)) for port in range(1, 100)]
    assert answers.count(True) == MOST_ANSWERS - 1
    assert visitors.arrivals["ab"] == arrival()
    assert visitors.saw("ab")[:2] == (arrival(), arrival("198.51.100.1", 1))
    assert len(visitors.saw("ab")) == MOST_ANSWERS
    assert visitors.saw("cd") == ()
    assert taken(visitors) == [arrival()]


def test_who_brings_most_challenges_makes_room_and_not_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ARRIVALS", 100)
    visitors = Visitors()
    for number in range(10):
        visitors.arrived(f"a{number}", arrival("192.0.2.1"))
    for number in range(500):
        visitors.arrived(f"b{number}", arrival("192.0.2.2"))
    assert len(visitors.arrivals) == 100
    assert all(visitors.saw(f"a{number}") for number in range(10))
    assert visitors.saw("b499") and not visitors.saw("b0")


def test_a_run_with_many_questions_has_room_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ARRIVALS", 10)
    visitors = Visitors()
    visitors.expect(50)
    for number in range(50):
        visitors.arrived(f"{number:x}", arrival())
    assert len(visitors.arrivals) == 50


def test_waiting_for_a_report_ends_when_it_is_woken() -> None:
    visitors = Visitors()
    visitors.wake()
    assert visitors.next(60) is None
