"""``HOST[:PORT]``: what is read, what is refused."""

from __future__ import annotations

import pytest

from netprobe.endpoints import DEFAULT_PORT, format_endpoint, parse_endpoint
from netprobe.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("a.example", "a.example", DEFAULT_PORT),
        ("a.example:7", "a.example", 7),
        ("127.0.0.1:65535", "127.0.0.1", 65535),
        ("::1", "::1", DEFAULT_PORT),
        ("[::1]", "::1", DEFAULT_PORT),
        ("[::1]:7", "::1", 7),
        ("[::1]:0000007", "::1", 7),
        ("fe80::1%lo", "fe80::1%lo", DEFAULT_PORT),
        ("[fe80::1%lo]:7", "fe80::1%lo", 7),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", DEFAULT_PORT),
    ],
)
def test_what_is_read(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":7", "[]:7", "[::1", "[::1]7", "[a.example]", "[127.0.0.1]:7", "::1:65432", "1:2:3", "::\x01", "::\0", "a:b"]
    + [f"a:{port}" for port in ("", "0", "000", "65536", "-1", "٣", "7 ", "7" * 5000)],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_endpoint(text)


def test_a_port_without_brackets_gets_them_in_the_hint() -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_endpoint("::1:65432")
    assert "[::1]:65432" in (refused.value.hint or "")


def test_a_place_has_brackets_around_colons() -> None:
    assert format_endpoint("::1", 7) == "[::1]:7"
    assert format_endpoint("a.example", 7) == "a.example:7"
