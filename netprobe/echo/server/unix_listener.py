"""Unix stream sockets to listen on, and the life of their files.

A unix socket's file outlives its process, and bind(2) fails while it exists. So a file that nobody listens on is
removed first; only connect(2) shows that (ECONNREFUSED). Ours is removed when the listener closes, but only if it is
still the one we made: while a server drains, a successor may already have put its own in its place.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.kernel.constants import SYSTEM

__all__ = ["unix_backlog", "unix_listener"]


def unix_listener(path: str, backlog: int) -> socket.socket:
    """A listening unix socket; replaces the file of a server that is gone."""
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise CannotRunError(path, f"Python has no unix sockets on {SYSTEM}")
    if not path:
        raise InvalidInputError("--unix", "is empty", "it takes the path of the socket to create")
    sock = _UnixListener(family, socket.SOCK_STREAM)
    try:
        _remove_stale(path, family)
        sock.bind(path)
        sock.remember_file()
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            if Path(path).is_socket():
                raise CannotRunError(path, "is taken: something listens there (EADDRINUSE)") from None
            hint = "choose another path, or remove it"
            raise CannotRunError(path, "a file of that name exists and is not a socket", hint) from None
        raise CannotRunError(path, error.strerror or str(error)) from None
    return sock


class _UnixListener(socket.socket):
    """A unix socket that removes its file when the process that made it closes it."""

    _maker = 0  # process id
    _file: tuple[Path, int, int] | None = None  # with device and inode

    def remember_file(self) -> None:
        """Note which file bind(2) made."""
        path = Path(self.getsockname()).absolute()
        status = path.lstat()
        self._maker, self._file = os.getpid(), (path, status.st_dev, status.st_ino)

    def close(self) -> None:
        """Remove the file, if it is still ours, then close; workers close only their copy of the descriptor."""
        file, self._file = self._file, None
        if file is not None and self._maker == os.getpid():
            path, *identity = file
            with suppress(OSError):
                status = path.lstat()
                if [status.st_dev, status.st_ino] == identity:
                    path.unlink()
        super().close()


def _remove_stale(path: str, family: int) -> None:
    """Remove a socket file that nobody listens on; leave anything else."""
    with suppress(FileNotFoundError, BlockingIOError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setblocking(False)  # BlockingIOError: its backlog is full, so somebody listens
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    Path(path).unlink()


def unix_backlog(asked: int | None) -> int | None:
    """The backlog that the kernel grants for ``asked``; None where it does not say."""
    try:
        most = int(Path("/proc/sys/net/core/somaxconn").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if asked is None else min(asked, most)
