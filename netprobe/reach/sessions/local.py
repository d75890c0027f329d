"""This very host as a vantage: the prober runs in this process.

A second Python would have to be started, fed and read for what a function call does. What the prober emits is checked
all the same.
"""

from __future__ import annotations

import threading
import traceback

from netprobe.errors import NetprobeError
from netprobe.prober import engine
from netprobe.reach.messages import Request
from netprobe.reach.programs import NO_ROOM
from netprobe.reach.sessions.deadline import Deadline
from netprobe.reach.sessions.receiver import Emit, Receiver
from netprobe.reach.vantages import LOCAL

__all__ = ["LocalSession"]


class LocalSession:
    """The prober in this process."""

    name = LOCAL

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def run(self, request: Request, emit: Emit) -> None:
        """Probe from here. The prober is asked to end like any other, although it is our own code."""
        receiver = Receiver(self.name, emit)
        asked: Request | None = request
        while asked is not None:
            self._ask(asked, receiver)
            asked = receiver.follow_up()

    def _ask(self, request: Request, receiver: Receiver) -> None:
        """One request, to its end."""
        receiver.expect(request)
        deadline = Deadline(self.name, request)

        is_late = False

        def take(message: object) -> None:
            receiver.take(message)
            deadline.said_hello()

        def is_over() -> bool:
            nonlocal is_late
            deadline.heard()  # it lives: it asks
            is_late = not deadline.rest()
            return is_late or self._stopped.is_set()

        try:
            engine.run(request.to_json(), take, is_over)
        except NetprobeError:
            raise
        except Exception as error:  # the prober's own fault, reported as at any other vantage
            if isinstance(error, OSError) and error.errno in NO_ROOM and not receiver.has_hello:
                raise  # nor is it the prober's: the system has no room
            receiver.take({"crash": traceback.format_exc()})
        if is_late and not self._stopped.is_set():
            raise deadline.error()

    def stop(self) -> None:
        """End within a tenth of a second."""
        self._stopped.set()
