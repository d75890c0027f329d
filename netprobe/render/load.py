"""``netprobe echo load`` for people: its progress and its figures; on a terminal the answer above them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netprobe.echo.clients.histogram import LatencyFigures
from netprobe.echo.clients.load import LoadFigures
from netprobe.render.ping import percentiles

if TYPE_CHECKING:
    from rich.text import Text

    from netprobe.render.terminal import Terminal

__all__ = ["LoadScreen", "load_lines", "progress_text"]


def progress_text(messages: int, size: int, seconds: float, stream: bool) -> str:
    """The progress line: ``size`` bytes and ``messages`` so far."""
    if stream:
        return f"{seconds:.0f} s, {size / 1e6 / max(seconds, 1e-9):,.1f} MB/s"
    return f"{seconds:.0f} s, {messages:,} messages, {messages / max(seconds, 1e-9):,.0f}/s"


def load_lines(figures: LoadFigures) -> str:
    """In a pipe: all figures, a line for each question."""
    over = _over(figures)
    lines = []
    if figures.mode == "stream":
        whole = "" if figures.unanswered or figures.failures else ", all unchanged"
        lines.append(f"{figures.bytes:,} bytes came back in {figures.elapsed_s:.2f} s {over}{whole}")
        lines.append(f"{figures.megabytes_per_s:,.1f} MB/s each way")
    else:
        lines.append(
            f"{figures.messages:,} messages of {figures.size} bytes came back in {figures.elapsed_s:.2f} s, {over}"
        )
        rate = f" of {figures.rate:g} due" if figures.rate is not None else ""
        lines.append(f"{figures.messages_per_s:,.0f} messages/s{rate}, {figures.megabytes_per_s:,.2f} MB/s each way")
    if figures.mode == "churn":
        lines.append(f"{figures.connects_per_s:,.0f} connects/s")
    if figures.latency is not None:
        lines += _latency_lines(figures, figures.latency)
    lines += _loss_lines(figures)
    return "\n".join(lines)


def _over(figures: LoadFigures) -> str:
    if figures.mode == "churn":
        return "a new connection for each"
    return f"over {figures.connections} connection{'s' if figures.connections != 1 else ''}"


def _latency_lines(figures: LoadFigures, latency: LatencyFigures) -> list[str]:
    ranks = [("p50", latency.p50_ms), *_ranks(figures, latency)]
    times = f"min/mean/max {latency.min_ms:.3f}/{latency.mean_ms:.3f}/{latency.max_ms:.3f} ms"
    return [
        f"time per message, from {_since(figures)}: {times}",
        f"{'/'.join(name for name, _ in ranks)} {'/'.join(f'{value:.3f}' for _, value in ranks)} ms",
    ]


def _since(figures: LoadFigures) -> str:
    """The moment from which a message's time counts."""
    return "when it was due" if figures.rate is not None else "connect" if figures.mode == "churn" else "send"


def _ranks(figures: LoadFigures, latency: LatencyFigures) -> list[tuple[str, float]]:
    return percentiles(figures.messages, (latency.p90_ms, latency.p99_ms, latency.p999_ms))


def _loss_lines(figures: LoadFigures) -> list[str]:
    lines = []
    if figures.unanswered:
        pieces = " pieces of 64 KiB" if figures.mode == "stream" else ""
        lines.append(f"{figures.unanswered:,}{pieces} did not come back")
    if figures.not_begun:
        lines.append(f"{figures.not_begun:,} were due but never sent: no connection was free")
    if figures.failures:
        counts = ", ".join(f"{count:,} {verdict}" for verdict, count in figures.failures.items())
        lines.append(f"failed connections: {counts}")
    return lines


class LoadScreen:
    """The figures of a load on a terminal: the answer first, because they come all at once."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def add(self, figures: LoadFigures) -> None:
        """Print them."""
        from netprobe.render.table import print_lines

        print_lines(self._lines(figures), self._terminal)

    def end(self, head: object | None) -> None:
        """Nothing is kept for the end."""

    def _lines(self, figures: LoadFigures) -> Iterator[Text]:
        from rich.text import Text

        from netprobe.render.grid import prose
        from netprobe.render.palette import ANSWER, FAILURE

        width = self._terminal.width
        yield from prose(Text(_answer(figures), style=ANSWER), width, "  ", "")
        for label, value in _figures(figures):
            yield from prose(Text(f"{label:13}{value}"), width, "  ", "")
        for line in _loss_lines(figures):
            yield from prose(Text(line, style=FAILURE), width, "  ", "! ")


def _answer(figures: LoadFigures) -> str:
    count, what = (figures.bytes, "byte") if figures.mode == "stream" else (figures.messages, "message")
    what += "s" if count != 1 else ""
    what += f" of {figures.size} bytes" if figures.mode != "stream" else ""
    how = f"in {figures.elapsed_s:.2f} s, {_over(figures)}"
    if not count:
        return f"it does not echo: nothing came back {how}"
    return f"it echoes: {count:,} {what} came back unchanged {how}"


def _figures(figures: LoadFigures) -> Iterator[tuple[str, str]]:
    if figures.mode != "stream":
        due = f" of {figures.rate:g} due" if figures.rate is not None else ""
        yield "messages", f"{figures.messages_per_s:,.0f} a second{due}"
    if figures.mode == "churn":
        yield "connects", f"{figures.connects_per_s:,.0f} a second"
    yield "bytes", f"{figures.megabytes_per_s:,.2f} MB/s each way"
    if figures.latency is not None:
        latency = figures.latency
        named = [
            ("min", latency.min_ms),
            ("median", latency.p50_ms),
            *_ranks(figures, latency),
            ("max", latency.max_ms),
        ]
        times = "  ".join(f"{name}\xa0{value:.3f}" for name, value in named)
        yield "per message", f"{times}\xa0ms, from {_since(figures)}"
