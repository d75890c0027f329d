"""Lines that are no longer than the terminal is wide, broken between words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from netprobe.render.terminal import Terminal

__all__ = ["fold", "folded_line"]

NARROWEST: Final = 20  # columns; nothing is folded closer


def folded_line(line: str, width: int) -> str:
    """``line`` in lines of ``width``, the later ones indented; a word that is longer stays whole."""
    if len(line) <= width:
        return line
    from textwrap import wrap

    width = max(width, NARROWEST)
    return "\n".join(wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def fold(text: str, terminal: Terminal) -> str:
    """``text`` for a person: its lines folded on a terminal, as they are in a pipe."""
    if not terminal.stdout_tty:
        return text
    return "\n".join(folded_line(line, terminal.width) for line in text.split("\n"))
