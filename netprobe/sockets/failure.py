"""One row of the table of failures."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.sockets.evidence import NEIGHBOUR_MS, Evidence, is_group, is_link_local

__all__ = ["ANSWER", "BIND", "ON_THE_WAY", "PAYLOAD", "RESET", "SOCKET", "Failure", "names"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One row: conditions (``None`` = any), verdict, and the cause with ``{fields}`` of the evidence to fill in."""

    id: str
    verdict: str
    cause: str
    result: str = "error"
    stages: frozenset[str] | None = None
    errnos: frozenset[str] | None = None
    icmp: frozenset[tuple[str, int, int]] | None = None
    offender: str | None = None
    protocol: str | None = None
    ip: int | None = None
    quick: bool | None = None
    limited: bool | None = None
    link_local: bool | None = None
    group: bool | None = None
    source: str = "measured"

    def matches(self, seen: Evidence) -> bool:
        """Does every condition of the row hold?"""
        return (
            seen.result == self.result
            and (self.stages is None or seen.stage in self.stages)
            and (self.errnos is None or seen.errno in self.errnos)
            and (self.icmp is None or seen.icmp_key in self.icmp)
            and (self.offender is None or seen.offender_is == self.offender)
            and (self.protocol is None or seen.protocol == self.protocol)
            and (self.ip is None or seen.ip == self.ip)
            and (self.quick is None or (seen.elapsed_ms < NEIGHBOUR_MS) == self.quick)
            and (self.limited is None or seen.limited == self.limited)
            and (self.link_local is None or is_link_local(seen.destination) == self.link_local)
            and (self.group is None or (seen.broadcast or is_group(seen.destination)) == self.group)
        )


def names(*errnos: str) -> frozenset[str]:
    """Errno names, each with Winsock's spelling of it."""
    return frozenset(errnos) | frozenset(f"WSA{name}" for name in errnos)


ON_THE_WAY = frozenset({"connect", "answer"})
ANSWER = frozenset({"answer"})
PAYLOAD = frozenset({"payload"})
SOCKET = frozenset({"socket"})
BIND = frozenset({"bind"})
RESET = names("ECONNRESET", "EPIPE", "ECONNABORTED")
