"""Files that options name: read within bounds and with a clear error, written whole or not at all.

The folder that a result goes to may belong to others, too (``/tmp``), so nothing is opened by a name that somebody may
have made first. The content goes to a *draft* in the same folder that has no name at all (``O_TMPFILE``, open(2)), or,
where the file system has no such thing, to one that is created exclusively under a name that nobody can know. It is
renamed over the target when it is complete and on the disk. So a full disk, Ctrl-C or a kill costs neither the old
content nor leaves anything behind.

What follows from replacing the name and not the content (rename(2)), and is meant:

- A symbolic link is itself replaced, as by ``sed -i`` and install(1); what it points to is not touched. Refusing it
  would be no safer, as one may be planted after the check, and would let anybody spoil a run in ``/tmp``.
- The other names of a file with several (hard links) keep the old content.
- Mode, owner, group and POSIX ACL of the old file are kept as far as that is allowed; set-user-ID and set-group-ID bits
  and other extended attributes are not.

Devices, pipes and this process' own descriptors (``/dev/stdout``, ``/dev/fd/63`` of ``>(command)``) are written and
never replaced; and a file that is a mount point, which is how containers are handed a single file, is written in place,
because it cannot be renamed over.

Why not refuse a target only when it is written: a run may take minutes, and its result would be lost. Why is the draft
that proves a folder writable not kept until then: on a file system without ``O_TMPFILE`` a kill would leave it behind.

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
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from netprobe.errors import CannotRunError, InvalidInputError

__all__ = [
    "LONGEST_FILE",
    "OutputFile",
    "check_writable",
    "read_bytes",
    "read_text",
    "write_text",
]

_READER_S = 5.0  # how long the reader of a named pipe is waited for
_BETWEEN_S = 0.05
_CHUNK = 1 << 20
_IN_FOLDERS = os.open in os.supports_dir_fd
_ACL = "system.posix_acl_access"  # acl(5); the attribute's format is the kernel's

LONGEST_FILE: Final = 16 << 20
LONGEST_WAIT_S: Final = 5.0
_PIECE: Final = 1 << 20
# What a system lacks it does not need: O_BINARY is Windows', the others are all others'.
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_BINARY", "O_NOCTTY", "O_NONBLOCK"))


def read_text(path: Path) -> str:
    """The text of a file that was named on the command line, its line ends as line feeds; a byte order mark is none."""
    try:
        return read_bytes(path).replace(b"\r\n", b"\n").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError(str(path), "not UTF-8") from None


def read_bytes(path: Path) -> bytes:
    """What is in a file that was named on the command line."""
    name = str(path)
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return read_descriptor(descriptor, name, None if regular else LONGEST_WAIT_S)
        finally:
            os.close(descriptor)
    except OSError as error:
        why = "is a socket" if error.errno == errno.ENXIO and path.is_socket() else error.strerror or str(error)
        raise InvalidInputError(name, why) from None
    except ValueError:  # a NUL in the name, which only a program can give
        raise InvalidInputError(name, "not a file's name") from None


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
    """Fail now rather than after a long run if ``path`` cannot be written; nothing is left of the attempt."""
    with _named_in_errors(path):
        descriptor = _own_descriptor(path)
        if descriptor is not None:
            os.close(_duplicate(descriptor))
            return
        with _Place(path) as place:
            place.check()


def write_text(path: Path, text: str) -> None:
    """Write all of it or nothing, in UTF-8; the error names the file. A lone surrogate is written as ``\\udcff``."""
    with OutputFile(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


class OutputFile:
    """A file to be written: refused now if that cannot work, complete at the end of the block or as it was before.

    It is not touched before the first ``write``, and is empty where there was none. Raises CannotRunError, which names
    the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sink: _Sink | None = None
        check_writable(path)

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        with _named_in_errors(self._path):
            self._opened().write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with _named_in_errors(self._path):
                self._opened().commit()
        elif self._sink is not None:
            self._sink.discard()

    def _opened(self) -> _Sink:
        if self._sink is None:
            self._sink = _open(self._path)
        return self._sink


class _Sink(Protocol):
    """Where the bytes go until it is known whether they stay."""

    def write(self, data: bytes) -> None: ...

    def commit(self) -> None:
        """All is written. Raises OSError, and then nothing remains."""

    def discard(self) -> None:
        """It came to nothing. Raises nothing."""


def _open(path: Path) -> _Sink:
    descriptor = _own_descriptor(path)
    if descriptor is not None:
        return _Stream(_duplicate(descriptor))
    place = _Place(path)
    try:
        if place.is_special:
            with place:
                return _Stream(place.open_special(_READER_S))
        return _Draft(place)
    except BaseException:
        place.close()
        raise


@contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        if _own_descriptor(path) == 1:  # ``--html /dev/stdout | head -1``: its reader has what it wanted
            raise
        raise CannotRunError(str(path), "its reader has gone") from None
    except OSError as error:
        raise CannotRunError(str(path), error.strerror or str(error)) from error


# Devices, pipes, descriptors.


