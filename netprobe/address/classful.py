"""An IPv4 address as the classful Internet saw it: its class, and the role its network and host numbers give it.

Classes A to E are the leading bits of an address (RFC 791 section 3.2, RFC 1112). Routing has not looked at them since
RFC 1519 (1993), but they still decide the natural network of an address written without a prefix, and RFC 1122 section
3.2.1.3 defines the roles by them. The roles are given in its notation: -1 is a field of all ones, 0 one of all zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.address.ip import address_text, host_mask, net_mask

__all__ = ["CLASSES", "AddressClass", "Role", "class_of", "roles_of"]

# letter, leading bits, natural prefix
CLASSES = (("A", "0", 8), ("B", "10", 16), ("C", "110", 24), ("D", "1110", None), ("E", "1111", None))


@dataclass(frozen=True, slots=True)
class AddressClass:
    """The class of an address: ``network`` and ``host`` are its two numbers, both None in D and E."""

    letter: str
    leading_bits: str
    natural_prefix: int | None
    network: str | None
    host: int | None


def class_of(number: int) -> AddressClass:
    """The class of an IPv4 address."""
    for letter, bits, prefix in CLASSES:
        if number >> (32 - len(bits)) == int(bits, 2):
            if prefix is None:
                return AddressClass(letter, bits, None, None, None)
            network = address_text(4, number & net_mask(4, prefix))
            return AddressClass(letter, bits, prefix, network, number & host_mask(4, prefix))
    raise AssertionError("the five patterns of leading bits cover every number")


@dataclass(frozen=True, slots=True)
class Role:
    """A role: may an address in it be a packet's source, its destination? ``obsolete`` names the RFC that ended it."""

    notation: str
    name: str
    source: bool
    destination: bool
    rfc: str
    obsolete: str | None = None


THIS_HOST = Role("{0,0}", "this host on this network", True, False, "RFC 1122 section 3.2.1.3")
HOST_HERE = Role("{0,host}", "a host on this network", True, False, "RFC 1122 section 3.2.1.3")
LIMITED = Role("{-1,-1}", "limited broadcast", False, True, "RFC 919 section 7")
LOOPBACK = Role("{127,any}", "loopback, never outside a host", False, False, "RFC 1122 section 3.2.1.3")
# Directed broadcasts are still defined, but routers no longer forward them unless configured to.
OFF_BY_DEFAULT = "RFC 2644: routers drop it by default"
NET_BROADCAST = Role("{net,-1}", "broadcast of the network", False, True, "RFC 1122 section 3.2.1.3", OFF_BY_DEFAULT)
SUBNET_BROADCAST = Role(
    "{net,subnet,-1}", "broadcast of the subnet", False, True, "RFC 1122 section 3.2.1.3", OFF_BY_DEFAULT
)
ALL_SUBNETS = Role(
    "{net,-1,-1}", "broadcast of all subnets", False, True, "RFC 1122 section 3.2.1.3", "RFC 1812 section 5.3.5.3"
)
NET_ADDRESS = Role("{net,0}", "the network itself", False, False, "RFC 1812 section 4.2.3.1")
SUBNET_ADDRESS = Role("{net,subnet,0}", "the subnet itself", False, False, "RFC 1812 section 4.2.3.1")
MULTICAST = Role("{group}", "a multicast group", False, True, "RFC 1122 section 3.2.1.3")
RESERVED = Role("{reserved}", "class E, not in use", False, False, "RFC 1112 section 4")
HOST = Role("{net,host}", "a host", True, True, "RFC 1122 section 3.2.1.3")
SUBNET_HOST = Role("{net,subnet,host}", "a host of the subnet", True, True, "RFC 1122 section 3.2.1.3")


def roles_of(number: int, prefix: int | None = None) -> tuple[Role, ...]:
    """All roles of an IPv4 address, the one that decides first; with a prefix those of its subnet too."""
    if number == 0:
        return (THIS_HOST,)
    if number >> 24 == 0:
        return (HOST_HERE,)
    if number == 0xFFFFFFFF:
        return (LIMITED,)
    if number >> 24 == 127:
        return (LOOPBACK,)
    natural = class_of(number).natural_prefix
    if natural is None:
        return (MULTICAST if number >> 28 == 0xE else RESERVED,)
    if prefix is None or prefix == natural:
        return (_plain(number, natural, NET_ADDRESS, NET_BROADCAST, HOST),)
    if prefix < natural:  # a supernet (RFC 4632): the class no longer matters
        return (_plain(number, prefix, NET_ADDRESS, NET_BROADCAST, HOST),)
    decides = _plain(number, prefix, SUBNET_ADDRESS, SUBNET_BROADCAST, SUBNET_HOST)
    host = number & host_mask(4, natural)
    if host == host_mask(4, natural) and decides is SUBNET_BROADCAST:
        return (decides, ALL_SUBNETS)
    if host == 0 and decides is SUBNET_ADDRESS:
        return (decides, NET_ADDRESS)
    return (decides,)


def _plain(number: int, prefix: int, zeros: Role, ones: Role, host: Role) -> Role:
    """By the host field below ``prefix``; a /31 (RFC 3021) and a /32 have hosts only."""
    mask = host_mask(4, prefix)
    if prefix >= 31:
        return host
    if number & mask == 0:
        return zeros
    return ones if number & mask == mask else host
