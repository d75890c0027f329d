"""Streams of anything: lines of any length, bytes that are no text, other encodings: a line about each, flat memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from netprobe.bulk import blocks as bulk_blocks
from netprobe.bulk import filters as bulk_filters
from netprobe.bulk.blocks import LONGEST_LINE, Block, FileParts, blocks_of
from netprobe.bulk.filters import Plan, lines_of, process_block
from netprobe.bulk.labels import LONGEST_ADDRESS, Labeller
from netprobe.errors import AddressError
from tests.conftest import NETPROBE, Run, clean_environment, run_process

LONG = 100_000_000  # bytes
STEERS = b"\x1b]0;owned\x07\x1b[2J\x7f \xc2\x9b31m \xe2\x80\xae \xff\x9b"
SHOWN = "\\x1b]0;owned\\x07\\x1b[2J\\x7f \\x9b31m \\u202e \\udcff\\udc9b"


def classify(*args: str, stdin: bytes) -> tuple[int, str, str]:
    """``netprobe classify`` of bytes; what it writes must be UTF-8."""
    done = subprocess.run(
        [NETPROBE, "classify", *args],
        input=stdin,
        capture_output=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def is_harmless(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text)


# A line beside its label.


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("where", ["before", "after", "around"])
def test_what_stands_beside_an_address_is_escaped(where: str, processes: str, tmp_path: Path, netprobe: Run) -> None:
    before, after = (STEERS if where != "after" else b"x"), (STEERS if where != "before" else b"x")
    path = tmp_path / "log"
    path.write_bytes((before + b"|10.0.0.1|" + after + b"\n") * 40_000)  # large enough for several processes
    ran = netprobe("classify", "--file", str(path), "--field", "2", "--delimiter", "|", "--processes", processes)
    first, last = (text.decode("utf-8", "surrogateescape") for text in (before, after))
    shown = [SHOWN if part is STEERS else "x" for part in (before, after)]
    assert (ran.status, ran.stderr, len(first) > 0, len(last) > 0) == (0, "", True, True)
    assert set(ran.stdout.splitlines()) == {f"{shown[0]}|10.0.0.1|{shown[1]}\tprivate\t10.0.0.0/8"}


def test_a_single_control_character_in_a_large_block_is_found() -> None:
    lines = [b"10.0.0.1 x"] * 5000
    for byte in (*range(32), 127, 0x9B):
        if byte in b"\t\n":
            continue
        lines[4000] = b"10.0.0.1 a" + bytes([byte]) + b"b"
        text = process_block(Plan(field=1), Block(b"\n".join(lines), 1)).text.decode()
        assert is_harmless(text)
        assert text.count("\n") == 5000


def test_tabs_between_fields_stay(netprobe: Run) -> None:
    ran = netprobe("classify", "-", "--field", "2", "--delimiter", "\t", stdin="a\t10.0.0.1\tc\n")
    assert ran.stdout == "a\t10.0.0.1\tc\tprivate\t10.0.0.0/8\n"


def test_a_repeated_text_is_escaped_each_time() -> None:
    block = Block(b"\n".join([b"fe80::1%a\xc2\xa0", b"10.0.0.1", b"\x1f10.0.0.2"] * 1000), 1)
    for _ in range(2):
        result = process_block(Plan(), block)
        assert is_harmless(result.text.decode())


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
def test_a_line_may_end_in_carriage_return_and_line_feed(ends: bytes) -> None:
    text = ends.join([b"10.0.0.1"] * 100 + [b"8.8.8.8", b"bad"]) + ends
    status, out, err = classify("-", stdin=text)
    assert (status, err) == (2, "netprobe: line 102: bad: not an address\n")
    assert out == "10.0.0.1\tprivate\t10.0.0.0/8\n" * 100 + "8.8.8.8\tpublic\t-\n"
    assert classify("-", stdin=b"\n" * 100 + text)[1] == out  # the first lines do not decide


@pytest.mark.parametrize(
    "form", [(), ("--format", "ndjson"), ("--json",), ("--count",), ("--is", "public"), ("--prefix", "8")]
)
def test_rubbish_is_a_line_for_each_line_and_the_others_come_out(form: Sequence[str]) -> None:
    rubbish = bytes(range(256)).replace(b"\n", b"") * 3
    status, out, err = classify("-", *form, stdin=b"10.0.0.1\n" + rubbish + b"\n\x00\n" + STEERS + b"\n8.8.8.8\n")
    assert status == 2
    assert is_harmless(out + err)
    assert [line.split(":")[1] for line in err.splitlines() if line.startswith("netprobe:")] == [
        " line 2",
        " line 3",
        " line 4",
    ]
    if not form:
        assert [line.split("\t")[0] for line in out.splitlines()] == ["10.0.0.1", "8.8.8.8"]


def test_stdout_in_another_encoding_gets_no_bytes_of_utf_8(netprobe: Run) -> None:
    done = subprocess.run(
        [NETPROBE, "classify", "-", "--field", "1"],
        input="10.0.0.1 Ě\n".encode(),  # c4 9a: the second is a control character in ISO 8859-1
        capture_output=True,
        env=clean_environment({"PYTHONIOENCODING": "iso-8859-1"}),
        check=False,
    )
    assert done.stdout == b"10.0.0.1 \\u011a\tprivate\t10.0.0.0/8\n"


# Lines of any length.


class Pieces(io.RawIOBase):
    """A stream that comes in pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._pieces.pop(0) if self._pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)

    def fileno(self) -> int:
        raise OSError("none")


