"""``netprobe echo serve``: every byte and every datagram goes back to its sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, completes, option, output_options
from netprobe.errors import Exit

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["serve"]

_MIB = 1024 * 1024
_UNITS = {"": 1, "K": 1024, "M": _MIB, "G": 1024 * _MIB, "T": 1024 * 1024 * _MIB}


class Size(click.IntRange):
    """A number of bytes, or of units of 1,024 bytes and their like: 200000, 512K, 64M, 1.5G, 1GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip().upper()
        unit = "".join(letter for letter in text if letter.isalpha())
        number = text.removesuffix(unit).strip()
        letter = unit.removesuffix("IB" if len(unit) == 3 else "B")
        plain = number.isascii() and number.replace(".", "", 1).isdigit()
        if letter not in _UNITS or not plain or len(number) > 18:
            self.fail(f"{value!r} is not a size such as 200000, 512K, 64M or 1G", param, ctx)
        return int(super().convert(int(float(number) * _UNITS[letter]), param, ctx))


_WHERE = "Where (default: 127.0.0.1, this host only)"
_HOW = "How"
_LIMITS = "Limits, so that no peer can take what others need"
_ONE_OF_THEM = "one of them  [both]"
_VERSION = "IPv4 or IPv6 only"


@command(
    short_help="an echo server, over TCP, UDP and unix sockets",
    examples=[
        ("netprobe echo serve", "127.0.0.1:65432, for this host only"),
        ("netprobe echo serve 0.0.0.0 :: --log", "every address; one line a connection"),
        ("netprobe echo serve --port 0 --json", "a free port; the first line says which"),
    ],
    answers=("ended by a signal", ""),
)
@click.argument("addresses", shell_complete=completes("addresses"), metavar="[ADDRESS...]", nargs=-1)
@option(
    "--addr",
    shell_complete=completes("addresses"),
    aliases=("--host",),
    multiple=True,
    metavar="ADDRESS",
    group=_WHERE,
    help="Address or name to bind, the same as the argument.  [default: 127.0.0.1]",
    brief="same as the argument",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=65432,
    metavar="N",
    group=_WHERE,
    help="Port for all addresses; 0 is any free one. ADDRESS:PORT says the same.",
    brief="",
)
@option("--tcp", is_flag=True, group=_WHERE, help="TCP only (both by default).", brief=_ONE_OF_THEM)
@option("--udp", is_flag=True, group=_WHERE, help="UDP only (both by default).", brief=_ONE_OF_THEM)
@option("-4", "--ipv4", is_flag=True, group=_WHERE, help="IPv4 only: of a name, its IPv4 addresses.", brief=_VERSION)
@option("-6", "--ipv6", is_flag=True, group=_WHERE, help="IPv6 only: of a name, its IPv6 addresses.", brief=_VERSION)
@option(
    "--unix",
    type=click.Path(),
    multiple=True,
    metavar="PATH",
    group=_WHERE,
    help="Unix stream socket; then TCP and UDP only with an ADDRESS.",
    brief="unix stream socket; TCP and UDP only with an ADDRESS",
)
@option(
    "--framed",
    is_flag=True,
    group=_HOW,
    help="Speak frames: JSON header and content, see netprobe-echo-serve(1). UDP stays plain.",
    brief="speak frames: JSON header and content",
)
@option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    metavar="N",
    group=_HOW,
    help="Processes that share the port; a dead one is replaced.",
    brief="processes",
)
@option(
    "--log",
    is_flag=True,
    group=_HOW,
    help="One line for each connection that ends.",
    brief="a line a connection",
)
@option(
    "--busy-poll",
    type=click.IntRange(0, 10_000),
    metavar="US",
    group=_HOW,
    help="Busy-poll up to this many microseconds under load; 0 disables.  [default: 100; 0 on a single processor]",
    brief="microseconds to poll under load; 0 never  [100]",
)
@option(
    "--drain-timeout",
    type=FiniteRange(0),
    default=2.0,
    metavar="S",
    group=_HOW,
    help="Time to send what is pending after SIGINT or SIGTERM, in seconds.",
    brief="for what is pending when a signal ends it",
)
@option(
    "--backlog",
    type=click.IntRange(1, 2**31 - 1),
    default=4096,
    metavar="N",
    group=_LIMITS,
    help="Length of the accept queue.",
    brief="length of the accept queue",
)
@option(
    "--max-connections",
    type=click.IntRange(1),
    metavar="N",
    group=_LIMITS,
    help="Max connections per worker; more wait in the backlog.",
    brief="per worker; more wait in the backlog",
)
@option(
    "--max-buffer",
    type=click.IntRange(1),
    default=256 * 1024,
    metavar="BYTES",
    group=_LIMITS,
    help="Max bytes buffered for a slow reader.",
    brief="for a slow reader",
    default_text="256 KiB",
)
@option(
    "--max-content",
    type=click.IntRange(0),
    default=16 * 1024 * 1024,
    metavar="BYTES",
    group=_LIMITS,
    help="Max content of a frame.",
    brief="of a frame",
    default_text="16 MiB",
)
@option(
    "--max-rate",
    "rate",
    aliases=("--rate",),
    type=FiniteRange(0),
    metavar="N",
    group=_LIMITS,
    help="Max datagrams answered per second per peer; 0: unlimited.  [default: 1000; loopback: unlimited]",
    brief="datagrams a second per peer; 0 unlimited  [1000]",
)
@option(
    "--memory",
    type=Size(min=_MIB),
    metavar="SIZE",
    group=_LIMITS,
    help="Memory for what all peers hold together.  [default: 256M, or a quarter of what is allowed if that is less]",
    brief="for what all peers hold together  [256M]",
)
@option(
    "--idle-timeout",
    type=FiniteRange(0, min_open=True),
    metavar="S",
    group=_LIMITS,
    help="Close connections idle for this many seconds.",
    brief="close what is idle for so long",
)
@option(
    "--frame-timeout",
    type=FiniteRange(0),
    default=60.0,
    metavar="S",
    group=_LIMITS,
    help="End a peer whose unfinished frame grows by less than 1 KiB/s for this many seconds; 0: never.",
    brief="end a frame that does not grow for so long",
)
@output_options
@click.pass_context
def serve(ctx: click.Context, /, output: Output, addresses: tuple[str, ...], port: int, **given: Any) -> Exit:
    """Send everything back to its sender, over TCP, UDP and unix sockets, until SIGINT or SIGTERM."""
    from netprobe.commands.echo.serve.run import ServeOptions, run
    from netprobe.commands.endpoints import bound_addresses, check_version, chosen_version

    given["host"], given["port"] = bound_addresses(ctx, addresses, port)
    del given["addr"]
    given["version"] = chosen_version(given.pop("ipv4"), given.pop("ipv6"))
    check_version(given["host"], given["version"])
    return run(output, ServeOptions(**given))
