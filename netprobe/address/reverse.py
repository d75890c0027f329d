"""Names of the reverse tree pasted in place of an address: ``5.1.20.172.in-addr.arpa`` and ``….ip6.arpa``."""

from __future__ import annotations

from netprobe.address.reader import Address, read_address
from netprobe.errors import AddressError

__all__ = ["read_reverse_name"]


def read_reverse_name(text: str) -> Address:
    """The address behind a whole PTR name (RFC 1035 section 3.5, RFC 3596 section 2.5). Raises AddressError."""
    name = text.lower().removesuffix(".")
    if name.endswith(".in-addr.arpa"):
        octets = name.removesuffix(".in-addr.arpa").split(".")
        if len(octets) != 4:
            raise AddressError(text, f"{len(octets)} of 4 octets before .in-addr.arpa", "a zone, not an address")
        return _checked(".".join(reversed(octets)), text)
    if name.endswith(".ip6.arpa"):
        digits = name.removesuffix(".ip6.arpa").split(".")
        if len(digits) != 32 or any(len(d) != 1 for d in digits):
            raise AddressError(text, "an ip6.arpa name has 32 single digits", "a zone, not an address")
        joined = "".join(reversed(digits))
        return _checked(":".join(joined[i : i + 4] for i in range(0, 32, 4)), text)
    raise AddressError(text, "a name, and netprobe looks up no names")


def _checked(address: str, text: str) -> Address:
    try:
        return read_address(address)
    except AddressError as error:
        raise AddressError(text, f"{error.why} in {address}") from None
