"""What is a host's name, what is an address, and what is neither."""

from __future__ import annotations

import pytest

from netprobe.errors import AddressError, InvalidInputError
from netprobe.reach.host_name import HostName, parse_host
from netprobe.reach.scoped_address import ScopedAddress


@pytest.mark.parametrize("text", ["localhost", "web.internal", "web.internal.", "a_b", "3com.example", "x-y", "a" * 63])
def test_a_name_is_asked_for_as_it_is_given(text: str) -> None:
    assert parse_host(text) == HostName(text, text)


def test_a_name_beyond_ascii_is_asked_for_with_its_a_labels_and_told_as_it_was_given() -> None:
    assert parse_host("bücher.example") == HostName("bücher.example", "xn--bcher-kva.example")  # RFC 3492's example


@pytest.mark.parametrize("text", ["192.0.2.1", "::1", "[::1]", "fe80::1%eth0", " 192.0.2.1 "])
def test_an_address_is_no_name(text: str) -> None:
    assert parse_host(text) == ScopedAddress.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("127.1", "010.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "192.0.2.300", "192.0.2.1.", "a.0x", "1:2"),
        *("a%eth0", "192.0.2.0/24", "[a]", "", " "),
    ],
)
def test_a_mistyped_address_is_not_asked_of_a_resolver_that_would_take_it(text: str) -> None:
    with pytest.raises(AddressError):
        parse_host(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a\nb", "cannot be printed"),
        ("a\0", "cannot be printed"),
        ("\x1b[31m", "not an IP address"),
        ("a\u202eb", "cannot be printed"),
        ("a\udcffb", "cannot be printed"),
        ("a b", "space"),
        ("-x", "hyphen"),
        ("--help", "hyphen"),
        ("a..b", "1 to 63"),
        (".a", "1 to 63"),
        (f"{'a' * 64}.b", "1 to 63"),
        ("a." * 127 + "b", "more than 253"),
        ("ü" * 300, "IDNA"),
    ],
)
def test_what_no_resolver_can_be_asked_for_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why) as caught:
        parse_host(text)
    assert len(str(caught.value)) < 200
