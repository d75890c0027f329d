"""What a load is to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netprobe.echo.clients.latencies import LatencyFigures

if TYPE_CHECKING:
    from netprobe.echo.clients.load import Load

__all__ = ["STREAM_SIZE", "LoadFigures", "LoadPlan", "sum_up"]

STREAM_SIZE: Final = 64 * 1024  # bytes in a piece of a stream


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
    and did not come back within the time-out (of a stream: pieces of 64 KiB); ``not_begun`` were due and never sent,
    because no connection was free until the end: the percentiles do not know of either. ``failures`` counts
    connections that failed, by verdict.
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


def sum_up(load: Load) -> LoadFigures:
    """What came of ``load`` until now."""
    plan, seconds = load.plan, load.elapsed_ns / 1e9
    per_second = 1 / seconds if seconds else 0.0
    return LoadFigures(
        load.where,
        "stream" if plan.stream else "churn" if plan.churn else "messages",
        plan.connections,
        None if plan.stream else plan.size,
        None if plan.stream or plan.churn else plan.pipeline,
        plan.rate,
        round(seconds, 3),
        load.messages,
        load.connects,
        load.bytes,
        round(load.messages * per_second, 1),
        round(load.connects * per_second, 1) if plan.churn else 0.0,
        round(load.bytes / 1e6 * per_second, 3),
        load.unanswered,
        load.not_begun,
        dict(load.failures.by_verdict),
        None if plan.stream else load.latencies.figures(),
    )
