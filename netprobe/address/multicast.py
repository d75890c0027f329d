"""Multicast groups: IANA's blocks, scopes and flags, and what a group address is made from."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from netprobe.address.ip import address_text, net_mask

__all__ = ["IPV4_BLOCKS", "IPV6_FLAGS", "IPV6_SCOPES", "Multicast", "multicast_of"]

# The headings of IANA's IPv4 Multicast Address Space Registry, page of 2026-06-26, tiled over 224.0.0.0/4.
IPV4_BLOCKS: tuple[tuple[str, str, str, str], ...] = (
    ("224.0.0.0", "224.0.0.255", "Local Network Control Block", "RFC 5771"),
    ("224.0.1.0", "224.0.1.255", "Internetwork Control Block", "RFC 5771"),
    ("224.0.2.0", "224.0.255.255", "AD-HOC Block I", "RFC 5771"),
    ("224.1.0.0", "224.1.255.255", "RESERVED", "RFC 5771"),
    ("224.2.0.0", "224.2.255.255", "SDP/SAP Block", "RFC 5771"),
    ("224.3.0.0", "224.4.255.255", "AD-HOC Block II", "RFC 5771"),
    ("224.5.0.0", "224.251.255.255", "RESERVED", "RFC 5771"),
    ("224.252.0.0", "224.255.255.255", "DIS Transient Groups", "RFC 2365"),
    ("225.0.0.0", "231.255.255.255", "RESERVED", "RFC 5771"),
    ("232.0.0.0", "232.255.255.255", "Source-Specific Multicast Block", "RFC 4607"),
    ("233.0.0.0", "233.251.255.255", "GLOP Block", "RFC 3180"),
    ("233.252.0.0", "233.255.255.255", "AD-HOC Block III", "RFC 5771"),
    ("234.0.0.0", "234.255.255.255", "Unicast-Prefix-based IPv4 Multicast Addresses", "RFC 6034"),
    ("235.0.0.0", "238.255.255.255", "Reserved", "RFC 5771"),
    ("239.0.0.0", "239.255.255.255", "Organization-Local Scope (administratively scoped)", "RFC 2365"),
)

# IANA's IPv6 Multicast Address Scopes, page of 2026-04-07 (RFC 4291, RFC 7346).
IPV6_SCOPES: tuple[str, ...] = (
    "Reserved",
    "Interface-Local scope",
    "Link-Local scope",
    "Realm-Local scope",
    "Admin-Local scope",
    "Site-Local scope",
    "Unassigned",
    "Unassigned",
    "Organization-Local scope",
    "Unassigned",
    "Unassigned",
    "Unassigned",
    "Unassigned",
    "Unassigned",
    "Global scope",
    "Reserved",
)

# The four flags after ff, high bit first (RFC 4291 section 2.7, RFC 3306, RFC 3956, RFC 7371).
IPV6_FLAGS: tuple[tuple[int, str], ...] = (
    (8, "X"),
    (4, "R: a rendezvous point is embedded"),
    (2, "P: made from a unicast prefix"),
    (1, "T: transient"),
)


@dataclass(frozen=True, slots=True)
class Multicast:
    """What a group address encodes. ``scope`` is IANA's word, ``asn`` an AS number, ``mac`` the Ethernet group address.

    ``unicast_prefix`` is what the group was made from (RFC 3306, RFC 6034), ``rendezvous_point`` RFC 3956's,
    ``solicited`` the suffix of the unicast addresses behind a solicited-node group (RFC 4291 section 2.7.1).
    """

    block: str
    rfc: str
    scope: str
    global_scope: bool
    flags: tuple[str, ...]
    mac: str
    asn: int | None
    unicast_prefix: str | None
    rendezvous_point: str | None
    solicited: str | None


def multicast_of(version: int, number: int) -> Multicast | None:
    """The facts of a group address; None for unicast."""
    if version == 4:
        return _ipv4(number) if number >> 28 == 0xE else None
    return _ipv6(number) if number >> 120 == 0xFF else None


def _number(dotted: str) -> int:
    return int.from_bytes(bytes(map(int, dotted.split("."))))


_STARTS = [_number(first) for first, _, _, _ in IPV4_BLOCKS]


def _ipv4(number: int) -> Multicast:
    first, _, name, rfc = IPV4_BLOCKS[bisect_right(_STARTS, number) - 1]
    octet = number >> 24
    scope = "Link-Local scope" if first == "224.0.0.0" else "Global scope"  # RFC 5771 section 4: never forwarded
    if octet == 239:
        scope = _administrative_scope(number)
    return Multicast(
        block=name,
        rfc=rfc,
        scope=scope,
        global_scope=scope == "Global scope",
        flags=(),
        mac=(0x01005E << 24 | number & 0x7FFFFF).to_bytes(6).hex(":"),  # RFC 1112 section 6.4
        asn=number >> 8 & 0xFFFF if name == "GLOP Block" else None,  # RFC 3180 section 2
        unicast_prefix=f"{address_text(4, number << 8 & 0xFFFFFF00)}/24" if octet == 234 else None,  # RFC 6034
        rendezvous_point=None,
        solicited=None,
    )


def _administrative_scope(number: int) -> str:
    """RFC 2365 section 6: 239.255.0.0/16 is local, 239.192.0.0/14 the organization's."""
    if number >> 16 == 0xEFFF:
        return "Realm-Local scope"  # RFC 2365's IPv4 Local Scope is RFC 7346's scope 3
    return "Organization-Local scope" if number >> 18 == 0xEFC0 >> 2 else "Admin-Local scope"


def _ipv6(number: int) -> Multicast:
    flags = number >> 116 & 0xF
    scope = IPV6_SCOPES[number >> 112 & 0xF]
    solicited = number >> 24 == 0xFF02_0000_0000_0000_0000_0001_FF  # RFC 4291 section 2.7.1
    return Multicast(
        block="Solicited-Node" if solicited else ("Transient" if flags & 1 else "Well-Known"),
        rfc="RFC 4291 section 2.7",
        scope=scope,
        global_scope=scope == "Global scope",
        flags=tuple(word for bit, word in IPV6_FLAGS if flags & bit),
        mac=(0x3333 << 32 | number & 0xFFFFFFFF).to_bytes(6).hex(":"),  # RFC 2464 section 7
        asn=None,
        unicast_prefix=_unicast_prefix(number) if flags & 2 else None,
        rendezvous_point=_rendezvous_point(number) if flags & 0b110 == 0b110 else None,
        solicited=f"{number >> 16 & 0xFF:02x}:{number & 0xFFFF:04x}" if solicited else None,
    )


def _unicast_prefix(number: int) -> str | None:
    """RFC 3306 section 4: length in bits 24 to 31, 64 bits of prefix behind it; length 0 is source-specific."""
    length = number >> 96 & 0xFF
    if not 0 < length <= 64:
        return None
    return f"{address_text(6, (number >> 32 & 0xFFFF_FFFF_FFFF_FFFF) << 64 & net_mask(6, length))}/{length}"


def _rendezvous_point(number: int) -> str | None:
    """RFC 3956 section 3: the prefix, and RIID (4 bits) as the last bits of its interface identifier."""
    length = number >> 96 & 0xFF
    interface = number >> 104 & 0xF
    if not 0 < length <= 64 or not interface:
        return None
    prefix = (number >> 32 & 0xFFFF_FFFF_FFFF_FFFF) << 64 & net_mask(6, length)
    return address_text(6, prefix | interface)
