"""Text to address, strictly: dotted decimal of four octets (RFC 6943 section 3.1.1) or RFC 4291 section 2.2.

Also what stands in place of an address or beside it: prefixes, masks, and names of the reverse tree. Every refusal says
what is wrong with the text. How other parsers would read it is the business of netprobe/address/spellings.py.
"""

from __future__ import annotations

from typing import NamedTuple

from netprobe.address.ip import BITS, host_mask
from netprobe.errors import AddressError

__all__ = [
    "ParsedAddress",
    "Subject",
    "block_bounds",
    "is_reverse_name",
    "read_address",
    "read_prefix",
    "read_reverse_name",
    "read_subject",
    "takes_prefix",
]

_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")


class ParsedAddress(NamedTuple):
    """An address as a number: ``version`` 4 or 6, ``zone`` only with IPv6 (RFC 4007 section 11)."""

    version: int
    number: int
    zone: str | None = None


class Subject(NamedTuple):
    """What an argument names: an address, and the prefix if one was given with it."""

    text: str
    address: ParsedAddress
    prefix: int | None = None


def read_subject(text: str) -> Subject:
    """``address`` or ``address/prefix`` or ``address/netmask``. Raises AddressError with what is wrong."""
    body, slash, mask = text.partition("/")
    address = _read(body, text)
    if not slash:
        return Subject(text, address)
    return Subject(text, address, read_prefix(mask, address.version, text))


def read_address(text: str) -> ParsedAddress:
    """One address. Raises AddressError with what is wrong."""
    return _read(text, text)


def block_bounds(cidr: str) -> tuple[int, int]:
    """First and last number of a canonical ``address/prefix``."""
    subject = read_subject(cidr)
    assert subject.prefix is not None, cidr
    first = subject.address.number
    return first, first | host_mask(subject.address.version, subject.prefix)


def _read(body: str, text: str) -> ParsedAddress:
    if not body:
        raise AddressError(text or "''", "no address", "an address looks like 172.20.1.5 or 2001:db8::1")
    if body != body.strip():
        raise AddressError(text, "white space around the address")
    if ":" in body:
        return _read_ipv6(body, text)
    return ParsedAddress(4, _read_ipv4(body, text))


def _read_ipv4(body: str, text: str) -> int:
    if "%" in body:
        raise AddressError(text, "an IPv4 address has no zone", "zones (%eth0) belong to IPv6 link-local addresses")
    octets = body.split(".")
    if octets[-1] == "" and len(octets) == 5:
        raise AddressError(text, "a dot after the last octet")
    for octet in octets:
        if not octet:
            raise AddressError(text, "an octet is empty")
        if not _DIGITS.issuperset(octet):
            _refuse_letters(octets, octet, text)
    if len(octets) != 4:
        count = {1: "only one octet", 2: "only two octets", 3: "only three octets"}.get(len(octets))
        raise AddressError(text, count or f"{len(octets)} octets", "an IPv4 address has four octets")
    number = 0
    for octet in octets:
        if len(octet) > 1 and octet[0] == "0":
            raise AddressError(text, f"octet {octet} has a leading zero")
        if len(octet) > 3 or int(octet) > 255:
            raise AddressError(text, f"octet {octet} is out of range", "an octet is 0 to 255")
        number = number << 8 | int(octet)
    return number


def _refuse_letters(octets: list[str], octet: str, text: str) -> None:
    if octet[:2] in ("0x", "0X") and _HEX.issuperset(octet[2:]):
        raise AddressError(text, f"octet {octet} is hexadecimal", "write the octets in decimal")
    if any(c.isdigit() and c not in _DIGITS for c in octet):
        raise AddressError(text, f"octet {octet} has digits that are not ASCII")
    if len(octets) > 1 and octets[0].isdigit():
        raise AddressError(text, f"octet {octet} is not a number")
    raise AddressError(text, "not an address", "netprobe does not look up names; an address looks like 172.20.1.5")


def _read_ipv6(body: str, text: str) -> ParsedAddress:
    if body.startswith("["):
        inside, _, rest = body[1:].partition("]")
        why = "host:port is not an address" if rest.startswith(":") else "brackets belong to URLs"
        raise AddressError(text, why, f"write only {inside}" if inside else None)
    if "." in body and body.count(":") == 1:
        host = body.partition(":")[0]
        raise AddressError(text, "host:port is not an address", f"leave out the port: {host}")
    body, percent, zone = body.partition("%")
    if percent and (not zone or not zone.isprintable() or any(c in " %/" for c in zone)):
        raise AddressError(text, "the zone after % is empty or not a name")
    return ParsedAddress(6, _read_groups(body, text), zone or None)


