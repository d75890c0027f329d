"""``netprobe echo ping`` for people: a line for each reply, or a live view, and the summary.

The live view is redrawn in place: the last round trips as a sparkline, all of them as a histogram. At most ten times
a second, as drawing takes longer than a round trip on a fast network and would hold the next one up.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from netprobe.echo.clients.ping import Reply
from netprobe.echo.clients.statistics import KernelTimes, PingStatistics
from netprobe.render.terminal import Terminal
from netprobe.text import escape

__all__ = ["LivePing", "bucket_of", "reply_line", "sparkline", "summary_lines"]

_KERNEL = {"TCP_INFO": "TCP_INFO, acknowledgements", "SO_TIMESTAMPING": "SO_TIMESTAMPING, device to device"}

_BARS = "▁▂▃▄▅▆▇█"
_LOST = "×"
_REDRAW_S = 0.1
_ROWS = 12  # of the histogram
_PER_DOUBLING = 2  # buckets


def reply_line(reply: Reply) -> str:
    """One message as one line."""
    head = f"{reply.destination}: seq={reply.sequence}"
    if reply.rtt_ms is None:
        return f"{head} {reply.verdict}: {reply.cause}"
    size = f" {reply.bytes} bytes," if reply.bytes else ""
    text = f"{head}{size} {reply.rtt_ms:.3f} ms"
    if reply.note:
        return f"{text} ({reply.note})"
    if reply.server_ms is not None:
        text += f" (server {reply.server_ms:.3f}, network {reply.network_ms:.3f})"
    if reply.kernel_ms is not None:
        text += f" (kernel {reply.kernel_ms:.3f})"
    return text


def summary_lines(statistics: PingStatistics, last: Reply | None = None) -> str:
    """The figures of all messages; ``last`` is the last reply that names the address we appear under."""
    counts = f"{statistics.sent} sent, {statistics.received} came back, {statistics.loss_percent:g}% lost"
    lines = [counts + _anomalies(statistics)]
    if statistics.received:
        lines += [
            f"rtt min/mean/max {statistics.min_ms:.3f}/{statistics.mean_ms:.3f}/{statistics.max_ms:.3f} ms, "
            f"jitter {statistics.jitter_ms:.3f} ms",
            f"rtt p50/p90/p99/p99.9 {statistics.p50_ms:.3f}/{statistics.p90_ms:.3f}/{statistics.p99_ms:.3f}/"
            f"{statistics.p999_ms:.3f} ms",
        ]
    if statistics.server_ms is not None:
        lines.append(f"medians: server {statistics.server_ms:.3f} ms, network {statistics.network_ms:.3f} ms")
    if statistics.kernel is not None:
        lines.append(_kernel_line(statistics.kernel))
    if last is not None and last.appears_as is not None:
        lines.append(f"you appear as {escape(last.appears_as)} there{_translation(last)}")
    return "\n".join(lines)


def _anomalies(statistics: PingStatistics) -> str:
    counts = {"duplicates": statistics.duplicates, "late": statistics.late, "reordered": statistics.reordered}
    return "".join(f", {count} {name}" for name, count in counts.items() if count)


def _kernel_line(kernel: KernelTimes) -> str:
    text = f"kernel rtt {kernel.rtt_ms:.3f}"
    if kernel.deviation_ms is not None:
        text += f" ± {kernel.deviation_ms:.3f}"
    text += " ms"
    if kernel.min_ms is not None:
        text += f", min {kernel.min_ms:.3f} ms"
    if kernel.retransmits:
        text += f", {kernel.retransmits} segment{'s' if kernel.retransmits > 1 else ''} retransmitted"
    return f"{text} ({_KERNEL[kernel.source]})"


def _translation(reply: Reply) -> str:
    if reply.translated is None:
        return ""
    return " (NAT or a proxy in between)" if reply.translated else " (no NAT in between)"


def sparkline(values: Iterable[float | None]) -> str:
    """One character per value, a cross for None; the lowest value is the lowest bar."""
    known = list(values)
    measured = [value for value in known if value is not None]
    if not measured:
        return _LOST * len(known)
    low, high = min(measured), max(measured)
    step = (high - low) / len(_BARS) or 1.0
    return "".join(_LOST if v is None else _BARS[min(int((v - low) / step), len(_BARS) - 1)] for v in known)


def bucket_of(milliseconds: float) -> int:
    """The bucket of a histogram with two per doubling, counted from 1 µs."""
    from math import log2

    return max(int(log2(max(milliseconds * 1000, 1.0)) * _PER_DOUBLING), 0)


class LivePing:
    """The round trips so far on the terminal; use it as a context manager and ``show`` each reply."""

    def __init__(self, terminal: Terminal) -> None:
        from rich.live import Live

        from netprobe.render.table import console

        self._width = terminal.width
        self._last: deque[float | None] = deque(maxlen=max(self._width - 2, 10))
        self._buckets: Counter[int] = Counter()
        self._sent = self._lost = 0
        self._failure = ""
        self._next = 0.0
        self._live = Live(console=console(terminal), auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw()
        self._live.__exit__(kind, error, trace)

    def show(self, reply: Reply) -> None:
        """Add a reply; redraws at most ten times a second."""
        if reply.note is None:
            self._sent += 1
            self._last.append(reply.rtt_ms)
            if reply.rtt_ms is None:
                self._lost += 1
                self._failure = escape(f"seq={reply.sequence} {reply.verdict}: {reply.cause}")
            else:
                self._buckets[bucket_of(reply.rtt_ms)] += 1
        if time.monotonic() >= self._next:
            self._draw()
            self._next = time.monotonic() + _REDRAW_S

    def _draw(self) -> None:
        from rich.text import Text

        self._live.update(Text("\n".join(self._lines())), refresh=True)

    def _lines(self) -> list[str]:
        measured = [value for value in self._last if value is not None]
        span = f"{min(measured):.3f} to {max(measured):.3f} ms" if measured else "nothing came back"
        lines = [f"{self._sent} sent, {self._lost} lost; the last {len(self._last)}: {span}", sparkline(self._last)]
        lines += [f"the last loss: {self._failure}", ""] if self._failure else [""]
        return lines + self._histogram()

    def _histogram(self) -> list[str]:
        if not self._buckets:
            return []
        first, last = min(self._buckets), max(self._buckets)
        rows = list(range(first, last + 1))
        merged = max(-(-len(rows) // _ROWS), 1)
        counts = [sum(self._buckets[b] for b in rows[at : at + merged]) for at in range(0, len(rows), merged)]
        room = max(self._width - 24, 4)
        most = max(counts)
        lines = []
        for at, count in enumerate(counts):
            upper_ms = 2 ** ((first + (at + 1) * merged) / _PER_DOUBLING) / 1000
            bar = "█" * max(round(room * count / most), 1 if count else 0)
            lines.append(f"< {upper_ms:9.3f} ms {count:>7} {bar}")
        return lines
