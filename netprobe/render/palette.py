"""The colours of the terminal by what they mean: one palette for every command.

Named colours of the terminal's own sixteen, so that whoever has chosen a light or a dark theme has chosen these, too;
no colour is ever the only carrier of a meaning (marks and words say the same). Values stand in the ordinary foreground:
``dim`` is unreadable on some screens, so only what explains values (labels, legends) is. ``cyan`` and ``white`` vanish
on light backgrounds, and bright colours are many terminals' bold.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ANSWER", "EXPECTED", "FAILURE", "FINDING", "HEADING", "LABEL", "VALUE", "style_of_kind"]

ANSWER: Final = "bold"  # the sentence that answers the question; the first or the last line
HEADING: Final = "bold"  # of a column or a part
EXPECTED: Final = "green"  # the mark of what is as expected, and nothing else
FAILURE: Final = "bold red"  # not as expected, lost, failed
FINDING: Final = "yellow"  # remarks; what is open to more than a reader may think, such as public addresses
LABEL: Final = "dim"  # what stands beside a value and explains it; legends; the special kinds of addresses
VALUE: Final = ""  # addresses, rules, commands, numbers: the ordinary foreground


def style_of_kind(kind: str) -> str:
    """Of the kind of an address: what anybody may reach stands out, blocks that IANA keeps for a purpose step back."""
    return FINDING if kind == "public" else VALUE if kind == "mixed" else LABEL
