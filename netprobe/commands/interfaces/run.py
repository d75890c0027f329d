"""What ``netprobe interfaces`` does: asks for all interfaces, and shows those that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netprobe import api
from netprobe.commands.command import detail_netifaces
from netprobe.errors import Exit, InvalidInputError
from netprobe.interfaces import Interface
from netprobe.render.interfaces import plain_lines, print_interfaces
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["InterfacesOptions", "run"]


@dataclass(frozen=True, slots=True)
class InterfacesOptions:
    """The options of ``netprobe interfaces``. No ``names``: all of them; no ``version``: both."""

    names: tuple[str, ...] = ()
    version: int | None = None


def run(output: Output, options: InterfacesOptions) -> Exit:
    """The interfaces that the options name; one that does not exist is an error, and the others are shown."""
    with output.document("interfaces", Interface, View(plain=plain_lines, table=print_interfaces)) as document:
        known = list(api.local_interfaces(refused=lambda why: output.detail(f"netlink: {why}; using netifaces")))
        for name in dict.fromkeys(options.names):
            if all(interface.name != name for interface in known):
                document.error(_no_such(name, known))
        for interface in _chosen(known, options):
            document.add(interface)
        detail_netifaces(output)
    return document.status


def _chosen(known: Iterable[Interface], options: InterfacesOptions) -> Iterator[Interface]:
    """With a version, only its addresses, and only interfaces that have one (as ``ip -4 address`` does it)."""
    for interface in known:
        if options.names and interface.name not in options.names:
            continue
        if options.version is None:
            yield interface
            continue
        addresses = tuple(entry for entry in interface.addresses if (":" in entry.address) == (options.version == 6))
        if addresses:
            yield replace(interface, addresses=addresses)


def _no_such(name: str, known: Sequence[Interface]) -> InvalidInputError:
    from difflib import get_close_matches

    names = [interface.name for interface in known]
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"this host has {', '.join(names[:20]) or 'none'}"
    return InvalidInputError(name, "no such interface", hint)
