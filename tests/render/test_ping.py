"""The live view of a ping."""

from __future__ import annotations

from netprobe.echo.clients.ping import Reply
from netprobe.render.ping import LivePing, bucket_of, sparkline
from netprobe.render.terminal import Terminal
from netprobe.verdicts import Verdict


def test_live_names_the_last_failure_and_draws_no_note() -> None:
    view = LivePing(Terminal(False, True, True))
    view.show(Reply(1, "there", "udp", 64, Verdict.REACHABLE, 1.0))
    view.show(Reply(2, "there", "udp", 64, Verdict.NO_ANSWER, None, "silence for 1 s"))
    view.show(Reply(2, "there", "udp", 64, Verdict.REACHABLE, 900.0, note="late"))
    lines = view._lines()
    assert "the last loss: seq=2 no-answer: silence for 1 s" in lines
    assert sum("ms" in line and line.startswith("<") for line in lines) == 1


def test_a_sparkline_has_a_character_a_value() -> None:
    assert sparkline([1.0, None, 8.0, 4.5]) == "▁×█▅"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([None]) == "×"
    assert sparkline([]) == ""


def test_buckets_of_the_histogram_double_in_two_steps() -> None:
    assert [bucket_of(ms) for ms in (0.0, 0.001, 0.0015, 0.002, 0.004, 1.024)] == [0, 0, 1, 2, 4, 20]
