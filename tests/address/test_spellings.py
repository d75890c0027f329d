"""How others read what netprobe refuses: held against the C library itself."""

from __future__ import annotations

import ctypes
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netprobe.address import classify
from netprobe.address.spellings import inet_aton, whatwg_host
from netprobe.errors import AddressError
from tests.conftest import Run

part = st.sampled_from(
    [
        "0",
        "1",
        "255",
        "256",
        "010",
        "0x1f",
        "08",
        "0x",
        "65535",
        "65536",
        "16777215",
        "4294967295",
        "4294967296",
        "",
        "1 x",
    ]
)
spelling = st.one_of(st.lists(part, min_size=1, max_size=5).map(".".join), st.text("0123456789.xXaf ", max_size=12))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's inet_aton is the peer")
@given(spelling)
@example("127.1")
def test_inet_aton_is_read_as_the_c_library_reads_it(text: str) -> None:
    buffer = ctypes.create_string_buffer(4)
    accepted = ctypes.CDLL(None).inet_aton(text.encode(), buffer)
    assert inet_aton(text) == (int.from_bytes(buffer.raw) if accepted else None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0x7f.1", 0x7F000001),
        ("2130706433", 0x7F000001),
        ("1.2.3.4.", 0x01020304),
        ("\uff11.2.3.4", 0x01020304),
        ("0x", 0),
        ("%31.2.3.4", 0x01020304),
        ("1\u30022.3.4", 0x01020304),
        ("08.1", None),
        ("1.2.3.256", None),
        ("256.1", None),
        ("example", None),
        ("1.2.3.4..", None),
    ],
)
def test_the_url_host_parser_of_browsers(text: str, number: int | None) -> None:
    assert whatwg_host(text) == number


@pytest.mark.parametrize(
    "text", ["010.1.1.1", "127.1", "0x7f.1", "2130706433", "1.2.3.4.", "\uff11\uff12\uff17.0.0.1", "::ffff:127.1"]
)
def test_a_legacy_spelling_is_refused_and_told_how_others_read_it(text: str, netprobe: Run) -> None:
    ran = netprobe("classify", text)
    assert (ran.status, ran.stdout) == (2, "")
    error, hint = ran.stderr.splitlines()
    assert error.startswith("netprobe: ")
    assert "inet_aton" in hint and "WHATWG" in hint
    if text == "0x7f.1":
        assert "reads 127.0.0.1 (loopback, 127.0.0.0/8)" in hint


def test_lenient_takes_what_inet_aton_takes_and_keeps_the_readings() -> None:
    found = classify("0x7f.1/8", lenient=True)
    assert (found.address, found.spelling) == ("127.0.0.1", "0x7f.1/8")
    assert [(r.parser, r.address) for r in found.readings] == [("inet_aton", "127.0.0.1"), ("whatwg", "127.0.0.1")]
    with pytest.raises(AddressError):
        classify("1.2.3.4.", lenient=True)
