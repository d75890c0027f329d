"""``netprobe echo send``: what comes back?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["send"]


@command(
    examples=[
        ('netprobe echo send "Hello, world"', "does it come back?"),
        ("netprobe echo send --verify --file big.iso --to server.example", "does every byte come back?"),
        ("""netprobe echo send --framed '{"action": "search"}'""", "what does the application protocol answer?"),
    ]
)
@click.argument("text", required=False, metavar="[TEXT|-]")
@option("--to", metavar="HOST[:PORT]", default="127.0.0.1:65432", help="The echo server.")
@option("--file", metavar="FILE", help="Send the contents of FILE.")
@option("--hex", metavar="DIGITS", help="Send these bytes: 48 65 6c 6c 6f.")
@option(
    "--output",
    "output_file",
    envvar="NETPROBE_ECHO_SEND_OUTPUT",
    metavar="FILE",
    help="Write what comes back to FILE instead of standard output.",
)
@option("--verify", is_flag=True, help="Print only whether every byte came back unchanged.")
@option("--framed", is_flag=True, help="Send one message with a header; show header and content of the reply.")
@option(
    "--type",
    "content_type",
    envvar="NETPROBE_ECHO_SEND_TYPE",
    metavar="TYPE",
    help="Content type of the message (text/json for JSON).",
)
@option("--source", metavar="ADDRESS", help="Connect from this address of this host.")
@option(
    "--timeout",
    type=FiniteRange(0, 86400, min_open=True),
    default=5.0,
    metavar="SECONDS",
    help="Give up after this long without progress.",
)
@output_options
def send(output: Output, **given: Any) -> Exit:
    """Send bytes to an echo server, half-close, and print everything that comes back."""
    from netprobe.commands.echo.send.run import SendOptions, run_send

    return run_send(output, SendOptions(**given))
