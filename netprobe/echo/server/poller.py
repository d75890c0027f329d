"""Which descriptors are ready: epoll itself where the system has it, the selectors module elsewhere.

``selectors`` wraps each event of each poll in a named tuple; at 150,000 messages a second that is a tenth of the time.
Both are level-triggered and both return pairs of descriptor and mask. Level-triggered, because a connection then need
not be read until it would block: one receive for each message instead of two.

A poll of epoll returns at most ``BATCH`` descriptors: asking the kernel for hundreds walks over their sockets, and by
the time the last of them is served, they have left the CPU cache. epoll(7) rotates through the ready descriptors from
poll to poll, so none starves.
"""

from __future__ import annotations

import select
import selectors
from typing import Final, Protocol

__all__ = ["AGAIN", "BATCH", "READ", "WRITE", "Poller", "forgets_closed", "new_poller"]

READ: Final = 0x001  # EPOLLIN; errors and hang-ups are reported unasked, see epoll_ctl(2)
WRITE: Final = 0x004  # EPOLLOUT
AGAIN: Final = (BlockingIOError, InterruptedError)  # not ready after all: nothing to read, or no room to write
BATCH: Final = 64  # ready descriptors that the loop asks for at once


class Poller(Protocol):
    """What the loop needs of a poller; ``select.epoll`` is one as it stands."""

    def register(self, fd: int, eventmask: int, /) -> None: ...
    def modify(self, fd: int, eventmask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


def new_poller() -> Poller:
    """The best poller that this system has."""
    epoll = getattr(select, "epoll", None)
    if epoll is None:
        return _SelectorsPoller()
    poller: Poller = epoll()
    return poller


def forgets_closed(poller: Poller) -> bool:
    """Does it drop a descriptor by itself when that is closed? epoll(7) does, unless somebody holds a duplicate."""
    return not isinstance(poller, _SelectorsPoller)


class _SelectorsPoller:
    """The same interface for kqueue, /dev/poll, poll and select."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, eventmask: int, /) -> None:
        if eventmask:
            self._selector.register(fd, _events(eventmask))

    def modify(self, fd: int, eventmask: int, /) -> None:
        if fd in self._selector.get_map():
            if not eventmask:  # selectors has no empty event mask
                self._selector.unregister(fd)
                return
            self._selector.modify(fd, _events(eventmask))
        else:
            self.register(fd, eventmask)

    def unregister(self, fd: int, /) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """All that are ready, whatever ``maxevents`` says: with a cap, the last in poll(2)'s order would starve."""
        del maxevents
        return [
            (key.fd, (READ if mask & selectors.EVENT_READ else 0) | (WRITE if mask & selectors.EVENT_WRITE else 0))
            for key, mask in self._selector.select(timeout)
        ]

    def close(self) -> None:
        self._selector.close()


def _events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)
