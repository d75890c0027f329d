"""``netprobe echo send``: what comes back?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netprobe.commands.options import command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["send"]


@command(examples=[('netprobe echo send "Hello, world"', "does it come back?")])
@click.argument("text")
@option("--to", metavar="HOST[:PORT]", default="127.0.0.1:65432", help="The echo server.")
@option("--timeout", type=click.FloatRange(0, min_open=True), default=5.0, help="Longest silence, in seconds.")
@output_options
def send(output: Output, text: str, to: str, timeout: float) -> Exit:
    """Send TEXT to an echo server, half-close, and print what comes back, whole."""
    from netprobe.echo.destination import place, read_destination
    from netprobe.echo.send import echo_back
    from netprobe.echo.sent import Sent
    from netprobe.errors import Exit

    host, port = read_destination(to)
    message = text.encode("utf-8", "surrogateescape")
    with output.document("echo send", Sent, plain=lambda r: r.received, line=lambda r: r.received) as document:
        back = b"".join(echo_back([message], host, port, timeout))
        received = back.decode("utf-8", "replace")
        document.add(Sent(place(host, port), "tcp", len(message), len(back), back == message, received))
        if back != message:
            document.answer(Exit.NO)
            output.say(f"netprobe: {place(host, port)}: what came back differs from what was sent")
    return document.status
