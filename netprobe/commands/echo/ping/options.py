"""``netprobe echo ping``: how fast does it echo?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import OUTPUT_GROUP, FiniteRange, command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["ping"]

_WHAT = "What to send"
_WHEN = "How many, how often"


@command(
    examples=[
        ("netprobe echo ping 127.0.0.1:65432", "does it echo, and how fast?"),
        ("netprobe echo ping --framed server.example", "and who do I look like from there?"),
        ("netprobe echo ping --connect-only www.example:443", "how long does a handshake with any port take?"),
    ]
)
@click.argument("destination", metavar="[HOST[:PORT]]", default="127.0.0.1:65432")
@option("--tcp", is_flag=True, group=_WHAT, help="Over one TCP connection (the default).", brief="one connection")
@option("--udp", is_flag=True, group=_WHAT, help="One datagram per message.", brief="one datagram each")
@option(
    "--framed",
    is_flag=True,
    group=_WHAT,
    help="Messages with a header: needs 'echo serve --framed' there.",
    brief="with a header; tells how this host looks from there",
)
@option(
    "--connect-only",
    is_flag=True,
    group=_WHAT,
    help="Only the TCP handshake, with whatever listens there.",
    brief="the TCP handshake only, with whatever listens there",
)
@option(
    "-s",
    "--size",
    type=click.IntRange(1, 16 * 1024 * 1024),
    default=64,
    metavar="BYTES",
    group=_WHAT,
    help="Bytes per message.",
    brief="per message",
)
@option("--source", metavar="ADDRESS", group=_WHAT, help="Send from this address of this host.", brief="send from it")
@option(
    "-c",
    "--count",
    type=click.IntRange(0),
    default=4,
    group=_WHEN,
    help="Messages to send; 0: until Ctrl-C.",
    brief="messages; 0 until Ctrl-C",
)
@option(
    "-i",
    "--interval",
    type=FiniteRange(0, 86400),
    default=1.0,
    metavar="S",
    group=_WHEN,
    help="Time between two messages, in seconds.",
    brief="seconds between",
)
@option(
    "--timeout",
    type=FiniteRange(0, 86400, min_open=True),
    default=5.0,
    metavar="S",
    group=_WHEN,
    help="Give up on a message after this many seconds.",
    brief="give up on a message",
)
@option(
    "--live",
    is_flag=True,
    group=OUTPUT_GROUP,
    help="A live sparkline and histogram instead of lines.",
    brief="a live picture instead of lines",
)
@output_options
def ping(output: Output, **given: Any) -> Exit:
    """Send messages to an echo server and time each round trip."""
    from netprobe.commands.echo.ping.run import PingOptions, run_ping

    return run_ping(output, PingOptions(**given))
