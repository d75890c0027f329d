"""This very host as a vantage: the prober runs in this process.

A second Python would have to be started, fed and read for what a function call does. What the prober emits is checked
all the same.
"""

from __future__ import annotations

import threading
import traceback
from dataclasses import replace

from netprobe.errors import NetprobeError
from netprobe.prober import engine
from netprobe.prober.sockets import descriptors_for
from netprobe.reach.messages import Request
from netprobe.reach.sessions.receiver import Emit, Receiver
from netprobe.reach.vantages import LOCAL

__all__ = ["LocalSession"]

RESERVED_DESCRIPTORS = 64  # for everything in this process that is neither a probe nor the responder's side of one


class LocalSession:
    """The prober in this process."""

    name = LOCAL

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def run(self, request: Request, emit: Emit) -> None:
        """Probe from here. Each probe costs two descriptors: the responder's side is in this process, too."""
        cells = len(request.cells)
        sockets = (descriptors_for(2 * cells + RESERVED_DESCRIPTORS) - RESERVED_DESCRIPTORS) // 2
        receiver = Receiver(self.name, emit)
        receiver.expect(request)
        try:
            engine.run(replace(request, sockets=max(1, sockets)).to_json(), receiver.take, self._stopped.is_set)
        except NetprobeError:
            raise
        except Exception:  # the prober's own fault, reported as at any other vantage
            receiver.take({"crash": traceback.format_exc()})

    def stop(self) -> None:
        """End within a tenth of a second."""
        self._stopped.set()
