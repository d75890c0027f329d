"""Ranges, prefixes, predicates and streams."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.address import classify
from netprobe.address.bulk import Labeller
from netprobe.address.ranges import fewest_prefixes
from netprobe.address.stream import Block, Plan, handle
from netprobe.errors import AddressError
from tests.conftest import NETPROBE, Run, clean_environment, run_in_terminal


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


LINES = [
    "10.0.0.1",
    "# a comment",
    "",
    "8.8.8.8",
    "1.2.3.300",
    "::1",
    "10.0.0.0/8",
    "010.1.1.1",
    "192.0.0.9",
    "fe80::1%x",
]


def test_a_stream_goes_on_after_a_bad_line_and_tells_its_number(netprobe: Run) -> None:
    ran = netprobe("classify", "-", stdin="\n".join(LINES) + "\n")
    assert ran.status == 2
    assert [line.split("\t")[:2] for line in ran.stdout.splitlines()] == [
        ["10.0.0.1", "private"],
        ["8.8.8.8", "public"],
        ["::1", "loopback"],
        ["10.0.0.0/8", "private"],
        ["192.0.0.9", "anycast"],
        ["fe80::1%x", "link-local"],
    ]
    assert ran.stderr.splitlines() == [
        "netprobe: line 5: 1.2.3.300: octet 300 is out of range",
        "netprobe: line 8: 010.1.1.1: octet 010 has a leading zero",
    ]


def test_filters_work_like_a_grep_for_addresses(netprobe: Run) -> None:
    text = "a 10.0.0.1 x\nb 8.8.8.8 y\nc 172.16.0.1 z\n"
    ran = netprobe("classify", "-", "--field", "2", "--not", "private", stdin=text)
    assert ran.stdout == "b 8.8.8.8 y\tpublic\t-\n"
    ran = netprobe("classify", "-", "--field", "2", "--only", "class-b", stdin=text)
    assert ran.stdout.startswith("c 172.16.0.1 z\t")
    ran = netprobe("classify", "-", "--field", "1", "--delimiter", ",", stdin="10.0.0.1,x\n")
    assert ran.stdout == "10.0.0.1,x\tprivate\t10.0.0.0/8\n"


def test_a_count_is_a_histogram_by_kind(netprobe: Run) -> None:
    ran = netprobe("classify", "-", "--count", "--json", stdin="10.0.0.1\n10.0.0.2\n8.8.8.8\n")
    assert [(r["kind"], r["count"]) for r in json.loads(ran.stdout)["results"]] == [("private", 2), ("public", 1)]


addresses = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n))),
    st.integers(0, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n))),
    st.sampled_from(["192.0.0.8", "192.0.0.10", "224.0.0.1", "255.255.255.255", "0.0.0.0", "::", "::2", "64:ff9b::1"]),
)


@settings(max_examples=50)
@given(st.lists(addresses, min_size=1, max_size=700))
def test_a_block_says_of_each_line_what_the_record_says(texts: list[str]) -> None:
    outcome = handle(Plan(), Block("\n".join(texts).encode(), 1))
    for line, text in zip(outcome.text.decode().splitlines(), texts, strict=True):
        found = classify(text)
        assert line.split("\t") == [text, found.kind, found.block.cidr if found.block else "-"]


def test_a_stream_that_repeats_itself_gets_the_same_answers() -> None:
    texts = ["10.0.0.1", "8.8.8.8", "bad"] * 1000
    tails = Labeller().tails(texts)
    assert set(tails.each[::3]) == {"\tprivate\t10.0.0.0/8\n"}
    assert {type(t) for t in tails.each[2::3]} == {AddressError}


@pytest.mark.parametrize("processes", ["1", "2", "3"])
def test_order_and_line_numbers_are_kept_over_processes(processes: str, tmp_path: Path, netprobe: Run) -> None:
    rng = random.Random(7)
    lines = [str(ipaddress.IPv4Address(rng.getrandbits(32))) for _ in range(300_000)]
    lines[250_000] = "bad"
    path = tmp_path / "addresses"
    path.write_text("\n".join(lines) + "\n")
    ran = netprobe("classify", "--file", str(path), "--processes", processes)
    assert ran.status == 2
    assert ran.stderr == "netprobe: line 250001: bad: not an address\n"
    del lines[250_000]
    assert [line.partition("\t")[0] for line in ran.stdout.splitlines()] == lines


@pytest.mark.parametrize("processes", ["1", "2"])
def test_head_ends_a_stream_quietly(processes: str, tmp_path: Path) -> None:
    path = tmp_path / "addresses"
    path.write_text("10.0.0.1\n" * 2_000_000)
    command = f'"{NETPROBE}" classify --file {path} --processes {processes} | head -1'
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("10.0.0.1\tprivate\t10.0.0.0/8\n", "")


def test_a_terminal_as_standard_input_is_wrong_usage_and_does_not_hang() -> None:
    shown = run_in_terminal([str(NETPROBE), "classify", "-"])
    assert shown.status == 2
    assert "standard input is a terminal" in shown.stdout


def test_a_line_that_is_not_text_is_told_and_does_not_end_the_stream() -> None:
    done = subprocess.run(
        [NETPROBE, "classify", "-"],
        input=b"\xff\xfe\x00\n10.0.0.1\n" + os.urandom(100).replace(b"\n", b"") + b"\n",
        capture_output=True,
        env=clean_environment(),
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == b"10.0.0.1\tprivate\t10.0.0.0/8\n"
