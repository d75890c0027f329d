"""The lines of a running server: an event each, for people and for grep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netprobe.endpoints import format_endpoint
from netprobe.text import escape

__all__ = ["event_line"]


def event_line(event: Any) -> str:
    """One line, whatever name a peer gave its socket; the event's own fields in words."""
    return escape(_LINES[event.event](event))


def _listening(e: Any) -> str:
    framed = " framed" if e.framed else ""
    line = f"listening on {format_endpoint(e.host, e.port)} {e.protocol}{framed}"
    if e.backlog is not None:
        line += f", backlog {e.backlog}"
        if e.backlog_asked is not None and e.backlog < e.backlog_asked:
            line += f" (asked for {e.backlog_asked}, the kernel caps it at somaxconn)"
    return line + (f", {e.workers} workers" if e.workers > 1 else "")


def _ended(e: Any) -> str:
    parts = [f"{e.received_bytes} bytes in, {e.sent_bytes} out"]
    if e.messages is not None:
        parts.append(f"{e.messages} messages")
    parts.append(f"{e.duration_ms:.1f} ms")
    parts.append(e.ended + (f" ({e.cause})" if e.cause else ""))
    peer = format_endpoint(e.peer, e.peer_port) if e.peer else "local peer"
    return f"{e.at} {peer} {e.protocol}: {', '.join(parts)}"


def _summary(e: Any) -> str:
    parts = [f"{e.connections} connections", f"{e.received_bytes} bytes in, {e.sent_bytes} out"]
    if e.messages is not None:
        parts.append(f"{e.messages} messages, {e.broken_frames} broken frames")
    parts.append(f"{e.datagrams} datagrams, {e.datagrams_answered} answered, {e.datagrams_refused} not")
    if e.undelivered_bytes:
        parts.append(f"{e.undelivered_bytes} bytes not delivered")
    if e.worker_restarts:
        parts.append(f"{e.worker_restarts} workers replaced")
    return f"served {e.duration_s:.1f} s: {'; '.join(parts)}"


_LINES: dict[str, Callable[[Any], str]] = {
    "listening": _listening,
    "ended": _ended,
    "accept-paused": lambda e: f"{e.at} accept paused at {e.connections} connections: {e.cause}",
    "accept-resumed": lambda e: f"{e.at} accept resumed at {e.connections} connections",
    "draining": lambda e: f"{e.at} draining {e.connections} connections, {e.timeout_s:g} s at most",
    "worker-started": lambda e: f"{e.at} worker {e.pid} started",
    "worker-ended": lambda e: f"{e.at} worker {e.pid} ended: {e.cause}",
    "summary": _summary,
    "unread": lambda e: f"{e.at} {e.events} events left out: nobody was reading",
}
