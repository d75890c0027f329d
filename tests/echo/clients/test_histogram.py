"""The histogram of a load beside exact percentiles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netprobe.echo.clients.histogram import LatencyHistogram
from netprobe.echo.clients.statistics import percentile


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300), st.sampled_from([1, 50, 90, 99, 99.9, 100]))
def test_percentiles_are_exact_to_less_than_one_percent(times: list[int], percent: float) -> None:
    histogram = LatencyHistogram()
    for value in times:
        histogram.add(value)
    exact = percentile(sorted(times), percent)
    assert exact <= histogram.percentile_ns(percent) <= exact * (1 + 1 / 128) + 1
    figures = histogram.figures()
    assert figures is not None
    assert (figures.min_ms, figures.max_ms) == (round(min(times) / 1e6, 4), round(max(times) / 1e6, 4))
