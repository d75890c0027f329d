"""Round-trip times in figures: percentiles by nearest rank, jitter as in RFC 3550, loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["RoundTrips", "percentile", "summarise"]


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """A summary; times in milliseconds, None where nothing came back; ``loss_percent`` 0 to 100."""

    sent: int
    received: int
    loss_percent: float
    min_ms: float | None = None
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    jitter_ms: float | None = None


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile (0 < percent <= 100) of an ordered, non-empty sequence: always a value in it."""
    thousandths = round(percent * 1000)  # exact: 99.9 / 100 * 1000 is more than 999 in floating point
    rank = -(-thousandths * len(ordered) // 100_000)
    return ordered[max(rank, 1) - 1]


def summarise(sent: int, rtts_ms: Sequence[float]) -> RoundTrips:
    """The figures of ``sent`` messages of which ``rtts_ms`` came back, in the order of arrival."""
    received = len(rtts_ms)
    loss = round(100 * (sent - received) / sent, 3) if sent else 0.0
    if not received:
        return RoundTrips(sent, 0, loss)
    ordered = sorted(rtts_ms)
    jitter = 0.0
    for before, after in pairwise(rtts_ms):
        jitter += (abs(after - before) - jitter) / 16  # RFC 3550 section 6.4.1
    figures = [
        ordered[0],
        sum(ordered) / received,
        percentile(ordered, 50),
        percentile(ordered, 90),
        percentile(ordered, 99),
        ordered[-1],
        jitter,
    ]
    return RoundTrips(sent, received, loss, *(round(figure, 4) for figure in figures))
