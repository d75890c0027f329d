"""IANA's Internet Protocol Version 6 Address Space: the allocations around the special blocks."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from netprobe.address.reader import block_bounds

__all__ = ["IPV6_SPACE", "PAGE_DATE", "Space", "space_of"]

PAGE_DATE = "2025-10-23"


@dataclass(frozen=True, slots=True)
class Space:
    """One row of the page: an allocation of IPv6 space."""

    cidr: str
    name: str
    rfc: tuple[str, ...]


IPV6_SPACE: tuple[Space, ...] = (
    Space("::/8", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("100::/8", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("200::/7", "Reserved by IETF", ("RFC 4048",)),
    Space("400::/6", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("800::/5", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("1000::/4", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("2000::/3", "Global Unicast", ("RFC 3513", "RFC 4291")),
    Space("4000::/3", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("6000::/3", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("8000::/3", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("a000::/3", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("c000::/3", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("e000::/4", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("f000::/5", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("f800::/6", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("fc00::/7", "Unique Local Unicast", ("RFC 4193",)),
    Space("fe00::/9", "Reserved by IETF", ("RFC 3513", "RFC 4291")),
    Space("fe80::/10", "Link-Scoped Unicast", ("RFC 3513", "RFC 4291")),
    Space("fec0::/10", "Reserved by IETF", ("RFC 3879",)),
    Space("ff00::/8", "Multicast", ("RFC 3513", "RFC 4291")),
)

_STARTS = [block_bounds(space.cidr)[0] for space in IPV6_SPACE]


def space_of(number: int) -> Space:
    """The allocation around an IPv6 address; the rows cover all of it."""
    return IPV6_SPACE[bisect_right(_STARTS, number) - 1]
