"""One record as a card: a title, then labelled lines that fold between words and never inside an address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.text import Text

from netprobe.render.table import console
from netprobe.render.terminal import Terminal

__all__ = ["Card", "print_cards"]

Card = tuple[str, str, Sequence[tuple[str, str]]]  # title, verdict, (label, value) lines

_WIDE = 60  # from this width on the labels have a column of their own
_MARGIN = 11  # the width of that column


def print_cards(cards: Sequence[Card], terminal: Terminal) -> None:
    """Print the cards with a blank line between two; at most 100 columns are used."""
    out = console(terminal)
    for number, (title, verdict, lines) in enumerate(cards):
        if number:
            out.print()
        head = Text(title, style="bold")
        if verdict:
            gap = "  " if len(title) + len(verdict) + 2 <= terminal.width else "\n "
            head.append(gap).append(verdict, style="cyan")
        out.print(head, soft_wrap=True)
        for label, value in lines:
            for text in _folded(label, value, min(terminal.width, 100)):
                out.print(text, soft_wrap=True)


def _folded(label: str, value: str, width: int) -> Iterator[Text]:
    wide = width >= _WIDE
    room = width - (_MARGIN + 1 if wide else 1)
    lines = [
        line
        for part in value.split("\n")
        for line in wrap(part, room, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    if not wide:
        yield Text(label, style="dim")
        yield from (Text(f" {line}") for line in lines)
        return
    for number, line in enumerate(lines):
        yield Text(f" {label if number == 0 else '':{_MARGIN}}", style="dim").append(Text(line, style="default"))
