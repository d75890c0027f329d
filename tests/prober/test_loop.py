"""The prober's loop: what has come counts before what has not."""

from __future__ import annotations

import selectors
import socket
import time
from typing import Any

import pytest

from netprobe.prober.loop import Loop, Watched


class Waiting(Watched):
    """Waits for a byte, and ends at the first thing that happens."""

    def __init__(self, sock: socket.socket, loop: Loop) -> None:
        self.sock = sock
        self.seen: list[str] = []
        self._loop = loop

    def ready(self, events: int) -> None:
        self.seen.append("ready")
        self.finished = True
        self._loop.unwatch(self)

    def due(self) -> None:
        self.seen.append("due")
        self.finished = True


def test_an_answer_that_waits_is_read_before_a_timer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop = Loop()
        waiting = Waiting(ours, loop)
        loop.watch(waiting, selectors.EVENT_READ)
        loop.wake(waiting, time.perf_counter())
        select = loop._selector.select

        def late(timeout: float | None = None) -> list[Any]:
            """Nothing is there yet, and then this process is not run for a while."""
            found = select(0)
            if not waiting.seen and not found:
                theirs.send(b"x")
            return found

        monkeypatch.setattr(loop._selector, "select", late)
        loop.turn()
        assert waiting.seen == ["ready"]
        loop.close()
