"""IPv4 addresses embedded in IPv6 addresses: every form, and at which bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netprobe.address.ip import address_text, net_mask
from netprobe.address.reader import read_subject
from netprobe.errors import AddressError

__all__ = ["NAT64_LENGTHS", "Carried", "Nat64Prefix", "carried_by", "read_nat64_prefix"]

NAT64_LENGTHS = (32, 40, 48, 56, 64, 96)  # RFC 6052 section 2.2

_LOW32 = 0xFFFFFFFF


class Carried(NamedTuple):
    """An IPv4 address as a number, embedded in an IPv6 address: the form, and the RFC that defines it."""

    form: str
    number: int
    rfc: str


class Nat64Prefix(NamedTuple):
    """A network's own translation prefix (RFC 6052 section 2.2): its first number and length."""

    number: int
    length: int

    def holds(self, number: int) -> bool:
        """Does an IPv6 address start with this prefix?"""
        return number & net_mask(6, self.length) == self.number

    def __str__(self) -> str:
        return f"{address_text(6, self.number)}/{self.length}"


_WELL_KNOWN = Nat64Prefix(0x64FF9B << 96, 96)
_LOCAL_USE = Nat64Prefix(0x64FF9B0001 << 80, 48)


def read_nat64_prefix(text: str) -> Nat64Prefix:
    """A prefix of 32, 40, 48, 56, 64 or 96 bits, host bits zero. Raises AddressError."""
    subject = read_subject(text)
    prefix, number = subject.prefix, subject.address.number
    if subject.address.version != 6 or prefix not in NAT64_LENGTHS:
        lengths = ", ".join(f"/{length}" for length in NAT64_LENGTHS)
        raise AddressError(text, "not a NAT64 prefix", f"an IPv6 prefix of {lengths} (RFC 6052 section 2.2)")
    if number & ~net_mask(6, prefix):
        raise AddressError(text, "host bits are set", f"write {address_text(6, number & net_mask(6, prefix))}/{prefix}")
    if prefix == 96 and number >> 56 & 0xFF:
        raise AddressError(text, "bits 64 to 71 of a NAT64 prefix are zero", "RFC 6052 section 2.2")
    return Nat64Prefix(number, prefix)


def carried_by(number: int, nat64: Iterable[Nat64Prefix] = ()) -> Iterator[Carried]:
    """Each IPv4 address inside an IPv6 address, the outermost form first."""
    own = [prefix for prefix in nat64 if prefix.holds(number)]
    if number >> 32 == 0xFFFF:
        yield Carried("ipv4-mapped", number & _LOW32, "RFC 4291 section 2.5.5.2")
    elif number >> 32 == 0 and number > 1:
        yield Carried("ipv4-compatible", number & _LOW32, "RFC 4291 section 2.5.5.1")
    elif number >> 112 == 0x2002:
        yield Carried("6to4", number >> 80 & _LOW32, "RFC 3056 section 2")
    elif number >> 96 == 0x20010000:
        yield Carried("teredo-server", number >> 64 & _LOW32, "RFC 4380 section 4")
        yield Carried("teredo-client", number & _LOW32 ^ _LOW32, "RFC 4380 section 4")
    lengths = [prefix.length for prefix in own] or list(_known_lengths(number))
    for length in lengths:
        yield Carried("nat64", _translated(number, length), "RFC 6052 section 2.2")
    if number >> 32 & 0xFDFFFFFF == 0x00005EFE and number >> 120 != 0xFF:
        yield Carried("isatap", number & _LOW32, "RFC 5214 section 6.1")


def _known_lengths(number: int) -> Iterator[int]:
    """The layout under the two prefixes that are the same everywhere.

    64:ff9b:1::/48 may be subdivided by each network (RFC 8215 section 5): an address whose last 40 bits are zero is
    read in the layout of that /48, any other as being under a /96 inside it.
    """
    if _WELL_KNOWN.holds(number):
        yield 96
    elif _LOCAL_USE.holds(number):
        yield 48 if number & 0xFF_FFFF_FFFF == 0 and number >> 56 & 0xFF == 0 else 96


def _translated(number: int, length: int) -> int:
    """The IPv4 number behind a prefix of ``length`` bits; bits 64 to 71 (the u octet) are skipped."""
    if length == 96:
        return number & _LOW32
    high = number >> 64 & ((1 << 64 - length) - 1)  # the bits before the u octet
    taken = min(64 - length, 32)
    high >>= 64 - length - taken
    rest = 32 - taken
    low = number >> (56 - rest) & ((1 << rest) - 1)
    return high << rest | low
