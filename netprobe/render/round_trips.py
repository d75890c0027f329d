"""Round trips as lines for a person."""

from __future__ import annotations

from typing import Any

__all__ = ["reply_line", "summary_lines"]

_KERNEL = {"TCP_INFO": "TCP_INFO, acknowledgements", "SO_TIMESTAMPING": "SO_TIMESTAMPING, device to device"}


def reply_line(reply: Any) -> str:
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


def summary_lines(summary: Any, last: Any = None) -> str:
    """The figures of all messages; ``last`` is the last reply that said who we are there."""
    lines = [f"{summary.sent} sent, {summary.received} came back, {summary.loss_percent:g}% lost{_oddities(summary)}"]
    if summary.received:
        lines += [
            f"rtt min/mean/max {summary.min_ms:.3f}/{summary.mean_ms:.3f}/{summary.max_ms:.3f} ms, "
            f"jitter {summary.jitter_ms:.3f} ms",
            f"rtt p50/p90/p99/p99.9 {summary.p50_ms:.3f}/{summary.p90_ms:.3f}/{summary.p99_ms:.3f}/"
            f"{summary.p999_ms:.3f} ms",
        ]
    if summary.server_ms is not None:
        lines.append(f"medians: server {summary.server_ms:.3f} ms, network {summary.network_ms:.3f} ms")
    if summary.kernel is not None:
        lines.append(_kernel_line(summary.kernel))
    if last is not None and last.appears_as is not None:
        lines.append(f"you appear as {last.appears_as} there{_translation(last)}")
    return "\n".join(lines)


def _oddities(summary: Any) -> str:
    counts = ((name, getattr(summary, name)) for name in ("duplicates", "late", "reordered"))
    return "".join(f", {count} {name}" for name, count in counts if count)


def _kernel_line(kernel: Any) -> str:
    text = f"kernel rtt {kernel.rtt_ms:.3f}"
    if kernel.deviation_ms is not None:
        text += f" ± {kernel.deviation_ms:.3f}"
    text += " ms"
    if kernel.min_ms is not None:
        text += f", min {kernel.min_ms:.3f} ms"
    if kernel.retransmits:
        text += f", {kernel.retransmits} segment{'s' if kernel.retransmits > 1 else ''} sent again"
    return f"{text} ({_KERNEL[kernel.source]})"


def _translation(reply: Any) -> str:
    if reply.translated is None:
        return ""
    return " (NAT or a proxy in between)" if reply.translated else " (no NAT in between)"
