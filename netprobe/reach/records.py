"""The records of a bindtest: what is bound, what is asked, what is known of a host, and the cell that comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from typing import Any, Literal

from netprobe.errors import AddressError
from netprobe.outcome.evidence import Icmp
from netprobe.reach.rules import BIND_LOOPBACK_NET
from netprobe.verdicts import Verdict

__all__ = [
    "Address",
    "BindOptions",
    "Cell",
    "HostAddress",
    "HostFacts",
    "Icmp",
    "Link",
    "Listening",
    "Protocol",
    "Question",
    "Route",
]

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class Address:
    """An address to bind or to connect to; ``zone`` is an interface's name (RFC 4007)."""

    ip: IPv4Address | IPv6Address
    zone: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``192.0.2.1``, ``fe80::1%eth0`` or ``[::1]``; anything else is an :class:`AddressError`."""
        bare = text.strip()
        if bare.startswith("[") and bare.endswith("]"):
            bare = bare[1:-1]
        bare, percent, zone = bare.partition("%")
        try:
            ip = ip_address(bare)
        except ValueError:
            raise AddressError(text, "not an IP address", f"see: netprobe classify '{text}'") from None
        if percent and (ip.version == 4 or not zone):
            raise AddressError(text, "an IPv4 address has no zone" if ip.version == 4 else "the zone is empty")
        return cls(ip, zone or None)

    def __str__(self) -> str:
        return f"{self.text}%{self.zone}" if self.zone else self.text

    @property
    def text(self) -> str:
        """The address without its zone; v4-mapped as ``::ffff:192.0.2.1`` (RFC 5952 section 5)."""
        mapped = self.mapped
        return f"::ffff:{mapped}" if mapped else str(self.ip)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.ip.version

    @property
    def mapped(self) -> IPv4Address | None:
        """The IPv4 address inside ``::ffff:0:0/96`` (RFC 4291 section 2.5.5.2)."""
        return self.ip.ipv4_mapped if isinstance(self.ip, IPv6Address) else None

    @property
    def is_wildcard(self) -> bool:
        """0.0.0.0 or ``::``."""
        return self.ip.is_unspecified

    @property
    def is_loopback(self) -> bool:
        """127.0.0.0/8, ::1, and the mapped ones."""
        return (self.mapped or self.ip).is_loopback

    @property
    def is_link_local_6(self) -> bool:
        """fe80::/10: without a zone it means nothing."""
        return self.ip.version == 6 and self.ip.is_link_local

    @property
    def is_group(self) -> bool:
        """Multicast or 255.255.255.255."""
        return self.ip.is_multicast or self.text == "255.255.255.255"


@dataclass(frozen=True, slots=True)
class BindOptions:
    """How listeners are opened. ``port`` 0: each its own; ``v6only`` None: as the system has it."""

    port: int = 0
    v6only: bool | None = None
    device: str | None = None
    reuse_port: bool = False
    freebind: bool = False


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An address that a host has, with its prefix and its interface."""

    address: Address
    prefix: int | None = None
    interface: str | None = None

    @property
    def network(self) -> IPv4Network | IPv6Network | None:
        """The subnet that the address is in, where its prefix is known."""
        return None if self.prefix is None else ip_interface((self.address.ip, self.prefix)).network

    @property
    def broadcast(self) -> str | None:
        """The subnet's directed broadcast (RFC 919); a /31 and a /32 have none (RFC 3021)."""
        if self.address.version == 6 or self.network is None or self.network.prefixlen >= 31:
            return None
        return str(self.network.broadcast_address)


@dataclass(frozen=True, slots=True)
class Link:
    """An interface, as far as reaching goes."""

    name: str
    index: int
    up: bool
    loopback: bool


