"""``netprobe echo load`` at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netprobe.echo.clients.load import Load
from netprobe.echo.clients.load_records import LoadFigures, LoadPlan
from netprobe.endpoints import format_endpoint, parse_endpoint
from netprobe.errors import CannotRunError, Exit, InvalidInputError
from netprobe.prober.sockets import descriptors_for
from netprobe.render.load_figures import load_lines, progress_text
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["run"]

DURATION_S = 10.0
OUT_OF_PORTS = "fewer connections, a --rate that the ports last for, or a wider net.ipv4.ip_local_port_range"


def run(output: Output, destination: str, options: Mapping[str, Any]) -> Exit:
    """Put the load on, show how it goes, sum up, also when Ctrl-C ends it."""
    host, port = parse_endpoint(destination)
    plan = _plan(options)
    load = Load(host, port, format_endpoint(host, port), plan)
    with output.document("echo load", LoadFigures, View(plain=load_lines, streams=True)) as document:
        if descriptors_for(plan.connections) < plan.connections:
            raise CannotRunError(
                f"--connections {plan.connections}", "more than this process may have open", "see 'ulimit -n'"
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
        first, untested = load.failures.first, load.failures.untested
        if untested is not None:
            hint = OUT_OF_PORTS if "client port" in untested.why else "see 'ulimit -n'"
            document.error(CannotRunError(untested.what, untested.why, hint))
        elif first is not None:
            document.error(first)
        if figures.unanswered or not figures.messages:
            document.answer(Exit.NO)
    return document.status


def _plan(options: Mapping[str, Any]) -> LoadPlan:
    given = {name for name, value in options.items() if value not in (None, False)}
    for one, others in (
        ("stream", ("churn", "rate", "pipeline", "count")),
        ("churn", ("pipeline",)),
        ("count", ("duration",)),
    ):
        for other in others:
            if {one, other} <= given:
                raise InvalidInputError(f"--{one} and --{other}", "do not go together", "leave one of them out")
    return LoadPlan(
        connections=options["connections"],
        size=options["size"],
        pipeline=options["pipeline"] or 1,
        duration_s=options["duration"] or DURATION_S,
        count=options["count"],
        rate=options["rate"],
        timeout_s=options["timeout"],
        churn=options["churn"],
        stream=options["stream"],
    )
