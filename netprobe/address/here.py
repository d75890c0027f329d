"""An address seen from this host: its own, on a link, or behind a gateway. Pure: the host's facts are passed in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """A default route of this host."""

    version: int
    gateway: str | None
    interface: str


@dataclass(frozen=True, slots=True)
class Here:
    """``relation``: ``own``, ``network``, ``broadcast``, ``gateway``, ``on-link``, ``routed`` or ``no-route``."""

    relation: str
    interface: str | None
    subnet: str | None
    gateway: str | None


def seen_from(version: int, number: int, addresses: Iterable[LinkAddress], routes: Sequence[HostRoute]) -> Here:
    """Where an address is for a host with these addresses and default routes."""
    held = [(read_address(entry.address), entry) for entry in addresses]
    own = [(a, entry) for a, entry in held if a.version == version]
    for address, entry in own:
        if address.number == number:
            return Here("own", entry.interface, _subnet(address.number, entry, version), None)
    if version == 4 and number >> 24 == 127:
        return Here("own", next((e.interface for a, e in own if a.number >> 24 == 127), None), "127.0.0.0/8", None)
    if number == 0:  # as a bind address all of this host's own, as a destination this host (RFC 1122, RFC 4291)
        return Here("own", None, None, None)
    if _stays_on_link(version, number):
        interface = next((route.interface for route in routes if route.version == version), None)
        return Here("on-link", interface, None, None) if interface else Here("no-route", None, None, None)
    around = [(a, e) for a, e in own if not (number ^ a.number) & net_mask(version, e.prefix)]
    if around:
        address, entry = max(around, key=lambda pair: pair[1].prefix)
        relation = _place(version, number, entry.prefix, routes)
        return Here(relation, entry.interface, _subnet(address.number, entry, version), None)
    for route in routes:
        if route.version == version:
            return Here("routed" if route.gateway else "on-link", route.interface, None, route.gateway)
    return Here("no-route", None, None, None)


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
