"""The lines of a running server, one for each event, for people and for grep."""

from __future__ import annotations

from typing import assert_never

from netprobe.echo.server.events import (
    AcceptPaused,
    AcceptResumed,
    ConnectionEnded,
    Draining,
    EventsDropped,
    ListenerOpened,
    MemoryExceeded,
    ServerEvent,
    ServerSummary,
    WorkerEnded,
    WorkerStarted,
)
from netprobe.endpoints import format_endpoint

__all__ = ["event_line"]


def event_line(event: ServerEvent) -> str:
    """The line of one event."""
    match event:
        case ListenerOpened():
            return _opened(event)
        case ConnectionEnded():
            return _ended(event)
        case AcceptPaused():
            line = f"{event.at} accept paused at {event.connections} connections: {event.cause}"
            return line + _untold(event.untold_pauses, "pauses")
        case AcceptResumed():
            line = f"{event.at} accept resumed at {event.connections} connections"
            return line + _untold(event.untold_pauses, "pauses")
        case MemoryExceeded():
            return _memory_exceeded(event)
        case Draining():
            return f"{event.at} draining {event.connections} connections, {event.timeout_s:g} s at most"
        case WorkerStarted():
            return f"{event.at} worker {event.pid} started"
        case WorkerEnded():
            return f"{event.at} worker {event.pid} ended: {event.cause}"
        case EventsDropped():
            return f"{event.at} {event.events} events dropped: {event.cause or 'nobody was reading'}"
        case ServerSummary():
            return _summary(event)
    assert_never(event)


def _opened(event: ListenerOpened) -> str:
    framed = " framed" if event.framed else ""
    line = f"listening on {format_endpoint(event.host, event.port)} {event.protocol}{framed}"
    if event.backlog is not None:
        line += f", backlog {event.backlog}"
        if event.backlog_asked is not None and event.backlog < event.backlog_asked:
            line += f" (asked for {event.backlog_asked}, the kernel caps it at somaxconn)"
    return line + (f", {event.workers} workers" if event.workers > 1 else "")


def _untold(count: int, of: str) -> str:
    return f" ({count} more {of} since the last of these lines)" if count else ""


def _memory_exceeded(event: MemoryExceeded) -> str:
    peer = format_endpoint(event.peer, event.peer_port) if event.peer else "local peer"
    why = "the system gives no more memory" if event.cause else f"all peers together held more than {event.limit_bytes}"
    line = f"{event.at} {peer} ended, it held {event.held_bytes} bytes: {why}"
    return line + _untold(event.untold_peers, "peers")


def _ended(event: ConnectionEnded) -> str:
    parts = [f"{event.received_bytes} bytes in, {event.sent_bytes} out"]
    if event.messages is not None:
        parts.append(f"{event.messages} messages")
    parts.append(f"{event.duration_ms:.1f} ms")
    parts.append(event.ended + (f" ({event.cause})" if event.cause else ""))
    peer = format_endpoint(event.peer, event.peer_port) if event.peer else "local peer"
    return f"{event.at} {peer} {event.protocol}: {', '.join(parts)}"


def _summary(event: ServerSummary) -> str:
    parts = [f"{event.connections} connections", f"{event.received_bytes} bytes in, {event.sent_bytes} out"]
    if event.messages is not None:
        parts.append(f"{event.messages} messages, {event.broken_frames} broken frames")
    parts.append(f"{event.datagrams} datagrams, {event.datagrams_answered} answered, {event.datagrams_refused} not")
    if event.undelivered_bytes:
        parts.append(f"{event.undelivered_bytes} bytes not delivered")
    if event.ended_for_memory:
        parts.append(f"{event.ended_for_memory} peers ended for memory")
    if event.stalled_frames:
        parts.append(f"{event.stalled_frames} unfinished frames given up")
    if event.worker_restarts:
        parts.append(f"{event.worker_restarts} workers replaced")
    return f"served {event.duration_s:.1f} s: {'; '.join(parts)}"
