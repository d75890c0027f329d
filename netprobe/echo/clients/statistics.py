"""Round-trip times in figures: percentiles by nearest rank, jitter as in RFC 3550, loss, reordering as in RFC 4737."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["KernelTimes", "RoundTrips", "percentile", "rounded", "summarise"]


@dataclass(frozen=True, slots=True)
class KernelTimes:
    """The kernel's own figures, in milliseconds. ``source`` is ``TCP_INFO`` or ``SO_TIMESTAMPING``.

    ``rtt_ms`` is the smoothed round-trip time of TCP (RFC 6298), or the median of datagrams; ``deviation_ms`` and
    ``retransmits`` (segments sent again) are TCP's only.
    """

    source: str
    rtt_ms: float
    min_ms: float | None = None
    deviation_ms: float | None = None
    retransmits: int | None = None


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """A summary; times in milliseconds, None where nothing came back; ``loss_percent`` 0 to 100.

    ``late`` came after the time-out and count as lost (RFC 2680), ``reordered`` came after a later one (RFC 4737).
    ``server_ms`` and ``network_ms`` are medians, where the server says how long it had the message.
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


def summarise(
    sent: int,
    rtts_ms: Sequence[float],
    *,
    duplicates: int = 0,
    late: int = 0,
    reordered: int = 0,
    server_ms: Sequence[float] = (),
    network_ms: Sequence[float] = (),
    kernel: KernelTimes | None = None,
) -> RoundTrips:
    """The figures of ``sent`` messages of which ``rtts_ms`` came back in time, in the order of arrival."""
    received = len(rtts_ms)
    loss = round(100 * (sent - received) / sent, 3) if sent else 0.0
    if not received:
        return RoundTrips(sent, 0, loss, duplicates, late, reordered, kernel=kernel)
    ordered = sorted(rtts_ms)
    jitter = 0.0
    for before, after in pairwise(rtts_ms):
        jitter += (abs(after - before) - jitter) / 16  # RFC 3550 section 6.4.1
    return RoundTrips(
        sent,
        received,
        loss,
        duplicates,
        late,
        reordered,
        min_ms=rounded(ordered[0]),
        mean_ms=rounded(sum(ordered) / received),
        p50_ms=rounded(percentile(ordered, 50)),
        p90_ms=rounded(percentile(ordered, 90)),
        p99_ms=rounded(percentile(ordered, 99)),
        p999_ms=rounded(percentile(ordered, 99.9)),
        max_ms=rounded(ordered[-1]),
        jitter_ms=rounded(jitter),
        server_ms=_median(server_ms),
        network_ms=_median(network_ms),
        kernel=kernel,
    )


def _median(values: Sequence[float]) -> float | None:
    return rounded(percentile(sorted(values), 50)) if values else None
