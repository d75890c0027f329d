"""Unix stream sockets to listen on, and the life of their files.

A unix socket's file outlives its process, and bind(2) fails while it exists. So a file that nobody listens on is
removed first; only connect(2) shows that (ECONNREFUSED). Ours is removed when the listener closes, but only if it is
still the one we made: while a server drains, a successor may already have put its own in its place.

Looking and then acting is safe only if nobody acts in between: of two servers that start over the same dead file, one
would remove the other's fresh one, and both would report that they listen. So both happen under a lock, from the first
look to listen(2). It is flock(2) on the folder: that needs no file of its own, which would have to stay behind, could
be planted as a link, and could not be made where the folder is another user's; and it ends with its process. It also
holds between containers that share the folder, as an abstract socket used as a lock would not. A binding under another
name with rename(2) does without a lock only as long as no dead file is in the way.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.kernel.constants import SYSTEM

__all__ = ["unix_backlog", "unix_listener"]

_LOCK_TIMEOUT: Final = 5.0  # seconds; who starts holds the lock for less than a thousandth of that
_LAST_LOCK_TIMEOUT: Final = 0.1  # when a listener closes: a file that stays behind does no harm
_LOCK_RETRY: Final = 0.002  # seconds

_ALIVE: Final = frozenset({errno.EAGAIN, errno.EPROTOTYPE})  # connect(2): backlog full; another type of socket


def unix_listener(path: str, backlog: int) -> socket.socket:
    """A listening unix socket; replaces the file of a server that is gone."""
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise CannotRunError(path, f"Python has no unix sockets on {SYSTEM}")
    if not path:
        raise InvalidInputError("--unix", "is empty", "it takes the path of the socket to create")
    if "\0" in path:
        raise InvalidInputError("--unix", "has a NUL character", "it takes the path of the socket to create")
    sock = _UnixListener(family, socket.SOCK_STREAM)
    try:
        with _locked(Path(path).parent, _LOCK_TIMEOUT):
            _remove_stale(Path(path), family)
            sock.bind(path)
            sock.remember_file()
            sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise _taken(path) from None
        raise CannotRunError(path, error.strerror or str(error)) from None
    except BaseException:
        sock.close()
        raise
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
        """Remove the file, if it is still ours, then close; workers close only their copy of the descriptor.

        As long as the socket is open no other file is given its inode, so the number says enough.
        """
        file, self._file = self._file, None
        if file is not None and self._maker == os.getpid():
            path, *identity = file
            with suppress(OSError, CannotRunError), _locked(path.parent, _LAST_LOCK_TIMEOUT):
                status = path.lstat()
                if [status.st_dev, status.st_ino] == identity:
                    path.unlink()
        super().close()


@contextmanager
def _locked(folder: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of ``folder``. Raises OSError where there is no such folder, CannotRunError without the lock."""
    import fcntl  # not on Windows, whose Python has no unix sockets either

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError as error:
        why = f"its folder cannot be locked: {error.strerror}"
        raise CannotRunError(str(folder), why, "a server needs to read and write the folder") from None
    try:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    why = f"another process has locked this folder for {timeout_s:g} s"
                    raise CannotRunError(str(folder), why, "to see which one: lslocks") from None
            except OSError as error:  # a file system without locks
                why = f"the folder cannot be locked: {error.strerror}"
                raise CannotRunError(str(folder), why, "choose one on a local file system") from None
            time.sleep(_LOCK_RETRY)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path, family: int) -> None:
    """Remove a socket file that nobody listens on; leave anything else, a link to such a file included."""
    try:
        found = path.lstat()
        if not stat.S_ISSOCK(found.st_mode):
            return
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                if _same_file(found, path.lstat()):
                    path.unlink()
            except OSError as error:
                if error.errno not in _ALIVE:
                    raise
    except FileNotFoundError:
        pass


def _same_file(before: os.stat_result, now: os.stat_result) -> bool:
    """Is it still that file, and not another one that was given the number of its inode?"""
    return os.path.samestat(before, now) and (before.st_mode, before.st_ctime_ns) == (now.st_mode, now.st_ctime_ns)


def _taken(path: str) -> CannotRunError:
    """Why bind(2) failed with EADDRINUSE."""
    try:
        is_socket = stat.S_ISSOCK(Path(path).lstat().st_mode)
    except FileNotFoundError:
        is_socket = True  # it was there a moment ago; what is in the way of a start is a socket, and it comes and goes
    if is_socket:
        return CannotRunError(path, "is taken: something listens there (EADDRINUSE)")
    hint = "choose another path, or remove it"
    return CannotRunError(path, "a file of that name exists and is not a socket", hint)


def unix_backlog(asked: int | None) -> int | None:
    """The backlog that the kernel grants for ``asked``; None where it does not say."""
    try:
        most = int(Path("/proc/sys/net/core/somaxconn").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if asked is None else min(asked, most)
