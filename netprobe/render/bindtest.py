"""The matrix of a bindtest for a person: destinations down, bind addresses (or vantages) across, one symbol per cell.

It shows fields of the cells and of their summary, and works out nothing but how they fit on the screen. No width drops
a column: headings become letters with a legend, and where even those do not fit, cells become lines.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from netprobe.reach.cells import Cell
from netprobe.reach.summary import Summary
from netprobe.render.fields import escaped
from netprobe.render.svg import as_svg
from netprobe.render.table import console
from netprobe.render.terminal import Terminal, folded_line
from netprobe.verdicts import Verdict

__all__ = ["matrix_as_html", "matrix_as_svg", "print_matrix"]

_MARKS: Final = {
    Verdict.REACHABLE: "✓",
    Verdict.REFUSED: "R",
    Verdict.REJECTED: "X",
    Verdict.UNREACHABLE: "U",
    Verdict.NO_ANSWER: "N",
    Verdict.WRONG_RESPONDER: "W",
    Verdict.NOT_BINDABLE: "B",
    Verdict.NOT_TESTED: "-",
}
_DIFFERS: Final = "!"
_REMARK: Final = "*"
_ASCII_TICK: Final = "o"
_NOT_ASKED: Final = ""
_MOST_NAMES: Final = 3  # up to this many addresses are listed in a remark, more are counted
_EXPORT_WIDTH: Final = 100
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def print_matrix(cells: Sequence[Cell], summary: Summary | None, terminal: Terminal, *, wide: bool = False) -> None:
    """Print the matrix to stdout, and below it what the cells add up to."""
    out = console(terminal)
    for part in _Matrix(terminal.width, _can_print("✓"), wide).parts(escaped(cells), escaped(summary)):
        out.print(part, soft_wrap=isinstance(part, Text))


def matrix_as_svg(cells: Sequence[Cell], summary: Summary | None, *, wide: bool = False) -> str:
    """The same as an SVG picture, to paste into a ticket."""
    matrix = _Matrix(_EXPORT_WIDTH, True, wide)
    parts = [*matrix.cells(escaped(cells)), *matrix.summary(escaped(summary), agreements=False)]
    out = Console(width=_EXPORT_WIDTH, force_terminal=True, highlight=False, markup=False, emoji=False, _environ={})
    lines = out.render_lines(Group(*parts), pad=False)
    return as_svg([[(piece.text, str(piece.style or "")) for piece in line] for line in lines], "netprobe bindtest")


def matrix_as_html(cells: Sequence[Cell], summary: Summary | None, *, wide: bool = False) -> str:
    """The same as an HTML page."""
    return _recorded(cells, summary, wide).export_html(inline_styles=True)


def _recorded(cells: Sequence[Cell], summary: Summary | None, wide: bool) -> Console:
    """An off-screen console with the matrix on it. A picture has all cells, however many vantages there are."""
    out = Console(
        file=io.StringIO(),
        record=True,
        width=_EXPORT_WIDTH,
        force_terminal=True,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )
    matrix = _Matrix(_EXPORT_WIDTH, True, wide)
    for part in (*matrix.cells(escaped(cells)), *matrix.summary(escaped(summary), agreements=False)):
        out.print(part)
    return out


def _can_print(text: str) -> bool:
    """Can stdout's encoding represent it?"""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Matrix:
    """How wide, with which tick, and whether words replace the symbols."""

    width: int
    unicode: bool
    wide: bool

    def parts(self, cells: Sequence[Cell], summary: Summary | None) -> list[RenderableType]:
        """Everything that is shown; where there are many vantages, their agreements replace the matrix."""
        many = summary is not None and summary.agreements
        return [*self.cells([] if many else cells), *self.summary(summary)]

    def cells(self, cells: Sequence[Cell]) -> list[RenderableType]:
        """Sections, legend, differences."""
        return [*self.sections(cells), *self.legend(cells), *self.remarks(cells)]

    def summary(self, summary: Summary | None, *, agreements: bool = True) -> list[RenderableType]:
        """Conclusions and rules."""
        if summary is None:
            return []
        lines = [x.text for x in summary.agreements or () if agreements] + [x.text for x in summary.conclusions]
        parts: list[RenderableType] = [Text(), *(_folded(line, self.width) for line in lines)] if lines else []
        if summary.rules:
            parts += [Text(), Text("Rules that applied", style="bold")]
            parts += [_folded(str(rule), self.width, "bold", rule.id) for rule in summary.rules]
        return parts

    # The matrix.

    def sections(self, cells: Sequence[Cell]) -> list[RenderableType]:
        """A table for each family of destinations, and for each bind address or vantage, whichever are more."""
        binds = _distinct(cells, _bind_of)
        vantages = _distinct(cells, _vantage_of)
        across, apart = (_bind_of, _vantage_of) if len(vantages) == 1 else (_vantage_of, _bind_of)
        if len(vantages) > 1 and len(binds) < len(vantages) and len(binds) > 1:
            across, apart = apart, across
        found: list[RenderableType] = []
        for name in _distinct(cells, apart):
            for six in (False, True):
                part = [cell for cell in cells if apart(cell) == name and (":" in cell.destination) == six]
                if part:
                    found += self.section(part, across, apart, name)
        return found

    def section(
        self, cells: Sequence[Cell], across: Callable[[Cell], str], apart: Callable[[Cell], str], name: str
    ) -> list[RenderableType]:
        """One table; headings that are too wide become letters with a legend."""
        columns = _distinct(cells, across)
        rows = _distinct(cells, _destination_of)
        grouped: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            grouped.setdefault((_destination_of(cell), across(cell)), []).append(cell)
        contents = {(row, column): self.content(grouped.get((row, column), ())) for row in rows for column in columns}
        if across is _bind_of:
            title, corner = f"from {name}", "to \\ bound to"
        else:
            title, corner = f"bound to {name}", "to \\ from"
        first = max(cell_len(corner), *(cell_len(row) for row in rows))
        widths = [max(cell_len(c), *(cell_len(contents[r, c].plain) for r in rows)) for c in columns]
        headings = list(columns)
        legend: list[Text] = []
        if first + sum(width + 2 for width in widths) > self.width:
            headings = [_letter(i) for i in range(len(columns))]
            legend = [Text("\n".join(f"  {h} = {c}" for h, c in zip(headings, columns, strict=True)))]
            if first + 4 * len(columns) > self.width:
                return self.listing(title, rows, columns, contents)
        table = Table(
            box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left", title_style="bold"
        )
        table.add_column(corner, no_wrap=True, header_style="dim")
        for heading in headings:
            table.add_column(heading, no_wrap=True, header_style="bold")
        for row in rows:
            table.add_row(Text(row), *(contents[row, column] for column in columns))
        return [table, *legend, Text()]

    def listing(
        self, title: str, rows: Sequence[str], columns: Sequence[str], contents: dict[tuple[str, str], Text]
    ) -> list[RenderableType]:
        """Where no table fits: each destination on a line, its cells indented below it."""
        lines: list[RenderableType] = [Text(title, style="bold")]
        for row in rows:
            lines.append(Text(f"to {row}"))
            for column in columns:
                if contents[row, column].plain:
                    lines.append(Text.assemble("  ", contents[row, column], f" {column}"))
        return [*lines, Text()]

    def content(self, cells: Sequence[Cell]) -> Text:
        """The protocols' marks, or one where they agree."""
        texts = [self.mark(cell) for cell in cells]
        if len({text.plain for text in texts}) <= 1:
            return texts[0] if texts else Text(_NOT_ASKED)
        if self.wide:
            texts = [Text.assemble((f"{cell.protocol} ", "dim"), text) for cell, text in zip(cells, texts, strict=True)]
        return Text("/").join(texts)

    def mark(self, cell: Cell) -> Text:
        """One cell: a symbol that reads without colour, and ``!`` where it is not as expected."""
        text = cell.observed if self.wide else self.tick(cell.observed)
        if cell.differs:
            text += f"{_DIFFERS} (expected {cell.expected})" if self.wide else _DIFFERS
        elif cell.observed == Verdict.REACHABLE and cell.cause:
            text += _REMARK
        return Text(text, style=_style_of(cell))

    def tick(self, verdict: Verdict) -> str:
        """The mark of a verdict."""
        mark = _MARKS[verdict]
        return mark if self.unicode or mark.isascii() else _ASCII_TICK

    # Below the matrix.

    def legend(self, cells: Sequence[Cell]) -> list[RenderableType]:
        """The marks that occur."""
        parts = []
        if not self.wide:
            parts = [
                f"{self.tick(verdict)} {verdict}" for verdict in _MARKS if any(c.observed == verdict for c in cells)
            ]
        if any(cell.differs for cell in cells):
            parts.append(f"{_DIFFERS} not as expected")
        protocols = _distinct(cells, lambda cell: cell.protocol)
        parts.append("tcp/udp where they differ" if len(protocols) > 1 else f"{protocols[0]} only" if protocols else "")
        shown = _folded("  ".join(part.replace(" ", "\xa0") for part in parts if part), self.width)
        return [Text(shown.plain.replace("\xa0", " "), style="dim")]

    def remarks(self, cells: Sequence[Cell]) -> list[RenderableType]:
        """Each difference with its explanation, then answers that are as expected and yet unusual."""
        found: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            if cell.differs:
                text = f"expected {cell.expected}, observed {cell.observed}"
                text += f": {cell.cause}" if cell.cause else ""
                text += f". Why: {cell.difference}" if cell.difference else ""
            elif cell.observed == Verdict.REACHABLE and cell.cause:
                probed = _destination_of(cell).partition("%")[0]
                text = cell.cause.replace(f"not from {probed}", "not from the address that was probed")
            else:
                continue
            found.setdefault((_DIFFERS if cell.differs else _REMARK, text), []).append(cell)
        lines: list[RenderableType] = [Text()] if found else []
        for (sign, text), same in sorted(found.items(), key=lambda item: item[0][0] != _DIFFERS):
            style = "bold red" if sign == _DIFFERS else "bold"
            lines.append(_folded(f"{sign} {_where(same)}: {text}", self.width, style, sign))
        return lines


