"""Accepting connections, and leaving them in the kernel's queue while there is no room for them.

Closing what does not fit would look like a failure to clients, and polling a listener that cannot be accepted from
would spin. So accepting stops, with an event that says why, and starts again when a connection has ended or, where
descriptors ran out, after a quarter of a second.

Keepalive is on: a peer whose machine is gone says nothing for ever, and would hold its connection as long. On Linux an
accepted socket inherits that and TCP_NODELAY from the listener, which saves five system calls for each connection.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Final

from netprobe.echo.server.events import SocketName
from netprobe.echo.server.poller import AGAIN
from netprobe.kernel.constants import SYSTEM, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL

__all__ = ["RETRY", "Acceptor"]

RETRY: Final = 0.25  # seconds until accept is tried again after descriptors ran out

_BURST: Final = 256  # connections accepted before the open ones get a turn
_LAST_BURSTS: Final = 64  # when nothing more is to be accepted: four times the default backlog, or who connects decides
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_OPTIONS: Final = (  # seconds and probes: a machine that is gone is noticed within four minutes
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, TCP_KEEPIDLE, 120),
    (socket.IPPROTO_TCP, TCP_KEEPINTVL, 30),
    (socket.IPPROTO_TCP, TCP_KEEPCNT, 4),
)
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})
_BROKEN: Final = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSOCK})  # its owner has shut the listener down


class Acceptor:
    """The listening sockets of a process. ``opened`` takes each new connection, ``full`` says why none fits, or None.

    ``on_pause`` is called with the cause when a connection waits and cannot be accepted, ``on_lost`` with a listener
    that is no longer usable, and why.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        full: Callable[[], str | None],
        opened: Callable[[socket.socket, SocketName], None],
        on_pause: Callable[[str], None],
        on_lost: Callable[[socket.socket, str], None],
    ) -> None:
        self.listeners = list(listeners)
        self.paused: str | None = None  # why nothing is accepted
        self._full = full
        self._opened = opened
        self._on_pause = on_pause
        self._on_lost = on_lost
        self._inherits = SYSTEM == "linux"  # tcp(7): TCP_NODELAY of the listener
        for listener in listeners:
            listener.setblocking(False)
            if self._inherits:
                _set_options(listener)

    def accept(self, listener: socket.socket, _mask: int = 0) -> bool:
        """Accept a burst; True if there may be more."""
        if self.paused is not None:  # by another listener, a moment ago
            return False
        for accepted in range(_BURST):
            full = self._full()
            if full is not None:
                if not accepted:  # else the next poll shows whether one is waiting
                    self._pause(full)
                return False
            sock: socket.socket | None = None
            try:
                sock, address = listener.accept()
                sock.setblocking(False)
                if not self._inherits:
                    _set_options(sock)
                self._opened(sock, address)
            except AGAIN:
                return False
            except (OSError, MemoryError) as error:
                if sock is not None:
                    sock.close()
                number = error.errno if isinstance(error, OSError) else errno.ENOMEM
                if number in _EXHAUSTED:
                    self._pause(errno.errorcode[number])
                    return False
                if number in _BROKEN and sock is None:
                    self.listeners.remove(listener)
                    self._on_lost(listener, errno.errorcode[number])
                    return False
                # any other: accept(2) passes on the error of a connection that died in the queue
        return True

    def accept_all(self) -> None:
        """Accept everything in the queues, as far as there is room."""
        for listener in list(self.listeners):
            for _ in range(_LAST_BURSTS):
                if self.paused is not None or not self.accept(listener):
                    break

    def may_resume(self) -> bool:
        """Whether there is room and a descriptor again."""
        if self._full() is not None:
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


def _set_options(sock: socket.socket) -> None:
    if sock.family in _INTERNET:
        for level, name, value in _OPTIONS:
            if name is not None:
                sock.setsockopt(level, name, value)
