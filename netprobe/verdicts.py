"""What can be observed of a probe: the eight verdicts, spelled here and nowhere else.

They are the words of ``expected`` and ``observed`` in every record, of the file that ``--expect`` reads, and of the
table in ``netprobe/outcome/failures.py`` that assigns them. A ``StrEnum``, so that a verdict prints, sorts and
serializes as its word, while a typo in code fails at import.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Verdict"]


class Verdict(StrEnum):
    """The observable outcome of one probe, never its presumed cause."""

    REACHABLE = "reachable"  # the responder answered and proved who it is
    REFUSED = "refused"  # a RST, or a closed port of the host that was asked
    REJECTED = "rejected"  # an ICMP error said no: type, code and offender are known
    UNREACHABLE = "unreachable"  # no route, or no neighbour
    NO_ANSWER = "no-answer"  # silence until the time-out; whether a filter caused it cannot be told
    WRONG_RESPONDER = "wrong-responder"  # something answered that cannot prove itself
    NOT_BINDABLE = "not-bindable"  # the listener could not be opened, so nothing was asked
    NOT_TESTED = "not-tested"  # the vantage could not be used, or ran out of something
