"""Streams: every line answered, in order, by one process or several."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import select
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netprobe as library
from netprobe.address import Classification, classify
from netprobe.bulk.blocks import Block
from netprobe.bulk.filters import Plan, process_block
from netprobe.bulk.labels import Labeller
from netprobe.errors import AddressError
from tests.conftest import NETPROBE, Run, clean_environment, run_in_terminal


def test_a_prefix_for_all_lines_of_a_stream(netprobe: Run) -> None:
    lines = "10.0.0.9\n10.0.0.9/16\n10.0.0.1-10.0.0.2\n9.1.20.172.in-addr.arpa\n"
    ran = netprobe("classify", "-", "--prefix", "24", "--format", "ndjson", stdin=lines)
    assert (ran.status, ran.stderr) == (0, "")
    networks = [json.loads(line)["network"] for line in ran.stdout.splitlines()]
    assert [n and n["network"] for n in networks] == ["10.0.0.0/24", "10.0.0.0/16", None, None]


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
    result = process_block(Plan(), Block("\n".join(texts).encode(), 1))
    for line, text in zip(result.text.decode().splitlines(), texts, strict=True):
        found = classify(text)
        assert line.split("\t") == [text, found.kind, found.block.cidr if found.block else "-"]


def test_a_stream_that_repeats_itself_gets_the_same_answers() -> None:
    texts = ["10.0.0.1", "8.8.8.8", "bad"] * 1000
    labels = Labeller().labels(texts)
    assert set(labels.each[::3]) == {"\tprivate\t10.0.0.0/8\n"}
    assert {type(t) for t in labels.each[2::3]} == {AddressError}


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
