"""``netprobe echo ping``: how fast does it echo?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import OUTPUT_GROUP, FiniteRange, command, completes, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["ping"]

_WHERE = "Where to"
_VERSION = "IPv4 or IPv6 only"
_WHAT = "What to send"
_WHEN = "How many, how often"


@command(
    short_help="send messages, and time each round trip",
    examples=[
        ("netprobe echo ping 127.0.0.1:65432", "does it echo, and how fast?"),
        ("netprobe echo ping --framed server.example", "and who do I look like from there?"),
        ("netprobe echo ping --connect-only www.example:443", "how long does a handshake with any port take?"),
    ],
    answers=("it echoes", "something is missing"),
)
@click.argument("destination", shell_complete=completes("destinations"), metavar="[HOST[:PORT]]", required=False)
@option(
    "--to",
    shell_complete=completes("destinations"),
    metavar="HOST[:PORT]",
    group=_WHERE,
    help="The server, the same as the argument.",
    brief="same as the argument",
)
@option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    group=_WHERE,
    help="Its port, where HOST has none.",
    brief="",
    default_text="65432",
)
@option("-4", "--ipv4", is_flag=True, group=_WHERE, help="IPv4 only (both by default).", brief=_VERSION)
@option("-6", "--ipv6", is_flag=True, group=_WHERE, help="IPv6 only (both by default).", brief=_VERSION)
@option(
    "--source",
    shell_complete=completes("addresses"),
    metavar="ADDRESS",
    group=_WHERE,
    help="Send from this address of this host.",
    brief="send from it",
)
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
@option(
    "-c",
    "--count",
    type=click.IntRange(0),
    default=4,
    metavar="N",
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
@click.pass_context
def ping(
    ctx: click.Context, /, output: Output, destination: str | None, to: str | None, port: int | None, **given: Any
) -> Exit:
    """Send messages to an echo server and time each round trip."""
    from netprobe.commands.echo.ping.run import PingOptions, run_ping
    from netprobe.commands.endpoints import chosen_version, peer

    version = chosen_version(given.pop("ipv4"), given.pop("ipv6"))
    return run_ping(output, PingOptions(peer(ctx, destination, to, port), version=version, **given))
