"""Ranges, prefixes and predicates."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.address import classify
from netprobe.address.ranges import fewest_prefixes
from netprobe.errors import AddressError
from tests.conftest import Run


def test_a_range_shows_where_private_begins_and_ends(netprobe: Run) -> None:
    whole = classify("172.15.0.0-172.32.255.255").range
    assert whole is not None
    assert [(p.first, p.last, p.kind) for p in whole.pieces] == [
        ("172.15.0.0", "172.15.255.255", "public"),
        ("172.16.0.0", "172.31.255.255", "private"),
        ("172.32.0.0", "172.32.255.255", "public"),
    ]
    assert (
        "172.16.0.0-172.31.255.255\tprivate\t172.16.0.0/12" in netprobe("classify", "172.15.0.0-172.32.255.255").stdout
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_fewest_prefixes_are_those_of_the_standard_library(one: int, two: int) -> None:
    first, last = sorted((one, two))
    peer = ipaddress.summarize_address_range(ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))
    assert list(fewest_prefixes(4, first, last)) == list(map(str, peer))


def test_host_bits_decide_whether_the_prefix_or_the_address_is_meant() -> None:
    assert classify("172.0.0.0/8").kind == "mixed"
    found = classify("172.16.0.1/8")
    assert found.kind == "private"
    assert found.range is not None and found.range.kind == "mixed"
    assert found.network is not None and found.network.network == "172.0.0.0/8"


@pytest.mark.parametrize("text", ["10.0.0.2-10.0.0.1", "10.0.0.1-::1", "10.0.0.0/8-11.0.0.0", "1.2.3.4-", "1-2"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        classify(text)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["private", "10.0.0.1", "192.168.0.1"], 0),
        (["private", "10.0.0.1", "8.8.8.8"], 1),
        (["global", "192.0.0.9"], 0),
        (["class-b", "172.20.1.5"], 0),
        (["v6", "::1"], 0),
        (["broadcast", "10.0.0.255/24"], 0),
        (["private", "10.0.0.256"], 2),
        (["privat", "10.0.0.1"], 2),
    ],
)
def test_a_predicate_answers_by_its_exit_status(words: list[str], status: int, netprobe: Run) -> None:
    ran = netprobe("classify", "-q", "--is", *words)
    assert (ran.status, ran.stdout) == (status, "")
