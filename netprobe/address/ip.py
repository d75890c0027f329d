"""Addresses as numbers: bits, masks, prefixes, and the canonical text of a number (RFC 5952)."""

from __future__ import annotations

__all__ = ["BITS", "address_text", "host_mask", "net_mask", "reverse_name"]

BITS = {4: 32, 6: 128}


def net_mask(version: int, prefix: int) -> int:
    """The mask of the first ``prefix`` bits."""
    return ((1 << prefix) - 1) << (BITS[version] - prefix)


def host_mask(version: int, prefix: int) -> int:
    """The mask of all but the first ``prefix`` bits."""
    return (1 << (BITS[version] - prefix)) - 1


def address_text(version: int, number: int) -> str:
    """The canonical text: dotted decimal, or RFC 5952 (section 4.2: the first longest run of zeros, two or more)."""
    if version == 4:
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    if number >> 32 == 0xFFFF:  # RFC 5952 section 5: a known IPv4-in-IPv6 prefix shows its dotted quad
        return f"::ffff:{address_text(4, number & 0xFFFFFFFF)}"
    groups = [f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)]
    start, length = _longest_zeros(groups)
    if length < 2:
        return ":".join(groups)
    return f"{':'.join(groups[:start])}::{':'.join(groups[start + length :])}"


def _longest_zeros(groups: list[str]) -> tuple[int, int]:
    best, run = (0, 0), 0
    for position, group in enumerate([*groups, "end"]):
        if group == "0":
            run += 1
            continue
        if run > best[1]:
            best = (position - run, run)
        run = 0
    return best


def reverse_name(version: int, number: int) -> str:
    """The name of the PTR record: RFC 1035 section 3.5, RFC 3596 section 2.5."""
    if version == 4:
        return f"{number & 255}.{number >> 8 & 255}.{number >> 16 & 255}.{number >> 24}.in-addr.arpa"
    return ".".join(reversed(f"{number:032x}")) + ".ip6.arpa"
