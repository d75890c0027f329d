"""The figures of a ping, on numbers whose figures are known."""

from __future__ import annotations

from netprobe.echo.clients.statistics import Samples, percentile, summarise


def test_percentiles_are_by_nearest_rank_and_exact() -> None:
    assert percentile(range(1, 1001), 99.9) == 999
    assert percentile(range(1, 101), 99) == 99
    assert percentile([5.0], 50) == 5.0
    assert percentile([1.0, 2.0], 50) == 1.0


def test_a_summary_counts_what_was_lost() -> None:
    figures = summarise(Samples(sent=4, rtts_ms=[1.0, 3.0, 2.0]))
    assert (figures.sent, figures.received, figures.loss_percent) == (4, 3, 25.0)
    assert (figures.min_ms, figures.mean_ms, figures.max_ms) == (1.0, 2.0, 3.0)
    assert figures.jitter_ms == round(2 / 16 + (1 - 2 / 16) / 16, 4)  # RFC 3550 section 6.4.1


def test_the_highest_percentiles_need_many_messages() -> None:
    figures = summarise(Samples(sent=2000, rtts_ms=[float(n) for n in range(2000)]))
    assert (figures.p99_ms, figures.p999_ms, figures.max_ms) == (1979.0, 1997.0, 1999.0)
