"""All that is known at the end of a bindtest, as one value: the terminal, the picture and the report page show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change
from netprobe.reach.findings import AUTOMATIC, Command, Finding, Places, Untested
from netprobe.reach.run_facts import RunFacts
from netprobe.reach.summary import Agreement, AppliedRule

__all__ = ["BindtestRun"]


@dataclass(frozen=True, slots=True)
class BindtestRun:
    """``answers`` are the conclusions of the run, one for each bind address;
    ``names`` says what the names among the destinations turned out to be.

    ``data`` is the JSON document and ``text`` what the terminal shows, ``status`` the exit status. ``expectation`` is
    the file that ``changes`` refer to, ``accept`` the command that would make what is the expectation.
    """

    cells: Sequence[Cell]
    answers: Sequence[str]
    findings: Sequence[Finding]
    untested: Sequence[Untested]
    next_steps: Sequence[Command]
    facts: RunFacts
    status: int
    data: str = ""
    text: str = ""
    changes: Sequence[Change] | None = None
    expectation: str | None = None
    accept: str | None = None
    agreements: Sequence[Agreement] = ()
    rules: Sequence[AppliedRule] = ()
    names: Sequence[str] = ()
    places: Places = AUTOMATIC
