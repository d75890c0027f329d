"""Latencies by the million in a few kilobytes: a histogram whose buckets are less than one percent wide.

A load counts millions of times and must not spend its processor or its memory on them. Buckets that double in width
with the value, 128 to a doubling (as in HdrHistogram), keep every percentile exact to 1/128 from nanoseconds to hours;
least, greatest and mean are kept beside them and are exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

__all__ = ["LatencyFigures", "LatencyHistogram"]

_BITS = 7  # 128 buckets to a doubling: each is at most 1/128 of its value wide


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """Milliseconds; percentiles are exact to less than one percent, minimum, mean and maximum are exact."""

    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class LatencyHistogram:
    """Counts times in nanoseconds (0 and above)."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0
        self._least = self._greatest = 0
        self._buckets: Counter[int] = Counter()

    def add(self, nanoseconds: int) -> None:
        """Count one time."""
        if self.count == 0 or nanoseconds < self._least:
            self._least = nanoseconds
        if nanoseconds > self._greatest:
            self._greatest = nanoseconds
        self.count += 1
        self._sum += nanoseconds
        shift = max(nanoseconds.bit_length() - _BITS - 1, 0)
        self._buckets[(shift << (_BITS + 1)) + (nanoseconds >> shift)] += 1

    def percentile_ns(self, percent: float) -> int:
        """By nearest rank: the upper edge of its bucket, capped at the greatest time. ValueError without any times."""
        rank = max(-(-round(percent * 1000) * self.count // 100_000), 1)
        counted = 0
        for bucket in sorted(self._buckets):
            counted += self._buckets[bucket]
            if counted >= rank:
                shift, head = bucket >> (_BITS + 1), bucket & ((1 << (_BITS + 1)) - 1)
                return min((head + 1 << shift) - 1, self._greatest)
        raise ValueError("no times")

    def figures(self) -> LatencyFigures | None:
        """The figures, or None when nothing was counted."""
        if not self.count:
            return None
        percentiles = [self.percentile_ns(percent) for percent in (50, 90, 99, 99.9)]
        times = (self._least, self._sum / self.count, *percentiles, self._greatest)
        return LatencyFigures(*(round(time / 1e6, 4) for time in times))
