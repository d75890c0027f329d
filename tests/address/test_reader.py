"""What is an address and what is not: held against the standard library on every text both may accept."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netprobe.address import classify
from netprobe.errors import AddressError, Exit
from netprobe.render.output import error_lines

v4 = st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n)))
v6 = st.integers(0, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n)))
sparse_v6 = st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF]), min_size=8, max_size=8).map(
    lambda groups: ":".join(f"{g:x}" for g in groups)
)
almost = st.text(alphabet="0123456789abcdefABCDEF:.%[]/xg \uff11", max_size=46)


def by_ipaddress(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@given(st.one_of(v4, v6, sparse_v6))
def test_every_address_reads_and_prints_as_the_standard_library_does(text: str) -> None:
    peer = ipaddress.ip_address(text)
    found = classify(text)
    assert found.integer == int(peer)
    assert found.version == peer.version
    assert found.reverse_name == peer.reverse_pointer
    if not (peer.version == 6 and peer.ipv4_mapped):
        assert found.address == str(peer)


@given(almost)
@example("1:2:3:4:5:6:7::")
@example("::1.2.3.4")
@example("1::2::3")
def test_what_the_standard_library_refuses_is_refused(text: str) -> None:
    if "/" in text:
        return
    peer = by_ipaddress(text)
    try:
        found = classify(text)
    except AddressError:
        assert peer is None or "%" in text
    else:
        assert peer is not None
        assert found.integer == int(peer)


@given(st.text())
def test_nothing_but_the_declared_error_comes_out_of_any_text(text: str) -> None:
    try:
        classify(text)
    except AddressError as error:
        assert error.exit_code == Exit.USAGE
        assert "\n" not in error_lines(str(error))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.2.3.300", "octet 300"),
        ("010.1.1.1", "leading zero"),
        ("1.2.3", "three octets"),
        ("1.2.3.4%eth0", "zone"),
        ("1.2.3.4:80", "host:port is not an address"),
        ("[::1]:80", "host:port is not an address"),
        ("12345::", "four"),
        ("1.2.3.4/33", "out of range"),
        ("1.2.3.4/255.0.255.0", "not contiguous"),
        ("", "no address"),
    ],
)
def test_the_error_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(AddressError) as caught:
        classify(text)
    assert said in str(caught.value)
