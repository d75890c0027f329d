"""An IP address with its zone: what is bound, and what is connected to. Pure.

:mod:`ipaddress` has zones for IPv6 since Python 3.9, inside the address. Here they are kept beside it: whether
an address is in a subnet, or a host has it, must not depend on a zone, which means something on one host only.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from netprobe.errors import AddressError

__all__ = ["ScopedAddress"]

MOST_ZONE = 64  # characters; Linux has 15 (IFNAMSIZ)


@dataclass(frozen=True, slots=True)
class ScopedAddress:
    """An address to bind or to connect to; ``zone`` is an interface's name (RFC 4007)."""

    ip: IPv4Address | IPv6Address
    zone: str | None = None

    @classmethod
    def parse(cls, text: str) -> ScopedAddress:
        """Read ``192.0.2.1``, ``fe80::1%eth0`` or ``[::1]``; anything else is an :class:`AddressError`."""
        bare = text.strip()
        if bare.startswith("[") and bare.endswith("]"):
            bare = bare[1:-1]
        bare, percent, zone = bare.partition("%")
        try:
            ip = ip_address(bare)
        except ValueError:
            raise AddressError(text, "not an IP address", f"see: netprobe classify '{text}'") from None
        if percent and (ip.version == 4 or not zone):
            raise AddressError(text, "an IPv4 address has no zone" if ip.version == 4 else "the zone is empty")
        if len(zone) > MOST_ZONE:
            raise AddressError(f"{text[:MOST_ZONE]}…", "the zone is longer than any interface's name")
        return cls(ip, zone or None)

    def __str__(self) -> str:
        return f"{self.text}%{self.zone}" if self.zone else self.text

    @property
    def text(self) -> str:
        """The address without its zone; v4-mapped as ``::ffff:192.0.2.1`` (RFC 5952 section 5)."""
        mapped = self.mapped
        return f"::ffff:{mapped}" if mapped else str(self.ip)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.ip.version

    @property
    def mapped(self) -> IPv4Address | None:
        """The IPv4 address inside ``::ffff:0:0/96`` (RFC 4291 section 2.5.5.2)."""
        return self.ip.ipv4_mapped if isinstance(self.ip, IPv6Address) else None

    @property
    def is_wildcard(self) -> bool:
        """0.0.0.0 or ``::``."""
        return self.ip.is_unspecified

    @property
    def is_loopback(self) -> bool:
        """127.0.0.0/8, ::1, and the mapped ones."""
        return (self.mapped or self.ip).is_loopback

    @property
    def is_link_local_6(self) -> bool:
        """fe80::/10: without a zone it means nothing."""
        return self.ip.version == 6 and self.ip.is_link_local

    @property
    def is_group(self) -> bool:
        """Multicast or 255.255.255.255."""
        return self.ip.is_multicast or self.text == "255.255.255.255"
