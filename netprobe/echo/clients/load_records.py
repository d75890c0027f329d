"""What a load is to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.echo.clients.latencies import LatencyFigures

__all__ = ["LoadFigures", "LoadPlan"]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to do. ``rate`` in messages a second over all connections, ``duration_s`` and ``timeout_s`` in seconds."""

    connections: int = 10
    size: int = 64
    pipeline: int = 1
    duration_s: float = 10.0
    count: int | None = None
    rate: float | None = None
    timeout_s: float = 5.0
    churn: bool = False
    stream: bool = False


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What came of it. Bytes are those that came back and were checked; rates are over ``elapsed_s``.

    ``mode`` is ``messages``, ``churn`` (connect, one message, close) or ``stream``. ``unanswered`` messages were sent
    and did not come back within the time-out; ``not_begun`` were due and never sent, because every connection was
    busy until the end: the percentiles do not know of either. ``failures`` counts connections that failed, by verdict.
    """

    destination: str
    mode: str
    connections: int
    size: int | None
    pipeline: int | None
    rate: float | None
    elapsed_s: float
    messages: int
    connects: int
    bytes: int
    messages_per_s: float
    connects_per_s: float
    megabytes_per_s: float
    unanswered: int
    not_begun: int
    failures: dict[str, int]
    latency: LatencyFigures | None
