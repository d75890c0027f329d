"""Who came to the listeners of a run: a book of a fixed size that one thread writes and another one reads.

The thread that answers must never wait for what a stranger (what there is to tell) and a bystander (who reads it)
control: with stderr a pipe that nobody reads, a listener that wrote its own reports fell silent after 64 KiB of them.
So it only makes entries here, a few dictionary operations each. Whoever tells them takes them out with
:meth:`Visitors.next`, in a thread of its own, as fast as its reader reads.

Whatever a stranger does costs a counter: each address is reported once, and so many addresses at most. 400,000
datagrams of one stranger took 60 MB and a document of 40 MB when each had a record. Those who know the nonce have a
budget, too, because a vantage is not trusted. What has no report is counted: :meth:`Visitors.left_out`.

There is no lock, so a signal handler may call :meth:`Visitors.wake` whatever it interrupts: the answering thread alone
changes the book, single dictionary operations are atomic in CPython, and a ``SimpleQueue``'s ``put`` is reentrant.
"""

from __future__ import annotations

import queue
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["MOST_ANSWERS", "MOST_STRANGERS", "MOST_WAITING", "Arrival", "LeftOut", "Visitors"]

MOST_STRANGERS: Final = 1000  # addresses that get a report
MOST_ARRIVALS: Final = 10_000  # challenges that are remembered, unless the run has more questions
MOST_ANSWERS: Final = 16  # to one challenge: a probe asks 5 times at most, and sends its payload 4 times
MOST_WAITING: Final = 4096  # reports that nobody has taken yet; a place for each stranger is kept free


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came to a listener, and at which ``local`` address; ``proven`` peers know the nonce.

    ``send_error`` is the errno of an answer that the system did not take.
    """

    listener: str
    protocol: str
    peer: str
    peer_port: int
    local: str
    proven: bool
    send_error: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How often somebody came without a report: a ``peer`` again, or (None) peers for whom there was no room."""

    peer: str | None
    proven: bool
    count: int


class Visitors:
    """The book. ``arrivals`` has, by challenge, the first who came with it and knew the nonce."""

    def __init__(self) -> None:
        self._arrivals: dict[str, Arrival] = {}
        self._again: dict[str, list[Arrival]] = {}  # by challenge: who came with it after the first
        self._challenges: dict[str, dict[str, None]] = {}  # by peer, for the peer with most to give way
        self._peers: dict[int, dict[str, None]] = {}  # by how many challenges they have brought
        self._most_of_one = 0  # the largest of those numbers
        self._most_arrivals = MOST_ARRIVALS
        self._strangers: dict[str, Arrival] = {}  # by address
        self._visits: dict[str, int] = {}  # of each of them
        self._visits_of_others = 0
        self._arrivals_untold = 0
        self._waiting: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()

    # For the thread that answers.

    def expect(self, questions: int) -> None:
        """Make room for the arrivals of so many questions, each of which may be asked over several links."""
        self._most_arrivals = max(MOST_ARRIVALS, 8 * questions)

    def arrived(self, challenge: str, arrival: Arrival) -> bool:
        """Enter somebody who knows the nonce. False: the challenge was answered so often that it is being repeated.

        A line that was seen on its way can be sent again by anybody, and from any source address over UDP. So a
        challenge is worth a few answers, and what comes first with it stays as it is.
        """
        if challenge in self._arrivals:
            again = self._again.setdefault(challenge, [])
            if len(again) >= MOST_ANSWERS - 1:
                return False
            again.append(arrival)
            return True
        if len(self._arrivals) >= self._most_arrivals:
            self._forget_one()
        self._arrivals[challenge] = arrival
        brought = self._challenges.setdefault(arrival.peer, {})
        brought[challenge] = None
        self._move(arrival.peer, len(brought) - 1, len(brought))
        self._most_of_one = max(self._most_of_one, len(brought))
        if self._waiting.qsize() < MOST_WAITING - MOST_STRANGERS:
            self._waiting.put(arrival)
        else:
            self._arrivals_untold += 1
        return True

    def not_answered(self, challenge: str, error: str) -> None:
        """The answer to the first who came with a challenge was not sent."""
        arrival = self._arrivals.get(challenge)
        if arrival is not None and arrival.send_error is None:
            self._arrivals[challenge] = replace(arrival, send_error=error)

    def count_known(self, address: str) -> bool:
        """Count a visit of a stranger who has an entry, or gets none; False: :meth:`stranger` is to make one."""
        visits = self._visits.get(address)
        if visits is not None:
            self._visits[address] = visits + 1
            return True
        if len(self._visits) >= MOST_STRANGERS:
            self._visits_of_others += 1
            return True
        return False

    def stranger(self, arrival: Arrival) -> None:
        """Enter somebody who does not know the nonce."""
        if not self.count_known(arrival.peer):
            self._visits[arrival.peer] = 1
            self._strangers[arrival.peer] = arrival
            self._waiting.put(arrival)

    def _forget_one(self) -> None:
        """The oldest challenge of the peer that has brought most: no vantage can push out what others have proved.

        Found by the number, not by looking at all peers: of 10,000 that took 4 ms, for each arrival.
        """
        peer = next(iter(self._peers[self._most_of_one]))
        challenges = self._challenges[peer]
        oldest = next(iter(challenges))
        del challenges[oldest], self._arrivals[oldest]
        self._again.pop(oldest, None)
        self._move(peer, len(challenges) + 1, len(challenges))
        if not challenges:
            del self._challenges[peer]
        if self._most_of_one not in self._peers:
            self._most_of_one -= 1

    def _move(self, peer: str, before: int, now: int) -> None:
        """Enter a peer under the number of challenges that it has brought now; 0 is no entry."""
        if before:
            del self._peers[before][peer]
            if not self._peers[before]:
                del self._peers[before]
        if now:
            self._peers.setdefault(now, {})[peer] = None

    # For any other thread.

    def next(self, timeout: float) -> Arrival | None:
        """The next report; None when none comes in time, or :meth:`wake` was called."""
        try:
            return self._waiting.get(timeout=timeout) if timeout > 0 else self._waiting.get_nowait()
        except queue.Empty:
            return None

    def wake(self) -> None:
        """End the waiting in :meth:`next`. For signal handlers."""
        self._waiting.put(None)

    @property
    def arrivals(self) -> Mapping[str, Arrival]:
        """By challenge, the first who came with it."""
        return self._arrivals

    @property
    def strangers(self) -> list[Arrival]:
        """The first visit of each stranger."""
        return list(self._strangers.values())

    def saw(self, challenge: str) -> tuple[Arrival, ...]:
        """Everybody who came with this challenge, the first one first. A retry comes from another port."""
        first = self._arrivals.get(challenge)
        return () if first is None else (first, *self._again.get(challenge, ()))

    def left_out(self) -> list[LeftOut]:
        """What there is to count, as of now."""
        counts = [LeftOut(peer, False, visits - 1) for peer, visits in list(self._visits.items())]
        counts += [LeftOut(None, False, self._visits_of_others), LeftOut(None, True, self._arrivals_untold)]
        return [left for left in counts if left.count]
