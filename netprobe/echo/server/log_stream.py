"""A text stream whose reader, disk or terminal cannot hold up the process that writes to it.

Python's own stdout waits for a slow reader, and where a write fails it keeps the bytes and fails again at every later
write. Here a flush writes at once or raises, and then nothing of that record is kept. Only where the descriptor took
the beginning of a record is its rest kept, at most one, because the next line must not start in the middle of another.

O_NONBLOCK belongs to the open file, which a shell or another process may share with us, so it is not set on the
descriptor that we were given. A pipe or a terminal is opened once more through /proc, a socket is written to with
MSG_DONTWAIT (send(2)). Where neither works, poll(2) is asked before each write, which is right for pipes and a good
guess for terminals. Files are written as they are: a disk is waited for, as every server's log does.
"""

from __future__ import annotations

import io
import os
import select
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

__all__ = ["LogStream"]


class LogStream(io.TextIOBase):
    """Text to ``descriptor``, which stays open. A ``flush`` raises OSError where the record is lost.

    ``patience`` is how many seconds a flush may wait for a reader; BlockingIOError says that it was not enough.
    What is flushed while ``in_head`` is true is kept, and goes before the first record that is written.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self.patience = 0.0
        self.in_head = False
        self._descriptor = descriptor
        self._encoding = encoding
        self._head = b""
        self._text: list[str] = []
        self._rest = b""  # of a record whose beginning is written
        self._open: list[Callable[[], None]] = []  # what to call in order to close what was opened here
        self._write: Callable[[bytes], int] | None = None  # at the first use: what is opened must not become LISTEN_FDS

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self._text.append(text)
        return len(text)

    def flush(self) -> None:
        """Write what was added since the last flush, whole or not at all."""
        record = "".join(self._text).encode(self._encoding, "backslashreplace")
        self._text.clear()
        if self.in_head:
            self._head += record
            return
        until = monotonic() + self.patience
        if self._rest:
            self._rest = self._put(self._rest, until)
            if self._rest:
                raise BlockingIOError
        self._rest = self._put(self._head + record, until)
        self._head = b""
        if self._rest and self.patience:  # somebody waits for this one: half of it is no success
            raise BlockingIOError

    def close(self) -> None:
        """Close what was opened here, not the descriptor."""
        while self._open:
            self._open.pop()()
        self._text.clear()

    def _put(self, data: bytes, until: float) -> bytes:
        """What is left of ``data`` when the descriptor takes no more; raises OSError if it takes nothing at all."""
        whole = len(data)
        write = self._write = self._write or self._writer(self._descriptor)
        while data:
            try:
                data = data[write(data) :]
            except BlockingIOError:
                if self._wait(until - monotonic()):
                    continue
                if len(data) == whole:
                    raise
                break
            except OSError:
                if len(data) == whole:
                    raise
                break
        return data

    def _wait(self, seconds: float) -> bool:
        """Whether the descriptor may take more before ``seconds`` are over."""
        if seconds <= 0 or not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def _writer(self, descriptor: int) -> Callable[[bytes], int]:
        """What writes to ``descriptor`` without waiting."""
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:  # closed: let the write say so
            return lambda data: os.write(descriptor, data)
        if stat.S_ISSOCK(mode):
            sock = socket.socket(fileno=os.dup(descriptor))
            self._open.append(sock.close)
            return lambda data: sock.send(data, socket.MSG_DONTWAIT)
        if stat.S_ISREG(mode) or not _may_write(descriptor):
            return lambda data: os.write(descriptor, data)
        with suppress(OSError):
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            self._open.append(lambda: os.close(own))
            return lambda data: os.write(own, data)
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)

        def write(data: bytes) -> int:
            if not poll.poll(0):
                raise BlockingIOError
            return os.write(descriptor, data[: select.PIPE_BUF])

        return write


def _may_write(descriptor: int) -> bool:
    """Whether it is open for writing: /proc would open it again for what it was not."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
