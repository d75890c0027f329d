"""Accepting connections, and leaving them in the kernel's queue while there is no room for them.

Closing what does not fit would look like a failure to clients, and polling a listener that cannot be accepted from
would spin. So accepting stops, with an event that says why, and starts again when a connection has ended or, where
descriptors ran out, after a quarter of a second. On Linux an accepted socket inherits the listener's TCP_NODELAY,
which saves a system call for each connection.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Final

from netprobe.echo.server.events import SocketName
from netprobe.echo.server.poller import AGAIN
from netprobe.kernel.constants import SYSTEM

__all__ = ["RETRY", "Acceptor"]

RETRY: Final = 0.25  # seconds until accept is tried again after descriptors ran out

_BURST: Final = 256  # connections accepted before the open ones get a turn
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BROKEN: Final = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSOCK})  # its owner has shut the listener down


class Acceptor:
    """The listening sockets of a process. ``opened`` takes each new connection, ``has_room`` says whether one fits.

    ``on_pause`` is called with the cause when a connection waits and cannot be accepted, ``on_lost`` with a listener
    that is no longer usable, and why.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        has_room: Callable[[], bool],
        opened: Callable[[socket.socket, SocketName], None],
        on_pause: Callable[[str], None],
        on_lost: Callable[[socket.socket, str], None],
    ) -> None:
        self.listeners = list(listeners)
        self.paused: str | None = None  # why nothing is accepted
        self._has_room = has_room
        self._opened = opened
        self._on_pause = on_pause
        self._on_lost = on_lost
        self._inherits = SYSTEM == "linux"  # tcp(7): TCP_NODELAY of the listener
        for listener in listeners:
            listener.setblocking(False)
            if self._inherits and listener.family in _INTERNET:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def accept(self, listener: socket.socket, _mask: int = 0) -> bool:
        """Accept a burst; True if there may be more."""
        if self.paused is not None:  # by another listener, a moment ago
            return False
        for accepted in range(_BURST):
            if not self._has_room():
                if not accepted:  # else the next poll shows whether one is waiting
                    self._pause("max-connections")
                return False
            try:
                sock, address = listener.accept()
            except AGAIN:
                return False
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(errno.errorcode[error.errno])
                    return False
                if error.errno in _BROKEN:
                    self.listeners.remove(listener)
                    self._on_lost(listener, errno.errorcode[error.errno])
                    return False
                continue  # accept(2) passes on the error of a connection that died in the queue
            sock.setblocking(False)
            if not self._inherits and sock.family in _INTERNET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._opened(sock, address)
        return True

    def accept_all(self) -> None:
        """Accept everything in the queues, as far as there is room."""
        for listener in list(self.listeners):
            while self.paused is None and self.accept(listener):
                pass

    def may_resume(self) -> bool:
        """Whether there is room and a descriptor again."""
        if not self._has_room():
            return False
        try:
            for listener in self.listeners[:1]:
                listener.dup().close()
        except OSError:
            return False
        return True

    def _pause(self, cause: str) -> None:
        self.paused = cause
        self._on_pause(cause)
