"""``netprobe echo serve``: every byte and every datagram back to where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from netprobe.commands.command import FiniteRange, command, option, output_options
from netprobe.errors import Exit

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["serve"]


@command(
    examples=[
        ("netprobe echo serve", "TCP and UDP on 127.0.0.1:65432, for this host only"),
        ("netprobe echo serve --host 0.0.0.0 --host :: --log", "for everybody, a line a connection"),
        ("netprobe echo serve --port 0 --json", "any free port; the first line tells which"),
    ]
)
@option("--host", multiple=True, metavar="HOST", help="Address or name to bind.  [default: 127.0.0.1]")
@option("--port", type=click.IntRange(0, 65535), default=65432, help="Port for all hosts; 0 is any free one.")
@option("--tcp", is_flag=True, help="TCP; without --udp, TCP only.")
@option("--udp", is_flag=True, help="UDP; without --tcp, UDP only.")
@option("--unix", multiple=True, metavar="PATH", help="Unix stream socket; TCP and UDP then only with --host.")
@option(
    "--framed", is_flag=True, help="Speak frames: JSON header and content, see netprobe-echo-serve(1). UDP stays plain."
)
@option("--backlog", type=click.IntRange(1, 2**31 - 1), default=4096, help="Connections that may wait for accept.")
@option("--max-connections", type=click.IntRange(1), help="Most that a worker takes; more wait in the backlog.")
@option("--idle-timeout", type=FiniteRange(0, min_open=True), metavar="SECONDS", help="End connections that are idle.")
@option(
    "--max-buffer",
    type=click.IntRange(1),
    default=256 * 1024,
    metavar="BYTES",
    help="Most that a slow reader may be owed.",
)
@option(
    "--max-content",
    type=click.IntRange(0),
    default=16 * 1024 * 1024,
    metavar="BYTES",
    help="Longest content of a frame.",
)
@option(
    "--rate",
    type=FiniteRange(0),
    metavar="PER-SECOND",
    help="Datagrams answered a second and peer, 0: all.  [default: 1000, loopback: all]",
)
@option(
    "--workers", type=click.IntRange(1, 256), default=1, help="Processes that share the port; a dead one is replaced."
)
@option(
    "--busy-poll",
    type=click.IntRange(0, 10_000),
    metavar="MICROSECONDS",
    help="In dense traffic, wait for so long awake; 0: never.  [default: 100; 0 on a single processor]",
)
@option(
    "--drain-timeout",
    type=FiniteRange(0),
    default=2.0,
    metavar="SECONDS",
    help="Time to finish after SIGINT or SIGTERM.",
)
@option("--log", is_flag=True, help="One line for each connection that ends.")
@output_options
def serve(output: Output, host: tuple[str, ...], unix: tuple[str, ...], tcp: bool, udp: bool, **given: Any) -> Exit:
    """Send everything back to who sent it, over TCP, UDP and unix sockets, until SIGINT or SIGTERM."""
    from netprobe.bulk.workers import available_cores
    from netprobe.echo.server.happenings import Happening
    from netprobe.echo.server.limits import Limits
    from netprobe.echo.server.listening import Wanted
    from netprobe.echo.server.run import serve as run
    from netprobe.echo.server.telling import Telling
    from netprobe.echo.server.waiting import awake
    from netprobe.render.server_log import event_line
    from netprobe.render.view import View

    wanted = Wanted(
        hosts=host or (() if unix else ("127.0.0.1",)),
        port=given.pop("port"),
        tcp=tcp or not udp,
        udp=udp or not tcp,
        paths=unix,
        backlog=given.pop("backlog"),
        workers=given.pop("workers"),
    )
    given["busy_poll"] = awake(given["busy_poll"], available_cores())
    view = View(plain=event_line, streams=True)
    with output.document("echo serve", get_args(Happening), view, endless=True) as document:
        tell = Telling(document.add, output.descriptor)
        run(wanted, Limits(**given), tell)
    return document.status
