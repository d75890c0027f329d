"""``netprobe echo load`` for people: its progress and its figures."""

from __future__ import annotations

from netprobe.echo.clients.histogram import LatencyFigures
from netprobe.echo.clients.load import LoadFigures

__all__ = ["load_lines", "progress_text"]


def progress_text(messages: int, size: int, seconds: float, stream: bool) -> str:
    """The progress line: ``size`` bytes and ``messages`` so far."""
    if stream:
        return f"{seconds:.0f} s, {size / 1e6 / max(seconds, 1e-9):,.1f} MB/s"
    return f"{seconds:.0f} s, {messages:,} messages, {messages / max(seconds, 1e-9):,.0f}/s"


def load_lines(figures: LoadFigures) -> str:
    """All figures, a line for each question."""
    count = figures.connections
    over = (
        "a new connection for each"
        if figures.mode == "churn"
        else f"over {count} connection{'s' if count != 1 else ''}"
    )
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


def _latency_lines(figures: LoadFigures, latency: LatencyFigures) -> list[str]:
    since = "when it was due" if figures.rate is not None else "connect" if figures.mode == "churn" else "send"
    times = f"min/mean/max {latency.min_ms:.3f}/{latency.mean_ms:.3f}/{latency.max_ms:.3f} ms"
    return [
        f"time per message, from {since}: {times}",
        f"p50/p90/p99/p99.9 {latency.p50_ms:.3f}/{latency.p90_ms:.3f}/{latency.p99_ms:.3f}/{latency.p999_ms:.3f} ms",
    ]


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
