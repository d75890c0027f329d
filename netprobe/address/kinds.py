"""``kind``: one word that says what an address is for, from one closed list.

The word comes from the most specific special block, else from the multicast or the plain unicast space around it.
"""

from __future__ import annotations

from netprobe.address.registry import SpecialBlock, covering

__all__ = ["KINDS", "kind_of_number"]

KINDS: dict[str, str] = {
    "public": "unicast that the whole Internet may reach",
    "private": "for use inside a network, may occur many times (RFC 1918)",
    "shared": "between a provider and its customers, carrier-grade NAT (RFC 6598)",
    "unique-local": "IPv6's private addresses (RFC 4193)",
    "loopback": "this host itself, never on a wire (RFC 1122, RFC 4291)",
    "link-local": "one link, never forwarded (RFC 3927, RFC 4291)",
    "site-local": "IPv6's former private addresses, deprecated (RFC 3879)",
    "unspecified": "no address yet; as a bind address: all of this host's (RFC 1122, RFC 4291)",
    "this-network": "a host on this network, as a source only (RFC 791, RFC 1122)",
    "limited-broadcast": "every host on this link (RFC 919)",
    "multicast": "a group of hosts (RFC 1112, RFC 4291)",
    "documentation": "for examples in texts (RFC 5737, RFC 3849, RFC 9637)",
    "benchmarking": "for tests of network devices (RFC 2544, RFC 5180)",
    "protocol-assignment": "set aside for one protocol of the IETF (RFC 6890, RFC 2928)",
    "anycast": "a service at the nearest of many places (RFC 7723, RFC 8155)",
    "ipv4-mapped": "an IPv4 address in the form of IPv6, inside a host only (RFC 4291)",
    "ipv4-compatible": "an IPv4 address behind 96 zero bits, deprecated (RFC 4291)",
    "nat64": "an IPv4 address behind a translator (RFC 6052, RFC 8215)",
    "6to4": "a network behind an IPv4 address, by tunnel (RFC 3056)",
    "teredo": "a host behind a NAT, by tunnel (RFC 4380)",
    "orchid": "a cryptographic identifier, not a place (RFC 7343)",
    "segment-routing": "a segment identifier (RFC 9602)",
    "discard": "traffic to it is dropped (RFC 6666)",
    "reserved": "kept by the IETF, not in use",
}

_BLOCK_KINDS = {
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


def kind_of_number(version: int, number: int) -> str:
    """The kind of an address; every answer is a key of ``KINDS``."""
    block = covering(version, number)
    if block is not None:
        return _BLOCK_KINDS[block.cidr]
    if version == 4:
        return "multicast" if number >> 28 == 0xE else "public"
    return _plain_ipv6(number)


def _plain_ipv6(number: int) -> str:
    """IANA's IPv6 address space where no special block stands (page of 2025-10-23)."""
    if number >> 120 == 0xFF:
        return "multicast"
    if number >> 125 == 0b001:  # 2000::/3, the only space that is allocated
        return "public"
    if number >> 118 == 0xFEC0 >> 6:
        return "site-local"
    if number >> 32 == 0:  # ::/96 but for :: and ::1
        return "ipv4-compatible"
    return "reserved"


def globally_reachable(version: int, number: int, block: SpecialBlock | None) -> bool | str | None:
    """IANA's answer, or what follows where no special block stands: multicast answers by its scope."""
    if block is not None:
        return block.globally_reachable
    kind = kind_of_number(version, number)
    if kind != "multicast":
        return kind == "public"
    if version == 6:
        return number >> 112 & 0xF == 0xE  # RFC 7346: global scope
    return not (number >> 8 == 0xE00000 or number >> 24 == 239)  # RFC 5771 section 4, RFC 2365
