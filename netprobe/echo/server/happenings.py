"""What a server says while it runs: one frozen record an event, in the order in which things happen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "AcceptPaused",
    "AcceptResumed",
    "Draining",
    "Ended",
    "Happening",
    "Listening",
    "Summary",
    "Unread",
    "WorkerEnded",
    "WorkerStarted",
    "endpoint",
    "utc_now",
]


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket is open. ``backlog`` is what the kernel made of ``backlog_asked``; None where it does not say."""

    event: str  # "listening"
    protocol: str  # tcp, udp or unix
    host: str  # the address; the path of a unix socket
    port: int | None
    framed: bool
    backlog: int | None
    backlog_asked: int | None
    workers: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A connection is over (``--log``). ``ended``: closed, reset, idle, broken-frame, stopped, lost or cut."""

    event: str  # "ended"
    at: str  # UTC, ISO 8601
    protocol: str
    peer: str
    peer_port: int | None
    received_bytes: int
    sent_bytes: int
    messages: int | None  # --framed only
    duration_ms: float
    ended: str
    cause: str | None


@dataclass(frozen=True, slots=True)
class AcceptPaused:
    """New connections wait in the kernel's queue: out of descriptors, or ``--max-connections`` reached.

    Or there is no queue any more (``cause`` EINVAL): whoever handed the listener over has shut it down.
    """

    event: str  # "accept-paused"
    at: str
    cause: str
    connections: int


@dataclass(frozen=True, slots=True)
class AcceptResumed:
    """New connections are taken again."""

    event: str  # "accept-resumed"
    at: str
    connections: int


@dataclass(frozen=True, slots=True)
class Draining:
    """A signal came: nothing new is accepted, what is owed is still sent."""

    event: str  # "draining"
    at: str
    connections: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A process of ``--workers`` runs; ``restarts`` is how many there were before in its place."""

    event: str  # "worker-started"
    at: str
    pid: int
    restarts: int


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """A process of ``--workers`` died that nobody had asked to end."""

    event: str  # "worker-ended"
    at: str
    pid: int
    cause: str


@dataclass(frozen=True, slots=True)
class Summary:
    """All of a run. ``undelivered_bytes`` were received and could not be sent back in time or at all."""

    event: str  # "summary"
    duration_s: float
    connections: int
    received_bytes: int
    sent_bytes: int
    messages: int | None
    broken_frames: int
    undelivered_bytes: int
    datagrams: int
    datagrams_answered: int
    datagrams_refused: int
    worker_restarts: int


@dataclass(frozen=True, slots=True)
class Unread:
    """So many events before this one could not be told: the reader of the output did not read."""

    event: str  # "unread"
    at: str
    events: int


Happening = Listening | Ended | AcceptPaused | AcceptResumed | Draining | WorkerStarted | WorkerEnded | Summary | Unread


def utc_now() -> str:
    """The time of an event."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def endpoint(address: Any) -> dict[str, Any]:
    """A socket's name as the ``netprobe`` object of a reply has it."""
    if isinstance(address, tuple):
        return {"address": address[0], "port": address[1]}
    text = address.decode("utf-8", "backslashreplace") if isinstance(address, bytes) else str(address)
    return {"address": text, "port": None}
