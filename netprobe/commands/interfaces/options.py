"""``netprobe interfaces``: which addresses does this host have?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netprobe.commands.command import command, completes, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["interfaces"]


_WHICH = "Which"
_VERSION = "IPv4 or IPv6 addresses only"


@command(
    short_help="this host's interfaces and their addresses",
    examples=[
        ("netprobe interfaces", "which addresses does this host have?"),
        ("netprobe interfaces lo", "and which on this one?"),
    ],
    answers=("all good", ""),
)
@click.argument("names", shell_complete=completes("interfaces"), metavar="[NAME...]", nargs=-1)
@option("-4", "--ipv4", is_flag=True, group=_WHICH, help="IPv4 only (both by default).", brief=_VERSION)
@option("-6", "--ipv6", is_flag=True, group=_WHICH, help="IPv6 only (both by default).", brief=_VERSION)
@output_options
def interfaces(output: Output, names: tuple[str, ...], ipv4: bool, ipv6: bool) -> Exit:
    """List this host's interfaces, or those named, each address with its prefix and kind."""
    from netprobe.commands.endpoints import chosen_version
    from netprobe.commands.interfaces.run import InterfacesOptions, run

    return run(output, InterfacesOptions(names, chosen_version(ipv4, ipv6)))
