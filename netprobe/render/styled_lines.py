"""Lines of text with the palette's styles, laid out once: for the terminal, as plain text, and for :mod:`render.svg`.

The layout is done here and not by rich, because a picture and the text on a report page must be what the screen shows,
and because only prose may be folded: an address or a command stays on one line, however narrow the screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from rich.cells import cell_len
from rich.text import Text

from netprobe.render import palette
from netprobe.render.table import console
from netprobe.render.terminal import Terminal

__all__ = ["Line", "as_text", "folded", "line_width", "print_lines"]

Line: TypeAlias = "tuple[tuple[str, str], ...]"  # pieces: each a text without line feeds, and its style

_NARROWEST: Final = 20  # columns; prose is never folded to less


def line_width(line: Line) -> int:
    """The columns that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def folded(
    text: str, width: int, style: str = palette.VALUE, *, indent: int = 0, first: int | None = None
) -> list[Line]:
    """Prose in lines of at most ``width``, broken between words only, so that a longer word stays whole.

    ``indent`` are the blanks before each line, ``first`` those before the first one.
    """
    width = max(width, _NARROWEST)
    margin = " " * (indent if first is None else first)
    lines: list[Line] = []
    line = ""
    for word in text.split(" "):
        if line and cell_len(margin) + cell_len(line) + 1 + cell_len(word) > width:
            lines.append(((margin, ""), (line, style)))
            margin, line = " " * indent, word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, ((margin, ""), (line, style))]


def as_text(lines: Iterable[Line]) -> str:
    """The lines without their styles."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def print_lines(lines: Iterable[Line], terminal: Terminal) -> None:
    """Print to stdout, in colour where the terminal has it; what is wider than the screen is left to the terminal."""
    out = console(terminal)
    for line in lines:
        out.print(Text.assemble(*((text, style) for text, style in line if text)), soft_wrap=True)
