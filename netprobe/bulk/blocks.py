"""Whole lines by the quarter mebibyte: from a stream as they arrive, from a file part by part, each part on its own."""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from typing import IO, NamedTuple

__all__ = ["BLOCK_SIZE", "Block", "FileParts", "blocks_of", "file_parts", "pauses", "size_of"]

BLOCK_SIZE = 1 << 18  # bytes; a longer line makes a longer block
_MORE = 1 << 16  # bytes read at a time to find the end of a part's last line


class Block(NamedTuple):
    """Whole lines of a stream, without the last line feed, and the number of the first one."""

    data: bytes
    first_line: int


def blocks_of(source: IO[bytes]) -> Iterator[Block]:
    """Whole lines, a quarter mebibyte at a time; what arrives slowly is passed on as it arrives."""
    rest, number = b"", 1
    while chunk := _chunk(source):
        head, feed, tail = chunk.rpartition(b"\n")
        if not feed:
            rest += chunk
            continue
        block = rest + head
        rest = tail
        yield Block(block, number)
        number += block.count(b"\n") + 1
    if rest:
        yield Block(rest, number)


def _chunk(source: IO[bytes]) -> bytes:
    """What is there to be read, up to a block: a pipe gives a little at a time."""
    read = getattr(source, "read1", source.read)
    pieces = [read(BLOCK_SIZE)]
    left = BLOCK_SIZE - len(pieces[0])
    while pieces[-1] and left > 0 and not pauses(source):
        pieces.append(read(left))
        left -= len(pieces[-1])
    return b"".join(pieces)


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

    @property
    def number(self) -> int:
        """How many parts there are."""
        return -(-(self.end - self.begin) // BLOCK_SIZE)

    def lines(self, part: int) -> bytes | None:
        """The lines of one part, without the last line feed; None when no line begins there. Raises OSError."""
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
        while chunk := os.pread(self.descriptor, _MORE, at):
            head, feed, _ = chunk.partition(b"\n")
            rest.write(head + feed)
            if feed:
                break
            at += len(chunk)
        return rest.getvalue()


def file_parts(source: IO[bytes], size: int) -> FileParts:
    """The parts of what is left of a file."""
    begin = source.tell()
    return FileParts(source.fileno(), begin, begin + size)
