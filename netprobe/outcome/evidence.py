"""What was observed of a probe: ICMP errors in words, and everything that the table of failures looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netprobe.kernel.error_queue import QueuedError

__all__ = [
    "DESTINATION",
    "HOST_UNREACHABLE",
    "ICMP_WORDS",
    "NEIGHBOUR_MS",
    "NET_UNREACHABLE",
    "OWN",
    "PORT_UNREACHABLE",
    "PROHIBITED",
    "PROTOCOL_UNREACHABLE",
    "REPLY",
    "TTL_EXCEEDED",
    "Evidence",
    "Icmp",
    "is_group",
    "is_link_local",
]

# RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1 (ICMP); RFC 4443 section 3 (ICMPv6).
ICMP_WORDS: Mapping[tuple[str, int, int], str] = {
    ("icmp", 3, 0): "network unreachable",
    ("icmp", 3, 1): "host unreachable",
    ("icmp", 3, 2): "protocol unreachable",
    ("icmp", 3, 3): "port unreachable",
    ("icmp", 3, 4): "fragmentation needed",
    ("icmp", 3, 5): "source route failed",
    ("icmp", 3, 6): "destination network unknown",
    ("icmp", 3, 7): "destination host unknown",
    ("icmp", 3, 8): "source host isolated",
    ("icmp", 3, 9): "network administratively prohibited",
    ("icmp", 3, 10): "host administratively prohibited",
    ("icmp", 3, 11): "network unreachable for this type of service",
    ("icmp", 3, 12): "host unreachable for this type of service",
    ("icmp", 3, 13): "administratively prohibited",
    ("icmp", 3, 14): "host precedence violation",
    ("icmp", 3, 15): "precedence cut-off",
    ("icmp", 11, 0): "time to live exceeded",
    ("icmp", 12, 0): "parameter problem",
    ("icmp6", 1, 0): "no route to destination",
    ("icmp6", 1, 1): "administratively prohibited",
    ("icmp6", 1, 2): "beyond the scope of the source address",
    ("icmp6", 1, 3): "address unreachable",
    ("icmp6", 1, 4): "port unreachable",
    ("icmp6", 1, 5): "source address failed policy",
    ("icmp6", 1, 6): "reject route to destination",
    ("icmp6", 2, 0): "packet too big",
    ("icmp6", 3, 0): "hop limit exceeded",
    ("icmp6", 4, 0): "parameter problem",
}

PORT_UNREACHABLE = frozenset({("icmp", 3, 3), ("icmp6", 1, 4)})
PROTOCOL_UNREACHABLE = frozenset({("icmp", 3, 2), ("icmp6", 4, 1)})
PROHIBITED = frozenset({("icmp", 3, 9), ("icmp", 3, 10), ("icmp", 3, 13), ("icmp6", 1, 1), ("icmp6", 1, 5)})
HOST_UNREACHABLE = frozenset({("icmp", 3, 1), ("icmp", 3, 7), ("icmp", 3, 12), ("icmp6", 1, 3)})
NET_UNREACHABLE = frozenset(
    {("icmp", 3, 0), ("icmp", 3, 6), ("icmp", 3, 11), ("icmp6", 1, 0), ("icmp6", 1, 2), ("icmp6", 1, 6)}
)
TTL_EXCEEDED = frozenset({("icmp", 11, 0), ("icmp6", 3, 0)})

DESTINATION = "destination"  # the offender is the host under test
OWN = "own"  # the offender is the vantage itself
OTHER = "other"  # the offender is a machine between them

_MULTICAST_4 = frozenset(str(first) for first in range(224, 240))  # the first octets

REPLY = "netprobe/1 reply "  # how the reply of a listener begins: netprobe/prober/wire.py

NEIGHBOUR_MS = 500.0  # ARP and ND give up after about 3 s (arp(7): 3 probes, 1 s apart); a firewall answers at once


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP error as the error queue reports it (ip(7), IP_RECVERR)."""

    type: int
    code: int
    name: str
    offender: str | None

    @classmethod
    def from_queue(cls, error: QueuedError) -> Icmp | None:
        """The record of an entry of the error queue; ``None`` for an error made on this host, not received."""
        if not error.is_icmp:
            return None
        name = ICMP_WORDS.get(
            (error.origin, error.type, error.code), f"{error.origin} type {error.type} code {error.code}"
        )
        return cls(error.type, error.code, name, error.offender)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the table looks at. ``errno`` is a name; ``result`` and ``stage`` are the prober's words.

    ``result``: proof, timeout, closed, foreign, corrupt, self or error.
    ``stage``, the last one begun: socket, bind, connect, answer or payload.
    ``own`` are the addresses of the vantage, ``host`` those of the host under test.
    """

    result: str
    protocol: str = "tcp"
    destination: str = ""
    port: int | None = None
    stage: str = "connect"
    errno: str | None = None
    error: str | None = None
    icmp: QueuedError | None = None
    elapsed_ms: float = 0.0
    own: frozenset[str] = frozenset()
    host: frozenset[str] = frozenset()
    sample: str | None = None
    limited: bool = False
    payload_size: int = 0
    payload_received: int = 0
    broadcast: bool = False  # the vantage knows the destination as a broadcast address of its own subnet
    limited_by: str | None = None  # who sent the ICMP errors for other questions that tell of a limit
    other_zone: bool = False  # the vantage has the destination, but not in the zone that was probed

    @property
    def icmp_key(self) -> tuple[str, int, int] | None:
        """(origin, type, code) of an ICMP error that was received."""
        if self.icmp is None or not self.icmp.is_icmp:
            return None
        return (self.icmp.origin, self.icmp.type, self.icmp.code)

    @property
    def offender(self) -> str | None:
        """Who sent the ICMP error."""
        return None if self.icmp is None else self.icmp.offender

    @property
    def offender_is(self) -> str:
        """``destination``, ``own`` or ``other``. What is delivered locally is refused by the destination itself."""
        return self._whose(self.offender)

    @property
    def limiter_is(self) -> str:
        """The same of ``limited_by``."""
        return self._whose(self.limited_by)

    def _whose(self, sender: str | None) -> str:
        if sender is None or sender == self.destination:
            return DESTINATION
        if is_loopback(sender) and is_loopback(self.destination):
            return DESTINATION
        if sender in self.own or is_loopback(sender):
            local = (self.destination in self.own and not self.other_zone) or self.destination in ("0.0.0.0", "::")
            return DESTINATION if local else OWN
        return DESTINATION if sender in self.host else OTHER

    @property
    def ip(self) -> int:
        """4 or 6, by the destination's spelling."""
        return 6 if ":" in self.destination else 4


def is_link_local(address: str) -> bool:
    """fe80::/10 (RFC 4291 section 2.5.6), by its spelling."""
    return address[:3].lower() in ("fe8", "fe9", "fea", "feb") and ":" in address


def is_loopback(address: str) -> bool:
    """127.0.0.0/8 and ::1, by their spelling."""
    return address.startswith("127.") or address == "::1"


def is_group(address: str) -> bool:
    """Multicast or limited broadcast (RFC 1112, RFC 4291 section 2.7, RFC 919)."""
    if ":" in address:
        return address[:2].lower() == "ff" and address.index(":") == 4
    first = address.partition(".")[0]
    return address == "255.255.255.255" or first in _MULTICAST_4
