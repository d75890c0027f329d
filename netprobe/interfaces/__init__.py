"""Which addresses this host has: one function, two readers behind it.

On Linux netlink answers everything. ``netifaces`` is loaded where netlink is refused (some sandboxes) or not there
(other systems), and only then: it comes from the package netifaces-plus, a fork that one person maintains, and where it
is not installed or does not load, nothing else may fail.
"""

from __future__ import annotations

from collections.abc import Callable

from netprobe.errors import CannotRunError
from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress, Route

__all__ = [
    "DefaultRoute",
    "Interface",
    "InterfaceAddress",
    "Route",
    "local_interfaces",
    "netifaces_fault",
    "route_to",
    "why_not_usable",
]


def local_interfaces(
    kind_of: Callable[[str], str], refused: Callable[[str], None] | None = None
) -> tuple[Interface, ...]:
    """This host's interfaces in the order of their index.

    Linux's netlink answers where there is one, ``netifaces`` elsewhere, and ``refused`` is called with the reason.
    Raises :class:`netprobe.CannotRunError` where there is neither.
    """
    from netprobe.interfaces import netlink_reader

    try:
        return netlink_reader.read_interfaces(kind_of)
    except OSError as error:
        why = error.strerror or str(error)
    fault = netifaces_fault()
    if fault is not None:
        hint = "pip install --force-reinstall netifaces-plus"
        raise CannotRunError("this host's interfaces", f"netlink: {why}; netifaces: {fault}", hint)
    if refused is not None:
        refused(why)
    from netprobe.interfaces import netifaces_reader

    return netifaces_reader.read_interfaces(kind_of)


def why_not_usable(interface: str | None, state: str | None) -> str | None:
    """Why a socket cannot use an address that ``interface`` has, by its state; None where the state is no reason."""
    where = interface or "an interface"
    if state == "tentative":
        return f"{where} has the address, but duplicate address detection has not ended (RFC 4862)"
    if state == "dadfailed":
        return f"{where} has the address, but duplicate address detection has failed: another host has it (RFC 4862)"
    return None


def netifaces_fault() -> str | None:
    """Why ``netifaces`` cannot be loaded; None where it can."""
    try:
        import netifaces  # noqa: F401 (whether it loads, which nothing but loading it shows)
    except Exception as error:  # whatever it raises while it loads: a module that is broken is one that is not there
        return str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
    return None


def route_to(address: str, interface: str | None = None) -> Route | None:
    """Where this host would send a packet to ``address`` (out of ``interface``, if given); None without a route.

    The kernel looks it up in all its tables and rules; nothing is sent. Raises OSError where it cannot be asked.
    """
    from netprobe.interfaces import netlink_reader

    return netlink_reader.route_to(address, interface)
