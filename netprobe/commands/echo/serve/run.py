"""``netprobe echo serve``: from its options to a running server, its events written as they happen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netprobe.echo.server.bind import BindSettings
from netprobe.echo.server.busy_poll import window_s
from netprobe.echo.server.event_sink import EventSink, SummaryLostError
from netprobe.echo.server.events import EVENT_TYPES
from netprobe.echo.server.log_stream import LogStream
from netprobe.echo.server.loop import ServerSettings
from netprobe.echo.server.memory import default_budget
from netprobe.echo.server.workers import serve
from netprobe.errors import Exit
from netprobe.kernel.processors import available_cores
from netprobe.render.output import error_lines
from netprobe.render.server_log import ServerScreen, event_line
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["ServeOptions", "run"]

_LAST_WORDS: Final = 1.0  # seconds that the last line on stderr may wait for a reader


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
    memory: int | None
    frame_timeout: float
    version: int | None  # 4 or 6 where only one is wanted


def run(output: Output, options: ServeOptions) -> Exit:
    """Serve until a signal."""
    view = View(plain=event_line, streams=True, screen=ServerScreen)
    settings = _server_settings(options)
    with _patient_stdout(output) as stream, output.document("echo serve", EVENT_TYPES, view, endless=True) as document:
        if stream is not None:
            stream.in_head = False
        try:
            serve(_bind_settings(options), settings, EventSink(document.add, stream, _complain))
        except SummaryLostError as error:
            if error.reader_gone:  # it has what it wanted, as with every command
                return document.status
            _to_stderr(error_lines(str(error), error.hint), patience=_LAST_WORDS)
            return error.exit_code
    return document.status


@contextmanager
def _patient_stdout(output: Output) -> Iterator[LogStream | None]:
    """Make stdout a stream that holds up nothing; None where it is not a descriptor, or the system lacks poll(2)."""
    descriptor = output.descriptor
    if descriptor is None or os.name != "posix":
        yield None
        return
    with LogStream(descriptor, sys.stdout.encoding or "utf-8") as stream, redirect_stdout(stream):
        stream.in_head = True  # the names of columns in CSV: if they cannot be written, that is no end either
        yield stream


def _complain(why: str) -> None:
    lost = "serving goes on, and events are counted until they can be written"
    _to_stderr(error_lines(f"standard output: {why}: {lost}", None))


def _to_stderr(text: str, patience: float = 0.0) -> None:
    """A line on stderr if that takes it, without waiting any longer than ``patience`` seconds."""
    if sys.stderr is None:
        return
    with suppress(OSError, ValueError, AttributeError):
        if os.name != "posix":
            sys.stderr.write(text + "\n")
            return
        with LogStream(sys.stderr.fileno()) as stream:
            stream.patience = patience
            stream.write(text + "\n")
            stream.flush()


def _bind_settings(options: ServeOptions) -> BindSettings:
    return BindSettings(
        hosts=options.host or (() if options.unix else ("127.0.0.1",)),
        port=options.port,
        tcp=options.tcp or not options.udp,
        udp=options.udp or not options.tcp,
        paths=options.unix,
        backlog=options.backlog,
        workers=options.workers,
        version=options.version,
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
        memory=options.memory or default_budget(),
        frame_timeout=options.frame_timeout or None,
    )
