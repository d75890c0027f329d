"""Round-trip times in figures: percentiles by nearest rank, jitter as in RFC 3550, loss, reordering as in RFC 4737.

By nearest rank, because a percentile is then a time that was measured and not one between two of them. All times are
kept for it (8 bytes each): a ping sends few enough. For a load, which measures millions, see histogram.
"""

from __future__ import annotations

from array import array
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["KernelTimes", "PingStatistics", "Samples", "percentile", "rounded", "summarise"]


def _milliseconds() -> MutableSequence[float]:
    return array("d")


@dataclass(slots=True)
class Samples:
    """What a ping has measured so far: counters of messages, and times in milliseconds in the order of arrival.

    ``late``, ``reordered`` and ``duplicates`` are echoes that do not count as received.
    """

    sent: int = 0
    duplicates: int = 0
    late: int = 0
    reordered: int = 0
    rtts_ms: MutableSequence[float] = field(default_factory=_milliseconds)
    server_ms: MutableSequence[float] = field(default_factory=_milliseconds)
    network_ms: MutableSequence[float] = field(default_factory=_milliseconds)
    kernel_ms: MutableSequence[float] = field(default_factory=_milliseconds)


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
    ordered = sorted(rtts_ms)
    jitter = 0.0
    for before, after in pairwise(rtts_ms):
        jitter += (abs(after - before) - jitter) / 16  # RFC 3550 section 6.4.1
    return PingStatistics(
        *counts,
        min_ms=rounded(ordered[0]),
        mean_ms=rounded(sum(ordered) / received),
        p50_ms=rounded(percentile(ordered, 50)),
        p90_ms=rounded(percentile(ordered, 90)),
        p99_ms=rounded(percentile(ordered, 99)),
        p999_ms=rounded(percentile(ordered, 99.9)),
        max_ms=rounded(ordered[-1]),
        jitter_ms=rounded(jitter),
        server_ms=_median(samples.server_ms),
        network_ms=_median(samples.network_ms),
        kernel=kernel,
    )


def _median(values: Sequence[float]) -> float | None:
    return rounded(percentile(sorted(values), 50)) if values else None
