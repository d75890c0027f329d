"""What travels to a vantage, and what is heard from it. No process, no clock: every way to a vantage uses it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from netprobe.prober import bundle
from netprobe.prober.facts import REQUEST_VERSION
from netprobe.prober.pacing import PATIENCE_S
from netprobe.reach.records import HostFacts
from netprobe.reach.unusable import VantageError

__all__ = ["Emit", "Lines", "Say", "program"]

STAY_S = 4.0  # how much longer than its time-out and its patience a payload may live anywhere
LINE_LIMIT = 1 << 20
CELL_LIMIT = 4096  # bytes a cell's line takes at most, on average

Emit = Callable[[Mapping[str, Any]], None]
Say = Callable[[str], None]


def program(request: Mapping[str, Any]) -> bytes:
    """What a vantage's stdin gets: the prober, and the first question. It stays open."""
    life = float(request["timeout"]) + float(request.get("patience", PATIENCE_S)) + STAY_S
    return bundle.program() + bundle.question({"life": life, "heartbeat": 1.0, **request})


class Lines:
    """Bytes of one vantage become checked messages. Knows no process and no clock.

    A wrong message ends it with a :class:`VantageError`; other lines are ``noise``.
    """

    def __init__(self, name: str, request: Mapping[str, Any], emit: Emit, noise: Say) -> None:
        self.name = name
        self.emit = emit
        self.noise = noise
        self.hello = False
        self.ended = False
        self._open = {cell["id"] for cell in request["cells"]}
        self._budget = LINE_LIMIT + CELL_LIMIT * len(self._open)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._budget -= len(data)
        if self._budget < 0 or len(self._rest) > LINE_LIMIT:
            raise VantageError(self.name, "too much output", "the vantage says more than any prober would")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self.ended:
                self._line(line)

    def _line(self, line: bytes) -> None:
        said = None
        if line.startswith(b"{"):
            with contextlib.suppress(ValueError, RecursionError):
                said = json.loads(line)
        if not isinstance(said, dict) or not (self.hello or "hello" in said or "crash" in said):
            if line.strip():
                self.noise(line[:200].decode("utf-8", "replace").rstrip())
        elif "hello" in said:
            self._hello(said)
        elif "cell" in said:
            self._cell(said)
        elif "crash" in said:
            self.ended = True
            self.emit({"crash": str(said["crash"])})
        elif said.get("done") is True:
            self.ended = True
            self.emit(said)

    def _hello(self, said: Mapping[str, Any]) -> None:
        try:
            right = said["hello"]["version"] == REQUEST_VERSION
            HostFacts.from_hello(said["hello"])
        except (AttributeError, KeyError, TypeError, ValueError):
            right = False
        if not right or self.hello:
            raise VantageError(self.name, "not netprobe's prober", "its hello is not netprobe's")
        self.hello = True
        self.emit(said)

    def _cell(self, said: Mapping[str, Any]) -> None:
        number = said["cell"]
        texts = ("errno", "error", "source", "replied_from", "observed", "listener", "sample", "challenge")
        numbers = ("rtt_ms", "elapsed_ms", "payload_size", "payload_received")
        right = (
            isinstance(number, int)
            and number in self._open
            and isinstance(said.get("result"), str)
            and isinstance(said.get("stage"), str)
            and all(isinstance(said.get(key), str | None) for key in texts)
            and all(isinstance(said.get(key), int | float | None) for key in numbers)
            and isinstance(said.get("icmp"), dict | None)
            and (said["result"] != "proof" or isinstance(said.get("listener"), str))
        )
        if not right:
            raise VantageError(self.name, "not netprobe's prober", "its answer is not about a question that was asked")
        self._open.discard(number)
        self.emit(said)
