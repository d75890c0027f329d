"""``netprobe echo serve``: from its options to a running server, its events written as they happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.echo.server.bind import BindSettings
from netprobe.echo.server.busy_poll import window_s
from netprobe.echo.server.event_sink import EventSink
from netprobe.echo.server.events import EVENT_TYPES
from netprobe.echo.server.loop import ServerSettings
from netprobe.echo.server.workers import serve
from netprobe.errors import Exit
from netprobe.parallel import available_cores
from netprobe.render.server_log import event_line
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["ServeOptions", "run"]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of ``netprobe echo serve``; sizes in bytes, times in seconds unless noted."""

    host: tuple[str, ...]
    port: int
    tcp: bool
    udp: bool
    unix: tuple[str, ...]
    framed: bool
    backlog: int
    max_connections: int | None
    idle_timeout: float | None
    max_buffer: int
    max_content: int
    rate: float | None  # datagrams per second per peer
    workers: int
    busy_poll: int | None  # microseconds
    drain_timeout: float
    log: bool


def run(output: Output, options: ServeOptions) -> Exit:
    """Serve until a signal."""
    view = View(plain=event_line, streams=True)
    with output.document("echo serve", EVENT_TYPES, view, endless=True) as document:
        serve(_bind_settings(options), _server_settings(options), EventSink(document.add, output.descriptor))
    return document.status


def _bind_settings(options: ServeOptions) -> BindSettings:
    return BindSettings(
        hosts=options.host or (() if options.unix else ("127.0.0.1",)),
        port=options.port,
        tcp=options.tcp or not options.udp,
        udp=options.udp or not options.tcp,
        paths=options.unix,
        backlog=options.backlog,
        workers=options.workers,
    )


def _server_settings(options: ServeOptions) -> ServerSettings:
    return ServerSettings(
        framed=options.framed,
        log=options.log,
        max_connections=options.max_connections,
        idle_timeout=options.idle_timeout,
        max_buffer=options.max_buffer,
        max_content=options.max_content,
        rate=options.rate,
        drain_timeout=options.drain_timeout,
        busy_poll=window_s(options.busy_poll, available_cores()),
    )
