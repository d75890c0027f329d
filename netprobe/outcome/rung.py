"""What came of one rung of a ladder: a packet that was to live for so many hops, and no more.

A router answers a rung whose time to live runs out there with "time exceeded", so such an answer means: this far it
came. Every other answer means that the packet went no further: it was answered, rejected, or did not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.evidence import TTL_EXCEEDED

__all__ = ["Came", "Rung"]

TOO_BIG = frozenset({("icmp", 3, 4), ("icmp6", 2, 0)})  # RFC 1191, RFC 4443 section 3.2


class Came(StrEnum):
    """What came back: an ICMP error, a TCP reset, an answer (a handshake, a datagram), or nothing."""

    ICMP = "icmp"
    RST = "rst"
    ANSWER = "answer"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Rung:
    """``ttl`` is the time to live that the packet had, ``icmp`` the error as the error queue reports it.

    ``rtt_ms`` is how long that took, ``mtu`` that of the link which the packet did not fit into, as its router says.
    """

    ttl: int
    came: Came
    icmp: QueuedError | None = None
    rtt_ms: float | None = None
    mtu: int | None = None

    @property
    def router(self) -> str | None:
        """Who sent the ICMP error; whoever answers or resets does so in the destination's name."""
        return None if self.icmp is None else self.icmp.offender

    @property
    def is_hop(self) -> bool:
        """Did its time to live run out, at a router on the way?"""
        return self._key in TTL_EXCEEDED

    @property
    def is_end(self) -> bool:
        """Did the packet come to an end that somebody told of?"""
        return self.came is not Came.SILENCE and not self.is_hop

    @property
    def is_too_big(self) -> bool:
        """Did it not fit into the next link?"""
        return self._key in TOO_BIG

    @property
    def _key(self) -> tuple[str, int, int] | None:
        return None if self.icmp is None else (self.icmp.origin, self.icmp.type, self.icmp.code)
