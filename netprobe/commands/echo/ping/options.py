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
@option("--udp", is_flag=True, help="One datagram a message.")
@option("--framed", is_flag=True, help="Messages with a header: needs 'echo serve --framed' there.")
@option("--connect-only", is_flag=True, help="Only the TCP handshake, with whatever listens there.")
@option("--count", type=click.IntRange(0), default=4, help="Messages to send; 0: until Ctrl-C.")
@option("--interval", type=FiniteRange(0, 86400), default=1.0, metavar="SECONDS", help="From one message to the next.")
@option("--size", type=click.IntRange(1, 16 * 1024 * 1024), default=64, metavar="BYTES", help="Bytes in a message.")
@option("--timeout", type=FiniteRange(0, 86400, min_open=True), default=5.0, metavar="SECONDS", help="Longest wait.")
@option("--source", metavar="ADDRESS", help="Ask from this address of this host.")
@option("--live", is_flag=True, help="Instead of lines a picture that is redrawn: the last trips, and a histogram.")
@output_options
def ping(output: Output, destination: str, live: bool, **options: Any) -> Exit:
    """Send messages to an echo server and time their way there and back."""
    from netprobe.commands.echo.ping.run import run

    return run(output, destination, live, options)
