"""Whole lines by the quarter mebibyte: from a stream as they arrive, from a file part by part, each part on its own.

A line may be of any length, as a file without line feeds (an image, a disk) is one line. Of one that is longer than
``LONGEST_LINE`` no more than that is kept, whatever follows: it is no address, and only has to be told from the others.
"""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from netprobe.errors import CannotRunError, InvalidInputError

__all__ = [
    "BLOCK_SIZE",
    "LONGEST_LINE",
    "Block",
    "FileParts",
    "begin_text",
    "blocks_of",
    "file_parts",
    "pauses",
    "size_of",
]

BLOCK_SIZE = 1 << 18  # bytes; a longer line makes a longer block
LONGEST_LINE = 1 << 22  # bytes; a line that is longer is handed on as one of at least a byte more
_MORE = 1 << 16  # bytes read at a time to find the end of a part's last line
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Block(NamedTuple):
    """Whole lines of a stream, without the last line feed, and the number of the first one."""

    data: bytes
    first_line: int


def begin_text(source: io.BufferedReader) -> None:
    """Skip the byte order mark of UTF-8; text in UTF-16, as PowerShell's ``>`` writes it, is refused before it is read.

    It would be a bad line for each line that it has. Its mark alone does not prove it: rubbish begins with those two
    bytes, too. Addresses are ASCII, so that every other byte of theirs is null.
    """
    with _named_in_errors(_name_of(source)):
        head = source.peek(len(_UTF8_MARK))[:64]
    if head.startswith(_UTF8_MARK):
        source.read(len(_UTF8_MARK))
        return
    text = head[2:] if head.startswith(_UTF16_MARKS) else head
    for nulls, others in ((text[::2], text[1::2]), (text[1::2], text[::2])):
        if others and len(nulls) == len(others) and not any(nulls) and all(others):
            name = _name_of(source)
            raise InvalidInputError(name, "is UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8 makes the one of the other")


def blocks_of(source: IO[bytes]) -> Iterator[Block]:
    """Whole lines, a quarter mebibyte at a time; what arrives slowly is passed on as it arrives."""
    rest, number = b"", 1
    while chunk := _chunk(source):
        head, feed, tail = chunk.rpartition(b"\n")
        if not feed:
            rest = rest + chunk if len(rest) <= LONGEST_LINE else rest
            continue
        if len(rest) > LONGEST_LINE:  # the end of that line is dropped
            end = head.find(b"\n")
            head = b"" if end < 0 else head[end:]
        block = rest + head
        rest = tail
        yield Block(block, number)
        number += block.count(b"\n") + 1
    if rest:
        yield Block(rest, number)


def _chunk(source: IO[bytes]) -> bytes:
    """What is there to be read, up to a block: a pipe gives a little at a time."""
    read = getattr(source, "read1", source.read)
    with _named_in_errors(_name_of(source)):
        pieces = [read(BLOCK_SIZE)]
        left = BLOCK_SIZE - len(pieces[0])
        while pieces[-1] and left > 0 and not pauses(source):
            pieces.append(read(left))
            left -= len(pieces[-1])
    return b"".join(pieces)


@contextmanager
def _named_in_errors(name: str) -> Iterator[None]:
    """An error of reading must not be taken for one of writing the results."""
    try:
        yield
    except OSError as error:
        raise CannotRunError(name, error.strerror or str(error)) from error


def _name_of(source: IO[bytes]) -> str:
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "standard input"


def pauses(source: IO[bytes]) -> bool:
    """Would a read have to wait? Yes where the system cannot tell (pipes on Windows)."""
    try:
        return not select.select([source], [], [], 0)[0]
    except OSError:
        return True


def size_of(source: IO[bytes]) -> int | None:
    """Bytes from here to the end of a regular file; None for anything else."""
    found = os.fstat(source.fileno())
    return max(found.st_size - source.tell(), 0) if stat.S_ISREG(found.st_mode) else None


class FileParts(NamedTuple):
    """A file in parts of ``BLOCK_SIZE`` bytes: to each belong the lines that begin in it."""

    descriptor: int
    begin: int
    end: int
    name: str = "the file"

    @property
    def number(self) -> int:
        """How many parts there are."""
        return -(-(self.end - self.begin) // BLOCK_SIZE)

    def lines(self, part: int) -> bytes | None:
        """The lines of one part, without the last line feed; None when no line begins there. Raises CannotRunError.

        A last line that is too long is cut off.
        """
        with _named_in_errors(self.name):
            return self._lines(part)

    def _lines(self, part: int) -> bytes | None:
        first = self.begin + part * BLOCK_SIZE
        after = min(first + BLOCK_SIZE, self.end)
        lead = 1 if part else 0  # the byte before: is it a line feed, so that a line begins right here?
        data = os.pread(self.descriptor, after - first + lead, first - lead)
        begin = data.find(b"\n") + 1 if lead else 0
        if lead and not begin:
            return None
        if not data.endswith(b"\n"):
            data += self._rest_of_line(first - lead + len(data))
        return data[begin:].removesuffix(b"\n") if begin < len(data) else None

    def _rest_of_line(self, at: int) -> bytes:
        rest = io.BytesIO()
        while rest.tell() <= LONGEST_LINE and (chunk := os.pread(self.descriptor, _MORE, at)):
            head, feed, _ = chunk.partition(b"\n")
            rest.write(head + feed)
            if feed:
                break
            at += len(chunk)
        return rest.getvalue()


def file_parts(source: IO[bytes], size: int) -> FileParts:
    """The parts of what is left of a file."""
    begin = source.tell()
    return FileParts(source.fileno(), begin, begin + size, _name_of(source))
