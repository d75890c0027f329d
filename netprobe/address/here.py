"""An address seen from this host: its own, on a link, or behind a gateway. Pure: the host's facts are passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netprobe.address.number import BITS, host_mask, net_mask
from netprobe.address.reader import read_address

__all__ = ["Here", "HostRoute", "LinkAddress", "seen_from"]


class LinkAddress(NamedTuple):
    """An address of this host: on which interface, with which prefix."""

    address: str
    prefix: int
    interface: str


class HostRoute(NamedTuple):
    """A default route of this host, or its way to one address; ``own`` when that ends here (a local route)."""

    version: int
    gateway: str | None
    interface: str | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Here:
    """``relation``: ``own``, ``network``, ``broadcast``, ``gateway``, ``on-link``, ``routed`` or ``no-route``."""

    relation: str
    interface: str | None
    subnet: str | None
    gateway: str | None


_NO_ROUTE = Here("no-route", None, None, None)


def seen_from(
    version: int,
    number: int,
    addresses: Iterable[LinkAddress],
    routes: Sequence[HostRoute],
    look_up: Callable[[], HostRoute | None] | None = None,
) -> Here:
    """Where an address is for a host with these addresses and default routes.

    ``look_up`` tells the host's way to this very address (None: it has none), where the host can be asked; else the
    default routes must do.
    """
    held = [(read_address(entry.address), entry) for entry in addresses]
    own = [(a, entry) for a, entry in held if a.version == version]
    for address, entry in own:
        if address.number == number:
            return Here("own", entry.interface, _subnet(address.number, entry, version), None)
    if version == 4 and number >> 24 == 127:
        return Here("own", next((e.interface for a, e in own if a.number >> 24 == 127), None), "127.0.0.0/8", None)
    if number == 0:  # as a bind address all of this host's own, as a destination this host (RFC 1122, RFC 4291)
        return Here("own", None, None, None)
    way = look_up() if look_up else next((route for route in routes if route.version == version), None)
    if way and way.own:
        return Here("own", way.interface, None, None)
    if _stays_on_link(version, number):
        return Here("on-link", way.interface, None, None) if way else _NO_ROUTE
    around = [(a, e) for a, e in own if not (number ^ a.number) & net_mask(version, e.prefix)]
    if look_up:  # a more specific route, a rule or a firewall's blackhole may lead elsewhere
        around = [(a, e) for a, e in around if way and not way.gateway and way.interface == e.interface]
    if around:
        address, entry = max(around, key=lambda pair: pair[1].prefix)
        relation = _place(version, number, entry.prefix, routes)
        return Here(relation, entry.interface, _subnet(address.number, entry, version), None)
    if way is None:
        return _NO_ROUTE
    return Here("routed" if way.gateway else "on-link", way.interface, None, way.gateway)


def _stays_on_link(version: int, number: int) -> bool:
    """Groups and the limited broadcast leave by the default route's interface and have no gateway for next hop."""
    return number >> 120 == 0xFF if version == 6 else number >> 28 == 0xE or number == 0xFFFFFFFF


def _subnet(number: int, entry: LinkAddress, version: int) -> str:
    from netprobe.address.number import address_text

    return f"{address_text(version, number & net_mask(version, entry.prefix))}/{entry.prefix}"


def _place(version: int, number: int, prefix: int, routes: Sequence[HostRoute]) -> str:
    gateways = {read_address(r.gateway).number for r in routes if r.version == version and r.gateway}
    if number in gateways:
        return "gateway"
    if version == 4 and prefix < BITS[4] - 1:  # RFC 3021: a /31 has neither
        host = number & host_mask(4, prefix)
        if host in (0, host_mask(4, prefix)):
            return "broadcast" if host else "network"
    return "on-link"
