"""One budget for all that is held for the peers of a process.

A limit for each peer bounds nothing: peers are free. Sixty frames of 16 MiB that never end were a gigabyte, and the
process that could not get it was lost to everybody. So what peers make the server hold (bytes that slow readers are
owed, frames that are not complete) is counted together, and when it is more than the budget, one of those that hold
most is ended: it is that, or ending a peer that holds nothing.

What is counted is what is pinned: the capacity of a buffer, which may be more than its length. It is counted when a
connection begins or ceases to hold something, never on the path of an echo that is sent at once, and it is judged
once for each batch of ready connections: the excess until then is at most a receive of each.

Which one holds most is asked by power of two: within one, the peer that got there first goes first, because it has
had the most time to finish. That takes no search, however many peers hold something; with a search, 40,000 peers that
hold a little each would make every further receive cost milliseconds.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from netprobe.kernel.constants import SYSTEM
from netprobe.kernel.memory_limit import memory_limit

__all__ = ["DEFAULT_BUDGET", "LEAST_BUDGET", "Holder", "MemoryBudget", "default_budget", "return_large_blocks"]

DEFAULT_BUDGET: Final = 256 * 1024 * 1024  # bytes
LEAST_BUDGET: Final = 1024 * 1024  # bytes: four receives

_SHARE: Final = 4  # of what the process may use, the part for peers; copies of frames and the interpreter need the rest

_M_MMAP_THRESHOLD: Final = -3  # mallopt(3)
_LARGE: Final = 1024 * 1024  # bytes


class Holder(Protocol):
    """Who holds memory; ``held`` is for the budget alone to set."""

    held: int  # bytes


H = TypeVar("H", bound=Holder)


def default_budget() -> int:
    """256 MiB, or a quarter of what this process may use where that is less."""
    allowed = memory_limit()
    return DEFAULT_BUDGET if allowed is None else max(min(DEFAULT_BUDGET, allowed // _SHARE), LEAST_BUDGET)


def return_large_blocks() -> None:
    """Have the C library give large blocks back to the system as soon as they are free.

    glibc does so until the first one is freed, then takes up to 32 MiB from its heap, where a hole is of use only for
    what fits. With frames of 16 MiB that came and went, 64 MiB that were counted were 120 MiB resident; like this 72.
    """
    if SYSTEM == "linux":
        with suppress(ImportError, OSError, AttributeError):  # no ctypes, or another C library: then it is as it is
            import ctypes

            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


class MemoryBudget(Generic[H]):
    """``limit`` bytes for all holders together. ``used`` may exceed it until the caller has ended the ``largest``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._by_size: list[dict[H, None]] = [{} for _ in range(64)]  # by the bit length of what is held

    def account(self, holder: H, held: int) -> None:
        """``holder`` holds ``held`` bytes from now on."""
        before = holder.held
        old, new = before.bit_length(), held.bit_length()
        if old != new:
            if held:
                self._by_size[new][holder] = None
            if before:
                del self._by_size[old][holder]
        holder.held = held
        self.used += held - before

    def largest(self) -> H | None:
        """Who holds most, to within a factor of two; None if nobody holds anything."""
        for holders in reversed(self._by_size):
            for holder in holders:
                return holder
        return None