def _read_groups(body: str, text: str) -> int:
    """RFC 4291 section 2.2: eight groups, one ``::``, the last two perhaps as a dotted quad."""
    tail: list[int] = []
    if "." in body:
        body, _, quad = body.rpartition(":")
        number = _read_ipv4(quad, text)
        tail = [number >> 16, number & 0xFFFF]
        body += ":" if body.endswith(":") else ""
        if not body:
            raise AddressError(text, "an IPv6 address cannot start with a single colon")
    halves = body.split("::")
    if len(halves) > 2 or ":::" in body:
        raise AddressError(text, "'::' occurs twice", "'::' may stand for only one run of zero groups")
    head = _groups(halves[0], text)
    back = (_groups(halves[1], text) if len(halves) == 2 else []) + tail
    if len(halves) == 1:
        head, back = head + back, []
    count = len(head) + len(back)
    if len(halves) == 1 and count != 8:
        raise AddressError(text, f"{count} groups instead of 8", "'::' stands for a run of zero groups")
    if len(halves) == 2 and count > 7:
        raise AddressError(text, f"'::' stands for no group: there are {count} without it")
    groups = head + [0] * (8 - count) + back
    number = 0
    for group in groups:
        number = number << 16 | group
    return number


def _groups(part: str, text: str) -> list[int]:
    if not part:
        return []
    found = []
    for group in part.split(":"):
        if not group:
            raise AddressError(text, "a single colon at the start or end", "'::' stands for a run of zero groups")
        if not _HEX.issuperset(group):
            raise AddressError(text, f"group {group} is not hexadecimal")
        if len(group) > 4:
            raise AddressError(text, f"group {group} has more than four digits")
        found.append(int(group, 16))
    return found


def read_prefix(mask: str, version: int, text: str) -> int:
    """The bits of a prefix, a netmask or a wildcard mask after the slash in ``text``. Raises AddressError."""
    if mask and _DIGITS.issuperset(mask):
        if len(mask) > 1 and mask[0] == "0":
            raise AddressError(text, f"prefix {mask} has a leading zero")
        if len(mask) > 3 or int(mask) > BITS[version]:
            raise AddressError(
                text, f"prefix {mask} is out of range", f"IPv{version} prefixes are 0 to {BITS[version]}"
            )
        return int(mask)
    if version == 4 and "." in mask:
        return _mask_to_prefix(_read_ipv4(mask, text), mask, text)
    raise AddressError(text, f"prefix {mask or 'after /'} is not a number")


def _mask_to_prefix(number: int, mask: str, text: str) -> int:
    """A netmask (255.255.0.0) or a wildcard mask (0.0.255.255): ones and zeros each in one run."""
    for candidate in (number, number ^ 0xFFFFFFFF):
        inverted = candidate ^ 0xFFFFFFFF
        if inverted & (inverted + 1) == 0:
            return 32 - inverted.bit_length()
    raise AddressError(text, f"mask {mask} is not contiguous", "a netmask is ones followed by zeros")


def is_reverse_name(text: str) -> bool:
    """Is ``text`` (or is it meant to be) a name of the reverse tree?"""
    return text[-6:].lower().endswith((".arpa", ".arpa."))


def read_reverse_name(text: str) -> ParsedAddress:
    """The address behind a whole PTR name (RFC 1035 section 3.5, RFC 3596 section 2.5). Raises AddressError."""
    name = text.lower().removesuffix(".")
    if name.endswith(".in-addr.arpa"):
        octets = name.removesuffix(".in-addr.arpa").split(".")
        if len(octets) != 4:
            raise AddressError(text, f"{len(octets)} of 4 octets before .in-addr.arpa", "a zone, not an address")
        return _read_reversed(".".join(reversed(octets)), text)
    if name.endswith(".ip6.arpa"):
        digits = name.removesuffix(".ip6.arpa").split(".")
        if len(digits) != 32 or any(len(d) != 1 for d in digits):
            raise AddressError(text, "an ip6.arpa name has 32 single digits", "a zone, not an address")
        joined = "".join(reversed(digits))
        return _read_reversed(":".join(joined[i : i + 4] for i in range(0, 32, 4)), text)
    raise AddressError(text, "a name, and netprobe does not look up names")


def _read_reversed(address: str, text: str) -> ParsedAddress:
    try:
        return read_address(address)
    except AddressError as error:
        raise AddressError(text, f"{error.why} in {address}") from None


def takes_prefix(text: str) -> bool:
    """Does a prefix given beside ``text`` apply to it? Not where it holds one, nor to a range or a reverse name."""
    text = text.strip().partition("%")[0]  # a zone may have any name
    return not ("/" in text or "-" in text or is_reverse_name(text))
