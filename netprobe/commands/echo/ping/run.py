"""``netprobe echo ping`` at work."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netprobe.echo.clients.ping import Ping, Reply
from netprobe.echo.clients.statistics import RoundTrips
from netprobe.endpoints import parse_endpoint
from netprobe.errors import Exit, InvalidInputError
from netprobe.render.round_trips import reply_line, summary_lines
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.echo.clients.trips import Trips
    from netprobe.render.output import Document, Output

__all__ = ["run"]

PAUSE_S, STAMPED = 0.01, 16  # with shorter pauses the kernel stamps one datagram in sixteen


def run(output: Output, destination: str, live: bool, options: Mapping[str, Any]) -> Exit:
    """Send, show each reply, sum up, also when Ctrl-C ends it."""
    host, port = parse_endpoint(destination)
    _check(options)
    if live and not output.on_screen:
        raise InvalidInputError("--live", "needs a terminal and the table format", "without it every reply is a line")
    pinged = Ping(
        _trips(host, port, options),
        host,
        port,
        count=options["count"],
        interval_s=options["interval"],
        size=0 if options["connect_only"] else options["size"],
    )
    last: Reply | None = None  # the last one that says who we are there
    with output.document("echo ping", Reply, View(plain=reply_line, streams=True)) as document:
        try:
            with closing((_drawn if live else _listed)(pinged, document)) as replies:
                for reply in replies:
                    last = reply if reply.appears_as is not None else last
                    if reply.rtt_ms is None:
                        document.answer(Exit.NO)
        except KeyboardInterrupt:
            _sum_up(pinged, last, document)
            raise
        _sum_up(pinged, last, document)
    if pinged.refused and not options["connect_only"]:
        output.say("hint: is 'netprobe echo serve' running there?")
    return document.status


def _sum_up(pinged: Ping, last: Reply | None, document: Document[Reply]) -> None:
    summary = pinged.summary()
    document.head = PingHead(summary)
    document.note(*summary_lines(summary, last).split("\n"))


@dataclass(frozen=True, slots=True)
class PingHead:
    """What ``echo ping --json`` says beside the replies."""

    summary: RoundTrips


def _listed(pinged: Ping, document: Document[Reply]) -> Generator[Reply, None, None]:
    """The replies, each shown as a line."""
    for reply in pinged.replies():
        document.add(reply)
        yield reply


def _drawn(pinged: Ping, document: Document[Reply]) -> Generator[Reply, None, None]:
    """The replies, all shown in a picture."""
    from netprobe.render.live_trips import LiveTrips

    with LiveTrips(document.output.terminal) as picture:
        for reply in pinged.replies():
            picture.show(reply)
            yield reply


def _check(options: Mapping[str, Any]) -> None:
    from netprobe.echo.clients.datagram_trips import MAX_DATAGRAM

    given = [name for name in ("udp", "framed", "connect_only") if options[name]]
    if options["tcp"] and options["udp"]:
        raise InvalidInputError("--tcp and --udp", "one at a time", "ping twice")
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InvalidInputError(names, "do not go together", "--framed and --connect-only are for TCP")
    if options["udp"] and options["size"] > MAX_DATAGRAM:
        raise InvalidInputError(f"--size {options['size']}", f"a datagram holds at most {MAX_DATAGRAM} bytes")


def _trips(host: str, port: int, options: Mapping[str, Any]) -> Trips:
    common = {"timeout_s": options["timeout"], "source": options["source"]}
    if options["connect_only"]:
        from netprobe.echo.clients.trips import ConnectTrips

        return ConnectTrips(host, port, **common)
    common["size"] = options["size"]
    if options["udp"]:
        from netprobe.echo.clients.datagram_trips import DatagramTrips

        every = 1 if options["interval"] >= PAUSE_S else STAMPED
        return DatagramTrips(host, port, stamp_every=every, **common)
    if options["framed"]:
        from netprobe.echo.clients.framed_trips import FramedTrips

        return FramedTrips(host, port, **common)
    from netprobe.echo.clients.trips import StreamTrips

    return StreamTrips(host, port, **common)
