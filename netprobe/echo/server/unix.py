"""Unix stream sockets to listen on: their files are made, taken over from the dead, and removed."""

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
    """A listening unix socket; the file of a server that is gone is taken over."""
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise CannotRunError(path, f"{SYSTEM} has no unix sockets for Python")
    if not path:
        raise InvalidInputError("--unix", "is empty", "it takes the path of a socket that is to be made")
    sock = _UnixListener(family, socket.SOCK_STREAM)
    try:
        _remove_stale(path, family)
        sock.bind(path)
        sock.made()
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            if Path(path).is_socket():
                raise CannotRunError(path, "is taken: something listens there (EADDRINUSE)") from None
            hint = "choose another path, or remove it"
            raise CannotRunError(path, "there is a file of that name, and it is no socket", hint) from None
        raise CannotRunError(path, error.strerror or str(error)) from None
    return sock


class _UnixListener(socket.socket):
    """A unix socket whose file goes when its maker closes it: as long as it is open, no successor takes its place."""

    _maker = 0  # the process
    _file: tuple[Path, int, int] | None = None  # device, inode

    def made(self) -> None:
        """It is bound now."""
        path = Path(self.getsockname()).absolute()
        status = path.lstat()
        self._maker, self._file = os.getpid(), (path, status.st_dev, status.st_ino)

    def close(self) -> None:
        """Remove the file, if it is still the one that was made, then close; workers close only their copy."""
        made, self._file = self._file, None
        if made is not None and self._maker == os.getpid():
            path, *identity = made
            with suppress(OSError):
                status = path.lstat()
                if [status.st_dev, status.st_ino] == identity:
                    path.unlink()
        super().close()


def _remove_stale(path: str, family: int) -> None:
    """Remove a socket file on which nobody listens any more; anything else stays."""
    with suppress(FileNotFoundError, BlockingIOError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            with socket.socket(family, socket.SOCK_STREAM) as knock:
                knock.setblocking(False)  # BlockingIOError: its backlog is full, so it lives
                try:
                    knock.connect(path)
                except ConnectionRefusedError:
                    Path(path).unlink()


def unix_backlog(asked: int | None) -> int | None:
    """What the kernel makes of a backlog; None where it does not say."""
    try:
        most = int(Path("/proc/sys/net/core/somaxconn").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if asked is None else min(asked, most)
