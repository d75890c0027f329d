"""What came back, compared with what was sent, byte by byte, however TCP cut either into segments.

A hash of both sides would take no memory, but could not name the first byte that differs, and it would find out only
at the end of a stream that may have none. So what is in flight is kept and compared as it returns, which for a server
that echoes at once is little. A peer that answers only after everything was sent makes that grow without a limit:
above 64 MiB the comparison is given up, and the result says so instead of guessing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Comparison"]

LIMIT: Final = 64 * 1024 * 1024  # bytes in flight that are kept for the comparison


class Comparison:
    """Compares two streams as they flow; counts the bytes of both."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.first_difference: int | None = None  # offset in bytes
        self._in_flight: deque[memoryview] = deque()
        self._given_up = False

    @property
    def in_flight(self) -> int:
        """Bytes that were sent and have not come back; negative where more came back than was sent."""
        return self.sent - self.received

    def add_sent(self, data: bytes | memoryview) -> None:
        """These bytes are in flight. They must not change."""
        self.sent += len(data)
        if self.first_difference is None and not self._given_up:
            if self.in_flight > LIMIT:
                self._given_up = True
                self._in_flight.clear()
            else:
                self._in_flight.append(memoryview(data))

    def add_received(self, data: bytes) -> None:
        """These bytes came back."""
        view = memoryview(data)
        at = self.received
        self.received += len(data)
        while view and self.first_difference is None and not self._given_up:
            if not self._in_flight:
                self.first_difference = at  # more than was sent
                return
            expected = self._in_flight.popleft()
            size = min(len(expected), len(view))
            if expected[:size] != view[:size]:
                pairs = zip(expected[:size], view[:size], strict=True)
                self.first_difference = at + next(i for i, (a, b) in enumerate(pairs) if a != b)
                self._in_flight.clear()
                return
            if size < len(expected):
                self._in_flight.appendleft(expected[size:])
            view = view[size:]
            at += size

    def end(self) -> bool | None:
        """Both streams have ended: are they equal? None where the comparison was given up."""
        if self._given_up and self.first_difference is None:
            return None if self.sent == self.received else False
        if self.first_difference is None and self.received < self.sent:
            self.first_difference = self.received
        return self.first_difference is None

    def so_far(self) -> bool | None:
        """An error has cut the streams short: False where they already differed, else not known."""
        return None if self.first_difference is None else False
