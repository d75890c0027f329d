"""The matrix of a bindtest for a person: destinations down, bind addresses (or vantages) across, a mark a cell.

Everything here reads fields of the cells and of the document; nothing is computed that is not about showing.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from netprobe.render.fields import escaped
from netprobe.render.folding import folded_line
from netprobe.render.table import console
from netprobe.render.terminal import Terminal
from netprobe.verdicts import Verdict

__all__ = ["exported", "print_matrix"]

MARKS = {
    Verdict.REACHABLE: "✓",
    Verdict.REFUSED: "R",
    Verdict.REJECTED: "X",
    Verdict.UNREACHABLE: "U",
    Verdict.NO_ANSWER: "N",
    Verdict.WRONG_RESPONDER: "W",
    Verdict.NOT_BINDABLE: "B",
    Verdict.NOT_TESTED: "-",
}
DIFFERS = "!"
REMARK = "*"
ASCII_TICK = "o"
NOT_ASKED = ""
NAMED = 3  # so many addresses are named in a remark, more are counted
EXPORT_WIDTH = 100
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def print_matrix(
    cells: Sequence[Any],
    terminal: Terminal,
    *,
    conclusions: Sequence[str] = (),
    rules: Sequence[Any] = (),
    wide: bool = False,
) -> None:
    """Print the matrix to stdout."""
    out = console(terminal)
    view = View(terminal.width, can_print("✓"), wide)
    for part in view.parts(cells, conclusions, rules):
        out.print(part, soft_wrap=isinstance(part, Text))


def exported(
    cells: Sequence[Any],
    *,
    as_svg: bool,
    conclusions: Sequence[str] = (),
    rules: Sequence[Any] = (),
    wide: bool = False,
) -> str:
    """The matrix as SVG or HTML, to paste into a ticket."""
    out = Console(
        file=io.StringIO(), record=True, width=EXPORT_WIDTH, force_terminal=True, highlight=False, _environ={}
    )
    shown, lines = escaped(tuple(cells)), escaped(tuple(conclusions))
    for part in View(EXPORT_WIDTH, True, wide).parts(shown, lines, rules):
        out.print(part)
    return out.export_svg(title="netprobe bindtest") if as_svg else out.export_html(inline_styles=True)


def can_print(text: str) -> bool:
    """Does stdout's encoding have it?"""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class View:
    """How wide, with which tick, and whether words stand in the place of marks."""

    width: int
    unicode: bool
    wide: bool

    def parts(self, cells: Sequence[Any], conclusions: Sequence[str], rules: Sequence[Any]) -> list[RenderableType]:
        """Sections, legend, differences, conclusions, rules."""
        parts: list[RenderableType] = []
        for section in self.sections(cells):
            parts.append(section)
        parts += self.legend(cells)
        parts += self.remarks(cells)
        if conclusions:
            parts.append(Text())
            parts += [folded(line, self.width) for line in conclusions]
        if rules:
            parts += [Text(), Text("Rules that applied", style="bold")]
            for rule in rules:
                said = f"{rule.id}: {rule.text} [{rule.source}]"
                parts.append(folded(said, self.width, "bold", rule.id))
        return parts

    # The matrix.

    def sections(self, cells: Sequence[Any]) -> list[RenderableType]:
        """A table for each family of destinations, and for each bind address or vantage, whichever are more."""
        binds = distinct(cells, bind_of)
        vantages = distinct(cells, vantage_of)
        across, apart = (bind_of, vantage_of) if len(vantages) == 1 else (vantage_of, bind_of)
        if len(vantages) > 1 and len(binds) < len(vantages) and len(binds) > 1:
            across, apart = apart, across
        found: list[RenderableType] = []
        for name in distinct(cells, apart):
            for six in (False, True):
                part = [cell for cell in cells if apart(cell) == name and (":" in cell.destination) == six]
                if part:
                    found += self.section(part, across, apart, name)
        return found

    def section(
        self, cells: Sequence[Any], across: Callable[[Any], str], apart: Callable[[Any], str], name: str
    ) -> list[RenderableType]:
        """One table; headings that are too wide become letters with a legend."""
        columns = distinct(cells, across)
        rows = distinct(cells, destination_of)
        contents = {
            (row, column): self.content([c for c in cells if destination_of(c) == row and across(c) == column])
            for row in rows
            for column in columns
        }
        if across is bind_of:
            title, corner = f"from {name}", "to \\ bound to"
        else:
            title, corner = f"bound to {name}", "to \\ from"
        first = max(cell_len(corner), *(cell_len(row) for row in rows))
        widths = [max(cell_len(c), *(cell_len(contents[r, c].plain) for r in rows)) for c in columns]
        headings = list(columns)
        legend: list[Text] = []
        if first + sum(width + 2 for width in widths) > self.width:
            headings = [letter(i) for i in range(len(columns))]
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
        """Where no table fits: an address a line, what it is about indented below it."""
        lines: list[RenderableType] = [Text(title, style="bold")]
        for row in rows:
            lines.append(Text(f"to {row}"))
            for column in columns:
                if contents[row, column].plain:
                    lines.append(Text.assemble("  ", contents[row, column], f" {column}"))
        return [*lines, Text()]

    def content(self, cells: Sequence[Any]) -> Text:
        """The marks of the protocols, once where they agree."""
        texts = [self.mark(cell) for cell in cells]
        if len({text.plain for text in texts}) <= 1:
            return texts[0] if texts else Text(NOT_ASKED)
        if self.wide:
            texts = [Text.assemble((f"{cell.protocol} ", "dim"), text) for cell, text in zip(cells, texts, strict=True)]
        return Text("/").join(texts)

    def mark(self, cell: Any) -> Text:
        """One cell: a letter that reads without colour, and ``!`` where it is not as expected."""
        text = cell.observed if self.wide else self.tick(cell.observed)
        if cell.differs:
            text += f"{DIFFERS} (expected {cell.expected})" if self.wide else DIFFERS
        elif cell.observed == Verdict.REACHABLE and cell.cause:
            text += REMARK
        return Text(text, style=style_of(cell))

    def tick(self, verdict: Verdict) -> str:
        """The mark of a verdict."""
        mark = MARKS[verdict]
        return mark if self.unicode or mark.isascii() else ASCII_TICK

    # What stands below it.

    def legend(self, cells: Sequence[Any]) -> list[RenderableType]:
        """The marks that occur."""
        parts = []
        if not self.wide:
            parts = [
                f"{self.tick(verdict)} {verdict}" for verdict in MARKS if any(c.observed == verdict for c in cells)
            ]
        if any(cell.differs for cell in cells):
            parts.append(f"{DIFFERS} not as expected")
        protocols = distinct(cells, lambda cell: cell.protocol)
        parts.append("tcp/udp where they differ" if len(protocols) > 1 else f"{protocols[0]} only" if protocols else "")
        shown = folded("  ".join(part.replace(" ", "\xa0") for part in parts if part), self.width)
        return [Text(shown.plain.replace("\xa0", " "), style="dim")]

    def remarks(self, cells: Sequence[Any]) -> list[RenderableType]:
        """Each difference with its explanation, then answers that are right and yet remarkable."""
        found: dict[tuple[str, str], list[Any]] = {}
        for cell in cells:
            if cell.differs:
                said = f"expected {cell.expected}, observed {cell.observed}"
                said += f": {cell.cause}" if cell.cause else ""
                said += f". Why: {cell.difference}" if cell.difference else ""
            elif cell.observed == Verdict.REACHABLE and cell.cause:
                asked = destination_of(cell).partition("%")[0]
                said = cell.cause.replace(f"not from {asked}", "not from the address that was asked")
            else:
                continue
            found.setdefault((DIFFERS if cell.differs else REMARK, said), []).append(cell)
        lines: list[RenderableType] = [Text()] if found else []
        for (sign, said), same in sorted(found.items(), key=lambda item: item[0][0] != DIFFERS):
            style = "bold red" if sign == DIFFERS else "bold"
            lines.append(folded(f"{sign} {where(same)}: {said}", self.width, style, sign))
        return lines


