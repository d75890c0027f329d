"""What happens too often to be told each time: the first at once, the others as a number.

Whoever can connect can make a server stop accepting and start again, or run over its memory, thousands of times a
second. An event for each would be a log that a stranger writes.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SPAN", "Tally"]

SPAN: Final = 10.0  # seconds between two events of a kind


class Tally:
    """Counts occurrences; ``take`` gives what may be told at ``now`` (seconds of a monotonic clock)."""

    def __init__(self) -> None:
        self.due = 0.0  # when the next may be told
        self._untold = 0

    def add(self) -> None:
        """It happened once more."""
        self._untold += 1

    def take(self, now: float) -> int:
        """How many there are to tell; 0 if it is too early. Those are told then."""
        if not self._untold or now < self.due:
            return 0
        untold, self._untold, self.due = self._untold, 0, now + SPAN
        return untold

    @property
    def waiting(self) -> bool:
        """Whether something is to be told when it is ``due``."""
        return self._untold > 0
