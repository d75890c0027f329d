"""The local end of a send: where its bytes come from.

A file is never written over itself. The file that receives (:class:`netprobe.files.OutputFile`) is replaced when all
has come back: a typing mistake, a server that is down or one that stops half-way must not cost a file.
"""

from __future__ import annotations

import os
import selectors
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from netprobe.errors import CannotRunError, InvalidInputError

__all__ = ["Source"]

_CHUNK = 64 * 1024


class Source:
    """Bytes to send: given at once, or read from a file, pipe or terminal as they become available."""

    def __init__(self, data: bytes = b"", file: IO[bytes] | None = None, name: str = "the file") -> None:
        self._given = data
        self._data: bytes | None = data
        self._file = file
        self._name = name

    @classmethod
    def of_file(cls, path: str) -> Source:
        """The bytes of a file; raises CannotRunError where it cannot be opened."""
        try:
            return cls(file=Path(path).open("rb"), name=path)
        except OSError as error:
            raise CannotRunError(path, error.strerror or str(error)) from error

    @classmethod
    def of_stdin(cls) -> Source:
        """Standard input, up to its end."""
        if sys.stdin is None:
            raise CannotRunError("standard input", "it is closed", "give TEXT, --file or --hex")
        return cls(file=sys.stdin.buffer, name="standard input")

    @classmethod
    def of_hex(cls, digits: str) -> Source:
        """The bytes that ``digits`` stand for; spaces may separate them."""
        try:
            return cls(bytes.fromhex(digits))
        except ValueError:
            raise InvalidInputError(digits, "not hexadecimal", "two digits per byte: 48 65 6c 6c 6f") from None

    @property
    def size(self) -> int | None:
        """How many bytes there are, if they were given at once: one message. None for a stream."""
        return len(self._given) if self._file is None else None

    def check_is_not(self, path: str) -> None:
        """Refuse to write to the file that is read: it would be empty before it is read."""
        if self._file is not None and Path(path).is_file():
            with suppress(OSError, ValueError):  # a stream without a descriptor is not a file
                if os.path.samestat(os.fstat(self._file.fileno()), Path(path).stat()):
                    raise InvalidInputError(path, "is the file that is sent", "--output takes another file")

    def next(self) -> bytes:
        """More bytes, b"" at the end; of a file what is there, or a wait for it. Raises CannotRunError."""
        data, self._data = self._data, None
        if data or self._file is None:
            return data or b""
        try:
            return getattr(self._file, "read1", self._file.read)(_CHUNK)
        except OSError as error:
            raise CannotRunError(self._name, error.strerror or str(error)) from error

    def register(self, selector: selectors.BaseSelector) -> bool:
        """Have ``selector`` report when there is more; False where reading never waits: a regular file, given bytes."""
        if self._file is None:
            return False
        try:
            selector.register(self._file, selectors.EVENT_READ, self)
        except (OSError, ValueError):  # a regular file is always ready; Windows cannot poll a pipe
            return False
        return True

    def unregister(self, selector: selectors.BaseSelector) -> None:
        """Stop that for now."""
        if self._file is not None:
            selector.unregister(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and self._file is not getattr(sys.stdin, "buffer", None):
            self._file.close()
