"""The mark of each verdict: letters that read without colour, the same on the terminal and on the report page."""

from __future__ import annotations

from typing import Final

from netprobe.verdicts import Verdict

__all__ = ["DIFFERS", "MARKS", "REMARK"]

MARKS: Final = {
    Verdict.REACHABLE: "✓",
    Verdict.REFUSED: "R",
    Verdict.REJECTED: "X",
    Verdict.UNREACHABLE: "U",
    Verdict.NO_ANSWER: "N",
    Verdict.WRONG_RESPONDER: "W",
    Verdict.NOT_BINDABLE: "B",
    Verdict.NOT_TESTED: "-",
}
DIFFERS: Final = "!"
REMARK: Final = "*"
