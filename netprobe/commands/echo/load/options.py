"""``netprobe echo load``: how much does it echo?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, completes, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["load"]

_WHERE = "Where to"
_VERSION = "IPv4 or IPv6 only"
_HOW = "How"
_LONG = "How long"


@command(
    short_help="put a load on it: messages, connections, bytes a second",
    examples=[
        ("netprobe echo load 127.0.0.1:65432 --connections 50", "how many messages a second?"),
        ("netprobe echo load --rate 1000 server.example", "how long do messages take at a steady rate?"),
        ("netprobe echo load --stream --connections 1 server.example", "how many bytes a second?"),
    ],
    answers=("all came back", "something is missing"),
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
    "--connections",
    type=click.IntRange(1, 100_000),
    default=10,
    metavar="N",
    group=_HOW,
    help="Concurrent connections.",
    brief="at the same time",
)
@option(
    "-s",
    "--size",
    type=click.IntRange(1, 16 * 1024 * 1024),
    default=64,
    metavar="BYTES",
    group=_HOW,
    help="Bytes per message.",
    brief="per message",
)
@option(
    "--pipeline",
    type=click.IntRange(1, 10_000),
    metavar="N",
    group=_HOW,
    help="Messages in flight per connection.",
    brief="messages in flight per connection",
    default_text="1",
)
@option(
    "--rate",
    type=FiniteRange(0, 1e9, min_open=True),
    metavar="N",
    group=_HOW,
    help="Messages to start per second.",
    brief="messages to start per second",
)
@option(
    "--churn",
    is_flag=True,
    group=_HOW,
    help="A new connection for each message.",
    brief="a connection for each message",
)
@option(
    "--stream", is_flag=True, group=_HOW, help="As many bytes as possible, without pause.", brief="bytes without pause"
)
@option(
    "--duration",
    type=FiniteRange(0, 86400, min_open=True),
    metavar="S",
    group=_LONG,
    help="Stop after this many seconds.",
    brief="stop after it",
    default_text="10",
)
@option(
    "-c",
    "--count",
    type=click.IntRange(1),
    metavar="N",
    group=_LONG,
    help="Stop after N messages.",
    brief="stop after N messages",
)
@option(
    "--timeout",
    type=FiniteRange(0, 86400, min_open=True),
    default=5.0,
    metavar="S",
    group=_LONG,
    help="Give up after this many seconds without progress.",
    brief="give up without progress",
)
@output_options
@click.pass_context
def load(
    ctx: click.Context, /, output: Output, destination: str | None, to: str | None, port: int | None, **given: Any
) -> Exit:
    """Load an echo server: messages, connections or bytes a second, every byte checked."""
    from netprobe.commands.echo.load.run import LoadOptions, run_load
    from netprobe.commands.endpoints import chosen_version, peer

    version = chosen_version(given.pop("ipv4"), given.pop("ipv6"))
    return run_load(output, LoadOptions(peer(ctx, destination, to, port), version=version, **given))