def _own_descriptor(path: Path) -> int | None:
    """The descriptor of this process that ``path`` stands for."""
    text = os.path.abspath(path)  # noqa: PTH100 (resolves no link: /dev/stdout is one)
    if text in ("/dev/stdin", "/dev/stdout", "/dev/stderr"):
        return ("/dev/stdin", "/dev/stdout", "/dev/stderr").index(text)
    folder, _, number = text.rpartition("/")
    if folder not in ("/dev/fd", "/proc/self/fd", "/proc/thread-self/fd", f"/proc/{os.getpid()}/fd"):
        return None
    return int(number) if number.isascii() and number.isdigit() and len(number) < 8 else None


def _duplicate(descriptor: int) -> int:
    """The same open file: opening ``/dev/stdout`` anew would cut off a file that it leads to. Raises OSError."""
    import fcntl

    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "is open for reading only")
    if descriptor == 1 and sys.stdout is not None:
        sys.stdout.flush()
    return os.dup(descriptor)


class _Stream:
    """What is written as it comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        _write_all(self._descriptor, data)

    def commit(self) -> None:
        os.close(self._descriptor)

    def discard(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


# Regular files.


class _Place:
    """A name in a folder that is held open, so that what was checked is what is written, whatever the folder's path
    comes to mean meanwhile. Where open(2) takes no folder (Windows), names are whole paths.
    """

    def __init__(self, path: Path) -> None:
        absolute = path.absolute()
        if absolute.name in ("", ".."):
            raise OSError(errno.EISDIR, "is a directory")
        self.folder: int | None = None
        self._prefix = ""
        if _IN_FOLDERS:
            self.folder = _open_folder(absolute.parent)
        elif absolute.parent.is_dir():
            self._prefix = f"{absolute.parent}{os.sep}"
        else:
            raise OSError(errno.ENOENT, "its directory does not exist")
        self.name = self._prefix + absolute.name
        self.old: os.stat_result | None = None
        try:
            with suppress(FileNotFoundError):
                self.old = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.folder is not None:
            os.close(self.folder)
            self.folder = None

    @property
    def is_special(self) -> bool:
        """Is there something that can only be written, not replaced?"""
        return self.old is not None and not (stat.S_ISREG(self.old.st_mode) or stat.S_ISLNK(self.old.st_mode))

    @property
    def is_planted(self) -> bool:
        """May what is there be somebody else's, who put it into a folder that all may write to?

        One who owns the folder may as well do anything else with it.
        """
        if self.old is None or self.folder is None:
            return False
        folder = os.fstat(self.folder)
        return bool(folder.st_mode & stat.S_IWOTH) and self.old.st_uid not in (_user(), folder.st_uid)

    @property
    def model(self) -> os.stat_result | None:
        """The old file that a new one takes after: not a link, and not one that a stranger made with his own rights."""
        return None if self.old is None or stat.S_ISLNK(self.old.st_mode) or self.is_planted else self.old

    def check(self) -> None:
        """Could it be written? Raises OSError."""
        if self.is_special:
            self._check_special()
            return
        if self.old is not None and stat.S_ISREG(self.old.st_mode):  # is it read-only, immutable, a running program?
            os.close(self.open(self.name, os.O_WRONLY | _flag("O_NONBLOCK")))
        elif self.old is not None and self._leads_to_folder():
            raise OSError(errno.EISDIR, "is a directory")
        if self._is_stuck():
            raise OSError(errno.EPERM, "belongs to another user, in a directory with the sticky bit")
        _Draft(self).discard()

    def _leads_to_folder(self) -> bool:
        try:
            return stat.S_ISDIR(os.stat(self.name, dir_fd=self.folder).st_mode)
        except OSError:
            return False

    def _is_stuck(self) -> bool:
        """Does the folder's sticky bit keep this user from replacing what is there (unlink(2), EPERM)?"""
        if self.old is None or self.folder is None or _user() in (0, self.old.st_uid):
            return False
        folder = os.fstat(self.folder)
        return bool(folder.st_mode & stat.S_ISVTX) and folder.st_uid != _user()

    def _check_special(self) -> None:
        """A named pipe is not opened: its reader would take the end of the attempt for the end of the file."""
        if self.old is None or not stat.S_ISFIFO(self.old.st_mode):
            os.close(self.open_special(0))
            return
        self._refuse_planted()
        if not os.access(self.name, os.W_OK, dir_fd=self.folder, effective_ids=os.access in os.supports_effective_ids):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    def _refuse_planted(self) -> None:
        """As fs.protected_fifos does (proc_sys_fs(5)), for all that is not a regular file."""
        if self.is_planted:
            raise OSError(errno.EACCES, "belongs to another user, in a directory that everybody may write to")

    def open_special(self, patience_s: float) -> int:
        """A device or pipe, opened; a pipe that nobody reads is an error after ``patience_s``. Raises OSError."""
        if self.old is not None and stat.S_ISDIR(self.old.st_mode):
            raise OSError(errno.EISDIR, "is a directory")
        if self.old is not None and stat.S_ISSOCK(self.old.st_mode):
            raise OSError(errno.ENXIO, "is a socket")
        self._refuse_planted()
        descriptor = self._open_with_reader(time.monotonic() + patience_s)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EBUSY, "was replaced while it was opened")
        os.set_blocking(descriptor, True)
        return descriptor

    def _open_with_reader(self, deadline: float) -> int:
        while True:
            try:
                return self.open(self.name, os.O_WRONLY | _flag("O_NONBLOCK") | _flag("O_NOCTTY"))
            except OSError as error:
                if error.errno != errno.ENXIO or self.old is None or not stat.S_ISFIFO(self.old.st_mode):
                    raise
                if time.monotonic() >= deadline:
                    raise OSError(errno.ENXIO, "nobody reads this pipe") from None
            time.sleep(_BETWEEN_S)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """open(2) in the folder, through no link. Python closes descriptors on exec by itself (PEP 446)."""
        return os.open(name, flags | _flag("O_NOFOLLOW") | _flag("O_BINARY"), mode, dir_fd=self.folder)

    def fresh_name(self) -> str:
        """A name that nobody can have made first. Short: the target's own may be as long as is allowed."""
        return f"{self._prefix}.netprobe-{os.urandom(12).hex()}"

    def remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self.folder)

    def sync(self) -> None:
        """Have the name on the disk, too (fsync(2)), as far as the folder may be read."""
        with suppress(OSError):
            descriptor = os.open(self._prefix or ".", os.O_RDONLY, dir_fd=self.folder)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _open_folder(path: Path) -> int:
    try:
        return os.open(path, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
    except FileNotFoundError:
        raise OSError(errno.ENOENT, "its directory does not exist") from None


def _flag(name: str) -> int:
    """A flag of open(2) that not every system has."""
    found: int = getattr(os, name, 0)
    return found


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else -1


class _Draft:
    """The content of a regular file to be."""

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._name: str | None = None
        # What an old file keeps from others must not be readable for a moment; a new one is as the umask wants it.
        mode = 0o666 if place.model is None else 0o600
        descriptor = self._open_nameless(mode)
        if descriptor is None:
            self._name = place.fresh_name()
            descriptor = place.open(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        self._descriptor = descriptor

    def _open_nameless(self, mode: int) -> int | None:
        """A file that is gone when this process is; None where there are none, or no /proc to name it by later."""
        if self._place.folder is None or not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
            return None
        try:
            return self._place.open(".", os.O_TMPFILE | os.O_RDWR, mode)
        except (
            OSError
        ):  # not supported, which different kernels say differently; any other fault is that of the next try
            return None

    def write(self, data: bytes) -> None:
        _write_all(self._descriptor, data)

    def commit(self) -> None:
        try:
            if self._place.model is not None:
                self._take_after(self._place.model)
            os.fsync(self._descriptor)
            if self._name is None:
                self._name = self._place.fresh_name()
                source = f"/proc/self/fd/{self._descriptor}"
                os.link(source, self._name, dst_dir_fd=self._place.folder, follow_symlinks=True)
            self._replace(self._name)
            self._place.sync()
        finally:
            self.discard()

    def _replace(self, name: str) -> None:
        folder = self._place.folder
        if folder is None:  # Windows renames no file that is open
            os.close(self._descriptor)
            self._descriptor = -1
        try:
            os.replace(name, self._place.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            if error.errno != errno.EBUSY or folder is None:
                raise
            self._copy()
        else:
            self._name = None

    def _copy(self) -> None:
        """Into the old file, which is a mount point."""
        target = self._place.open(self._place.name, os.O_WRONLY | os.O_TRUNC)
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            while chunk := os.read(self._descriptor, _CHUNK):
                _write_all(target, chunk)
            os.fsync(target)
        finally:
            os.close(target)

    def _take_after(self, old: os.stat_result) -> None:
        """Mode, owner, group and ACL, as far as they are the old file's own and may be given."""
        if not hasattr(os, "fchown"):
            return
        mode = old.st_mode & 0o777
        if not (self._chown(old.st_uid, old.st_gid) or self._chown(-1, old.st_gid)) or not self._copy_acl():
            mode = mode & 0o707 | (mode & 0o007) << 3  # the group bits were another group's, or the mask of an ACL
        os.fchmod(self._descriptor, mode)

    def _chown(self, user: int, group: int) -> bool:
        try:
            os.fchown(self._descriptor, user, group)
        except OSError:
            return False
        return True

    def _copy_acl(self) -> bool:
        """False if there is one that could not be copied."""
        if not hasattr(os, "getxattr"):
            return True
        try:
            acl = os.getxattr(f"/proc/self/fd/{self._place.folder}/{self._place.name}", _ACL, follow_symlinks=False)
        except OSError:  # ENODATA: it has none, and what the folder gives by default would open it to others
            with suppress(OSError):
                os.removexattr(self._descriptor, _ACL)
            return True
        try:
            os.setxattr(self._descriptor, _ACL, acl)
        except OSError:
            return False
        return True

    def discard(self) -> None:
        with suppress(OSError):
            if self._descriptor >= 0:
                os.close(self._descriptor)
        with suppress(OSError):
            if self._name is not None:
                self._place.remove(self._name)
        self._place.close()
