"""Text broken between words into lines that fit the width of the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from netprobe.render.terminal import Terminal

__all__ = ["fold", "folded_line"]

_NARROWEST: Final = 20  # columns; text is never folded to less


def folded_line(line: str, width: int) -> str:
    """``line`` folded to ``width``, continuation lines indented; a longer word stays whole."""
    if len(line) <= width:
        return line
    from textwrap import wrap

    width = max(width, _NARROWEST)
    return "\n".join(wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def fold(text: str, terminal: Terminal) -> str:
    """``text`` with its lines folded if stdout is a terminal, and unchanged in a pipe."""
    if not terminal.stdout_tty:
        return text
    return "\n".join(folded_line(line, terminal.width) for line in text.split("\n"))
