"""How people see a command's records: the choice of columns, a record as a line, all of them as a table or matrix.

A view is one value that a command hands to its document; the writers for people (table, plain) use it, those for
programs write every field. Its functions are handed records whose text is already escaped
(:func:`netprobe.render.fields.escaped`), so that no view has to think of terminal sequences in a host's name.

Values that every run needs (these, Terminal, Output) are named tuples: one takes 0.1 ms to define, a dataclass 0.8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from netprobe.render.terminal import Terminal

__all__ = ["Column", "Screen", "View"]

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


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


class Screen(Protocol[R_contra]):
    """Shows the records of a run on a terminal as they come, and at the end what they add up to."""

    def add(self, record: R_contra) -> None:
        """Show one more record."""

    def end(self, head: object | None) -> None:
        """Show the rest; ``head`` is the record of further keys, None where the run ended before it was made."""


class View(NamedTuple, Generic[R]):
    """How the records of one command look; what is left out is made from ``columns``, by default every field.

    With ``streams`` (pings, a server's events) the table format, too, shows each record as it comes: its plain line,
    folded to the width of the terminal; or what its ``screen`` makes of it, which then says in its own words what plain
    format says in notes.
    """

    columns: Sequence[Column] = ()
    plain: Callable[[R], str] | None = None  # a record in plain format, in one line or more
    table: Callable[[Sequence[R], Terminal], None] | None = None  # prints all records in table format
    streams: bool = False
    screen: Callable[[Terminal], Screen[R]] | None = None
