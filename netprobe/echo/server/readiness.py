"""Which descriptors are ready: epoll itself where there is one, the selectors module elsewhere.

``selectors`` wraps each event of each poll in a named tuple; at 150,000 messages a second that is a tenth of the
time. Both are level-triggered and both answer with pairs of descriptor and mask.

A poll of epoll reports ``BATCH`` descriptors at most: asking the kernel for hundreds walks over their sockets, and by
the time that the last of them is served, all that the processor's cache knew of it is gone. epoll(7) moves on through
the ready ones from poll to poll, so that none waits for ever.
"""

from __future__ import annotations

import select
import selectors
from typing import Final, Protocol

__all__ = ["AGAIN", "BATCH", "READ", "WRITE", "Readiness", "forgets_closed", "readiness"]

READ: Final = 0x001  # EPOLLIN; errors and hang-ups are reported unasked, see epoll_ctl(2)
WRITE: Final = 0x004  # EPOLLOUT
AGAIN: Final = (BlockingIOError, InterruptedError)  # it was not ready after all: nothing there, or no room
BATCH: Final = 64  # ready descriptors that the server asks for at once


class Readiness(Protocol):
    """What the server needs of a poller; ``select.epoll`` is one as it stands."""

    def register(self, fd: int, eventmask: int, /) -> None: ...
    def modify(self, fd: int, eventmask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


def readiness() -> Readiness:
    """The best poller that this system has."""
    epoll = getattr(select, "epoll", None)
    if epoll is None:
        return _Selectors()
    made: Readiness = epoll()
    return made


def forgets_closed(made: Readiness) -> bool:
    """Does it forget a descriptor by itself when that is closed? epoll(7) does, as long as nobody has a copy of it."""
    return not isinstance(made, _Selectors)


class _Selectors:
    """The same face for kqueue, /dev/poll, poll and select."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, eventmask: int, /) -> None:
        if eventmask:
            self._selector.register(fd, _events(eventmask))

    def modify(self, fd: int, eventmask: int, /) -> None:
        if fd in self._selector.get_map():
            if not eventmask:  # selectors knows no empty interest
                self._selector.unregister(fd)
                return
            self._selector.modify(fd, _events(eventmask))
        else:
            self.register(fd, eventmask)

    def unregister(self, fd: int, /) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """All that is ready, whatever ``maxevents`` says: who comes last in poll(2)'s order would never be served."""
        del maxevents
        return [
            (key.fd, (READ if mask & selectors.EVENT_READ else 0) | (WRITE if mask & selectors.EVENT_WRITE else 0))
            for key, mask in self._selector.select(timeout)
        ]

    def close(self) -> None:
        self._selector.close()


def _events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)
