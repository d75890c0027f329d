"""Every kind of event: through the pipe of a worker and back, and as the line that people read."""

from __future__ import annotations

import pytest

from netprobe.echo.server.events import (
    EVENT_TYPES,
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
    decode,
    encode,
)
from netprobe.render.server_log import event_line

AT = "2026-01-01T00:00:00.000Z"
EVENTS: list[tuple[ServerEvent, str]] = [
    (ListenerOpened("tcp", "::1", 7, False, 5, 5, 1), "listening on [::1]:7 tcp, backlog 5"),
    (
        ListenerOpened("tcp", "127.0.0.1", 7, True, 5, 9, 2),
        "listening on 127.0.0.1:7 tcp framed, backlog 5 (asked for 9, the kernel caps it at somaxconn), 2 workers",
    ),
    (ListenerOpened("unix", "/run/x", None, False, None, 9, 1), "listening on /run/x unix"),
    (
        ConnectionEnded(AT, "tcp", "::1", 9, 5, 4, 2, 1.25, "reset", "EPIPE"),
        f"{AT} [::1]:9 tcp: 5 bytes in, 4 out, 2 messages, 1.2 ms, reset (EPIPE)",
    ),
    (
        ConnectionEnded(AT, "unix", "", None, 5, 5, None, 1.0, "closed", None),
        f"{AT} local peer unix: 5 bytes in, 5 out, 1.0 ms, closed",
    ),
    (AcceptPaused(AT, "EMFILE", 3), f"{AT} accept paused at 3 connections: EMFILE"),
    (AcceptResumed(AT, 2), f"{AT} accept resumed at 2 connections"),
    (
        AcceptPaused(AT, "max-connections", 3, 7),
        f"{AT} accept paused at 3 connections: max-connections (7 more pauses since the last of these lines)",
    ),
    (
        AcceptResumed(AT, 2, 5),
        f"{AT} accept resumed at 2 connections (5 more pauses since the last of these lines)",
    ),
    (
        MemoryExceeded(AT, "::1", 9, 100, 50, None, 0),
        f"{AT} [::1]:9 ended, it held 100 bytes: all peers together held more than 50",
    ),
    (
        MemoryExceeded(AT, "", None, 100, 50, "ENOMEM", 3),
        f"{AT} local peer ended, it held 100 bytes: the system gives no more memory "
        "(3 more peers since the last of these lines)",
    ),
    (Draining(AT, 2, 2.5), f"{AT} draining 2 connections, 2.5 s at most"),
    (WorkerStarted(AT, 77, 0), f"{AT} worker 77 started"),
    (WorkerEnded(AT, 77, "SIGKILL"), f"{AT} worker 77 ended: SIGKILL"),
    (EventsDropped(AT, 3), f"{AT} 3 events dropped: nobody was reading"),
    (EventsDropped(AT, 3, "ENOSPC"), f"{AT} 3 events dropped: ENOSPC"),
    (
        ServerSummary(duration_s=1.0),
        "served 1.0 s: 0 connections; 0 bytes in, 0 out; 0 datagrams, 0 answered, 0 not",
    ),
    (
        ServerSummary(2.0, 1, 9, 4, 3, 1, 5, 2, 1, 1, 1),
        "served 2.0 s: 1 connections; 9 bytes in, 4 out; 3 messages, 1 broken frames; 2 datagrams, 1 answered, 1 not; "
        "5 bytes not delivered; 1 workers replaced",
    ),
    (
        ServerSummary(duration_s=1.0, ended_for_memory=2, stalled_frames=3),
        "served 1.0 s: 0 connections; 0 bytes in, 0 out; 0 datagrams, 0 answered, 0 not; "
        "2 peers ended for memory; 3 unfinished frames given up",
    ),
]


def test_no_kind_of_event_is_missing_here() -> None:
    assert {type(event) for event, _ in EVENTS} == set(EVENT_TYPES)


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_an_event_survives_the_pipe_from_a_worker(event: ServerEvent, line: str) -> None:
    assert decode(encode(event)) == event


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_an_event_is_one_line_for_people(event: ServerEvent, line: str) -> None:
    assert event_line(event) == line


def test_the_summaries_of_workers_add_up() -> None:
    part = ServerSummary(9.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 10, 11)
    total = ServerSummary(duration_s=2.0, messages=0, worker_restarts=1).plus(part).plus(part)
    assert total == ServerSummary(2.0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 1, 20, 22)
