"""What a server reports while it runs: one frozen record for each event, in the order in which they happen.

An event is a line of JSON, of CSV or of text, and it is how a worker process reports to its supervisor. So everything
about an event is in its fields, and ``event`` names its kind.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from netprobe.echo.messages import Endpoint

__all__ = [
    "EVENT_TYPES",
    "AcceptPaused",
    "AcceptResumed",
    "ConnectionEnded",
    "Draining",
    "Ending",
    "EventsDropped",
    "ListenerOpened",
    "MemoryExceeded",
    "ServerEvent",
    "ServerSummary",
    "SocketName",
    "WorkerEnded",
    "WorkerStarted",
    "decode",
    "encode",
    "endpoint",
    "utc_now",
]

SocketName: TypeAlias = tuple[Any, ...] | str | bytes  # what accept(2) and getsockname(2) give, by address family

Ending: TypeAlias = Literal["closed", "reset", "idle", "broken-frame", "stopped", "lost", "cut", "memory", "stalled"]


@dataclass(frozen=True, slots=True)
class ListenerOpened:
    """A socket is open. ``backlog`` is the kernel's value for ``backlog_asked``; None where it does not say."""

    event: str = field(default="listening", init=False)
    protocol: str  # tcp, udp or unix
    host: str  # the address; the path of a unix socket
    port: int | None
    framed: bool
    backlog: int | None
    backlog_asked: int | None
    workers: int


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """A connection is over (``--log``); ``ended`` says how, ``cause`` is the errno behind it."""

    event: str = field(default="ended", init=False)
    at: str  # UTC, ISO 8601
    protocol: str
    peer: str
    peer_port: int | None
    received_bytes: int
    sent_bytes: int
    messages: int | None  # --framed only
    duration_ms: float
    ended: Ending
    cause: str | None


@dataclass(frozen=True, slots=True)
class AcceptPaused:
    """New connections wait in the kernel's queue: out of descriptors or memory, or ``--max-connections`` reached.

    With ``cause`` EINVAL the queue is gone: the process that passed us the socket has shut it down. ``cause`` memory:
    the connections alone need half of ``--memory``. ``untold_pauses`` came before this one and after the last such
    event, and were too short and too many to be told on their own.
    """

    event: str = field(default="accept-paused", init=False)
    at: str
    cause: str
    connections: int
    untold_pauses: int = 0


@dataclass(frozen=True, slots=True)
class AcceptResumed:
    """New connections are accepted again. ``untold_pauses``: as in :class:`AcceptPaused`."""

    event: str = field(default="accept-resumed", init=False)
    at: str
    connections: int
    untold_pauses: int = 0


@dataclass(frozen=True, slots=True)
class MemoryExceeded:
    """A peer was ended because it held most when all peers together held more than ``--memory``.

    With ``cause`` ENOMEM the system gave no more memory, whatever ``--memory`` says. ``untold_peers`` more were ended
    since the last such event.
    """

    event: str = field(default="memory-exceeded", init=False)
    at: str
    peer: str
    peer_port: int | None
    held_bytes: int
    limit_bytes: int
    cause: str | None
    untold_peers: int


@dataclass(frozen=True, slots=True)
class Draining:
    """A signal arrived: nothing new is accepted, pending bytes are still sent."""

    event: str = field(default="draining", init=False)
    at: str
    connections: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A process of ``--workers`` is running; it replaces ``restarts`` earlier ones."""

    event: str = field(default="worker-started", init=False)
    at: str
    pid: int
    restarts: int


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """A process of ``--workers`` died without being asked to."""

    event: str = field(default="worker-ended", init=False)
    at: str
    pid: int
    cause: str


@dataclass(frozen=True, slots=True)
class ServerSummary:
    """The totals of a run. ``undelivered_bytes`` were received and could not be sent back in time or at all.

    ``ended_for_memory`` and ``stalled_frames`` count peers that were ended for what they held and for a frame that
    made no progress.
    """

    event: str = field(default="summary", init=False)
    duration_s: float = 0.0
    connections: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    messages: int | None = None  # --framed only
    broken_frames: int = 0
    undelivered_bytes: int = 0
    datagrams: int = 0
    datagrams_answered: int = 0
    datagrams_refused: int = 0
    worker_restarts: int = 0
    ended_for_memory: int = 0
    stalled_frames: int = 0

    def plus(self, part: ServerSummary) -> ServerSummary:
        """With what one worker did added; duration and restarts are the supervisor's."""
        return replace(
            self,
            connections=self.connections + part.connections,
            received_bytes=self.received_bytes + part.received_bytes,
            sent_bytes=self.sent_bytes + part.sent_bytes,
            messages=None if self.messages is None else self.messages + (part.messages or 0),
            broken_frames=self.broken_frames + part.broken_frames,
            undelivered_bytes=self.undelivered_bytes + part.undelivered_bytes,
            datagrams=self.datagrams + part.datagrams,
            datagrams_answered=self.datagrams_answered + part.datagrams_answered,
            datagrams_refused=self.datagrams_refused + part.datagrams_refused,
            ended_for_memory=self.ended_for_memory + part.ended_for_memory,
            stalled_frames=self.stalled_frames + part.stalled_frames,
        )


@dataclass(frozen=True, slots=True)
class EventsDropped:
    """This many preceding events were not written. ``cause`` is the errno behind it; None: nobody read the output."""

    event: str = field(default="unread", init=False)
    at: str
    events: int
    cause: str | None = None


ServerEvent: TypeAlias = (
    ListenerOpened
    | ConnectionEnded
    | AcceptPaused
    | AcceptResumed
    | MemoryExceeded
    | Draining
    | WorkerStarted
    | WorkerEnded
    | ServerSummary
    | EventsDropped
)
EVENT_TYPES: Final[tuple[type[ServerEvent], ...]] = get_args(ServerEvent)


def utc_now() -> str:
    """The time of an event, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def endpoint(name: SocketName) -> Endpoint:
    """A socket's name as an endpoint; a unix path that is not valid UTF-8 is escaped."""
    if isinstance(name, tuple):
        return Endpoint(name[0], name[1])
    return Endpoint(name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name, None)


def encode(event: ServerEvent) -> str:
    """``event`` as a line of ASCII, for :func:`decode` in another process."""
    values = {f.name: getattr(event, f.name) for f in fields(event) if f.init}
    return json.dumps([type(event).__name__, values]) + "\n"


def decode(line: bytes | str) -> ServerEvent:
    """The event that :func:`encode` wrote."""
    name, values = json.loads(line)
    event: ServerEvent = _BY_NAME[name](**values)
    return event


_BY_NAME: Final = {kind.__name__: kind for kind in EVENT_TYPES}
