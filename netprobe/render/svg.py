"""Lines of a terminal as an SVG picture, for a ticket or a README: :func:`as_svg`.

Nothing in it is foreign. A picture in an ``<img>`` may load nothing (SVG 2, section 2.3, "secure animated mode"), so a
font by URL, which is what rich's export names, is not shown there, and anywhere else it is a request to somebody. So
the font is the reader's own, and each piece has its place and its length in columns: whatever a character takes in that
font, columns stay below each other and nothing leaves the picture. There is no drawn window around it either: who
pastes a picture into a page has a frame there.

Text stays text, to be searched, read aloud and copied, blanks included. Colours are those of the palette's words, for a
light and for a dark ground, each with a contrast of at least 4.5 (WCAG 2.2, success criterion 1.4.3).
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final, TypeAlias

from rich.cells import cell_len

from netprobe.render.palette import ANSWER, EXPECTED, FAILURE, FINDING, LABEL
from netprobe.text import escape

__all__ = ["Piece", "as_svg"]

Piece: TypeAlias = tuple[str, str]  # a text without line feeds, and its style in words of the palette

_STYLE: Final = """
svg { color-scheme: light dark }
rect { fill: #ffffff }
text { fill: #1f2328; font: 14px ui-monospace, monospace; white-space: pre }
.bold { font-weight: bold }
.green { fill: #0b6253 }
.red { fill: #a02c06 }
.yellow { fill: #6d4600 }
.dim { fill: #4c5b6a }
@media (prefers-color-scheme: dark) {
rect { fill: #0e141b }
text { fill: #e6ecf2 }
.green { fill: #74d3bf }
.red { fill: #ff9468 }
.yellow { fill: #f2cd72 }
.dim { fill: #a7b4c1 }
}
"""
_WORDS: Final = frozenset(f"{ANSWER} {EXPECTED} {FAILURE} {FINDING} {LABEL}".split())  # they have a class
_COLUMN: Final = 8.43  # px: a character of 14 px is 0.602 em wide in most monospaced fonts
_ROW: Final = 20
_BASELINE: Final = 14  # of a row, from its top
_EDGE: Final = 16


def as_svg(lines: Sequence[Sequence[Piece]], title: str) -> str:
    """The lines as a picture that is as wide as the widest of them."""
    columns = max((sum(cell_len(text) for text, _ in _shown(line)) for line in lines), default=0)
    width, height = round(2 * _EDGE + _COLUMN * columns), 2 * _EDGE + _ROW * len(lines)
    rows = [_row(_shown(line), _EDGE + _ROW * number + _BASELINE) for number, line in enumerate(lines)]
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" role="img" '
            f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<title>{html.escape(escape(title))}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{width}" height="{height}"/>',
            *filter(None, rows),
            "</svg>\n",
        ]
    )


def _shown(line: Sequence[Piece]) -> list[Piece]:
    """The pieces as they are shown, without blanks at the line's end."""
    pieces = [(escape(text), style) for text, style in line if text]
    while pieces and not pieces[-1][0].rstrip(" "):
        pieces.pop()
    if pieces:
        pieces[-1] = (pieces[-1][0].rstrip(" "), pieces[-1][1])
    return pieces


def _row(line: Sequence[Piece], y: int) -> str:
    """One line; nothing for one without text."""
    spans = []
    at = 0
    for text, style in line:
        columns = cell_len(text)
        names = " ".join(word for word in style.split() if word in _WORDS)
        kind = f' class="{names}"' if names else ""
        place = f'x="{_EDGE + _COLUMN * at:.2f}" textLength="{_COLUMN * columns:.2f}"'
        spans.append(f"<tspan {place}{kind}>{html.escape(text)}</tspan>")
        at += columns
    return f'<text y="{y}">{"".join(spans)}</text>' if spans else ""
