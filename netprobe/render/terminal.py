"""What is known about the terminal, found once and passed in: ttys, width, colour; and text folded to its width."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple, TextIO

__all__ = ["DEFAULT_WIDTH", "Terminal", "fold", "folded_line", "wants_colour"]

DEFAULT_HEIGHT = 24  # lines, if stdout is no terminal
DEFAULT_WIDTH = 80  # columns, if neither COLUMNS nor a terminal gives a width
_NARROWEST = 20  # columns; text is never folded to less
_BEYOND_ASCII = "✓→×▁█…"  # what netprobe draws with; code pages such as 437 have some of them, and that is not enough
_WITHOUT_LINKS = ("dumb", "linux", "cons25", "vt100", "vt220")  # terminals that would print OSC 8, or parts of it


class Terminal(NamedTuple):
    """What the three standard streams are, as one injected value.

    ``width`` is in columns, at least 1, ``height`` in lines. ``colour`` is the decision, made from ``--color``,
    ``NO_COLOR``, ``TERM`` and the tty. ``hyperlinks``: may a text be a link (OSC 8)? ``unicode``: can stdout carry
    ticks, arrows and bars?
    """

    stdin_tty: bool
    stdout_tty: bool
    stderr_tty: bool
    width: int = DEFAULT_WIDTH
    colour: bool = False
    hyperlinks: bool = False
    unicode: bool = True
    height: int = DEFAULT_HEIGHT

    @classmethod
    def detect(cls, color: str = "auto", environ: Mapping[str, str] | None = None) -> Terminal:
        """Ask the process' own streams and environment; ``color`` is ``auto``, ``always`` or ``never``."""
        env = os.environ if environ is None else environ
        stdout_tty = _is_tty(sys.stdout)
        colour = wants_colour(color, env, stdout_tty)
        return cls(
            stdin_tty=_is_tty(sys.stdin),
            stdout_tty=stdout_tty,
            stderr_tty=_is_tty(sys.stderr),
            width=_width(env),
            colour=colour,
            hyperlinks=colour and stdout_tty and env.get("TERM", "dumb") not in _WITHOUT_LINKS,
            unicode=_carries(sys.stdout, _BEYOND_ASCII),
            height=_height(),
        )


def wants_colour(color: str, environ: Mapping[str, str], tty: bool) -> bool:
    """Whether to colour: ``--color`` decides, then a non-empty ``NO_COLOR`` (no-color.org), ``TERM=dumb``, the tty."""
    if color != "auto":
        return color == "always"
    return tty and not environ.get("NO_COLOR") and environ.get("TERM", "") != "dumb"


def folded_line(line: str, width: int) -> str:
    """``line`` folded to ``width``, continuation lines indented; a longer word stays whole."""
    if len(line) <= width:
        return line
    from textwrap import wrap

    width = max(width, _NARROWEST)
    return "\n".join(wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def fold(text: str, terminal: Terminal) -> str:
    """``text`` with its lines folded if stdout is a terminal, and unchanged in a pipe.

    An indented line stays whole: it is a command or a rule, to be copied.
    """
    if not terminal.stdout_tty:
        return text
    lines = text.split("\n")
    return "\n".join(line if line.startswith("  ") else folded_line(line, terminal.width) for line in lines)


def _is_tty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _carries(stream: TextIO | None, characters: str) -> bool:
    try:
        characters.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _width(environ: Mapping[str, str]) -> int:
    """``COLUMNS`` if it is a positive number, else the terminal's width, else 80."""
    columns = environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and len(columns) < 6 and int(columns) > 0:
        return int(columns)
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        try:
            width = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            continue
        if width > 0:
            return width
    return DEFAULT_WIDTH


def _height() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or DEFAULT_HEIGHT
    except (OSError, ValueError, AttributeError):
        return DEFAULT_HEIGHT
