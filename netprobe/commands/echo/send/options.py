"""``netprobe echo send``: what comes back?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["send"]

_WHERE = "Where"
_WHAT = "What to send (TEXT, - for standard input, or)"
_BACK = "What to do with the answer"


@command(
    examples=[
        ('netprobe echo send "Hello, world"', "does it come back?"),
        ("netprobe echo send --verify --file big.iso --to server.example", "does every byte come back?"),
        ("""netprobe echo send --framed '{"action": "search"}'""", "what does the application protocol answer?"),
    ]
)
@click.argument("text", required=False, metavar="[TEXT|-]")
@option(
    "--to", metavar="HOST[:PORT]", default="127.0.0.1:65432", group=_WHERE, help="The echo server.", brief="the server"
)
@option(
    "--source", metavar="ADDRESS", group=_WHERE, help="Connect from this address of this host.", brief="connect from it"
)
@option(
    "--timeout",
    type=FiniteRange(0, 86400, min_open=True),
    default=5.0,
    metavar="S",
    group=_WHERE,
    help="Give up after this many seconds without progress.",
    brief="without progress",
)
@option("--file", metavar="FILE", group=_WHAT, help="Send the contents of FILE.", brief="what is in FILE")
@option("--hex", metavar="DIGITS", group=_WHAT, help="Send these bytes: 48 65 6c 6c 6f.", brief="bytes: 48 65 6c 6c 6f")
@option(
    "--framed",
    is_flag=True,
    group=_WHAT,
    help="Send one message with a header; show header and content of the reply.",
    brief="one message with a header, and the reply's header",
)
@option(
    "--type",
    "content_type",
    envvar="NETPROBE_ECHO_SEND_TYPE",
    metavar="TYPE",
    group=_WHAT,
    help="Content type of the message (text/json for JSON).",
    brief="its content type (text/json)",
)
@option(
    "-o",
    "--output",
    "output_file",
    envvar="NETPROBE_ECHO_SEND_OUTPUT",
    metavar="FILE",
    group=_BACK,
    help="Write what comes back to FILE instead of standard output.",
    brief="into FILE instead of standard output",
)
@option(
    "--verify",
    is_flag=True,
    group=_BACK,
    help="Print only whether every byte came back unchanged.",
    brief="only whether every byte came back unchanged",
)
@output_options
def send(output: Output, **given: Any) -> Exit:
    """Send bytes to an echo server, half-close, and print everything that comes back."""
    from netprobe.commands.echo.send.run import SendOptions, run_send

    return run_send(output, SendOptions(**given))
