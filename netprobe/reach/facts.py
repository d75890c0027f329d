"""What the prediction knows about a host: its addresses, its links, and its kernel's answers on routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from netprobe.reach.rules import BIND_LOOPBACK_NET
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["HostAddress", "HostFacts", "Link", "RouteLookup", "system_name"]

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An address that a host has, with its prefix and its interface. ``state`` is rtnetlink's word; None: not known."""

    address: ScopedAddress
    prefix: int | None = None
    interface: str | None = None
    state: str | None = field(default=None, compare=False)

    @property
    def network(self) -> Network | None:
        """The subnet that the address is in, where its prefix is known."""
        if self.prefix is None:
            return None
        # By its number: from text, which is written and read again, it takes five times as long.
        kind = IPv4Network if self.address.version == 4 else IPv6Network
        return kind((int(self.address.ip), self.prefix), strict=False)


def _broadcast(network: Network) -> str | None:
    """The subnet's directed broadcast (RFC 919); a /31 and a /32 have none (RFC 3021)."""
    return None if network.version == 6 or network.prefixlen >= 31 else str(network.broadcast_address)


@dataclass(frozen=True, slots=True)
class Link:
    """An interface, as far as reachability is concerned."""

    name: str
    index: int
    up: bool
    loopback: bool


@dataclass(frozen=True, slots=True)
class RouteLookup:
    """What a kernel answered when it was asked for the route to a destination: the source address, or an errno.

    ``gateway`` is the router on that way; None where there is none, or where it was not told.
    """

    source: str | None
    errno: str | None
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the prediction knows about a host: made from the hello of a vantage, or of this host.

    ``unusable`` are addresses that an interface has and no socket can use (RFC 4862 section 5.4); ``addresses`` are the
    others.
    """

    system: str = "linux"
    release: str = ""
    python: str = ""
    host: str = ""
    addresses: tuple[HostAddress, ...] = ()
    links: tuple[Link, ...] = ()
    routes: Mapping[str, RouteLookup] | None = None
    ipv6: bool = True
    stack: str | None = None
    unusable: tuple[HostAddress, ...] = ()
    texts: frozenset[str] = field(init=False, repr=False, compare=False)  # the own addresses, without zones
    broadcasts: frozenset[str] = field(init=False, repr=False, compare=False)  # of the subnets this host is in
    networks: frozenset[Network] = field(init=False, repr=False, compare=False)  # these subnets
    _held: Mapping[Ip, list[HostAddress]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the addresses: a vantage may have tens of thousands, and each cell asks for several."""
        held: dict[Ip, list[HostAddress]] = {}
        for entry in self.addresses:
            held.setdefault(entry.address.ip, []).append(entry)
        object.__setattr__(self, "_held", held)
        networks = frozenset(network for x in self.addresses if (network := x.network))
        object.__setattr__(self, "networks", networks)
        object.__setattr__(self, "texts", frozenset(x.address.text for x in self.addresses))
        object.__setattr__(self, "broadcasts", frozenset(text for network in networks if (text := _broadcast(network))))

    def has(self, ip: Ip | str, zone: str | None = None) -> bool:
        """Is it an address of this host? On some systems all of 127.0.0.0/8 is."""
        ip = ip_address(ip) if isinstance(ip, str) else ip
        if ip.version == 4 and ip.is_loopback and BIND_LOOPBACK_NET.holds_for(self.system):
            return True
        return any(zone is None or x.address.zone in (None, zone) for x in self._held.get(ip, ()))

    def holder(self, ip: Ip) -> HostAddress | None:
        """The entry of one of the host's own addresses."""
        return next(iter(self._held.get(ip, ())), None)

    def route_to(self, destination: ScopedAddress) -> RouteLookup | None:
        """The kernel's answer on the route to ``destination``; None where it was not asked."""
        return None if self.routes is None else self.routes.get(str(destination))

    @property
    def loopback_is_down(self) -> bool:
        """Is there a loopback interface that is down?"""
        loopbacks = [link for link in self.links if link.loopback]
        return bool(loopbacks) and not any(link.up for link in loopbacks)

    def link(self, name: str | None) -> Link | None:
        """The interface of that name."""
        return next((link for link in self.links if link.name == name), None)


def system_name(system: str) -> str:
    """The rules' name for a value of platform.system()."""
    return {"darwin": "macos"}.get(system.lower(), system.lower())