def _where(cells: Sequence[Cell]) -> str:
    """Which cells a remark concerns."""
    protocols = "+".join(_distinct(cells, lambda cell: cell.protocol))
    binds, destinations, vantages = (_listed(cells, key) for key in (_bind_of, _destination_of, _vantage_of))
    return f"{protocols} {binds} at {destinations} from {vantages}"


def _listed(cells: Sequence[Cell], key: Callable[[Cell], str]) -> str:
    """The first few distinct values, and how many more there are."""
    values = _distinct(cells, key)
    more = len(values) - _MOST_NAMES
    return ", ".join(values[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _folded(text: str, width: int, style: str = "", lead: str = "") -> Text:
    """``text`` in lines of ``width``, the later ones indented; an address that is longer stays whole.

    The first ``lead`` characters' worth of it is shown in ``style``.
    """
    shown = Text(folded_line(text, width))
    if lead:
        shown.stylize(style, 0, len(lead))
    return shown


def _style_of(cell: Cell) -> str:
    """Colour repeats what the symbol says."""
    if cell.differs:
        return "bold red"
    return "green" if cell.observed == Verdict.REACHABLE else "dim"


def _letter(number: int) -> str:
    """A, B … Z, A1, B1 …"""
    return _LETTERS[number % 26] + (str(number // 26) if number >= 26 else "")


def _distinct(cells: Sequence[Cell], key: Callable[[Cell], str]) -> list[str]:
    """Each value once, in order."""
    return list(dict.fromkeys(key(cell) for cell in cells))


def _bind_of(cell: Cell) -> str:
    """The bind address."""
    return cell.bind or "?"


def _vantage_of(cell: Cell) -> str:
    """The vantage."""
    return str(cell.vantage)


def _destination_of(cell: Cell) -> str:
    """The destination."""
    return str(cell.destination)
