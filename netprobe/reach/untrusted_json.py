"""JSON from elsewhere, decoded within bounds that are ours. Pure.

Python's reader follows any depth until its stack ends, and an ``int`` may have as many digits as the interpreter's
``int_max_str_digits`` says: limits of this process, which its owner can change, and with costs that grow faster than
the text does. It also takes what JSON does not have (NaN, Infinity), guesses UTF-16 from a zero byte, and lets the
last of two equal keys win, about which two readers may differ. Here the text is looked through once, before anything
is built from it.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

__all__ = ["parse_untrusted"]

MOST_DEPTH = 8  # a hello has its links in lists in objects: 4
MOST_DIGITS = 40  # and signs and points: repr() of a float has 24 characters at most

# A string, to its end or the end of the text (so that nothing is looked at twice), or one bracket.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[][{}]')


def parse_untrusted(data: bytes) -> Any:
    """The value that ``data`` is; ValueError, without the text in it, when it is none or out of bounds."""
    text = data.decode("utf-8")
    _check_depth(text)
    return json.loads(
        text,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=_constant,
        object_pairs_hook=_object,
    )


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= MOST_DEPTH:
        return
    depth = 0
    for token in _TOKEN.finditer(text):
        bracket = token[0]
        if bracket in "{[":
            depth += 1
            if depth > MOST_DEPTH:
                raise ValueError("nested too deeply")
        elif bracket in "}]":
            depth -= 1


def _integer(digits: str) -> int:
    return int(_bounded(digits))


def _float(digits: str) -> float:
    number = float(_bounded(digits))
    if not isfinite(number):  # 1e999
        raise ValueError("a number without an end")
    return number


def _bounded(digits: str) -> str:
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number of too many digits")
    return digits


def _constant(word: str) -> float:
    raise ValueError("NaN and Infinity are not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
