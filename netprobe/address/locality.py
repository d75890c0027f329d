"""Where an address is for a host: its own, on a link, or behind a gateway. Pure: the host's facts are passed in.

The default routes alone do not decide: a more specific route, a policy rule or a blackhole may lead elsewhere. So the
kernel's own answer for the very address is used wherever it can be asked (a netlink lookup; nothing is sent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netprobe.address.ip import BITS, address_text, host_mask, net_mask
from netprobe.address.reader import read_address

__all__ = ["HostRoute", "LinkAddress", "Locality", "seen_from"]


class LinkAddress(NamedTuple):
    """An address of this host: on which interface, with which prefix, in which state (RFC 4862)."""

    address: str
    prefix: int
    interface: str
    state: str | None = None


class HostRoute(NamedTuple):
    """A default route of the host, or the route to one address; ``own`` if it is a local route, which ends here."""

    version: int
    gateway: str | None
    interface: str | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Locality:
    """``relation``: ``own``, ``network``, ``broadcast``, ``gateway``, ``on-link``, ``routed`` or ``no-route``.

    ``state`` is that of an own address: ``tentative`` and ``dadfailed`` are ones that no socket can use.
    """

    relation: str
    interface: str | None
    subnet: str | None
    gateway: str | None
    state: str | None = None


_NO_ROUTE = Locality("no-route", None, None, None)


def seen_from(
    version: int,
    number: int,
    addresses: Iterable[LinkAddress],
    routes: Sequence[HostRoute],
    look_up: Callable[[], HostRoute | None] | None = None,
) -> Locality:
    """Where an address is for a host with these addresses and default routes.

    ``look_up`` returns the host's route to this very address (None: there is none); without it the default routes
    decide.
    """
    held = [(read_address(entry.address), entry) for entry in addresses]
    own = [(a, entry) for a, entry in held if a.version == version]
    for address, entry in own:
        if address.number == number:
            return Locality("own", entry.interface, _subnet(address.number, entry, version), None, entry.state)
    if version == 4 and number >> 24 == 127:
        return Locality("own", next((e.interface for a, e in own if a.number >> 24 == 127), None), "127.0.0.0/8", None)
    if number == 0:  # as a bind address every one of this host, as a destination this host (RFC 1122, RFC 4291)
        return Locality("own", None, None, None)
    route = look_up() if look_up else next((entry for entry in routes if entry.version == version), None)
    if route and route.own:
        return Locality("own", route.interface, None, None)
    if _stays_on_link(version, number):
        return Locality("on-link", route.interface, None, None) if route else _NO_ROUTE
    around = [(a, e) for a, e in own if not (number ^ a.number) & net_mask(version, e.prefix)]
    if look_up:  # a more specific route, a rule or a firewall's blackhole may lead elsewhere
        around = [(a, e) for a, e in around if route and not route.gateway and route.interface == e.interface]
    if around:
        address, entry = max(around, key=lambda pair: pair[1].prefix)
        relation = _relation(version, number, entry.prefix, routes)
        return Locality(relation, entry.interface, _subnet(address.number, entry, version), None)
    if route is None:
        return _NO_ROUTE
    return Locality("routed" if route.gateway else "on-link", route.interface, None, route.gateway)


def _stays_on_link(version: int, number: int) -> bool:
    """Multicast and the limited broadcast leave by the default route's interface and have no gateway as next hop."""
    return number >> 120 == 0xFF if version == 6 else number >> 28 == 0xE or number == 0xFFFFFFFF


def _subnet(number: int, entry: LinkAddress, version: int) -> str:
    return f"{address_text(version, number & net_mask(version, entry.prefix))}/{entry.prefix}"


def _relation(version: int, number: int, prefix: int, routes: Sequence[HostRoute]) -> str:
    gateways = {read_address(r.gateway).number for r in routes if r.version == version and r.gateway}
    if number in gateways:
        return "gateway"
    if version == 4 and prefix < BITS[4] - 1:  # RFC 3021: a /31 has neither
        host = number & host_mask(4, prefix)
        if host in (0, host_mask(4, prefix)):
            return "broadcast" if host else "network"
    return "on-link"
