"""Records as a table for a person's terminal (rich): columns are dropped before an address is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from netprobe.render.fields import cell_text, read
from netprobe.render.palette import HEADING
from netprobe.render.terminal import Terminal
from netprobe.render.view import Column

__all__ = ["console", "print_lines", "print_table"]

_GAP = 2  # blank columns between two table columns
_FOLDED = 16  # a column that may fold is still readable at this width


class _Console(Console):
    """A console that leaves a broken pipe to the error boundary; rich's own would exit with status 1."""

    def on_broken_pipe(self) -> None:
        raise


def console(terminal: Terminal) -> Console:
    """A rich console that knows what ``terminal`` knows and probes nothing by itself."""
    return _Console(
        file=sys.stdout,
        width=terminal.width,
        force_terminal=terminal.colour,
        color_system="standard" if terminal.colour else None,
        no_color=not terminal.colour,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
        legacy_windows=False,
        _environ={},
    )


def print_lines(lines: Iterable[Text], terminal: Terminal) -> None:
    """Print lines that have been folded already, each as it is."""
    out = console(terminal)
    for line in lines:
        out.print(line, soft_wrap=True)


def print_table(records: Sequence[object], columns: Sequence[Column], terminal: Terminal) -> None:
    """Print ``records``: as a table if the width allows it, else one field per line.

    Columns with nothing in them are left out. The table takes the width it needs, not the width there is.
    """
    rows = [[cell_text(read(record, column.field)) for column in columns] for record in records]
    filled = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    kept = _fitting([(columns[i], _width(columns[i], [row[i] for row in rows])) for i in filled], terminal.width)
    out = console(terminal)
    if kept is None:
        _print_stacked(out, [columns[i] for i in filled], [[row[i] for i in filled] for row in rows])
        return
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style=HEADING, expand=False)
    for column in kept:
        table.add_column(
            column.heading,
            justify=column.align,
            no_wrap=column.whole,
            overflow="fold",
            style=column.style or None,
        )
    positions = [columns.index(column) for column in kept]
    for row in rows:
        table.add_row(*(Text(row[i]) for i in positions))
    out.print(table)


def _width(column: Column, cells: Sequence[str]) -> tuple[int, int]:
    """The least and the natural width of a column."""
    natural = max([cell_len(column.heading), *(cell_len(cell) for cell in cells)])
    return (natural if column.whole else min(natural, _FOLDED)), natural


def _fitting(measured: list[tuple[Column, tuple[int, int]]], width: int) -> list[Column] | None:
    """The columns that fit into ``width``; None when not even those that are never dropped do."""
    kept = list(measured)
    while kept:
        if sum(least + _GAP for _, (least, _) in kept) - _GAP <= width:
            return [column for column, _ in kept]
        droppable = [entry for entry in kept if entry[0].priority > 0]
        if not droppable:
            return None
        kept.remove(max(droppable, key=lambda entry: entry[0].priority))
    return []


def _print_stacked(out: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """One field per line, a blank line between records; long values are not cut."""
    margin = max((cell_len(column.heading) for column in columns), default=0) + _GAP
    for number, row in enumerate(rows):
        if number:
            out.print()
        for column, cell in zip(columns, row, strict=True):
            if cell:
                out.print(Text(column.heading.ljust(margin), style=HEADING) + Text(cell), soft_wrap=True)
