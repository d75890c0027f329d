"""One record as a card: the answer, labelled lines, commands to go on with.

Lines fold between words and never inside an address; a command stays on one line, even a long one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from rich.style import Style
from rich.text import Text

from netprobe.render.grid import prose
from netprobe.render.links import linked
from netprobe.render.marks import REMARK
from netprobe.render.palette import ANSWER, FINDING, LABEL, VALUE
from netprobe.render.table import print_lines
from netprobe.render.terminal import Terminal

__all__ = ["Card", "Row", "next_lines", "print_cards"]

_INDENT = "  "
_WIDEST = 100  # columns; longer lines are hard to read


class Row(NamedTuple):
    """A labelled line. ``values`` start a line each; ``url`` makes the label a link."""

    label: str
    values: tuple[str, ...]
    url: str | None = None


class Card(NamedTuple):
    """``word`` stands beside the title; ``answers`` are sentences, ``findings`` what to know before using it."""

    title: str
    word: str
    rows: Sequence[Row]
    answers: Sequence[str] = ()
    findings: Sequence[str] = ()
    word_style: str = VALUE
    commands: Sequence[str] = ()


def print_cards(cards: Sequence[Card], terminal: Terminal) -> None:
    """Print the cards with a blank line between two; at most 100 columns are used."""
    width = min(terminal.width, _WIDEST)
    gap = (Text(),)
    lines = chain.from_iterable((*(gap if number else ()), *_lines(card, width)) for number, card in enumerate(cards))
    print_lines((linked(line, terminal) for line in lines), terminal)


def next_lines(commands: Sequence[str], heading: str = "Next:") -> Iterator[Text]:
    """A blank line, the heading, and the commands, none of which is folded."""
    if commands:
        yield Text()
        yield Text(heading)
        yield from (Text(f"{_INDENT}{command}", style=VALUE) for command in commands)


def _lines(card: Card, width: int) -> Iterator[Text]:
    gap = "  " if len(card.title) + len(card.word) + 2 <= width else f"\n{_INDENT}"
    yield Text.assemble((card.title, ANSWER), gap if card.word else "", (card.word, card.word_style))
    for answer in card.answers:
        yield from prose(Text(answer), width, _INDENT)
    for finding in card.findings:
        yield from prose(Text(finding, style=FINDING), width, _INDENT, f"{REMARK} ")
    if card.rows:
        yield Text()
    margin = max((len(row.label) for row in card.rows), default=0) + 2
    for row in card.rows:
        yield from _row(row, margin, width)
    yield from next_lines(card.commands)


def _row(row: Row, margin: int, width: int) -> Iterator[Text]:
    """The label, the values beside it, or below where a word of theirs would not fit."""
    label = Text(row.label, style=Style.parse(LABEL) + Style(link=row.url) if row.url else LABEL)
    indent = _INDENT + " " * margin
    longest = max((len(word) for value in row.values for word in value.split(" ")), default=0)
    beside = len(indent) + longest <= width
    if not beside:
        yield Text(_INDENT).append_text(label)
        indent = _INDENT * 2
    for number, value in enumerate(row.values):
        for at, line in enumerate(prose(Text(value, style=VALUE), width, indent)):
            if beside and number == at == 0:
                yield (
                    Text(_INDENT)
                    .append_text(label)
                    .append(" " * (margin - len(row.label)))
                    .append_text(line[len(indent) :])
                )
            else:
                yield line
