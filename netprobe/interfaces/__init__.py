"""Which addresses this host has: one function, two readers behind it."""

from __future__ import annotations

from collections.abc import Callable

from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress, Route

__all__ = ["DefaultRoute", "Interface", "InterfaceAddress", "Route", "local_interfaces", "route_to"]


def local_interfaces(
    kind_of: Callable[[str], str], refused: Callable[[str], None] | None = None
) -> tuple[Interface, ...]:
    """This host's interfaces in the order of their index.

    Linux's netlink answers where there is one, ``netifaces`` elsewhere, and ``refused`` is called with the reason.
    """
    from netprobe.interfaces import netifaces_reader, netlink_reader

    try:
        return netlink_reader.read_interfaces(kind_of)
    except OSError as error:
        if refused is not None:
            refused(error.strerror or str(error))
        return netifaces_reader.read_interfaces(kind_of)


def route_to(address: str, interface: str | None = None) -> Route | None:
    """Where this host would send a packet to ``address`` (out of ``interface``, if given); None without a route.

    The kernel looks it up in all its tables and rules; nothing is sent. Raises OSError where it cannot be asked.
    """
    from netprobe.interfaces import netlink_reader

    return netlink_reader.route_to(address, interface)
