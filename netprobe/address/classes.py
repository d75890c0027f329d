"""Classes A to E: the leading bits of an IPv4 address and what they once said (RFC 791 section 3.2, RFC 1112)."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.address.number import address_text, host_mask, net_mask
from netprobe.address.record import Record

__all__ = ["CLASSES", "AddressClass", "class_of"]

# letter, leading bits, natural prefix
CLASSES = (("A", "0", 8), ("B", "10", 16), ("C", "110", 24), ("D", "1110", None), ("E", "1111", None))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AddressClass(Record):
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
