"""Telling who comes while listeners are open: in the main thread, and never faster than the reader reads.

A report to a pipe that nobody reads would block, and with it the end of the run: listeners would stay open longer than
they were asked for, and Ctrl-C would wait for the reader. So poll(2) is asked first whether the output takes a line,
which is less than a pipe takes whole then (pipe(7), PIPE_BUF). Until it does, reports wait in the responder's book,
which counts those for which it has no room.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, Self

from netprobe.commands.bindtest.interrupts import interruptible
from netprobe.errors import CannotRunError, NetprobeError
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.manual import Visit, visit_of, visit_of_many
from netprobe.reach.visitors import Arrival, LeftOut
from netprobe.render.output import Document, Output

__all__ = ["StrangersLog", "VisitsDocument"]

OnFault = Callable[[NetprobeError], None]

_TICK_S: Final = 0.2  # how often a wait for the reader looks whether it was interrupted
_LOOK_S: Final = 0.5
_LAST_WAIT_S: Final = 1.0  # how long what is told at the end waits for the reader
_MOST_KEPT: Final = 2000  # arrivals in a document that is kept until the end; there are MOST_STRANGERS strangers
_MOST_NAMED: Final = 5  # strangers who are named in the sum of all


class _Reader:
    """Whether somebody reads what is written to a descriptor; None, or a system without poll(2): somebody does."""

    def __init__(self, descriptor: int | None) -> None:
        self._poll = None
        if descriptor is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)

    @classmethod
    def of_stderr(cls) -> Self:
        """Who reads stderr."""
        try:
            return cls(sys.stderr.fileno())
        except (OSError, ValueError, AttributeError):  # closed (2>&-), or no file
            return cls(None)

    def takes_a_line(self, seconds: float = 0.0) -> bool:
        """Does the output take a line within this time? One whose reader has gone does: writing says so."""
        return self._poll is None or bool(self._poll.poll(max(0.0, seconds) * 1000))


class _Reports:
    """What comes in, one report after the other, each as soon as it can be written."""

    def __init__(self, test: Bindtest, reader: _Reader) -> None:
        self._test = test
        self._visitors = test.visitors
        self._reader = reader
        self._next: Arrival | None = None
        self._stopped = False

    def until(self, deadline: float, on_fault: OnFault) -> Iterator[Arrival]:
        """Those that come until then, or until :meth:`stop`; ``on_fault`` is told of faults of this side at once.

        Raises CannotRunError when the listeners answer nobody any more: nobody could come.
        """
        while not self._stopped and (rest := deadline - time.monotonic()) > 0:
            if (fault := self._test.take_fault()) is not None:
                on_fault(fault)
            self._test.check()
            if self._next is None:
                # In short waits: a signal that comes just before one sets a flag, which Python looks at only after it.
                self._next = self._visitors.next(min(rest, _LOOK_S))
            elif self._reader.takes_a_line(min(rest, _TICK_S)):
                arrival, self._next = self._next, None
                yield arrival

    def waiting(self, patience: float = 0.0) -> Iterator[Arrival]:
        """Those that are there now, as long as the reader takes them: for all of them it has ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while True:
            self._next = self._next or self._visitors.next(0.0)
            if self._next is None or not self._reader.takes_a_line(deadline - time.monotonic()):
                return
            arrival, self._next = self._next, None
            yield arrival

    def left_out(self) -> list[LeftOut]:
        """What had no report, also because nobody read it."""
        found = self._visitors.left_out()
        while self._next is not None:
            found.append(LeftOut(None, self._next.proven, 1))
            self._next = self._visitors.next(0.0)
        return found

    def stop(self, how: KeyboardInterrupt | None = None) -> None:
        """End :meth:`until`, whatever asked for it. For signal handlers."""
        self._stopped = True
        self._visitors.wake()


