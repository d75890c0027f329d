"""``netprobe echo load``: from its options to a load and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.echo.clients.load import Load, LoadFigures, LoadPlan
from netprobe.endpoints import parse_endpoint
from netprobe.errors import CannotRunError, Exit, InvalidInputError
from netprobe.prober.sockets import descriptors_for
from netprobe.render.load import LoadScreen, load_lines, progress_text
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["LoadOptions", "run_load"]

_DURATION_S = 10.0
_OUT_OF_PORTS = "fewer connections, a lower --rate, or a wider net.ipv4.ip_local_port_range"
_OUT_OF_DESCRIPTORS = "see 'ulimit -n'"
_HINTS = {"client port": _OUT_OF_PORTS, "descriptors": _OUT_OF_DESCRIPTORS}  # by words of the cause


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options of ``netprobe echo load``; sizes in bytes, times in seconds."""

    destination: str
    connections: int
    size: int
    duration: float | None
    count: int | None
    pipeline: int | None
    rate: float | None  # messages a second
    churn: bool
    stream: bool
    timeout: float
    version: int | None  # 4 or 6 where only one is wanted


def run_load(output: Output, options: LoadOptions) -> Exit:
    """Put the load on, show its progress, sum up, also when Ctrl-C ends it."""
    host, port = parse_endpoint(options.destination)
    plan = _plan(options)
    load = Load(host, port, plan)
    with output.document("echo load", LoadFigures, View(plain=load_lines, streams=True, screen=LoadScreen)) as document:
        if descriptors_for(plan.connections) < plan.connections:
            raise CannotRunError(
                f"--connections {plan.connections}", "more than this process may have open", _OUT_OF_DESCRIPTORS
            )
        try:
            with output.progress() as progress:
                for _ in load.run():
                    progress.show(progress_text(load.messages, load.bytes, load.elapsed_ns / 1e9, plan.stream))
        except KeyboardInterrupt:
            document.add(load.figures())
            raise
        figures = load.figures()
        document.add(figures)
        if load.trials.remark is not None:
            output.say(f"netprobe: {host}: {load.trials.remark}")
        first, not_tested = load.failures.first, load.failures.not_tested
        if not_tested is not None:
            hint = next((hint for words, hint in _HINTS.items() if words in not_tested.why), None)
            document.error(CannotRunError(not_tested.what, not_tested.why, hint))
        elif first is not None:
            document.error(first)
        if figures.unanswered or not figures.messages:
            document.answer(Exit.NO)
    return document.status


def _plan(options: LoadOptions) -> LoadPlan:
    for one, other, both in (
        ("--stream", "--churn", options.stream and options.churn),
        ("--stream", "--rate", options.stream and options.rate is not None),
        ("--stream", "--pipeline", options.stream and options.pipeline is not None),
        ("--stream", "--count", options.stream and options.count is not None),
        ("--churn", "--pipeline", options.churn and options.pipeline is not None),
        ("--count", "--duration", options.count is not None and options.duration is not None),
    ):
        if both:
            raise InvalidInputError(f"{one} and {other}", "do not go together", "leave one of them out")
    return LoadPlan(
        connections=options.connections,
        size=options.size,
        pipeline=options.pipeline or 1,
        duration_s=options.duration or _DURATION_S,
        count=options.count,
        rate=options.rate,
        timeout_s=options.timeout,
        churn=options.churn,
        stream=options.stream,
        version=options.version,
    )
