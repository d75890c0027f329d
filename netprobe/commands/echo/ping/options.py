"""``netprobe echo ping``: how fast does it echo?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["ping"]


@command(
    examples=[
        ("netprobe echo ping 127.0.0.1:65432", "does it echo, and how fast?"),
        ("netprobe echo ping --framed server.example", "and who do I look like from there?"),
        ("netprobe echo ping --connect-only www.example:443", "how long does a handshake with any port take?"),
    ]
)
@click.argument("destination", metavar="[HOST[:PORT]]", default="127.0.0.1:65432")
@option("--tcp", is_flag=True, help="Over one TCP connection (the default).")
@option("--udp", is_flag=True, help="One datagram per message.")
@option("--framed", is_flag=True, help="Messages with a header: needs 'echo serve --framed' there.")
@option("--connect-only", is_flag=True, help="Only the TCP handshake, with whatever listens there.")
@option("--count", type=click.IntRange(0), default=4, help="Messages to send; 0: until Ctrl-C.")
@option("--interval", type=FiniteRange(0, 86400), default=1.0, metavar="SECONDS", help="Time between two messages.")
@option("--size", type=click.IntRange(1, 16 * 1024 * 1024), default=64, metavar="BYTES", help="Bytes per message.")
@option(
    "--timeout",
    type=FiniteRange(0, 86400, min_open=True),
    default=5.0,
    metavar="SECONDS",
    help="Give up on a message after this long.",
)
@option("--source", metavar="ADDRESS", help="Send from this address of this host.")
@option("--live", is_flag=True, help="A live sparkline and histogram instead of lines.")
@output_options
def ping(output: Output, **given: Any) -> Exit:
    """Send messages to an echo server and time each round trip."""
    from netprobe.commands.echo.ping.run import PingOptions, run_ping

    return run_ping(output, PingOptions(**given))