class StrangersLog:
    """Tells on stderr of every client of a listener that does not know the nonce: each address once, then a sum."""

    def __init__(self, output: Output, test: Bindtest) -> None:
        self._output = output
        self._test = test
        self._reader = _Reader.of_stderr()
        self._reports = _Reports(test, self._reader)

    def tell(self) -> None:
        """Tell of those who have come, as far as somebody reads it now."""
        for arrival in self._reports.waiting():
            self._say(arrival)

    def keep(self, seconds: float, on_fault: OnFault) -> None:
        """Tell of those who come for so long; Ctrl-C ends that, and is a normal exit."""
        deadline = time.monotonic() + seconds
        open_ones = ", ".join(f"{x.bind} {x.port}/{x.protocol}" for x in self._test.listening if x.is_open)
        with interruptible(self._reports.stop):
            self._output.say(f"netprobe: still listening for {seconds:g} s on {open_ones}; Ctrl-C ends it")
            for arrival in self._reports.until(deadline, on_fault):
                self._say(arrival)

    def finish(self) -> None:
        """After the listeners are closed: the last ones, and how often others came."""
        for arrival in self._reports.waiting(_LAST_WAIT_S):
            self._say(arrival)
        strangers = [left for left in self._reports.left_out() if not left.proven]
        if strangers and self._reader.takes_a_line():
            self._output.say(_sum(strangers))

    def _say(self, arrival: Arrival) -> None:
        if arrival.proven:
            return
        where = next(f"{x.bind} port {x.port}" for x in self._test.listening if x.id == arrival.listener)
        who = f"{arrival.peer} port {arrival.peer_port}"
        self._output.say(f"netprobe: {where} ({arrival.protocol}): reached by a stranger from {who}")


class VisitsDocument:
    """The results of ``--listen-only``: each arrival of the other side, each stranger once, and a count of the rest."""

    def __init__(self, output: Output, document: Document[Visit], test: Bindtest) -> None:
        self._document = document
        self._test = test
        self._room = _MOST_KEPT if output.in_one_document else None
        self._reader = _Reader(None if output.in_one_document else output.descriptor)
        self._reports = _Reports(test, self._reader)
        self._arrivals = 0
        self.stop = self._reports.stop

    def keep(self, seconds: float) -> None:
        """Add those who come for so long, or until ``stop`` is called."""
        for arrival in self._reports.until(time.monotonic() + seconds, self._document.error):
            self._add(arrival)

    def finish(self) -> None:
        """After the listeners are closed: the last ones, and how often others came."""
        for arrival in self._reports.waiting(_LAST_WAIT_S):
            self._add(arrival)
        for visit in self._uncounted():
            if not self._reader.takes_a_line(_LAST_WAIT_S):
                raise CannotRunError("standard output", "nobody reads it: the end of what there is to tell is missing")
            self._document.add(visit)

    def _add(self, arrival: Arrival) -> None:
        self._arrivals += arrival.proven
        if not arrival.proven or self._room is None or self._arrivals <= self._room:
            self._document.add(visit_of(arrival, self._test.listening))

    def _uncounted(self) -> Iterator[Visit]:
        """One line for each peer that came again, one for all other strangers, one for all other arrivals."""
        left_out = self._reports.left_out()
        yield from (visit_of_many(left) for left in left_out if left.peer is not None)
        for proven in (False, True):
            count = sum(left.count for left in left_out if left.peer is None and left.proven == proven)
            if proven and self._room is not None:
                count += max(0, self._arrivals - self._room)
            if count:
                yield visit_of_many(LeftOut(None, proven, count))


def _sum(strangers: list[LeftOut]) -> str:
    """How often strangers came without a line of their own, and the few that came most."""
    total = sum(left.count for left in strangers)
    named = sorted((left for left in strangers if left.peer), key=lambda left: -left.count)[:_MOST_NAMED]
    who = ", ".join(f"{left.peer}: {left.count:,}" for left in named)
    rest = total - sum(left.count for left in named)
    who += f"{', ' if who else ''}others: {rest:,}" if rest else ""
    return f"netprobe: strangers came {total:,} more time{'s' if total > 1 else ''} ({who})"