@pytest.mark.parametrize("limit", [4, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_wherever_pieces_end_a_long_line_is_one_and_the_others_are_whole(
    limit: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_blocks, "LONGEST_LINE", limit)
    monkeypatch.setattr(bulk_filters, "LONGEST_LINE", limit)
    monkeypatch.setattr(bulk_blocks, "BLOCK_SIZE", size)
    lines = [b"a", b"b" * limit, b"c" * (limit + 1), b"", b"d" * 100, b"e" * 30, b"f"]
    text = b"\n".join(lines) + b"\n"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    expected = [(n, line if len(line) <= limit else b"") for n, line in enumerate(lines, 1)]
    long_ones = [n for n, line in enumerate(lines, 1) if len(line) > limit]
    found: list[tuple[int, bytes]] = []
    bad: list[int] = []
    for block in blocks_of(io.BufferedReader(Pieces(pieces), 1)):
        read, too_long = lines_of(block)
        found += [(block.first_line + at, line.encode()) for at, line in enumerate(read)]
        bad += [line.number for line in too_long]
        assert len(block.data) <= 3 * (limit + size) + len(text) // 4
    assert (found, bad) == (expected, long_ones)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memfd here")
def test_a_part_of_a_file_keeps_no_more_of_a_line_than_a_stream_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_blocks, "LONGEST_LINE", 1000)
    monkeypatch.setattr(bulk_blocks, "BLOCK_SIZE", 64)
    monkeypatch.setattr(bulk_blocks, "_MORE", 64)
    text = b"a\n" + b"b" * 1_000_000 + b"\nc\n"
    descriptor = os.memfd_create("lines")
    try:
        os.write(descriptor, text)
        parts = FileParts(descriptor, 0, len(text))
        found = [lines for part in range(parts.number) if (lines := parts.lines(part)) is not None]
    finally:
        os.close(descriptor)
    assert len(found) == 2
    assert found[0].startswith(b"a\nb")
    assert 1000 < len(found[0]) < 2000
    assert found[1] == b"c"


MEASURED = """if True:
    import resource, subprocess, sys
    done = subprocess.run(sys.argv[1:], stdin=sys.stdin, capture_output=True)
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def long_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one line of 100 MB among good ones."""
    path = tmp_path_factory.mktemp("long") / "addresses"
    with path.open("wb") as file:
        file.write(b"10.0.0.1\n")
        file.write(b"A" * LONG)
        file.write(b"\n10.0.0.3\n")
    return path


@pytest.mark.parametrize(
    "options",
    [
        ("-",),
        ("-", "--processes", "2"),
        ("-", "--field", "1"),
        ("-", "--format", "ndjson"),
        ("--file", "FILE", "--processes", "1"),
        ("--file", "FILE", "--processes", "2"),
        ("--file", "FILE", "--prefix", "24"),
        ("--file", "FILE", "--json"),
        ("--file", "FILE", "--count"),
    ],
)
@pytest.mark.parametrize("through", ["pipe", "file"])
def test_a_line_of_100_mb_is_a_bad_line_and_costs_no_memory(
    options: tuple[str, ...], through: str, long_line: Path
) -> None:
    if through == "pipe" and "FILE" in options:
        pytest.skip("a file is a file")
    ours = " ".join(f'"{word}"' for word in [str(NETPROBE), "classify", *options]).replace("FILE", str(long_line))
    given = f'cat "{long_line}" |' if through == "pipe" else f'< "{long_line}"'
    ran = run_process(["sh", "-c", f'{given} "{sys.executable}" -c "$0" {ours}', MEASURED])
    *said, figures = ran.stderr.splitlines()
    status, peak_mb = map(int, figures.split())
    assert status == 2
    assert said == [f"netprobe: line 2: {'A' * 100} …: longer than {LONGEST_LINE:,} bytes"]
    assert peak_mb < 100
    if "--count" in options:
        assert ran.stdout == "private\t2\t100%\n"
    elif "--json" in options:
        document = json.loads(ran.stdout)
        assert [result["address"] for result in document["results"]] == ["10.0.0.1", "10.0.0.3"]
        assert len(document["errors"]) == 1
    elif "ndjson" not in options:
        assert [line.split("\t")[0] for line in ran.stdout.splitlines()] == ["10.0.0.1", "10.0.0.3"]


def test_a_long_text_is_no_address_and_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was read")

    text = "1" * (LONGEST_ADDRESS + 1)
    monkeypatch.setattr("netprobe.bulk.labels.classify", fail)
    monkeypatch.setattr("netprobe.bulk.filters.classify", fail)
    for plan in (Plan(), Plan(prefix=24), Plan(lenient=True)):
        (bad,) = process_block(plan, Block(text.encode(), 7)).bad
        assert bad.number == 7
        assert len(bad.what) < 200


def test_what_is_remembered_of_a_stream_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.bulk.labels._REMEMBERED_SIZE", 100_000)
    labeller = Labeller()
    for number in range(50):
        texts = ["10.0.0.1"] * 1000 + [f"{number}x{n}" * 20 for n in range(400)]
        labels = labeller.labels(texts)
        assert labels.each[0] == "\tprivate\t10.0.0.0/8\n"
    assert sum(map(len, labeller._memory)) < 200_000
    assert all(error.__traceback__ is None for error in labeller._memory.values() if isinstance(error, AddressError))


# Other encodings, and what cannot be read.


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("form", ["plain", "json"])
def test_utf_16_is_told_in_one_line(encoding: str, mark: str, form: str, tmp_path: Path, netprobe: Run) -> None:
    text = (mark + "10.0.0.1\r\n8.8.8.8\r\n" * 1000).encode(encoding)
    status, out, err = classify("-", "--format", form, stdin=text)
    assert status == 2
    assert err.splitlines()[0] == "netprobe: standard input: is UTF-16, not UTF-8"
    assert "iconv" in err.splitlines()[1]
    assert len(err.splitlines()) == 2
    assert len(json.loads(out)["errors"]) == 1 if form == "json" else out == ""
    path = tmp_path / "addresses"
    path.write_bytes(text)
    ran = netprobe("classify", "--file", str(path), "--processes", "2")
    assert (ran.status, ran.stderr.splitlines()[0]) == (2, f"netprobe: {path}: is UTF-16, not UTF-8")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_mark_of_utf_8_is_skipped(processes: str, tmp_path: Path, netprobe: Run) -> None:
    text = b"\xef\xbb\xbf" + b"10.0.0.1\n" * 100_000
    expected = "10.0.0.1\tprivate\t10.0.0.0/8\n" * 100_000
    assert classify("-", "--processes", processes, stdin=text) == (0, expected, "")
    path = tmp_path / "addresses"
    path.write_bytes(text)
    ran = netprobe("classify", "--file", str(path), "--processes", processes)
    assert (ran.status, ran.stdout, ran.stderr) == (0, expected, "")


@pytest.mark.parametrize("text", [b"", b"\n", b"1", b"\x00", b"\xff\xfe", b"\xff", b"\xef\xbb", b"\xef\xbb\xbf"])
def test_a_short_stream_is_no_puzzle(text: bytes) -> None:
    status, out, err = classify("-", stdin=text)
    assert status in (0, 2)
    assert out == ""
    assert len(err.splitlines()) <= 2


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here that opens and cannot be read")
@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_file_that_cannot_be_read_is_named_and_not_stdout(form: str, netprobe: Run) -> None:
    ran = netprobe("classify", "--file", "/proc/self/mem", "--format", form)
    assert (ran.status, ran.stderr) == (3, "netprobe: /proc/self/mem: Input/output error\n")
    if form == "json":
        assert len(json.loads(ran.stdout)["errors"]) == 1
