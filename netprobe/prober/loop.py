"""One selectors loop for all sockets of a run, with one timer for each.

One loop instead of a thread for each cell: a thousand silent cells wait together whatever the system allows in threads,
answers are timed where they are read, and stopping is decided in one place. No asyncio: importing it takes 42 ms, more
than all of this, and its transports never read the error queue, which is most of what a failed probe has to report.
"""

import heapq
import selectors
import socket
import time
from typing import Dict, List, Optional, Tuple

__all__ = ["Loop", "Watched"]

IDLE_S = 0.05  # a turn with neither socket nor timer


class Watched:
    """What the loop wakes: something with one socket at a time."""

    sock: Optional[socket.socket] = None
    finished = False

    def ready(self, events: int) -> None:
        """Something happened on the socket."""
        raise NotImplementedError

    def due(self) -> None:
        """The time that was asked for has come."""
        raise NotImplementedError


class Loop:
    """Sockets and timers of any number of :class:`Watched`."""

    def __init__(self) -> None:
        self.watched: Dict[int, Watched] = {}  # by descriptor
        self._selector = selectors.DefaultSelector()
        self._timers: List[Tuple[float, int, Watched]] = []
        self._due: Dict[Watched, float] = {}  # a timer of the heap counts only if it stands here, too
        self._sequence = 0

    def watch(self, watched: Watched, events: int) -> None:
        """Call ``ready`` on ``events`` of its socket."""
        assert watched.sock is not None
        number = watched.sock.fileno()
        if self.watched.get(number) is watched:
            self._selector.modify(watched.sock, events, watched)
        else:
            self.watched[number] = watched
            self._selector.register(watched.sock, events, watched)

    def unwatch(self, watched: Watched) -> None:
        """No more events of its socket, which is still open."""
        if watched.sock is None:
            return
        number = watched.sock.fileno()
        if self.watched.get(number) is watched:
            del self.watched[number]
            self._selector.unregister(watched.sock)

    def wake(self, watched: Watched, when: float) -> None:
        """Call ``due`` at ``when`` of time.perf_counter(), instead of what was asked for before."""
        self._sequence += 1
        self._due[watched] = when
        heapq.heappush(self._timers, (when, self._sequence, watched))

    def forget(self, watched: Watched) -> None:
        """No more events, no timer; its socket is closed."""
        self.unwatch(watched)
        self._due.pop(watched, None)
        if watched.sock is not None:
            watched.sock.close()

    def turn(self, longest: Optional[float] = None) -> None:
        """Wait for the next event or timer, no longer than ``longest`` seconds, and handle what is there.

        Before a timer counts, what has come meanwhile is read: a process that was not run for a second (a busy machine)
        would otherwise call an answer silence that had waited in its socket all that time.
        """
        pause = max(0.0, self._timers[0][0] - time.perf_counter()) if self._timers else IDLE_S
        if longest is not None:
            pause = min(pause, longest)
        if self.watched:
            self._handle(pause)
        elif pause:
            time.sleep(pause)
        now = time.perf_counter()
        if self.watched and self._timers and self._timers[0][0] <= now:
            self._handle(0.0)
        while self._timers and self._timers[0][0] <= now:
            when, _, watched = heapq.heappop(self._timers)
            if not watched.finished and self._due.get(watched) == when:
                del self._due[watched]
                watched.due()

    def _handle(self, pause: float) -> None:
        for key, events in self._selector.select(pause):
            watched = self.watched.get(key.fd)
            if watched is not None and watched is key.data:  # an earlier event of this turn may have ended it
                watched.ready(events)

    def close(self) -> None:
        """Close every socket that is still watched."""
        for watched in list(self.watched.values()):
            self.forget(watched)
        self._selector.close()
