"""The sentences of a record, and which text is read as what."""

from __future__ import annotations

import json

import pytest

from netprobe.address import classify
from tests.conftest import Run


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "172.20.255.255/24",
            "the broadcast of 172.20.255.0/24 and the all-subnets broadcast of 172.20.0.0/16",
        ),
        ("172.20.0.0/24", "the network address of 172.20.0.0/24 and the network address of 172.20.0.0/16"),
        ("172.20.1.255/24", "the broadcast of 172.20.1.0/24"),
        ("172.20.1.5/24", "a host of 172.20.1.0/24"),
    ],
)
def test_the_sentence_names_every_role_that_applies(text: str, place: str) -> None:
    assert classify(text).summary == f"class B, private (172.16.0.0/12, RFC 1918), {place}"


def test_a_zone_with_a_dash_is_no_range(netprobe: Run) -> None:
    for ran in (
        netprobe("classify", "fe80::1%eth-0", "--prefix", "64", "--format", "ndjson"),
        netprobe("classify", "-", "--prefix", "64", "--format", "ndjson", stdin="fe80::1%eth-0\n"),
    ):
        assert json.loads(ran.stdout)["network"]["network"] == "fe80::/64"


def test_both_readings_and_the_warning_are_in_the_plain_line(netprobe: Run) -> None:
    ran = netprobe("classify", "10.0.0.5/8", "10.0.0.0/8", "172.16.0.1/11", "2002:7f00:1::")
    said = ran.stdout.splitlines()
    assert said[0].endswith(", a host of 10.0.0.0/8; 10.0.0.0/8 as a whole is private")
    assert said[1].endswith(", the network address of 10.0.0.0/8")
    assert said[2].endswith(", a host of 172.0.0.0/11; 172.0.0.0/11 as a whole is mixed")
    assert said[3:5] == ["172.0.0.0-172.15.255.255\tpublic\t-", "172.16.0.0-172.31.255.255\tprivate\t172.16.0.0/12"]
    assert said[5].endswith("; beware: globally routable 6to4 that leads to 127.0.0.1 (loopback)")


def test_big_integers_also_come_as_digits() -> None:
    found = classify("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1")
    assert found.integer_text == str(2**128 - 1)
    assert found.network is not None and found.hosts_text == str(found.network.hosts)
    assert found.range is not None and found.addresses_text == str(2**127)
    assert classify("10.0.0.0-10.0.0.2").addresses_text == "3"
