"""IANA's special-purpose address registries: the rows as data, and the most specific one for an address.

The rows are netprobe's own copy, so that the answer is the same on every Python. The most specific block wins, the
blocks around it are its parents. ``None`` stands for a blank property (a terminated block), ``"n/a"`` for IANA's
own "N/A": the answer depends on what is embedded in the address.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from netprobe.address.reader import block_bounds

__all__ = ["IPV4_ROWS", "IPV6_ROWS", "PAGE_DATE", "SpecialBlock", "covering", "special_blocks"]

PAGE_DATE = "2025-10-09"  # "Last Updated" of both registry pages

Property = bool | Literal["n/a"] | None
Row = tuple[str, str, tuple[str, ...], Property, Property, Property, Property, Property]


@dataclass(frozen=True, slots=True)
class SpecialBlock:
    """One row: may an address of the block be a source, a destination, be forwarded, be reached globally?"""

    cidr: str
    name: str
    rfc: tuple[str, ...]
    source: Property
    destination: Property
    forwardable: Property
    globally_reachable: Property
    reserved_by_protocol: Property
    parents: tuple[str, ...] = ()


IPV4_ROWS: tuple[Row, ...] = (
    ("0.0.0.0/8", "This network", ("RFC 791",), True, False, False, False, True),
    ("0.0.0.0/32", "This host on this network", ("RFC 1122",), True, False, False, False, True),
    ("10.0.0.0/8", "Private-Use", ("RFC 1918",), True, True, True, False, False),
    ("100.64.0.0/10", "Shared Address Space", ("RFC 6598",), True, True, True, False, False),
    ("127.0.0.0/8", "Loopback", ("RFC 1122",), False, False, False, False, True),
    ("169.254.0.0/16", "Link Local", ("RFC 3927",), True, True, False, False, True),
    ("172.16.0.0/12", "Private-Use", ("RFC 1918",), True, True, True, False, False),
    ("192.0.0.0/24", "IETF Protocol Assignments", ("RFC 6890",), False, False, False, False, False),
    ("192.0.0.0/29", "IPv4 Service Continuity Prefix", ("RFC 7335",), True, True, True, False, False),
    ("192.0.0.8/32", "IPv4 dummy address", ("RFC 7600",), True, False, False, False, False),
    ("192.0.0.9/32", "Port Control Protocol Anycast", ("RFC 7723",), True, True, True, True, False),
    ("192.0.0.10/32", "Traversal Using Relays around NAT Anycast", ("RFC 8155",), True, True, True, True, False),
    ("192.0.0.170/32", "NAT64/DNS64 Discovery", ("RFC 8880", "RFC 7050"), False, False, False, False, True),
    ("192.0.0.171/32", "NAT64/DNS64 Discovery", ("RFC 8880", "RFC 7050"), False, False, False, False, True),
    ("192.0.2.0/24", "Documentation (TEST-NET-1)", ("RFC 5737",), False, False, False, False, False),
    ("192.31.196.0/24", "AS112-v4", ("RFC 7535",), True, True, True, True, False),
    ("192.52.193.0/24", "AMT", ("RFC 7450",), True, True, True, True, False),
    ("192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", ("RFC 7526",), None, None, None, None, None),
    ("192.88.99.2/32", "6a44-relay anycast address", ("RFC 6751",), True, True, True, False, False),
    ("192.168.0.0/16", "Private-Use", ("RFC 1918",), True, True, True, False, False),
    ("192.175.48.0/24", "Direct Delegation AS112 Service", ("RFC 7534",), True, True, True, True, False),
    ("198.18.0.0/15", "Benchmarking", ("RFC 2544",), True, True, True, False, False),
    ("198.51.100.0/24", "Documentation (TEST-NET-2)", ("RFC 5737",), False, False, False, False, False),
    ("203.0.113.0/24", "Documentation (TEST-NET-3)", ("RFC 5737",), False, False, False, False, False),
    ("240.0.0.0/4", "Reserved", ("RFC 1112",), False, False, False, False, True),
    ("255.255.255.255/32", "Limited Broadcast", ("RFC 8190", "RFC 919"), False, True, False, False, True),
)
IPV6_ROWS: tuple[Row, ...] = (
    ("::1/128", "Loopback Address", ("RFC 4291",), False, False, False, False, True),
    ("::/128", "Unspecified Address", ("RFC 4291",), True, False, False, False, True),
    ("::ffff:0:0/96", "IPv4-mapped Address", ("RFC 4291",), False, False, False, False, True),
    ("64:ff9b::/96", "IPv4-IPv6 Translat.", ("RFC 6052",), True, True, True, True, False),
    ("64:ff9b:1::/48", "IPv4-IPv6 Translat.", ("RFC 8215",), True, True, True, False, False),
    ("100::/64", "Discard-Only Address Block", ("RFC 6666",), True, True, True, False, False),
    ("100:0:0:1::/64", "Dummy IPv6 Prefix", ("RFC 9780",), True, False, False, False, False),
    ("2001::/23", "IETF Protocol Assignments", ("RFC 2928",), False, False, False, False, False),
    ("2001::/32", "TEREDO", ("RFC 4380", "RFC 8190"), True, True, True, "n/a", False),
    ("2001:1::1/128", "Port Control Protocol Anycast", ("RFC 7723",), True, True, True, True, False),
    ("2001:1::2/128", "Traversal Using Relays around NAT Anycast", ("RFC 8155",), True, True, True, True, False),
    ("2001:1::3/128", "DNS-SD Service Registration Protocol Anycast", ("RFC 9665",), True, True, True, True, False),
    ("2001:2::/48", "Benchmarking", ("RFC 5180",), True, True, True, False, False),
    ("2001:3::/32", "AMT", ("RFC 7450",), True, True, True, True, False),
    ("2001:4:112::/48", "AS112-v6", ("RFC 7535",), True, True, True, True, False),
    ("2001:10::/28", "Deprecated (previously ORCHID)", ("RFC 4843",), None, None, None, None, None),
    ("2001:20::/28", "ORCHIDv2", ("RFC 7343",), True, True, True, True, False),
    (
        "2001:30::/28",
        "Drone Remote ID Protocol Entity Tags (DETs) Prefix",
        ("RFC 9374",),
        True,
        True,
        True,
        True,
        False,
    ),
    ("2001:db8::/32", "Documentation", ("RFC 3849",), False, False, False, False, False),
    ("2002::/16", "6to4", ("RFC 3056",), True, True, True, "n/a", False),
    ("2620:4f:8000::/48", "Direct Delegation AS112 Service", ("RFC 7534",), True, True, True, True, False),
    ("3fff::/20", "Documentation", ("RFC 9637",), False, False, False, False, False),
    ("5f00::/16", "Segment Routing (SRv6) SIDs", ("RFC 9602",), True, True, True, False, False),
    ("fc00::/7", "Unique-Local", ("RFC 4193", "RFC 8190"), True, True, True, False, False),
    ("fe80::/10", "Link-Local Unicast", ("RFC 4291",), True, True, False, False, True),
)


class _Index:
    """The rows of one family, sorted so that the most specific block around a number is found by bisection."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        bounds = {row[0]: block_bounds(row[0]) for row in rows}
        self.blocks = {row[0]: SpecialBlock(*row, parents=_parents(bounds[row[0]], bounds)) for row in rows}
        cuts = {0} | {first for first, _ in bounds.values()} | {last + 1 for _, last in bounds.values()}
        self.starts = sorted(cuts)
        self.owners = [_narrowest(start, bounds) for start in self.starts]

    def find(self, number: int) -> SpecialBlock | None:
        owner = self.owners[bisect_right(self.starts, number) - 1]
        return None if owner is None else self.blocks[owner]


def _narrowest(number: int, bounds: dict[str, tuple[int, int]]) -> str | None:
    around = [(last - first, cidr) for cidr, (first, last) in bounds.items() if first <= number <= last]
    return min(around)[1] if around else None


def _parents(inner: tuple[int, int], bounds: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """The blocks around ``inner``, the nearest first."""
    around = [
        (last - first, cidr)
        for cidr, (first, last) in bounds.items()
        if first <= inner[0] and inner[1] <= last and (first, last) != inner
    ]
    return tuple(cidr for _, cidr in sorted(around))


_INDEX = {4: _Index(IPV4_ROWS), 6: _Index(IPV6_ROWS)}


def covering(version: int, number: int) -> SpecialBlock | None:
    """The most specific special block around an address; None where no row covers it."""
    return _INDEX[version].find(number)


def special_blocks(version: int) -> tuple[SpecialBlock, ...]:
    """All rows of one family in the registry's order."""
    return tuple(_INDEX[version].blocks.values())