@dataclass(frozen=True, slots=True)
class Route:
    """Which source address a vantage's kernel takes towards a destination, or the errno that it gives."""

    source: str | None
    errno: str | None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the prediction knows of a host: made from the hello of a vantage, or of this host."""

    system: str = "linux"
    release: str = ""
    python: str = ""
    host: str = ""
    addresses: tuple[HostAddress, ...] = ()
    links: tuple[Link, ...] = ()
    routes: Mapping[str, Route] | None = None
    ipv6: bool = True
    stack: str | None = None
    texts: frozenset[str] = field(init=False, repr=False, compare=False)  # the own addresses, without zones
    broadcasts: frozenset[str] = field(init=False, repr=False, compare=False)  # of the subnets this host is in

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", frozenset(x.address.text for x in self.addresses))
        object.__setattr__(self, "broadcasts", frozenset(x.broadcast for x in self.addresses if x.broadcast))

    @classmethod
    def from_hello(cls, hello: Mapping[str, Any]) -> HostFacts:
        """The facts in a payload's hello line."""
        links = tuple(Link(x["name"], x["index"], x["up"], x["loopback"]) for x in hello.get("links", ()))
        names = {link.index: link.name for link in links}
        addresses = []
        for entry in hello.get("addresses", ()):
            interface = names.get(entry.get("index"))
            ip = ip_address(entry["address"])
            zone = interface if ip.version == 6 and ip.is_link_local else None
            addresses.append(HostAddress(Address(ip, zone), entry.get("prefix"), interface))
        routes = {
            f"{x['destination']}%{x['zone']}" if x.get("zone") else x["destination"]: Route(x["source"], x["errno"])
            for x in hello.get("routes", ())
        }
        return cls(
            system=system_name(str(hello.get("os", ""))),
            release=str(hello.get("release", "")),
            python=str(hello.get("python", "")),
            host=str(hello.get("host", "")),
            addresses=tuple(addresses),
            links=links,
            routes=routes,
            ipv6=bool(hello.get("ipv6", True)),
            stack=hello.get("stack"),
        )

    def has(self, ip: IPv4Address | IPv6Address | str, zone: str | None = None) -> bool:
        """Is it an address of this host? All of 127.0.0.0/8 is, where the system has it so."""
        ip = ip_address(ip) if isinstance(ip, str) else ip
        if ip.version == 4 and ip.is_loopback and BIND_LOOPBACK_NET.holds_for(self.system):
            return True
        return any(x.address.ip == ip and (zone is None or x.address.zone in (None, zone)) for x in self.addresses)

    def holder(self, ip: IPv4Address | IPv6Address) -> HostAddress | None:
        """The entry of an own address."""
        return next((x for x in self.addresses if x.address.ip == ip), None)

    def route_to(self, destination: Address) -> Route | None:
        """What the kernel said of the route to ``destination``; None where it was not asked."""
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
    """platform.system() as the rules name it."""
    return {"darwin": "macos"}.get(system.lower(), system.lower())


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener: open with its port, or not, with the errno and the reason.

    ``v6only`` is what the system says of the open socket (None for IPv4).
    """

    id: str
    bind: Address
    protocol: Protocol
    port: int
    errno: str | None = None
    cause: str | None = None
    v6only: bool | None = None

    @property
    def is_open(self) -> bool:
        """Could it be opened?"""
        return self.errno is None


@dataclass(frozen=True, slots=True)
class Question:
    """One cell before it is answered: who asks whom, about which listener."""

    id: int
    listener: Listening
    destination: Address
    vantage: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one (bind address, destination, vantage, protocol).

    Keys up to ``rtt_ms`` are those of schema netprobe/bindtest/1; later ones are only ever added behind them.
    ``expected`` is null where no rule knows (an address that neither side has).
    """

    bind: str | None
    port: int | None
    protocol: str
    destination: str
    vantage: str
    expected: Verdict | None
    observed: Verdict
    because: str | None
    cause: str | None
    errno: str | None
    source: str | None
    replied_from: str | None
    rtt_ms: float | None
    differs: bool
    difference: str | None
    icmp: Icmp | None
    observed_source: str | None
    payload_bytes: int | None
    rules: tuple[str, ...]


def in_order(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Each address once, in the order in which it came first."""
    return tuple(dict.fromkeys(addresses))
