"""The figures of a ping, on numbers whose figures are known."""

from __future__ import annotations

import random
import tracemalloc
from itertools import pairwise

import pytest

from netprobe.echo.clients import statistics
from netprobe.echo.clients.ping import Ping, RoundTrip, Stray
from netprobe.echo.clients.statistics import KEPT, Samples, Times, percentile, summarise
from netprobe.echo.clients.trials import Trials


def test_percentiles_are_by_nearest_rank_and_exact() -> None:
    assert percentile(range(1, 1001), 99.9) == 999
    assert percentile(range(1, 101), 99) == 99
    assert percentile([5.0], 50) == 5.0
    assert percentile([1.0, 2.0], 50) == 1.0


def test_a_summary_counts_what_was_lost() -> None:
    figures = summarise(Samples(sent=4, rtts_ms=Times([1.0, 3.0, 2.0])))
    assert (figures.sent, figures.received, figures.loss_percent) == (4, 3, 25.0)
    assert (figures.min_ms, figures.mean_ms, figures.max_ms) == (1.0, 2.0, 3.0)
    assert figures.jitter_ms == round(2 / 16 + (1 - 2 / 16) / 16, 4)  # RFC 3550 section 6.4.1


def test_the_highest_percentiles_need_many_messages() -> None:
    figures = summarise(Samples(sent=2000, rtts_ms=Times(float(n) for n in range(2000))))
    assert (figures.p99_ms, figures.p999_ms, figures.max_ms) == (1979.0, 1997.0, 1999.0)


def test_what_is_kept_is_exact_to_its_last_time() -> None:
    times = [random.Random(number).expovariate(1) for number in range(5000)]
    jitter = 0.0
    for before, after in pairwise(times):
        jitter += (abs(after - before) - jitter) / 16
    figures = summarise(Samples(sent=5000, rtts_ms=Times(times)))
    ordered = sorted(times)
    assert (figures.p50_ms, figures.p999_ms) == (round(ordered[2499], 4), round(ordered[4994], 4))
    assert (figures.min_ms, figures.max_ms) == (round(ordered[0], 4), round(ordered[-1], 4))
    assert (figures.mean_ms, figures.jitter_ms) == (round(sum(ordered) / 5000, 4), round(jitter, 4))


def test_what_is_too_much_to_be_kept_is_counted_to_one_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [random.Random(number).expovariate(1) for number in range(5000)]
    exact = summarise(Samples(sent=5000, rtts_ms=Times(times)))
    monkeypatch.setattr(statistics, "KEPT", 1000)
    figures = summarise(Samples(sent=5000, rtts_ms=Times(times)))
    for name in ("min_ms", "mean_ms", "max_ms", "jitter_ms", "received"):
        assert getattr(figures, name) == getattr(exact, name)
    for name in ("p50_ms", "p90_ms", "p99_ms", "p999_ms"):
        assert getattr(figures, name) == pytest.approx(getattr(exact, name), rel=0.01)


class Instant:
    """A peer whose echo takes no time here, and a random one by its own account."""

    protocol = "udp"

    def __init__(self) -> None:
        self.trials = Trials()
        self._random = random.Random(1)

    def round_trip(self, sequence: int) -> RoundTrip:
        elapsed_ns = self._random.randrange(10_000, 10_000_000)
        return RoundTrip(elapsed_ns, kernel_ns=elapsed_ns // 2, server_ns=elapsed_ns // 4)

    def strays(self) -> list[Stray]:
        return []

    def kernel(self) -> None:
        return None

    def close(self) -> None:
        pass


def test_a_ping_without_an_end_takes_constant_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "KEPT", 2000)
    ping = Ping(Instant(), "127.0.0.1", 9, count=0, interval_s=0, size=64)
    replies = ping.replies()
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(4):
            for _ in range(10_000):
                next(replies)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        replies.close()
    assert sizes[-1] - sizes[1] < 20_000 * 8  # less than one kind of time needs to be kept, and there are four
    assert ping.statistics().received == 40_000
    assert KEPT >= 10_000  # what a person waits for is exact
