"""What a prefix makes of an address: its network, broadcast, hosts, and the place of the address among them."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.address.number import BITS, address_text, host_mask, net_mask

__all__ = ["Network", "comes_alone", "network_of"]


@dataclass(frozen=True, slots=True)
class Network:
    """``hosts`` counts the addresses that a host may have; ``position`` is the address' place among them, from 1.

    ``broadcast`` is None in IPv6, in a /31 (RFC 3021) and in a /32. ``position`` is None for an address that no
    host may have: the network address and the broadcast.
    """

    prefix: int
    network: str
    broadcast: str | None
    first_host: str
    last_host: str
    hosts: int
    position: int | None


def network_of(version: int, number: int, prefix: int) -> Network:
    """The network of ``prefix`` bits around an address."""
    first = number & net_mask(version, prefix)
    last = first | host_mask(version, prefix)
    broadcast = None
    low, high = first, last
    if version == 4 and prefix < 31:
        broadcast = address_text(4, last)
        low, high = first + 1, last - 1
    elif version == 6 and prefix < BITS[6] - 1:
        low = first + 1  # the first address is the subnet-router anycast address (RFC 4291 section 2.6.1)
    return Network(
        prefix=prefix,
        network=f"{address_text(version, first)}/{prefix}",
        broadcast=broadcast,
        first_host=address_text(version, low),
        last_host=address_text(version, high),
        hosts=high - low + 1,
        position=number - low + 1 if low <= number <= high else None,
    )


def comes_alone(text: str) -> bool:
    """May a prefix be given to it? A prefix, a range and a reverse name have one; a zone may be called anything."""
    text = text.strip().partition("%")[0].lower()
    return not ("/" in text or "-" in text or text.endswith(("arpa", "arpa.")))
