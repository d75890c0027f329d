"""What is known of an interface and its addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["DefaultRoute", "Interface", "InterfaceAddress", "Route"]


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address of an interface. ``prefix`` in bits; ``scope`` is ``global``, ``link``, ``host`` or ``site``.

    ``broadcast`` is only what is set, never what could be computed; ``peer`` is the far end of a point-to-point link.
    ``flags``: ``secondary``, ``deprecated``, ``tentative``, ``dadfailed``, ``temporary``, ``dynamic``.
    ``state`` is ``preferred``, ``deprecated``, ``optimistic``, ``tentative`` or ``dadfailed`` (RFC 4862 section 2);
    ``preferred_s`` and ``valid_s`` are what is left of its lifetimes in seconds. None: for ever, or not known.
    """

    address: str
    version: int
    prefix: int | None
    kind: str
    broadcast: str | None = None
    peer: str | None = None
    scope: str | None = None
    zone: str | None = None
    label: str | None = None
    flags: tuple[str, ...] = ()
    state: str | None = None
    preferred_s: int | None = None
    valid_s: int | None = None


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route through this interface: ``gateway`` is None where every destination is on-link."""

    version: int
    gateway: str | None
    metric: int | None = None
    table: str | None = None


class Route(NamedTuple):
    """A packet's next hop: out of which interface, to which gateway if not on-link; ``own`` means to this host."""

    interface: str | None
    gateway: str | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface. ``index`` is the kernel's, ``mtu`` in bytes, ``state`` is ``up``, ``down`` or ``unknown``.

    ``master`` is the bridge, bond or VRF that it is a port of, ``parent`` the interface that it lies on (a VLAN's),
    both by name; ``altnames`` and ``alias`` are further names that the administrator gave it (ip-link(8)).
    """

    name: str
    index: int | None
    kind: str
    state: str
    mtu: int | None
    mac: str | None
    addresses: tuple[InterfaceAddress, ...]
    default_routes: tuple[DefaultRoute, ...] = ()
    master: str | None = None
    parent: str | None = None
    altnames: tuple[str, ...] = ()
    alias: str | None = None
