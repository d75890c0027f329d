"""The lines of a running server, one for each event: for grep in a pipe, in columns on a terminal.

On a terminal the date is said once a day and not in each line. What does not fit a column goes below, aligned with the
columns that follow it, so that one long IPv6 address does not move all others; a narrow screen has two lines an event.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, assert_never

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

if TYPE_CHECKING:
    from rich.text import Text

    from netprobe.render.terminal import Terminal

__all__ = ["ServerScreen", "event_line"]

_TIME: Final = 12  # columns of the time and of the date above it, with what follows
_PEER: Final = 21  # columns: an IPv4 address with its port
_HEADINGS: Final = ("via", "ended", "bytes in", "out", "ms")
_ALIGNED: Final = (("<", 5), ("<", 8), (">", 9), (">", 9), (">", 9))  # these columns: which side, how wide
_COLUMNS: Final = 79  # that all of it takes


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


class ServerScreen:
    """The events of a server on a terminal, each as it happens."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._wide = terminal.width >= _COLUMNS
        self._date = ""

    def add(self, event: ServerEvent) -> None:
        """Write the lines of one event at once: what cannot be written is then not half written."""
        from netprobe.render.table import console

        out = console(self._terminal)
        with out.capture() as captured:
            for line in self._lines(event):
                out.print(line, soft_wrap=True)
        sys.stdout.write(captured.get())
        sys.stdout.flush()

    def end(self, head: object | None) -> None:
        """Nothing is kept for the end: the summary is an event."""

    def _lines(self, event: ServerEvent) -> Iterator[Text]:
        from rich.text import Text

        from netprobe.render.grid import prose
        from netprobe.render.palette import ANSWER, FAILURE, FINDING, VALUE

        width = self._terminal.width
        match event:
            case ListenerOpened():
                yield from prose(Text(_opened(event), style=ANSWER), width, "  ", "")
            case ServerSummary():
                yield from self._summary(event)
            case _:
                yield from self._heading(event.at[:10])
                time = event.at[11:19] + "Z"
                if isinstance(event, ConnectionEnded):
                    yield from self._ended(event, time)
                    return
                style = VALUE
                if isinstance(event, (MemoryExceeded, WorkerEnded, EventsDropped)):
                    style = FAILURE
                elif isinstance(event, AcceptPaused):
                    style = FINDING
                text = Text(event_line(event).removeprefix(f"{event.at} "), style=style)
                first = time.ljust(_TIME) if self._wide else f"{time}  "
                yield from prose(text, width, " " * _TIME if self._wide else "  ", first)

    def _heading(self, date: str) -> Iterator[Text]:
        """The date, when it is another than before, with the names of the columns."""
        from rich.text import Text

        from netprobe.render.palette import HEADING

        if date == self._date:
            return
        self._date = date
        if self._wide:
            yield Text(f"{date:{_TIME}}{'peer':{_PEER}}  {_cells(_HEADINGS)}", style=HEADING)
        else:
            yield Text(date, style=HEADING)

    def _ended(self, event: ConnectionEnded, time: str) -> Iterator[Text]:
        from rich.text import Text

        from netprobe.render.grid import prose
        from netprobe.render.palette import FINDING, VALUE

        peer = format_endpoint(event.peer, event.peer_port) if event.peer else "local peer"
        style = VALUE if event.ended in ("closed", "stopped") else FINDING
        more = [] if event.messages is None else [_counted(event.messages, "message")]
        more += [event.cause] if event.cause else []
        if not self._wide:
            numbers = f"{event.received_bytes:,} bytes in, {event.sent_bytes:,} out, {event.duration_ms:.1f} ms"
            words = Text.assemble(f"{event.protocol} ", (event.ended, style), f", {', '.join((numbers, *more))}")
            yield from prose(Text(f"{time}  {peer}"), self._terminal.width, "")
            yield from prose(words, self._terminal.width, "  ")
            return
        before = " " * (_TIME + _PEER + 2)
        line = Text(f"{time:{_TIME}}{peer:{_PEER}}  ")
        if len(peer) > _PEER:
            yield Text(f"{time:{_TIME}}{peer}")
            line = Text(before)
        figures = (f"{event.received_bytes:,}", f"{event.sent_bytes:,}", f"{event.duration_ms:.1f}")
        cells = _cells((event.protocol, event.ended, *figures))
        at = cells.index(event.ended)
        line.append(cells[:at]).append(event.ended, style=style).append(cells[at + len(event.ended) :])
        rest = ", ".join(more)
        if rest and len(line.plain) + 2 + len(rest) <= self._terminal.width:
            line.append(f"  {rest}")
            rest = ""
        yield line
        if rest:
            yield from prose(Text(rest), self._terminal.width, before)

    def _summary(self, event: ServerSummary) -> Iterator[Text]:
        from rich.text import Text

        from netprobe.render.grid import prose
        from netprobe.render.marks import REMARK
        from netprobe.render.palette import ANSWER, FINDING

        width = self._terminal.width
        served = [_counted(event.connections, "connection")]
        served += [_counted(event.datagrams, "datagram")] if event.datagrams else []
        answer = f"served {' and '.join(served)} in {event.duration_s:.1f} s"
        yield from prose(Text(answer, style=ANSWER), width, "  ", "")
        parts = [f"{_counted(event.received_bytes, 'byte')} in, {event.sent_bytes:,} out"]
        if event.messages is not None:
            parts.append(_counted(event.messages, "message"))
        if event.datagrams:
            parts.append(f"{_counted(event.datagrams_answered, 'datagram')} answered")
        yield from prose(Text(", ".join(parts)), width, "  ")
        for count, what, then in (
            (event.datagrams_refused, "datagram", "not answered"),
            (event.broken_frames, "broken frame", ""),
            (event.undelivered_bytes, "byte", "not delivered"),
            (event.ended_for_memory, "peer", "ended for memory"),
            (event.stalled_frames, "unfinished frame", "given up"),
            (event.worker_restarts, "worker", "replaced"),
        ):
            if count:
                text = f"{_counted(count, what)} {then}".rstrip()
                yield from prose(Text(text, style=FINDING), width, "  ", f"{REMARK} ")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def _cells(cells: tuple[str, ...]) -> str:
    return " ".join(f"{cell:{side}{width}}" for cell, (side, width) in zip(cells, _ALIGNED, strict=True))
