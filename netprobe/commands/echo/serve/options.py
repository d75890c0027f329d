"""``netprobe echo serve``: every byte and every datagram goes back to its sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, option, output_options
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


@command(
    examples=[
        ("netprobe echo serve", "TCP and UDP on 127.0.0.1:65432, for this host only"),
        ("netprobe echo serve --host 0.0.0.0 --host :: --log", "on every address, one line per connection"),
        ("netprobe echo serve --port 0 --json", "any free port; the first line says which"),
    ]
)
@option("--host", multiple=True, metavar="HOST", help="Address or name to bind.  [default: 127.0.0.1]")
@option("--port", type=click.IntRange(0, 65535), default=65432, help="Port for all hosts; 0 is any free one.")
@option("--tcp", is_flag=True, help="TCP; without --udp, TCP only.")
@option("--udp", is_flag=True, help="UDP; without --tcp, UDP only.")
@option("--unix", multiple=True, metavar="PATH", help="Unix stream socket; then TCP and UDP only with --host.")
@option(
    "--framed", is_flag=True, help="Speak frames: JSON header and content, see netprobe-echo-serve(1). UDP stays plain."
)
@option("--backlog", type=click.IntRange(1, 2**31 - 1), default=4096, help="Length of the accept queue.")
@option("--max-connections", type=click.IntRange(1), help="Max connections per worker; more wait in the backlog.")
@option(
    "--idle-timeout",
    type=FiniteRange(0, min_open=True),
    metavar="SECONDS",
    help="Close connections idle for this long.",
)
@option(
    "--max-buffer",
    type=click.IntRange(1),
    default=256 * 1024,
    metavar="BYTES",
    help="Max bytes buffered for a slow reader.",
)
@option(
    "--max-content",
    type=click.IntRange(0),
    default=16 * 1024 * 1024,
    metavar="BYTES",
    help="Max content of a frame.",
)
@option(
    "--memory",
    type=Size(min=_MIB),
    metavar="SIZE",
    help="Memory for what all peers hold together.  [default: 256M, or a quarter of what is allowed if that is less]",
)
@option(
    "--frame-timeout",
    type=FiniteRange(0),
    default=60.0,
    metavar="SECONDS",
    help="End a peer whose unfinished frame grows by less than 1 KiB/s for this long; 0: never.",
)
@option(
    "--rate",
    type=FiniteRange(0),
    metavar="PER-SECOND",
    help="Max datagrams answered per second per peer; 0: unlimited.  [default: 1000; loopback: unlimited]",
)
@option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    help="Processes that share the port; a dead one is replaced.",
)
@option(
    "--busy-poll",
    type=click.IntRange(0, 10_000),
    metavar="MICROSECONDS",
    help="Busy-poll up to this long under load; 0 disables.  [default: 100; 0 on a single processor]",
)
@option(
    "--drain-timeout",
    type=FiniteRange(0),
    default=2.0,
    metavar="SECONDS",
    help="Time to send what is pending after SIGINT or SIGTERM.",
)
@option("--log", is_flag=True, help="One line for each connection that ends.")
@output_options
def serve(output: Output, **given: Any) -> Exit:
    """Send everything back to its sender, over TCP, UDP and unix sockets, until SIGINT or SIGTERM."""
    from netprobe.commands.echo.serve.run import ServeOptions, run

    return run(output, ServeOptions(**given))
