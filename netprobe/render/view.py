"""What a table shows of a record: a named choice of its fields, and which of them give way on a narrow screen."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Column"]


class Column(NamedTuple):
    """One column: ``field`` is a record's dotted field name.

    ``priority`` 0 is never dropped; of the others the highest goes first when the screen is too narrow.
    ``whole`` columns (addresses) are never folded and never cut.
    """

    field: str
    heading: str
    priority: int = 0
    align: Literal["left", "right"] = "left"
    whole: bool = False
    style: str = ""
