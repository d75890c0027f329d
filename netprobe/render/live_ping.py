"""``netprobe echo ping --live``: the last round trips as a sparkline, all of them as a histogram, redrawn in place.

At most ten times a second, as drawing takes longer than a round trip on a fast network and would hold the next one up.
The times are kept in a histogram of a few kilobytes (netprobe/echo/clients/histogram.py), so that an hour of drawing
costs no more than a minute's. Drawn by hand and not with rich's Live, which hides the cursor and needs to be told of
every way in which a run may end to show it again; this leaves a picture that is complete whenever it is interrupted.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from math import floor, log10
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from netprobe.echo.clients.histogram import LatencyFigures, LatencyHistogram
from netprobe.echo.clients.ping import Reply
from netprobe.echo.clients.statistics import PingStatistics
from netprobe.render.grid import prose
from netprobe.render.palette import ANSWER, FAILURE, HEADING, LABEL
from netprobe.render.ping import Asked, percentiles, print_summary
from netprobe.render.table import console
from netprobe.render.terminal import Terminal

__all__ = ["LivePing", "bucket_of", "edge_ms", "sparkline"]

_BARS: Final = "▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = "_.:-=+*#"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_REDRAW_S: Final = 0.1
_ROWS: Final = 12  # of the histogram
_OTHER_LINES: Final = 11  # of the picture and what comes below it
_WIDEST: Final = 100  # columns
_EDGES: Final = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # of buckets, in each decade


class LivePing:
    """The round trips so far on the terminal. Without colour only the last picture is drawn: redrawing takes ANSI."""

    def __init__(self, asked: Asked, terminal: Terminal) -> None:
        self._asked, self._terminal = asked, terminal
        self._width = min(terminal.width, _WIDEST)
        self._last: deque[float | None] = deque(maxlen=max(self._width - len("    last 0000.000 ms"), 10))
        self._times = LatencyHistogram()
        self._buckets: Counter[int] = Counter()
        self._sent = 0
        self._last_failure: Reply | None = None
        self._appearing: Reply | None = None
        self._next = 0.0
        self._drawn = 0  # lines of the picture on the screen

    def add(self, reply: Reply) -> None:
        """Add a reply; redraws at most ten times a second."""
        if reply.appears_as is not None:
            self._appearing = reply
        if reply.note is None:
            self._sent += 1
            self._last.append(reply.rtt_ms)
            if reply.rtt_ms is None:
                self._last_failure = reply
            else:
                self._times.add(round(reply.rtt_ms * 1e6))
                self._buckets[bucket_of(reply.rtt_ms)] += 1
        if self._terminal.colour and time.monotonic() >= self._next:
            self._draw("Ctrl-C ends it")
            self._next = time.monotonic() + _REDRAW_S

    def end(self, head: object | None) -> None:
        """Leave the last picture and print the answer below it: ``head`` has the statistics."""
        statistics = getattr(head, "summary", None)
        known = statistics if isinstance(statistics, PingStatistics) and statistics.received else None
        if self._sent:
            self._draw(figures=known)
        if isinstance(statistics, PingStatistics):
            print_summary(self._asked, statistics, self._appearing, self._last_failure, self._terminal, times=False)

    def _draw(self, hint: str = "", figures: PingStatistics | None = None) -> None:
        lines = list(self._lines(hint, figures or self._times.figures()))
        out = console(self._terminal)
        with out.capture() as captured:
            for line in lines:
                out.print(line, soft_wrap=True)
        text = captured.get()
        if self._drawn:
            # Each line is cleared by itself (EL), and below the last one what an earlier picture left (ED): to clear
            # all at once is, from the screen's first line, to clear the screen, which tmux and others keep as history.
            cleared = "".join(f"\x1b[K{line}\n" for line in text.splitlines())
            text = f"\r\x1b[{self._drawn}A{cleared}\x1b[J"
        sys.stdout.write(text)
        sys.stdout.flush()
        self._drawn = sum(max(-(-cell_len(line.plain) // self._terminal.width), 1) for line in lines)

    def _lines(self, hint: str, figures: PingStatistics | LatencyFigures | None) -> Iterator[Text]:
        yield from self._heading(hint)
        yield Text()
        yield self._spark()
        yield from self._span()
        yield Text()
        if figures is None or figures.min_ms is None:
            return
        yield from self._histogram()
        yield Text()
        ranks = percentiles(self._times.count, (figures.p90_ms, figures.p99_ms, figures.p999_ms))
        named = [("min", figures.min_ms), ("median", figures.p50_ms), *ranks, ("max", figures.max_ms)]
        words = [f"{name} {value:.3f}".replace(" ", "\xa0") for name, value in named]
        words[-1] += "\xa0ms"
        yield from prose(Text("   ".join(words)), self._width, "  ")

    def _heading(self, hint: str) -> Iterator[Text]:
        received = self._times.count
        lost = self._sent - received
        counts = Text(f"{self._sent} sent, {received} came back")
        if lost:
            counts.append(f", {lost} lost ({100 * lost / self._sent:.1f}%)", style=FAILURE)
        parts = [Text(f"{self._asked.destination} {self._asked.how}", style=ANSWER), counts]
        parts += [Text(hint, style=LABEL)] if hint else []
        line = Text("   ").join(parts)
        yield from [line] if cell_len(line.plain) <= self._width else parts

    def _spark(self) -> Text:
        line = Text("  ")
        for character, value in zip(sparkline(self._last, self._terminal.unicode), self._last, strict=True):
            line.append(character, style=FAILURE if value is None else None)
        last = self._last[-1] if self._last else None
        return line.append("  last lost" if last is None else f"  last {last:.3f} ms")

    def _span(self) -> Iterator[Text]:
        """What the lowest and the highest bar stand for, and why something was lost."""
        measured = [value for value in self._last if value is not None]
        span = Text(f"  low {min(measured):.3f}, high {max(measured):.3f} ms" if measured else "  nothing came back")
        failure = self._last_failure
        if failure is None:
            yield span
            return
        lost = Text(f"{_lost(self._terminal.unicode)} lost, {failure.cause}", style=FAILURE)
        gap = max(self._width - cell_len(span.plain) - cell_len(lost.plain) - 2, 0)
        if gap >= 2:
            yield span.append(" " * min(gap, 23)).append_text(lost)
        else:
            yield span
            yield from prose(lost, self._width, "    ", "  ")

    def _histogram(self) -> Iterator[Text]:
        first, last = min(self._buckets), max(self._buckets)
        rows = min(max(self._terminal.height - _OTHER_LINES, 3), _ROWS)
        merged = -(-(last + 1 - first) // rows)
        starts = range(first, last + 1, merged)
        counts = [sum(self._buckets[bucket] for bucket in range(at, at + merged)) for at in starts]
        labels = [_interval(edge_ms(at), edge_ms(at + merged), self._terminal.unicode) for at in starts]
        margin = max(map(len, labels))
        yield Text(f"  {'ms':{margin}}  {'replies':>9}", style=HEADING)
        room = max(self._width - margin - 15, 4)
        most = max(counts)
        for label, count in zip(labels, counts, strict=True):
            bar = _bar(count / most, room, self._terminal.unicode) if count else ""
            yield Text(f"  {label:{margin}}  {count:>9,}  {bar}".rstrip())


def sparkline(values: Iterable[float | None], unicode: bool = True) -> str:
    """One character per value, a cross for None; the lowest value is the lowest bar."""
    known = list(values)
    bars = _BARS if unicode else _ASCII_BARS
    measured = [value for value in known if value is not None]
    low, high = (min(measured), max(measured)) if measured else (0.0, 0.0)
    step = (high - low) / len(bars) or 1.0
    lost = _lost(unicode)
    return "".join(lost if v is None else bars[min(int((v - low) / step), len(bars) - 1)] for v in known)


def bucket_of(milliseconds: float) -> int:
    """The bucket of a time: six to a decade, counted from 1 µs, in steps that people count in (1, 1.5, 2, 3, 5, 7)."""
    microseconds = max(milliseconds * 1000, 1.0)
    decade = floor(log10(microseconds))
    while 10.0 ** (decade + 1) <= microseconds:  # log10 of 999.9999999999999 is 3
        decade += 1
    mantissa = microseconds / 10.0**decade
    return decade * len(_EDGES) + sum(mantissa >= edge for edge in _EDGES[1:])


def edge_ms(bucket: int) -> float:
    """Where a bucket begins, in milliseconds."""
    decade, step = divmod(bucket, len(_EDGES))
    return _EDGES[step] * 10.0 ** (decade - 3)


def _interval(first: float, last: float, unicode: bool) -> str:
    """From 0.15 to 0.20: with as many places as the lower one needs for two digits that count."""
    places = max(1 - floor(log10(first)), 0)
    return f"{first:.{places}f}{'–' if unicode else '-'}{last:.{places}f}"


def _lost(unicode: bool) -> str:
    return "×" if unicode else "x"


def _bar(share: float, room: int, unicode: bool) -> str:
    if not unicode:
        return "#" * max(round(share * room), 1)
    whole, eighths = divmod(max(round(share * room * 8), 1), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")
