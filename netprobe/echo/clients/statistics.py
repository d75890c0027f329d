"""Round-trip times in figures: percentiles by nearest rank, jitter as in RFC 3550, loss, reordering as in RFC 4737.

By nearest rank, because a percentile is then a time that was measured and not one between two of them. For that, times
are kept (8 bytes each), but not for ever: a ping without a count may run for months. From the 100,001st on (a day at
one a second) they are counted in buckets, as those of a load are (see histogram), and percentiles are exact to less
than one percent. Number, minimum, mean, maximum and jitter need no times and stay exact. A sample of a fixed size was
the alternative; it loses the rare long times, for which a long ping is run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from netprobe.echo.clients.histogram import LatencyHistogram

__all__ = ["KEPT", "KernelTimes", "PingStatistics", "Samples", "Times", "percentile", "rounded", "summarise"]

KEPT: Final = 100_000  # times of a kind


class Times:
    """Times in milliseconds, added in the order of arrival: their number and figures, in constant memory."""

    def __init__(self, times: Iterable[float] = ()) -> None:
        self.jitter = 0.0  # RFC 3550 section 6.4.1
        self.least = self.greatest = 0.0
        self._count = 0
        self._sum = 0.0
        self._last = 0.0
        self._kept = array("d")
        self._counted: LatencyHistogram | None = None  # once they are too many to be kept
        for time in times:
            self.append(time)

    def __len__(self) -> int:
        return self._count

    def append(self, time: float) -> None:
        """One more."""
        if self._count:
            self.jitter += (abs(time - self._last) - self.jitter) / 16
            self.least, self.greatest = min(self.least, time), max(self.greatest, time)
        else:
            self.least = self.greatest = time
        self._last = time
        self._count += 1
        self._sum += time
        if self._counted is None and self._count <= KEPT:
            self._kept.append(time)
            return
        if self._counted is None:
            self._counted = LatencyHistogram()
            for kept in self._kept:
                self._counted.add(round(kept * 1e6))
            self._kept = array("d")
        self._counted.add(round(time * 1e6))

    @property
    def mean(self) -> float:
        """Of at least one."""
        return self._sum / self._count

    def percentiles(self, *percents: float) -> list[float]:
        """By nearest rank, of at least one; of more than KEPT, to less than one percent."""
        if self._counted is not None:
            return [self._counted.percentile_ns(percent) / 1e6 for percent in percents]
        ordered = sorted(self._kept)
        return [percentile(ordered, percent) for percent in percents]


@dataclass(slots=True)
class Samples:
    """What a ping has measured so far: counters of messages, and times.

    ``late``, ``reordered`` and ``duplicates`` are echoes that do not count as received.
    """

    sent: int = 0
    duplicates: int = 0
    late: int = 0
    reordered: int = 0
    rtts_ms: Times = field(default_factory=Times)
    server_ms: Times = field(default_factory=Times)
    network_ms: Times = field(default_factory=Times)
    kernel_ms: Times = field(default_factory=Times)


@dataclass(frozen=True, slots=True)
class KernelTimes:
    """The kernel's own figures, in milliseconds. ``source`` is ``TCP_INFO`` or ``SO_TIMESTAMPING``.

    ``rtt_ms`` is TCP's smoothed round-trip time (RFC 6298), or the median of several connections or datagrams;
    ``deviation_ms`` and ``retransmits`` (segments sent again) are those of one TCP connection.
    """

    source: str
    rtt_ms: float
    min_ms: float | None = None
    deviation_ms: float | None = None
    retransmits: int | None = None


@dataclass(frozen=True, slots=True)
class PingStatistics:
    """A summary; times in milliseconds, None where nothing came back; ``loss_percent`` 0 to 100.

    ``late`` echoes came after the time-out and count as lost (RFC 2680), ``reordered`` ones after the echo of a later
    message (RFC 4737). ``server_ms`` and ``network_ms`` are medians, where the server says how long it had the message.
    """

    sent: int
    received: int
    loss_percent: float
    duplicates: int = 0
    late: int = 0
    reordered: int = 0
    min_ms: float | None = None
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    max_ms: float | None = None
    jitter_ms: float | None = None
    server_ms: float | None = None
    network_ms: float | None = None
    kernel: KernelTimes | None = None


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile (0 < percent <= 100) of an ordered, non-empty sequence: always a value in it."""
    thousandths = round(percent * 1000)  # exact: 99.9 / 100 * 1000 is more than 999 in floating point
    rank = -(-thousandths * len(ordered) // 100_000)
    return ordered[max(rank, 1) - 1]


def rounded(milliseconds: float) -> float:
    """To a tenth of a microsecond."""
    return round(milliseconds, 4)


def summarise(samples: Samples, kernel: KernelTimes | None = None) -> PingStatistics:
    """The figures of ``samples``; ``kernel`` is the kernel's own view of the same messages."""
    rtts_ms, received = samples.rtts_ms, len(samples.rtts_ms)
    loss = round(100 * (samples.sent - received) / samples.sent, 3) if samples.sent else 0.0
    counts = (samples.sent, received, loss, samples.duplicates, samples.late, samples.reordered)
    if not received:
        return PingStatistics(*counts, kernel=kernel)
    p50, p90, p99, p999 = rtts_ms.percentiles(50, 90, 99, 99.9)
    return PingStatistics(
        *counts,
        min_ms=rounded(rtts_ms.least),
        mean_ms=rounded(rtts_ms.mean),
        p50_ms=rounded(p50),
        p90_ms=rounded(p90),
        p99_ms=rounded(p99),
        p999_ms=rounded(p999),
        max_ms=rounded(rtts_ms.greatest),
        jitter_ms=rounded(rtts_ms.jitter),
        server_ms=_median(samples.server_ms),
        network_ms=_median(samples.network_ms),
        kernel=kernel,
    )


def _median(times: Times) -> float | None:
    return rounded(times.percentiles(50)[0]) if times else None
