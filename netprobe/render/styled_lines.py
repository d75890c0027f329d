"""Lines of text with the palette's styles, laid out once and shown three times: terminal, plain text, SVG picture.

The layout is done here and not by rich, because a picture and the text on a report page must be what the screen shows,
and because only prose may be folded: an address or a command stays on one line, however narrow the screen.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from rich.cells import cell_len
from rich.text import Text

from netprobe.render import palette
from netprobe.render.table import console
from netprobe.render.terminal import Terminal
from netprobe.text import escape

__all__ = ["Line", "as_svg", "as_text", "folded", "line_width", "print_lines"]

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


# The picture. Its fonts are the reader's own: a picture that loads one shows nothing where that is forbidden, as in
# every <img>. Colours are chosen for a contrast of at least 4.5 on their ground (WCAG 2.2, 1.4.3), light and dark.

_CLASSES: Final = {
    palette.ANSWER: "answer",
    palette.EXPECTED: "expected",
    palette.FAILURE: "failure",
    palette.FINDING: "finding",
    palette.LABEL: "label",
}
_STYLE: Final = """
svg { color-scheme: light dark }
rect { fill: #ffffff }
text { fill: #1f2328; font: 14px ui-monospace, monospace; white-space: pre }
.answer { font-weight: bold }
.expected { fill: #116329 }
.failure { fill: #b3201a; font-weight: bold }
.finding { fill: #7a5200 }
.label { fill: #57606a }
@media (prefers-color-scheme: dark) {
  rect { fill: #15181c }
  text { fill: #e6e8eb }
  .expected { fill: #5fd082 }
  .failure { fill: #ff8f87 }
  .finding { fill: #e5b84b }
  .label { fill: #a3acb6 }
}
"""
_COLUMN: Final = 8.43  # a character of a monospaced font of 14 px takes 0.602 em in most, and no more in any common one
_ROW: Final = 20
_EDGE: Final = 16


def as_svg(lines: Sequence[Line], title: str) -> str:
    """The lines as a picture without anything foreign in it, readable on a light and on a dark ground."""
    width = round(2 * _EDGE + _COLUMN * max((line_width(line) for line in lines), default=0))
    height = 2 * _EDGE + _ROW * len(lines)
    rows = [_row(line, _EDGE + _ROW * number + 14) for number, line in enumerate(lines)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">',
            f"<title>{html.escape(escape(title))}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{width}" height="{height}"/>',
            *(row for row in rows if row),
            "</svg>\n",
        ]
    )


def _row(line: Line, y: int) -> str:
    """A line. Each piece has its own place, so that columns stand below each other in any font."""
    spans = []
    at = 0
    for text, style in line:
        shown = text.strip(" ")
        if shown:
            x = _EDGE + _COLUMN * (at + len(text) - len(text.lstrip(" ")))
            name = f' class="{_CLASSES[style]}"' if style else ""
            spans.append(f'<tspan x="{x:.1f}"{name}>{html.escape(shown)}</tspan>')
        at += cell_len(text)
    return f'<text y="{y}">{"".join(spans)}</text>' if spans else ""
