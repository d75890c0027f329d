"""Round trips as they come: the last ones as a sparkline, all of them as a histogram, redrawn in place."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Self

from netprobe.render.terminal import Terminal

__all__ = ["LiveTrips", "bucket_of", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"
_LOST = "×"
_BETWEEN_S = 0.1  # at most ten drawings a second
_ROWS = 12  # of the histogram
_PER_DOUBLING = 2  # buckets


def sparkline(values: Iterable[float | None]) -> str:
    """One character a value, None as a cross; the lowest value is the lowest bar."""
    known = list(values)
    there = [value for value in known if value is not None]
    if not there:
        return _LOST * len(known)
    low, high = min(there), max(there)
    step = (high - low) / len(_BARS) or 1.0
    return "".join(_LOST if v is None else _BARS[min(int((v - low) / step), len(_BARS) - 1)] for v in known)


def bucket_of(milliseconds: float) -> int:
    """The bucket of a histogram that has two a doubling, counted from 1 µs."""
    from math import log2

    return max(int(log2(max(milliseconds * 1000, 1.0)) * _PER_DOUBLING), 0)


class LiveTrips:
    """A picture of the trips so far on the terminal; use it as a context manager and ``show`` each reply."""

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

    def __exit__(self, *error: Any) -> None:
        self._draw()
        self._live.__exit__(*error)

    def show(self, reply: Any) -> None:
        """One more reply; drawn at most ten times a second."""
        if reply.note is None:
            self._sent += 1
            self._last.append(reply.rtt_ms)
            if reply.rtt_ms is None:
                self._lost += 1
                self._failure = f"seq={reply.sequence} {reply.verdict}: {reply.cause}"
            else:
                self._buckets[bucket_of(reply.rtt_ms)] += 1
        if time.monotonic() >= self._next:
            self._draw()
            self._next = time.monotonic() + _BETWEEN_S

    def _draw(self) -> None:
        from rich.text import Text

        self._live.update(Text("\n".join(self._lines())), refresh=True)

    def _lines(self) -> list[str]:
        there = [value for value in self._last if value is not None]
        span = f"{min(there):.3f} to {max(there):.3f} ms" if there else "nothing came back"
        lines = [f"{self._sent} sent, {self._lost} lost; the last {len(self._last)}: {span}", sparkline(self._last)]
        lines += [f"the last that was lost: {self._failure}", ""] if self._failure else [""]
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
