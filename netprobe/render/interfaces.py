"""Interfaces as cards for a person, and as one line per address for a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress
    from netprobe.render.terminal import Terminal

__all__ = ["plain_lines", "print_interfaces"]


def print_interfaces(interfaces: Sequence[Interface], terminal: Terminal) -> None:
    """Print every interface with its addresses below it."""
    from netprobe.render.card import print_cards

    cards = [(link.name, f"{link.kind}, {link.state}", list(_card_lines(link))) for link in interfaces]
    print_cards(cards, terminal)


def plain_lines(link: Interface) -> str:
    """``name kind state address/prefix kind``, one line per address; one line with ``-`` where there is none."""
    head = f"{link.name}\t{link.kind}\t{link.state}"
    if not link.addresses:
        return f"{head}\t-\t-"
    return "\n".join(f"{head}\t{_cidr(address)}\t{address.kind or '-'}" for address in link.addresses)


def _card_lines(link: Interface) -> Iterator[tuple[str, str]]:
    if link.mac:
        yield "mac", link.mac
    if link.mtu:
        yield "mtu", f"{link.mtu} bytes"
    for address in link.addresses:
        yield f"inet{'6' if address.version == 6 else ''}", ", ".join(_address_words(address))
    for route in link.default_routes:
        yield f"default{'6' if route.version == 6 else ''}", " ".join(_route_words(route))


def _address_words(address: InterfaceAddress) -> Iterator[str]:
    yield f"{_cidr(address)} {address.kind}"
    if address.peer:
        yield f"peer {address.peer}"
    if address.broadcast:
        yield f"broadcast {address.broadcast}"
    if address.label:
        yield f"label {address.label}"
    yield from address.flags


def _route_words(route: DefaultRoute) -> Iterator[str]:
    yield f"via {route.gateway}" if route.gateway else "on-link"
    if route.metric:
        yield f"metric {route.metric}"
    if route.table not in (None, "main"):
        yield f"table {route.table}"


def _cidr(address: InterfaceAddress) -> str:
    zone = f"%{address.zone}" if address.zone else ""
    return f"{address.address}{zone}" + ("" if address.prefix is None else f"/{address.prefix}")
