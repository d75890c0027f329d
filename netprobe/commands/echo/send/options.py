"""``netprobe echo send``: what comes back?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, completes, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["send"]

_WHERE = "Where to"
_VERSION = "IPv4 or IPv6 only"
_WHAT = "What to send (TEXT, - for standard input, or)"
_BACK = "What to do with the answer"


@command(
    short_help="send bytes, and print or compare what comes back",
    examples=[
        ('netprobe echo send "Hello, world"', "does it come back?"),
        ("netprobe echo send --verify --file big.iso --to server.example", "does every byte come back?"),
        ("""netprobe echo send --framed '{"action": "search"}'""", "what does the application protocol answer?"),
    ],
    answers=("it came back", "it differs"),
)
@click.argument("text", required=False, metavar="[TEXT|-]")
@option(
    "--to",
    shell_complete=completes("destinations"),
    metavar="HOST[:PORT]",
    group=_WHERE,
    help="The echo server.  [default: 127.0.0.1:65432]",
    brief="the server",
    default_text="127.0.0.1",
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
    help="Connect from this address of this host.",
    brief="connect from it",
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
@option(
    "--file",
    type=click.Path(),
    metavar="FILE",
    group=_WHAT,
    help="Send the contents of FILE.",
    brief="what is in FILE",
)
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
    metavar="TYPE",
    group=_WHAT,
    help="Content type of the message (text/json for JSON).",
    brief="its content type (text/json)",
)
@option(
    "-o",
    "--output",
    "output_file",
    type=click.Path(),
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
@click.pass_context
def send(ctx: click.Context, /, output: Output, to: str | None, port: int | None, **given: Any) -> Exit:
    """Send bytes to an echo server, half-close, and print everything that comes back."""
    from netprobe.commands.echo.send.run import SendOptions, run_send, tell_of_an_address
    from netprobe.commands.endpoints import chosen_version, peer

    tell_of_an_address(output, given["text"], is_default=to is None and port is None)
    version = chosen_version(given.pop("ipv4"), given.pop("ipv6"))
    return run_send(output, SendOptions(to=peer(ctx, None, to, port), version=version, **given))