def where(cells: Sequence[Any]) -> str:
    """Which cells a remark is about."""
    protocols = "+".join(distinct(cells, lambda cell: cell.protocol))
    binds, destinations, vantages = (listed(cells, key) for key in (bind_of, destination_of, vantage_of))
    return f"{protocols} {binds} at {destinations} from {vantages}"


def listed(cells: Sequence[Any], key: Callable[[Any], str]) -> str:
    """The first few different values, and how many more there are."""
    values = distinct(cells, key)
    more = len(values) - NAMED
    return ", ".join(values[:NAMED]) + (f" and {more} more" if more > 0 else "")


def folded(text: str, width: int, style: str = "", lead: str = "") -> Text:
    """``text`` in lines of ``width``, the later ones indented; an address that is longer stays whole.

    The first ``lead`` characters' worth of it is shown in ``style``.
    """
    shown = Text(folded_line(text, width))
    if lead:
        shown.stylize(style, 0, len(lead))
    return shown


def style_of(cell: Any) -> str:
    """Colour says again what the mark says."""
    if cell.differs:
        return "bold red"
    return "green" if cell.observed == Verdict.REACHABLE else "dim"


def letter(number: int) -> str:
    """A, B … Z, A1, B1 …"""
    return LETTERS[number % 26] + (str(number // 26) if number >= 26 else "")


def distinct(cells: Sequence[Any], key: Callable[[Any], str]) -> list[str]:
    """Each value once, in order."""
    return list(dict.fromkeys(key(cell) for cell in cells))


def bind_of(cell: Any) -> str:
    """The bind address."""
    return cell.bind or "?"


def vantage_of(cell: Any) -> str:
    """The vantage."""
    return str(cell.vantage)


def destination_of(cell: Any) -> str:
    """The destination."""
    return str(cell.destination)
