"""Rows for a person that fit any width: a column goes, another moves below its row, and an address is never cut.

Why not :func:`netprobe.render.table.print_table`: it drops columns or stacks whole records. Where the last column is
prose ("leads to 10.1.2.3, private"), which most rows do not have, it costs least below the row that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from netprobe.render.palette import HEADING

__all__ = ["GridColumn", "grid_lines", "prose"]

_GAP = 2  # blank columns between two columns
_INDENT = 2
_BELOW = 4  # columns that what has moved below its row is indented by


class GridColumn(NamedTuple):
    """``drop``: 0 stays, of the others the highest goes first. ``below``: moves under its row when all have gone."""

    heading: str
    drop: int = 0
    below: bool = False


def grid_lines(columns: Sequence[GridColumn], rows: Sequence[Sequence[Text]], width: int) -> Iterator[Text]:
    """The heading and the rows, a column's cells under each other, in at most ``width`` columns if any layout is.

    A column in which no row has anything is left out. Where even the columns that stay are too wide together, all but
    the first are below it, separated by commas.
    """
    widths = [max(map(cell_len, (column.heading, *(row[i].plain for row in rows)))) for i, column in enumerate(columns)]
    kept = [i for i in range(len(columns)) if any(row[i].plain for row in rows)]
    while _total(kept, widths) > width and (droppable := [i for i in kept if columns[i].drop]):
        kept.remove(max(droppable, key=lambda i: columns[i].drop))
    below: list[int] = []
    if _total(kept, widths) > width:
        below = [i for i in kept if columns[i].below]
        kept = [i for i in kept if i not in below]
    if _total(kept, widths) > width:
        kept, below = kept[:1], kept[1:] + below
    indent = " " * (_INDENT if _total(kept, widths) <= width else 0)
    if len(kept) > 1:
        yield _line(indent, [Text(columns[i].heading, style=HEADING) for i in kept], [widths[i] for i in kept])
    for row in rows:
        yield _line(indent, [row[i] for i in kept], [widths[i] for i in kept])
        if moved := [row[i] for i in below if row[i].plain not in ("", "-")]:
            yield from prose(Text(", ").join(moved), width, " " * _BELOW)


def _total(kept: Sequence[int], widths: Sequence[int]) -> int:
    return _INDENT + sum(widths[i] + _GAP for i in kept) - _GAP


def _line(indent: str, cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text(indent)
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell).append(" " * (width - cell_len(cell.plain) + _GAP))
    line.rstrip()
    return line


def prose(text: Text, width: int, indent: str, first: str | None = None) -> Iterator[Text]:
    """``text`` folded between words, each line after ``indent`` (the first after ``first``); a long word stays whole.

    A word that does not fit behind the indent stands without it: an address is never cut. U+00A0, which no text from
    outside has (netprobe/text.py), is a space at which no line ends.
    """
    start = indent if first is None else first
    at = 0
    for line in wrap(
        text.plain,
        width,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [start]:
        words = line[len(start) :]
        at = text.plain.index(words, at)
        piece = text[at : at + len(words)] if words else Text()
        at += len(words)
        piece.plain = piece.plain.replace("\xa0", " ")
        yield (Text(start) if cell_len(line) <= width or start.strip() else Text()).append_text(piece)
        start = indent
