"""``netprobe echo ping``: how fast does it echo?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netprobe.commands.options import command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["ping"]


@command(examples=[("netprobe echo ping 127.0.0.1:65432", "does it echo, and how fast?")])
@click.argument("destination", metavar="[HOST[:PORT]]", default="127.0.0.1:65432")
@option("--count", type=click.IntRange(1), default=4, help="Messages to send.")
@option("--interval", type=click.FloatRange(0), default=1.0, help="Seconds from one message to the next.")
@option("--size", type=click.IntRange(1, 16 * 1024 * 1024), default=64, help="Bytes in a message.")
@option("--timeout", type=click.FloatRange(0, min_open=True), default=5.0, help="Longest wait, in seconds.")
@output_options
def ping(output: Output, destination: str, count: int, interval: float, size: int, timeout: float) -> Exit:
    """Send messages to an echo server and time their way there and back."""
    from netprobe.echo.destination import read_destination
    from netprobe.echo.ping import Ping, Reply
    from netprobe.errors import Exit
    from netprobe.render.round_trips import reply_line, summary_lines

    host, port = read_destination(destination)
    run = Ping(host, port, count=count, interval_s=interval, size=size, timeout_s=timeout)
    with output.document("echo ping", Reply, plain=reply_line, line=reply_line) as document:
        try:
            for reply in run.replies():
                document.add(reply)
                if reply.rtt_ms is None:
                    document.answer(Exit.NO)
        finally:
            document.head["summary"] = run.summary()
            if output.format in ("table", "plain"):
                click.echo(summary_lines(run.summary(), destination))
    return document.status
