"""IANA's special-purpose address registries: the rows as data, and the most specific one for an address.

Why a copy of our own, when CPython's ``ipaddress`` has ``is_private`` and ``is_global``? Their answers change with the
interpreter: 3.11 calls 192.0.0.8, 64:ff9b:1::1 and 2002:7f00:1:: global, 3.13 does not, and ``is_loopback`` of
::ffff:127.0.0.1 is False before 3.13. They say yes or no, not which block, by which RFC, with which of IANA's five
properties, and one call takes as long as labelling 20 to 40 lines does (netprobe/bulk/labels.py). The price is upkeep:
``python -m tests.data.refresh`` rewrites the rows from IANA's CSV files, and the tests compare each row with them.

The most specific block wins, the blocks around it are its parents. ``None`` stands for a blank property (a terminated
block), ``"n/a"`` for IANA's own "N/A": the answer depends on what is embedded in the address.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import Literal

from netprobe.address.reader import block_bounds

__all__ = ["IPV4_ROWS", "IPV6_ROWS", "PAGE_DATE", "Property", "SpecialBlock", "covering", "cuts", "special_blocks"]

PAGE_DATE = "2025-10-09"  # "Last Updated" of both registry pages

Property = bool | Literal["n/a"] | None
RegistryRow = tuple[str, str, tuple[str, ...], Property, Property, Property, Property, Property]


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


IPV4_ROWS: tuple[RegistryRow, ...] = (
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
IPV6_ROWS: tuple[RegistryRow, ...] = (
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
    """The rows of one family, cut where one begins or ends, so that the most specific one is found by bisection."""

    def __init__(self, rows: tuple[RegistryRow, ...]) -> None:
        self.rows = {row[0]: row for row in rows}
        self.bounds = {cidr: block_bounds(cidr) for cidr in self.rows}
        self.starts, self.owners = [0], [None]  # type: list[int], list[str | None]
        open_blocks: list[tuple[int, str]] = []  # last number and name of the blocks around the current start
        for first, minus_last, cidr in sorted((first, -last, cidr) for cidr, (first, last) in self.bounds.items()):
            self._close(open_blocks, first)
            open_blocks.append((-minus_last, cidr))
            self._cut(first, cidr)
        self._close(open_blocks, None)
        self._made: dict[str, SpecialBlock] = {}

    def find(self, number: int) -> SpecialBlock | None:
        owner = self.owners[bisect_right(self.starts, number) - 1]
        return None if owner is None else self.block(owner)

    def block(self, cidr: str) -> SpecialBlock:
        made = self._made.get(cidr)
        if made is None:
            made = self._made[cidr] = SpecialBlock(*self.rows[cidr], parents=self._parents(cidr))
        return made

    def _close(self, open_blocks: list[tuple[int, str]], until: int | None) -> None:
        """End the blocks that end before ``until``; what they stand in goes on behind them."""
        while open_blocks and (until is None or open_blocks[-1][0] < until):
            last, _ = open_blocks.pop()
            if until is None or last + 1 < until or not open_blocks:
                self._cut(last + 1, open_blocks[-1][1] if open_blocks else None)

    def _cut(self, start: int, owner: str | None) -> None:
        if self.starts[-1] == start:
            self.owners[-1] = owner
        else:
            self.starts.append(start)
            self.owners.append(owner)

    def _parents(self, cidr: str) -> tuple[str, ...]:
        """The blocks around a block, the nearest first."""
        first, last = self.bounds[cidr]
        around = [(b - a, name) for name, (a, b) in self.bounds.items() if a <= first and last <= b and name != cidr]
        return tuple(name for _, name in sorted(around))


@cache
def _index(version: int) -> _Index:
    return _Index(IPV4_ROWS if version == 4 else IPV6_ROWS)


def covering(version: int, number: int) -> SpecialBlock | None:
    """The most specific special block around an address; None where no row covers it."""
    return _index(version).find(number)


def special_blocks(version: int) -> tuple[SpecialBlock, ...]:
    """All rows of one family in the registry's order."""
    index = _index(version)
    return tuple(index.block(cidr) for cidr in index.rows)


def cuts(version: int) -> list[tuple[int, str | None]]:
    """Where blocks begin and end: each start with the most specific block from there on, or None."""
    index = _index(version)
    return list(zip(index.starts, index.owners, strict=True))
