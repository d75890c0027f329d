"""Files that options name: read with a clear error, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from netprobe.errors import CannotRunError, InvalidInputError

__all__ = ["check_writable", "read_text", "write_text"]


def read_text(path: Path) -> str:
    """The text of a file that was named on the command line."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InvalidInputError(str(path), error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise InvalidInputError(str(path), "not UTF-8") from None


def check_writable(path: Path) -> None:
    """Fail now rather than after a long run if ``path`` cannot be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise CannotRunError(str(path), "is a directory" if path.is_dir() else "its directory does not exist")


def write_text(path: Path, text: str) -> None:
    """Write all of it or nothing; the error names the file."""
    try:
        _replace_text(path, text)
    except OSError as error:
        raise CannotRunError(str(path), error.strerror or str(error)) from None


def _replace_text(path: Path, text: str) -> None:
    """Write all of it or nothing: a full disk does not destroy the old content. Raises OSError."""
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_text(text, "utf-8")
        return
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(text, "utf-8")
        if target.exists():
            draft.chmod(target.stat().st_mode & 0o7777)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
