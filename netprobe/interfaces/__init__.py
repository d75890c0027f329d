"""Which addresses this host has: one function, two readers behind it."""

from __future__ import annotations

from collections.abc import Callable

from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress

__all__ = ["DefaultRoute", "Interface", "InterfaceAddress", "local_interfaces"]


def local_interfaces(
    kind_of: Callable[[str], str], refused: Callable[[str], None] | None = None
) -> tuple[Interface, ...]:
    """This host's interfaces in the order of their index.

    Linux's netlink answers where it can; else ``netifaces`` does, and ``refused`` is told why.
    """
    from netprobe.interfaces import netifaces_reader, netlink_reader

    try:
        return netlink_reader.read_interfaces(kind_of)
    except OSError as error:
        if refused is not None:
            refused(error.strerror or str(error))
        return netifaces_reader.read_interfaces(kind_of)
