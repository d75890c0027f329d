"""``netprobe interfaces``: which addresses does this host have?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netprobe.commands.command import command, detail_netifaces, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["interfaces"]


@command(examples=[("netprobe interfaces", "which addresses does this host have?")])
@output_options
def interfaces(output: Output) -> Exit:
    """List this host's interfaces, each address with its prefix and kind."""
    from netprobe import api
    from netprobe.interfaces import Interface
    from netprobe.render.interfaces import plain_lines, print_interfaces
    from netprobe.render.view import View

    with output.document("interfaces", Interface, View(plain=plain_lines, table=print_interfaces)) as document:
        for interface in api.local_interfaces(refused=lambda why: output.detail(f"netlink: {why}; using netifaces")):
            document.add(interface)
        detail_netifaces(output)
    return document.status
