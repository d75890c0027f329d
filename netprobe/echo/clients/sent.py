"""The record of ``netprobe echo send``, and the comparison of what came back with what was sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Comparison", "Sent"]

LIMIT: Final = 64 * 1024 * 1024  # bytes that are kept for the comparison while they are under way


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent and came back.

    ``equal`` is None where more than 64 MiB were under way at once, too much to be kept for the comparison, and where
    an error came before the end and before any difference; ``first_difference`` counts bytes from 0. ``received`` is
    text (at most the first 64 KiB; bytes that are no UTF-8 are replaced), None where it was written to a file or only
    compared. ``header`` is that of a framed reply.
    """

    destination: str
    protocol: str
    sent_bytes: int
    received_bytes: int
    equal: bool | None
    first_difference: int | None
    elapsed_ms: float
    received: str | None = None
    header: Mapping[str, Any] | None = None


class Comparison:
    """Compares two streams as they flow, whatever their cut: memory holds only what is under way."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.first_difference: int | None = None
        self._under_way: deque[memoryview] = deque()
        self._given_up = False

    @property
    def under_way(self) -> int:
        """Bytes that were sent and have not come back."""
        return self.sent - self.received

    def add_sent(self, data: bytes | memoryview) -> None:
        """These bytes are on their way. They must not change."""
        self.sent += len(data)
        if self.first_difference is None and not self._given_up:
            if self.under_way > LIMIT:
                self._given_up = True
                self._under_way.clear()
            else:
                self._under_way.append(memoryview(data))

    def add_received(self, data: bytes) -> None:
        """These bytes came back."""
        view = memoryview(data)
        at = self.received
        self.received += len(data)
        while view and self.first_difference is None and not self._given_up:
            if not self._under_way:
                self.first_difference = at  # more than was sent
                return
            expected = self._under_way.popleft()
            size = min(len(expected), len(view))
            if expected[:size] != view[:size]:
                pairs = zip(expected[:size], view[:size], strict=True)
                self.first_difference = at + next(i for i, (a, b) in enumerate(pairs) if a != b)
                self._under_way.clear()
                return
            if size < len(expected):
                self._under_way.appendleft(expected[size:])
            view = view[size:]
            at += size

    def end(self) -> bool | None:
        """Both streams have ended: are they equal? None where that could not be followed."""
        if self._given_up and self.first_difference is None:
            return None if self.sent == self.received else False
        if self.first_difference is None and self.received < self.sent:
            self.first_difference = self.received
        return self.first_difference is None

    def result(
        self,
        destination: str,
        elapsed_ms: float,
        received: str | None,
        header: Mapping[str, Any] | None = None,
        ended: bool = True,
    ) -> Sent:
        """The record, when both streams have ended or, if not ``ended``, an error cut them short."""
        so_far = None if self.first_difference is None else False
        equal = self.end() if ended else so_far
        counts = (self.sent, self.received, equal, self.first_difference)
        return Sent(destination, "tcp", *counts, round(elapsed_ms, 3), received, header)
