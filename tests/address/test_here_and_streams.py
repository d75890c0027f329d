"""An address seen from this host, and a stream that takes its options from the command line or refuses them."""

from __future__ import annotations

import json
import select
import subprocess
from pathlib import Path

import pytest

import netprobe as library
from netprobe.address import Classification, classify
from netprobe.address.here import Here, HostRoute, LinkAddress, seen_from
from netprobe.errors import AddressError
from tests.conftest import NETPROBE, Run

HELD = [
    LinkAddress("127.0.0.1", 8, "lo"),
    LinkAddress("10.9.0.5", 24, "d0"),
    LinkAddress("10.8.0.4", 31, "d1"),
    LinkAddress("fd00::5", 64, "d0"),
]
ROUTES = [HostRoute(4, "10.9.0.1", "d0"), HostRoute(6, "fd00::1", "d0")]


@pytest.mark.parametrize(
    ("text", "relation", "interface", "gateway"),
    [
        ("10.9.0.5", "own", "d0", None),
        ("127.3.2.1", "own", "lo", None),
        ("0.0.0.0", "own", None, None),
        ("::", "own", None, None),
        ("10.9.0.0", "network", "d0", None),
        ("10.9.0.255", "broadcast", "d0", None),
        ("10.9.0.1", "gateway", "d0", None),
        ("10.9.0.77", "on-link", "d0", None),
        ("10.8.0.5", "on-link", "d1", None),
        ("fd00::77", "on-link", "d0", None),
        ("255.255.255.255", "on-link", "d0", None),
        ("224.0.0.1", "on-link", "d0", None),
        ("ff02::1", "on-link", "d0", None),
        ("8.8.8.8", "routed", "d0", "10.9.0.1"),
        ("2001:4860::1", "routed", "d0", "fd00::1"),
    ],
)
def test_where_an_address_is_for_a_host(text: str, relation: str, interface: str | None, gateway: str | None) -> None:
    found = classify(text)
    here = seen_from(found.version, found.integer, HELD, ROUTES)
    assert (here.relation, here.interface, here.gateway) == (relation, interface, gateway)


@pytest.mark.parametrize("text", ["8.8.8.8", "224.0.0.1", "255.255.255.255"])
def test_a_host_without_a_default_route_reaches_nothing_outside(text: str) -> None:
    assert seen_from(4, classify(text).integer, HELD, []) == Here("no-route", None, None, None)


@pytest.mark.parametrize(
    ("text", "way", "here"),
    [
        ("10.9.0.77", HostRoute(4, "10.9.0.9", "d0"), Here("routed", "d0", None, "10.9.0.9")),
        ("10.9.0.77", HostRoute(4, None, "d0"), Here("on-link", "d0", "10.9.0.0/24", None)),
        ("10.9.0.77", HostRoute(4, None, "d7"), Here("on-link", "d7", None, None)),
        ("10.9.0.77", None, Here("no-route", None, None, None)),
        ("10.60.0.1", None, Here("no-route", None, None, None)),
        ("8.8.8.8", HostRoute(4, "10.8.0.5", "d1"), Here("routed", "d1", None, "10.8.0.5")),
        ("10.77.0.1", HostRoute(4, None, "lo", own=True), Here("own", "lo", None, None)),
        ("224.0.0.1", HostRoute(4, "10.8.0.5", "d1"), Here("on-link", "d1", None, None)),
    ],
)
def test_the_way_that_the_host_looks_up_decides(text: str, way: HostRoute | None, here: Here) -> None:
    assert seen_from(4, classify(text).integer, HELD, ROUTES, lambda: way) == here


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


def test_a_prefix_for_all_lines_of_a_stream(netprobe: Run) -> None:
    lines = "10.0.0.9\n10.0.0.9/16\n10.0.0.1-10.0.0.2\n9.1.20.172.in-addr.arpa\n"
    ran = netprobe("classify", "-", "--prefix", "24", "--format", "ndjson", stdin=lines)
    assert (ran.status, ran.stderr) == (0, "")
    networks = [json.loads(line)["network"] for line in ran.stdout.splitlines()]
    assert [n and n["network"] for n in networks] == ["10.0.0.0/24", "10.0.0.0/16", None, None]


def test_a_zone_with_a_dash_is_no_range(netprobe: Run) -> None:
    for ran in (
        netprobe("classify", "fe80::1%eth-0", "--prefix", "64", "--format", "ndjson"),
        netprobe("classify", "-", "--prefix", "64", "--format", "ndjson", stdin="fe80::1%eth-0\n"),
    ):
        assert json.loads(ran.stdout)["network"]["network"] == "fe80::/64"


def test_both_readings_and_the_verdict_are_in_the_plain_line(netprobe: Run) -> None:
    ran = netprobe("classify", "10.0.0.5/8", "10.0.0.0/8", "172.16.0.1/11", "2002:7f00:1::")
    said = ran.stdout.splitlines()
    assert said[0].endswith(", a host of 10.0.0.0/8; 10.0.0.0/8 as a whole is private")
    assert said[1].endswith(", the network address of 10.0.0.0/8")
    assert said[2].endswith(", a host of 172.0.0.0/11; 172.0.0.0/11 as a whole is mixed")
    assert said[3:5] == ["172.0.0.0-172.15.255.255\tpublic\t-", "172.16.0.0-172.31.255.255\tprivate\t172.16.0.0/12"]
    assert said[5].endswith("; beware: globally routable 6to4 that leads to 127.0.0.1 (loopback)")


def test_a_prefix_of_several_kinds_has_no_block_of_its_own(netprobe: Run) -> None:
    ran = netprobe("classify", "-", "--prefix", "7", stdin="10.0.0.0\n")
    assert ran.stdout == "10.0.0.0\tmixed\t-\n"


@pytest.mark.parametrize("option", ["--here", "--bits"])
def test_an_option_that_a_stream_cannot_honour_is_refused(option: str, netprobe: Run) -> None:
    ran = netprobe("classify", "-", option, stdin="10.0.0.1\n")
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"netprobe: {option}: ")


def test_two_processes_keep_the_order_and_say_what_one_says(tmp_path: Path, netprobe: Run) -> None:
    path = tmp_path / "addresses"
    path.write_text("".join(f"{n % 223 + 1}.{n >> 8 & 255}.{n & 255}.7\n" for n in range(200_000)) + "bad\n")
    one, two = (netprobe("classify", "--file", str(path), "--processes", n) for n in "12")
    assert one == two
    assert one.status == 2
    assert one.stderr.startswith("netprobe: line 200001: bad: ")
    assert one.stdout.count("\n") == 200_000


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_slow_stream_is_answered_line_by_line(processes: str) -> None:
    argv = [str(NETPROBE), "classify", "-", "--processes", processes]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(20):
            process.stdin.write(b"10.0.0.%d\n" % number)
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 20)[0], f"nothing after line {number + 1}"
            assert process.stdout.readline() == b"10.0.0.%d\tprivate\t10.0.0.0/8\n" % number
        process.stdin.close()
        assert process.wait(20) == 0


def test_the_library_classifies_lines_and_hands_back_the_errors() -> None:
    first, second = library.classify_many(["# sources\n", "\n", "10.0.0.1\n", "10.0.0.300\n"])
    assert isinstance(first, Classification)
    assert first.kind == "private"
    assert isinstance(second, AddressError)
