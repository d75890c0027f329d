"""``netprobe echo ping``: from its options to replies and a summary."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from netprobe.echo.clients.framed_ping import FramedProber
from netprobe.echo.clients.ping import Ping, Prober, Reply
from netprobe.echo.clients.statistics import PingStatistics
from netprobe.echo.clients.tcp_ping import HandshakeProber, TcpProber
from netprobe.echo.clients.udp_ping import MAX_DATAGRAM, UdpProber
from netprobe.endpoints import format_endpoint, parse_endpoint
from netprobe.errors import Exit, InvalidInputError
from netprobe.render.ping import Asked, PingScreen, reply_line, summary_lines
from netprobe.render.view import Screen, View

if TYPE_CHECKING:
    from netprobe.render.output import Document, Output
    from netprobe.render.terminal import Terminal

__all__ = ["PingHead", "PingOptions", "run_ping"]

_SHORT_INTERVAL_S, _STAMP_EVERY = 0.01, 16  # at shorter intervals the kernel stamps one datagram in sixteen


@dataclass(frozen=True, slots=True)
class PingOptions:
    """The options of ``netprobe echo ping``; sizes in bytes, times in seconds."""

    destination: str
    tcp: bool
    udp: bool
    framed: bool
    connect_only: bool
    count: int
    interval: float
    size: int
    timeout: float
    source: str | None
    live: bool
    version: int | None  # 4 or 6 where only one is wanted


@dataclass(frozen=True, slots=True)
class PingHead:
    """The keys of ``echo ping --json`` beside the replies."""

    summary: PingStatistics


def run_ping(output: Output, options: PingOptions) -> Exit:
    """Send, show each reply, sum up, also when Ctrl-C ends it."""
    host, port = parse_endpoint(options.destination)
    _check(options)
    if options.live and not output.on_screen:
        raise InvalidInputError("--live", "needs a terminal and the table format", "leave it out for a line per reply")
    ping = Ping(
        _prober(host, port, options),
        host,
        port,
        count=options.count,
        interval_s=options.interval,
        size=0 if options.connect_only else options.size,
    )
    last: Reply | None = None  # the last one that names the address we appear under
    told: str | None = None  # which addresses of the name did not answer
    screen = partial(_screen, options, _asked(host, port, options))
    with output.document("echo ping", Reply, View(plain=reply_line, streams=True, screen=screen)) as document:
        try:
            with closing(ping.replies()) as replies:
                for reply in replies:
                    document.add(reply)
                    last = reply if reply.appears_as is not None else last
                    if reply.rtt_ms is None:
                        document.answer(Exit.NO)
                    if not options.live and ping.prober.trials.remark not in (None, told):
                        told = ping.prober.trials.remark
                        output.say(f"netprobe: {host}: {told}")
        except KeyboardInterrupt:
            _sum_up(ping, last, document)
            raise
        _sum_up(ping, last, document)
    if options.live and ping.prober.trials.remark is not None:
        output.say(f"netprobe: {host}: {ping.prober.trials.remark}")
    if ping.refused and not options.connect_only:
        document.remark("hint: is 'netprobe echo serve' running there?")
    return document.status


def _sum_up(ping: Ping, last: Reply | None, document: Document[Reply]) -> None:
    statistics = ping.statistics()
    document.head = PingHead(statistics)
    document.note(*summary_lines(statistics, last).split("\n"))


def _screen(options: PingOptions, asked: Asked, terminal: Terminal) -> Screen[Reply]:
    """How the replies are shown on a terminal."""
    if options.live:
        from netprobe.render.live_ping import LivePing

        return LivePing(asked, terminal)
    return PingScreen(asked, terminal)


def _asked(host: str, port: int, options: PingOptions) -> Asked:
    how = "udp" if options.udp else "framed" if options.framed else "connect-only" if options.connect_only else "tcp"
    return Asked(host, port, format_endpoint(host, port), how, options.size, options.interval, options.count)


def _check(options: PingOptions) -> None:
    chosen = {"--udp": options.udp, "--framed": options.framed, "--connect-only": options.connect_only}
    names = [name for name, given in chosen.items() if given]
    if options.tcp and options.udp:
        raise InvalidInputError("--tcp and --udp", "one at a time", "ping twice")
    if len(names) > 1:
        raise InvalidInputError(" and ".join(names), "do not go together", "--framed and --connect-only are for TCP")
    if options.udp and options.size > MAX_DATAGRAM:
        raise InvalidInputError(f"--size {options.size}", f"a datagram holds at most {MAX_DATAGRAM} bytes")


def _prober(host: str, port: int, options: PingOptions) -> Prober:
    size, timeout_s, source, version = options.size, options.timeout, options.source, options.version
    if options.connect_only:
        return HandshakeProber(host, port, timeout_s=timeout_s, source=source, version=version)
    if options.udp:
        every = 1 if options.interval >= _SHORT_INTERVAL_S else _STAMP_EVERY
        return UdpProber(host, port, size=size, timeout_s=timeout_s, source=source, stamp_every=every, version=version)
    prober = FramedProber if options.framed else TcpProber
    return prober(host, port, size=size, timeout_s=timeout_s, source=source, version=version)
