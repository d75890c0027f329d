"""The one table: what the system and the network said, to a verdict and a cause in words.

A row matches on what is observable (the stage that was reached, the errno, the ICMP error and who sent it); the first
row that matches wins. Rows cite where they are documented; ``measured`` means seen on Linux in a lab of namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.sockets.evidence import (
    ICMP_WORDS,
    NO_ANSWER,
    NOT_BINDABLE,
    NOT_TESTED,
    REACHABLE,
    REFUSED,
    REJECTED,
    UNREACHABLE,
    VERDICTS,
    WRONG_RESPONDER,
    Evidence,
    Icmp,
)
from netprobe.sockets.failure import Failure
from netprobe.sockets.heard import HEARD
from netprobe.sockets.system_said import SYSTEM_SAID

__all__ = [
    "FAILURES",
    "ICMP_WORDS",
    "NOT_BINDABLE",
    "NOT_TESTED",
    "NO_ANSWER",
    "REACHABLE",
    "REFUSED",
    "REJECTED",
    "UNREACHABLE",
    "VERDICTS",
    "WRONG_RESPONDER",
    "Evidence",
    "Failure",
    "Icmp",
    "Judgement",
    "judge",
]

FAILURES: tuple[Failure, ...] = (*HEARD, *SYSTEM_SAID)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdict and cause; ``row`` is the id of the table's row, ``icmp`` the error as a record."""

    verdict: str
    cause: str | None
    row: str
    icmp: Icmp | None = None


def judge(seen: Evidence) -> Judgement:
    """The verdict and the cause of ``seen``, by the first row of the table that matches."""
    icmp = None if seen.icmp is None else Icmp.from_queue(seen.icmp)
    row = next(row for row in FAILURES if row.matches(seen))
    cause = row.cause.format(
        destination=seen.destination,
        offender=seen.offender,
        said=None if icmp is None else icmp.name,
        errno=seen.errno or seen.error,
        error=seen.error or seen.errno,
        seconds=f"{seen.elapsed_ms / 1000:.3g}",
        sample=repr(seen.sample) if seen.sample else "nothing",
        size=seen.payload_size,
        received=seen.payload_received,
        ip=seen.ip,
    )
    return Judgement(row.verdict, cause or None, row.id, icmp)
