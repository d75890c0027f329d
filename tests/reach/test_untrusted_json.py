"""JSON from elsewhere: what is beyond JSON, or beyond bounds, is an error before anything is made of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from netprobe.reach.untrusted_json import MOST_DEPTH, MOST_DIGITS, parse_untrusted


@pytest.fixture(params=[0, 4300, 100_000])
def digits_allowed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the interpreter was told (PYTHONINTMAXSTRDIGITS): the bound is ours."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(request.param)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": ' + b"9" * (MOST_DIGITS + 1) + b"}",
        b'{"a": ' + b"9" * 1_000_000 + b"}",
        b'{"a": 0.' + b"1" * 1_000_000 + b"}",
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "c": 2, "b": 1}}',
        b'{"a": 1, "\\u0061": 1}',
        b'{"a":' * (MOST_DEPTH + 1) + b"1" + b"}" * (MOST_DEPTH + 1),
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',  # a surrogate in UTF-8
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32"),
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 1} {}',
        b'{"a": "\x00"}',
        b"{'a': 1}",
        b"{",
        b"",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_not_json_or_beyond_bounds_is_an_error(data: bytes, digits_allowed: None) -> None:
    with pytest.raises(ValueError):
        parse_untrusted(data)


def test_brackets_in_a_string_are_no_depth() -> None:
    value = {"a": "[" * 1000 + '\\"{' * 1000, 'b"[': ["\\", "[\\\\", {"c": ']"'}]}
    assert parse_untrusted(json.dumps(value).encode()) == value


def test_width_is_no_depth() -> None:
    value = {"links": [{"name": "e", "more": []}] * 5000, "a": [[]] * 5000}
    assert parse_untrusted(json.dumps(value).encode()) == value


@pytest.mark.parametrize("piece", ['"', '\\"', '"\\', "[]", '{"', '\\\\"', "{}"])
def test_the_look_through_takes_linear_time(piece: str) -> None:
    """Quadratic, a megabyte would be looked at for hours."""
    with pytest.raises(ValueError):
        parse_untrusted(b"{" * MOST_DEPTH + (piece * (1_000_000 // len(piece))).encode())


def test_numbers_are_what_they_were() -> None:
    text = '{"a": [0, -1, 1.5, 1e3, 0.30000000000000004, 1.7976931348623157e+308, 2147483648]}'
    assert parse_untrusted(text.encode()) == json.loads(text)
