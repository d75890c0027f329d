"""Files that options name, read: whatever the name stands for, it ends, and says what it is not."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe import files
from netprobe.errors import InvalidInputError
from netprobe.files import LONGEST_FILE, read_text

linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="has no Linux devices")


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.fixture
def writing(fifo: Path) -> Iterator[int]:
    """The writing end of a FIFO, which is open before anybody reads."""
    held = os.open(fifo, os.O_RDWR)
    yield held
    os.close(held)


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read_text(path)
    assert caught.value.what == str(path)
    return caught.value.why


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"a\nb\n", "a\nb\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"\xef\xbb\xbfa", "a"),
        ("ä€😀\x85\u2028".encode(), "ä€😀\x85\u2028"),
        (b"\x00\x1b[2J", "\x00\x1b[2J"),
    ],
)
def test_text_is_utf_8_with_any_line_end_and_without_a_byte_order_mark(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "f").write_bytes(data)
    assert read_text(tmp_path / "f") == text


@pytest.mark.parametrize("data", ["ä".encode("latin-1"), "text".encode("utf-16"), b"\xed\xa0\x80", bytes(range(256))])
def test_what_is_not_utf_8_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f").write_bytes(data)
    assert refusal(tmp_path / "f") == "not UTF-8"


def test_as_much_as_is_allowed_is_read_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * LONGEST_FILE)
    assert len(read_text(file)) == LONGEST_FILE
    with file.open("ab") as more:
        more.write(b"x")
    assert refusal(file) == "larger than 16 MiB"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
@linux
def test_a_device_without_an_end_is_too_large(device: str) -> None:
    assert refusal(Path(device)) == "larger than 16 MiB"


@linux
def test_other_devices_are_read_like_files() -> None:
    assert refusal(Path("/dev/urandom")) in ("not UTF-8", "larger than 16 MiB")
    assert read_text(Path("/dev/null")) == ""


def test_what_is_no_file_says_what_it_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        assert refusal(tmp_path / "s") == "is a socket"
    assert refusal(tmp_path) == "Is a directory"
    assert refusal(tmp_path / "none") == "No such file or directory"
    assert refusal(tmp_path / ("x" * 300)) == "File name too long"
    assert refusal(tmp_path / "nul\0") == "not a file's name"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refusal(tmp_path / "loop") == "Too many levels of symbolic links"


def test_a_fifo_that_nobody_writes_to_is_given_up(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_WAIT_S", 0.2)
    assert refusal(fifo) == "did not end within 0.2 s"


def test_a_writer_that_trickles_does_not_prolong_the_time(
    fifo: Path, writing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST_WAIT_S", 0.5)
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.05):
            os.write(writing, b"#")

    writer = threading.Thread(target=trickle)
    writer.start()
    try:
        assert refusal(fifo) == "did not end within 0.5 s"
    finally:
        over.set()
        writer.join()


def test_a_writer_that_never_stops_is_too_large(fifo: Path, writing: int) -> None:
    def pour() -> None:
        for _ in range(17):
            os.write(writing, b"#" * (1 << 20))

    writer = threading.Thread(target=pour)
    writer.start()
    try:
        assert refusal(fifo) == "larger than 16 MiB"
        rest = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        while writer.is_alive():  # so that its last write returns
            writer.join(0.01)
            try:
                os.read(rest, 1 << 20)
            except BlockingIOError:
                continue
        os.close(rest)
    finally:
        writer.join()


def test_a_writer_that_comes_late_is_waited_for(fifo: Path) -> None:
    def write() -> None:
        with fifo.open("wb") as file:
            file.write(b"late")

    writer = threading.Timer(0.2, write)
    writer.start()
    assert read_text(fifo) == "late"
    writer.join()


@linux
def test_a_pipe_by_its_descriptor_is_read_and_stays_as_it_is() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"[web]\n")
    os.close(writer)
    assert read_text(Path(f"/dev/fd/{reader}")) == "[web]\n"
    assert os.get_blocking(reader)
    os.close(reader)
