"""Where ``netprobe echo send`` takes its bytes from, and the file that takes what comes back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from netprobe.echo.clients.send import Source
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.files import check_writable

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["Target", "source_of"]


@contextmanager
def source_of(output: Output, options: Mapping[str, Any]) -> Iterator[Source]:
    """What the options say is to be sent."""
    text, path, digits = options["text"], options["file"], options["hex"]
    if sum(value is not None for value in (text, path, digits)) != 1:
        raise InvalidInputError("what to send", "is given as one of TEXT, -, --file and --hex", "see --help")
    if path is not None:
        with _opened(path) as file:
            yield _file_source(file, path, options["output_file"])
    elif digits is not None:
        yield Source(_bytes_of(digits))
    elif text == "-":
        if sys.stdin is None:
            raise CannotRunError("standard input", "it is closed", "give TEXT, --file or --hex")
        if output.terminal.stdin_tty:
            output.detail("sends what you type; Ctrl-D ends it")
        yield _file_source(sys.stdin.buffer, "standard input", options["output_file"])
    else:
        yield Source(text.encode("utf-8", "surrogateescape"))


def _opened(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise CannotRunError(path, error.strerror or str(error)) from error


def _bytes_of(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise InvalidInputError(digits, "not hexadecimal", "two digits a byte: 48 65 6c 6c 6f") from None


def _file_source(file: IO[bytes], name: str, output_file: str | None) -> Source:
    """A source that is not the file to write to: that would be empty before it is read."""
    if output_file is not None and Path(output_file).is_file():
        with suppress(OSError, ValueError):  # a stream without a descriptor is no file
            if os.path.samestat(os.fstat(file.fileno()), Path(output_file).stat()):
                raise InvalidInputError(output_file, "is what is sent", "--output takes another file")
    return Source(file=file, name=name)


class Target:
    """The file of ``--output``: opened when the first byte is there, or none will come; None is no file."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        if path is not None:
            check_writable(Path(path))

    def write(self, data: bytes) -> None:
        """Add ``data``. Raises CannotRunError, which names the file."""
        if self._path is not None:
            self._do(lambda file: file.write(data))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._path is not None:
            self._do(lambda file: file.close())
        elif self._file is not None:
            with suppress(OSError):  # what went wrong before is what is told
                self._file.close()

    def _do(self, work: Callable[[IO[bytes]], object]) -> None:
        assert self._path is not None
        try:
            if self._file is None:
                self._file = Path(self._path).open("wb")  # noqa: SIM115 (closed at the end)
            work(self._file)
        except OSError as error:
            raise CannotRunError(self._path, error.strerror or str(error)) from error
