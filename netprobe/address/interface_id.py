"""The lower half of an IPv6 unicast address, where it shows how it was made: EUI-64, Teredo, ULA."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.address.ip import address_text

__all__ = ["Teredo", "UniqueLocal", "mac_of", "solicited_node", "teredo_of", "unique_local_of"]

_LOW32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Teredo:
    """RFC 4380 section 4: the server, and the client as seen from outside its NAT. ``port`` 0 to 65535."""

    server: str
    client: str
    port: int
    flags: int
    cone: bool


@dataclass(frozen=True, slots=True)
class UniqueLocal:
    """RFC 4193 section 3.1: ``global_id`` 40 bits and ``subnet_id`` 16 bits in hex; ``local`` is the L bit."""

    global_id: str
    subnet_id: str
    local: bool


def mac_of(number: int) -> str | None:
    """The MAC inside a modified EUI-64 (RFC 4291 appendix A): ff:fe in the middle, the u bit inverted."""
    low = number & 0xFFFF_FFFF_FFFF_FFFF
    if low >> 24 & 0xFFFF != 0xFFFE or number >> 120 == 0xFF or number >> 125 == 0 or number >> 96 == 0x20010000:
        return None
    octets = ((low >> 40) << 24 | low & 0xFFFFFF) ^ 0x02_00_00_00_00_00
    return octets.to_bytes(6).hex(":")


def teredo_of(number: int) -> Teredo | None:
    """The parts of a Teredo address; None for any other."""
    if number >> 96 != 0x20010000:
        return None
    flags = number >> 48 & 0xFFFF
    return Teredo(
        server=address_text(4, number >> 64 & _LOW32),
        client=address_text(4, number & _LOW32 ^ _LOW32),
        port=number >> 32 & 0xFFFF ^ 0xFFFF,
        flags=flags,
        cone=bool(flags & 0x8000),
    )


def unique_local_of(number: int) -> UniqueLocal | None:
    """The parts of a unique local address; None for any other."""
    if number >> 121 != 0xFC >> 1:
        return None
    return UniqueLocal(f"{number >> 80 & 0xFF_FFFF_FFFF:010x}", f"{number >> 64 & 0xFFFF:04x}", bool(number >> 120 & 1))


def solicited_node(number: int) -> str:
    """The solicited-node multicast address of a unicast address (RFC 4291 section 2.7.1)."""
    return address_text(6, 0xFF02_0000_0000_0000_0000_0001_FF00_0000 | number & 0xFFFFFF)
