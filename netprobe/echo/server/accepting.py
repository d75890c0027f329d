"""Taking connections from the kernel's queue, and leaving them there while there is no room."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from netprobe.echo.server.readiness import AGAIN
from netprobe.kernel.constants import SYSTEM

__all__ = ["RETRY", "Accepting"]

ACCEPTS: Final = 256  # connections taken before those that are there have a turn
RETRY: Final = 0.25  # seconds until accept is tried again after the descriptors ran out
INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
OUT_OF_MEANS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
BROKEN: Final = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSOCK})  # whoever handed it over has shut it down


class Accepting:
    """The listening sockets of a process; ``open_`` takes each new connection, ``room`` says whether one fits.

    ``pause`` is told why nothing can be accepted while somebody waits, ``lost`` which listener is of no use any more.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        room: Callable[[], bool],
        open_: Callable[[socket.socket, Any], None],
        pause: Callable[[str], None],
        lost: Callable[[socket.socket, str], None],
    ) -> None:
        self.listeners = list(listeners)
        self.paused: str | None = None  # why nothing is accepted
        self._room = room
        self._open = open_
        self._pause = pause
        self._lost = lost
        self._inherits = SYSTEM == "linux"  # accepted sockets have the listener's TCP_NODELAY: a system call less
        for listener in listeners:
            listener.setblocking(False)
            if self._inherits and listener.family in INTERNET:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def take(self, listener: socket.socket, _mask: int = 0) -> bool:
        """Accept a batch; True if there may be more."""
        if self.paused is not None:  # by another listener, a moment ago
            return False
        for accepted in range(ACCEPTS):
            if not self._room():
                if not accepted:  # else the next look tells whether somebody waits
                    self._out("max-connections")
                return False
            try:
                sock, address = listener.accept()
            except AGAIN:
                return False
            except OSError as error:
                if error.errno in OUT_OF_MEANS:
                    self._out(errno.errorcode[error.errno])
                    return False
                if error.errno in BROKEN:
                    self.listeners.remove(listener)
                    self._lost(listener, errno.errorcode[error.errno])
                    return False
                continue  # accept(2): the error of a connection that died in the queue is passed on
            sock.setblocking(False)
            if not self._inherits and sock.family in INTERNET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open(sock, address)
        return True

    def take_all(self) -> None:
        """Accept all that waits, as far as there is room."""
        for listener in list(self.listeners):
            while self.paused is None and self.take(listener):
                pass

    def may_resume(self) -> bool:
        """Whether there is room and a descriptor again."""
        if not self._room():
            return False
        try:
            for listener in self.listeners[:1]:
                listener.dup().close()
        except OSError:
            return False
        return True

    def _out(self, cause: str) -> None:
        self.paused = cause
        self._pause(cause)
