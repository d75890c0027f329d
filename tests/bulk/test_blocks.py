"""A file in parts: every line in one of them, wherever the cuts fall."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.bulk import blocks as bulk_blocks
from netprobe.bulk.blocks import FileParts, blocks_of, file_parts, size_of
from tests.conftest import NETPROBE, Run, run_process

pytestmark = pytest.mark.skipif(not hasattr(os, "pread"), reason="pread(2) is not there")


@settings(max_examples=300)
@given(
    lines=st.lists(st.integers(0, 12).map(lambda n: b"x" * n), max_size=30),
    ends_with_feed=st.booleans(),
    size=st.integers(1, 16),
    skipped=st.integers(0, 3),
)
def test_each_line_is_in_one_part(lines: list[bytes], ends_with_feed: bool, size: int, skipped: int) -> None:
    text = b"\n".join(lines) + (b"\n" if ends_with_feed else b"")
    descriptor = os.memfd_create("lines")
    try:
        os.write(descriptor, b"\n" * skipped + text)
        parts = FileParts(descriptor, skipped, skipped + len(text))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bulk_blocks, "BLOCK_SIZE", size)
            found = [parts.lines(part) for part in range(parts.number)]
    finally:
        os.close(descriptor)
    whole = text.removesuffix(b"\n").split(b"\n") if text else []
    assert [line for lines in found if lines is not None for line in lines.split(b"\n")] == whole


def test_a_line_longer_than_several_parts_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"1.1.1.1\n" + b"7" * (3 << 20) + b"\n2.2.2.2\n")
    with path.open("rb") as source:
        parts = file_parts(source, size_of(source) or 0)
        found = [parts.lines(part) for part in range(parts.number)]
        serial = [block.data for block in blocks_of(source)]
    assert [lines for lines in found if lines is not None] == [path.read_bytes()[:-9], b"2.2.2.2"]
    assert b"\n".join(serial) == path.read_bytes().removesuffix(b"\n")


@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_file_on_stdin_is_read_from_where_it_stands(tmp_path: Path, processes: str) -> None:
    path = tmp_path / "addresses"
    path.write_text("header\n" + "10.0.0.1\n" * 300_000)
    ours = f'"{NETPROBE}" classify - --count --format csv --processes {processes}'
    ran = run_process(["bash", "-c", f'(read -r first; echo "$first"; {ours}; cat) < {path}'])
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == ["header", "kind,count,percent", "private,300000,100.0"]


def test_a_full_disk_is_told_by_several_processes_too(tmp_path: Path, netprobe: Run) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    path = tmp_path / "addresses"
    path.write_text("10.0.0.1\n" * 300_000)
    ran = run_process(["sh", "-c", f'"{NETPROBE}" classify --file {path} --processes 2 > /dev/full'])
    assert ran.status == 3
    assert ran.stderr.count("\n") <= 2
    assert "No space left" in ran.stderr
