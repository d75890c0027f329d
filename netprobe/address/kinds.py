"""``kind``: one word for what an address is used for, from one closed list.

The word comes from the most specific special block, else from the multicast or the plain unicast space around it.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import NamedTuple

from netprobe.address.ip import BITS
from netprobe.address.reader import read_address
from netprobe.address.registry import Property, covering, cuts

__all__ = ["BLOCK_KINDS", "KINDS", "Segment", "globally_reachable", "kind_of", "kind_of_number", "segments_of"]


class Segment(NamedTuple):
    """A run of addresses of one kind in one special block (None: in no special block)."""

    kind: str
    block: str | None


KINDS: dict[str, str] = {
    "public": "unicast that is globally reachable",
    "private": "for use inside a network, not unique (RFC 1918)",
    "shared": "between a provider and its customers, carrier-grade NAT (RFC 6598)",
    "unique-local": "IPv6's private addresses (RFC 4193)",
    "loopback": "this host itself, never on a wire (RFC 1122, RFC 4291)",
    "link-local": "one link, never forwarded (RFC 3927, RFC 4291)",
    "site-local": "former private addresses of IPv6, deprecated (RFC 3879)",
    "unspecified": "no address yet; as a bind address: every address of the host (RFC 1122, RFC 4291)",
    "this-network": "a host on this network, as a source only (RFC 791, RFC 1122)",
    "limited-broadcast": "every host on this link (RFC 919)",
    "multicast": "a group of hosts (RFC 1112, RFC 4291)",
    "documentation": "for examples in documentation (RFC 5737, RFC 3849, RFC 9637)",
    "benchmarking": "for tests of network devices (RFC 2544, RFC 5180)",
    "protocol-assignment": "assigned to one IETF protocol (RFC 6890, RFC 2928)",
    "anycast": "a service at the nearest of several hosts (RFC 7723, RFC 8155)",
    "ipv4-mapped": "an IPv4 address as IPv6 sockets show it, within a host only (RFC 4291)",
    "ipv4-compatible": "an IPv4 address behind 96 zero bits, deprecated (RFC 4291)",
    "nat64": "an IPv4 address behind a translator (RFC 6052, RFC 8215)",
    "6to4": "a network behind an IPv4 address, through a tunnel (RFC 3056)",
    "teredo": "a host behind a NAT, through a tunnel (RFC 4380)",
    "orchid": "a cryptographic identifier, not a location (RFC 7343)",
    "segment-routing": "a segment identifier (RFC 9602)",
    "discard": "traffic to it is dropped (RFC 6666)",
    "reserved": "reserved by the IETF, not in use",
    "mixed": "a range of more than one kind; see its pieces",
}

BLOCK_KINDS = {
    "0.0.0.0/8": "this-network",
    "0.0.0.0/32": "unspecified",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol-assignment",
    "192.0.0.0/29": "protocol-assignment",
    "192.0.0.8/32": "protocol-assignment",
    "192.0.0.9/32": "anycast",
    "192.0.0.10/32": "anycast",
    "192.0.0.170/32": "protocol-assignment",
    "192.0.0.171/32": "protocol-assignment",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "public",
    "192.52.193.0/24": "public",
    "192.88.99.0/24": "reserved",
    "192.88.99.2/32": "anycast",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "public",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "240.0.0.0/4": "reserved",
    "255.255.255.255/32": "limited-broadcast",
    "::1/128": "loopback",
    "::/128": "unspecified",
    "::ffff:0:0/96": "ipv4-mapped",
    "64:ff9b::/96": "nat64",
    "64:ff9b:1::/48": "nat64",
    "100::/64": "discard",
    "100:0:0:1::/64": "protocol-assignment",
    "2001::/23": "protocol-assignment",
    "2001::/32": "teredo",
    "2001:1::1/128": "anycast",
    "2001:1::2/128": "anycast",
    "2001:1::3/128": "anycast",
    "2001:2::/48": "benchmarking",
    "2001:3::/32": "public",
    "2001:4:112::/48": "public",
    "2001:10::/28": "reserved",
    "2001:20::/28": "orchid",
    "2001:30::/28": "public",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "public",
    "3fff::/20": "documentation",
    "5f00::/16": "segment-routing",
    "fc00::/7": "unique-local",
    "fe80::/10": "link-local",
}

# Where no special block stands: IPv4's multicast, and IANA's IPv6 address space (page of 2025-10-23).
_PLAIN_IPV4 = [(0, "public"), (0xE0000000, "multicast"), (0xF0000000, "reserved")]
_PLAIN_IPV6 = [
    (0, "ipv4-compatible"),  # ::/96, but for :: and ::1
    (1 << 32, "reserved"),
    (0x2000 << 112, "public"),  # 2000::/3, the only space that is allocated
    (0x4000 << 112, "reserved"),
    (0xFEC0 << 112, "site-local"),
    (0xFF00 << 112, "multicast"),
]


def kind_of(text: str) -> str:
    """The kind of one address, without making a record. Raises AddressError."""
    address = read_address(text)
    return kind_of_number(address.version, address.number)


def kind_of_number(version: int, number: int) -> str:
    """The kind of an address; every answer is a key of ``KINDS``."""
    starts, segments = segments_of(version)
    return segments[bisect_right(starts, number) - 1].kind


@cache
def segments_of(version: int) -> tuple[list[int], list[Segment]]:
    """The whole address space of a family as runs of one kind and one block: their starts, and what they are."""
    plain = _PLAIN_IPV4 if version == 4 else _PLAIN_IPV6
    owners = cuts(version)
    starts = sorted({start for start, _ in owners} | {start for start, _ in plain})
    found: list[Segment] = []
    kept: list[int] = []
    for start in starts:
        if start >> BITS[version]:
            continue
        block = owners[bisect_right(owners, start, key=_first) - 1][1]
        kind = plain[bisect_right(plain, start, key=_first) - 1][1] if block is None else BLOCK_KINDS[block]
        if not found or found[-1] != (kind, block):
            kept.append(start)
            found.append(Segment(kind, block))
    return kept, found


def _first(pair: tuple[int, object]) -> int:
    return pair[0]


def globally_reachable(version: int, number: int) -> Property:
    """IANA's answer where a special block stands: True, False, "n/a" or None for a blank.

    Elsewhere: True for IPv4 unicast and for 2000::/3, False for IPv6 space that the IETF reserves; a multicast group
    answers by its scope.
    """
    block = covering(version, number)
    if block is not None:
        return block.globally_reachable
    kind = kind_of_number(version, number)
    if kind != "multicast":
        return kind == "public"
    if version == 6:
        return number >> 112 & 0xF == 0xE  # RFC 7346: global scope
    return not (number >> 8 == 0xE00000 or number >> 24 == 239)  # RFC 5771 section 4, RFC 2365
