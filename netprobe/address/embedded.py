"""IPv4 addresses that travel inside IPv6 addresses: where they stand, and how they are written there."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["embedded_ipv4"]


def embedded_ipv4(number: int) -> Iterator[tuple[str, int]]:
    """(form, IPv4 number) for each IPv4 address inside an IPv6 address."""
    if number >> 32 == 0xFFFF:
        yield "ipv4-mapped", number & 0xFFFFFFFF  # RFC 4291 section 2.5.5.2
    elif number >> 32 == 0 and number > 1:
        yield "ipv4-compatible", number & 0xFFFFFFFF  # RFC 4291 section 2.5.5.1, deprecated
    elif number >> 32 == 0x64FF9B << 64:
        yield "nat64", number & 0xFFFFFFFF  # RFC 6052 section 2.1: the well-known prefix, 64:ff9b::/96
    elif number >> 112 == 0x2002:
        yield "6to4", number >> 80 & 0xFFFFFFFF  # RFC 3056 section 2
    elif number >> 96 == 0x20010000:
        yield "teredo-server", number >> 64 & 0xFFFFFFFF  # RFC 4380 section 4
        yield "teredo-client", number & 0xFFFFFFFF ^ 0xFFFFFFFF
    if number >> 32 & 0xFDFFFFFF == 0x00005EFE:
        yield "isatap", number & 0xFFFFFFFF  # RFC 5214 section 6.1: interface identifier ::0[2]00:5efe:a.b.c.d
