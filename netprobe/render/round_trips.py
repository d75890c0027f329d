"""Round trips as lines for a person."""

from __future__ import annotations

from typing import Any

__all__ = ["reply_line", "summary_lines"]


def reply_line(reply: Any) -> str:
    """One message as one line."""
    head = f"{reply.destination}: seq={reply.sequence}"
    if reply.rtt_ms is None:
        return f"{head} {reply.verdict}: {reply.cause}"
    return f"{head} {reply.bytes} bytes, {reply.rtt_ms:.3f} ms"


def summary_lines(summary: Any, destination: str) -> str:
    """The figures of all messages."""
    text = f"{summary.sent} sent, {summary.received} came back, {summary.loss_percent:g}% lost"
    if summary.received:
        text += (
            f"\nrtt min/mean/p50/p99/max {summary.min_ms:.3f}/{summary.mean_ms:.3f}/{summary.p50_ms:.3f}/"
            f"{summary.p99_ms:.3f}/{summary.max_ms:.3f} ms, jitter {summary.jitter_ms:.3f} ms"
        )
    return text
