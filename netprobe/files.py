"""Files that options name: read within bounds and with a clear error, written whole or not at all.

What is read is whatever the name stands for: a device that never ends, a FIFO that nobody writes to, a terminal. So
there is a most that is read (16 MiB: a matrix of 100,000 cells has 13), and a time for everything but regular files (5
seconds in all, not anew for each byte, so that a writer that trickles does not hold netprobe). A FIFO is opened without
waiting for a writer; ``<(command)`` has a moment to say something. Streams of addresses and of ``echo send`` are not
read here: they have no end, and are not kept.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path
from typing import Final

from netprobe.errors import CannotRunError, InvalidInputError

__all__ = ["LONGEST_FILE", "LONGEST_WAIT_S", "check_writable", "read_descriptor", "read_text", "write_text"]

LONGEST_FILE: Final = 16 << 20
LONGEST_WAIT_S: Final = 5.0
_PIECE: Final = 1 << 20
# What a system lacks it does not need: O_BINARY is Windows', the others are all others'.
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_BINARY", "O_NOCTTY", "O_NONBLOCK"))


def read_text(path: Path) -> str:
    """The text of a file that was named on the command line, its line ends as line feeds; a byte order mark is none."""
    name = str(path)
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = read_descriptor(descriptor, name, None if regular else LONGEST_WAIT_S)
        finally:
            os.close(descriptor)
    except OSError as error:
        why = "is a socket" if error.errno == errno.ENXIO and path.is_socket() else error.strerror or str(error)
        raise InvalidInputError(name, why) from None
    except ValueError:  # a NUL in the name, which only a program can give
        raise InvalidInputError(name, "not a file's name") from None
    try:
        return data.replace(b"\r\n", b"\n").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError(name, "not UTF-8") from None


def read_descriptor(descriptor: int, name: str, wait_s: float | None) -> bytes:
    """All that ``descriptor``, which does not block, has to say: at most 16 MiB within ``wait_s`` (None: a file).

    A FIFO that had no writer yet is not at its end: poll(2) is silent about it until one has come and gone.
    """
    deadline = None if wait_s is None else time.monotonic() + wait_s
    found = bytearray()
    while True:
        if deadline is not None and not _readable(descriptor, deadline):
            raise InvalidInputError(name, f"did not end within {wait_s:g} s")
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:  # another reader was first; of a regular file: /proc/kmsg, or a lock on it
            if deadline is None:
                raise
            continue
        if not piece:
            return bytes(found)
        found += piece
        if len(found) > LONGEST_FILE:
            raise InvalidInputError(name, f"larger than {LONGEST_FILE >> 20} MiB")


def _readable(descriptor: int, deadline: float) -> bool:
    """Wait until there is something to read, or the end; False when the time is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    if not hasattr(select, "poll"):  # Windows, where only sockets can be waited for
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(left * 1000))


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
