"""What is unprintable is shown, never sent to a terminal."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from netprobe.text import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 漢字 ✓", "Grüße, 漢字 ✓"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[2J\x00\x7f", "\\x1b[2J\\x00\\x7f"),
        ("\x9b1m", "\\x9b1m"),  # C1's one-character CSI
        ("\u202egpj.exe", "\\u202egpj.exe"),  # right-to-left override
        ("\u2066x\u2069", "\\u2066x\\u2069"),  # isolates
        ("pay\u200bpal\ufeff", "pay\\u200bpal\\ufeff"),  # zero-width
        ("a\u2028b\xa0c", "a\\u2028b\\xa0c"),  # separators that are not the space
        ("\u0378\ue000\U000e0041", "\\u0378\\ue000\\U000e0041"),  # unassigned, private use, tag
        ("\udcff", "\\udcff"),  # a byte that is not UTF-8 in a file name
    ],
)
def test_each_unprintable_character_becomes_its_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_caller_may_keep_layout() -> None:
    assert escape("a\tb\nc\r", keep="\t\n") == "a\tb\nc\\r"


def test_nothing_of_a_harmful_category_passes() -> None:
    harmful = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    text = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in harmful)
    assert escape(text).isascii()
