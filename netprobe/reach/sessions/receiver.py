"""From the bytes of one vantage to checked messages, in their order. Knows no process and no clock.

How much is read is bounded before anything is parsed: a budget of bytes that grows with what was asked, a longest
line, and JSON's own depth (Python's reader gives up at its recursion limit, which is an error here like any other).
Without that a vantage that never ends its output, or its line, would fill this process's memory.

What comes before the hello is a login shell's noise: banners, profiles, warnings. It is passed on for ``-v``, and
never trusted. From the hello on every line that looks like a message must be one.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from netprobe.reach.messages import (
    Answer,
    Crash,
    Done,
    Heartbeat,
    Hello,
    MalformedMessageError,
    Message,
    Request,
    parse_message,
)
from netprobe.reach.vantage_errors import VantageError

__all__ = ["Emit", "OnNoise", "Receiver", "ignore_noise"]

LINE_LIMIT = 1 << 20
HELLO_BYTES = 1 << 20  # what a request's answers may take beside its cells: above all the hello with its routes
CELL_BYTES = 4096  # what a cell's answer may take, on average; a real one has a few hundred
NOISE_LINES = 100  # passed on; more is only read

Emit = Callable[[Message], None]
OnNoise = Callable[[str], None]


def ignore_noise(text: str) -> None:
    """For callers to whom a login banner is of no interest."""


class Receiver:
    """Hands each message of one vantage to ``emit``: for each request the hello first, each answer once, the end last.

    A message that is malformed or out of place raises :class:`VantageError`. Heartbeats are not passed on: that
    something came is all that they say.
    """

    def __init__(self, name: str, emit: Emit, on_noise: OnNoise = ignore_noise) -> None:
        self.name = name
        self.has_hello = False
        self.has_ended = False
        self._emit = emit
        self._on_noise = on_noise
        self._noise_lines = 0
        self._unanswered: set[int] = set()
        self._awaits_hello = True
        self._budget = 0
        self._partial = b""

    def expect(self, request: Request) -> None:
        """A request is sent: its cells may be answered, and there is more to read."""
        self._unanswered.update(cell.id for cell in request.cells)
        self._budget += HELLO_BYTES + CELL_BYTES * len(request.cells)
        self._awaits_hello = True
        self.has_ended = False

    def feed(self, data: bytes) -> None:
        """Bytes as they come, cut anywhere."""
        self._budget -= len(data)
        if self._budget < 0 or len(self._partial) > LINE_LIMIT:
            raise VantageError(self.name, "too much output", "the vantage sends more than any prober would")
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if not self.has_ended:
                self._line(line)

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"{"):
            self._noise(line)
            return
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            if self.has_hello:
                raise self._malformed("a line is not valid JSON") from None
            self._noise(line)
            return
        if self.has_hello or "hello" in value or "crash" in value:
            self.take(value)
        else:
            self._noise(line)

    def take(self, value: object) -> None:
        """One decoded object."""
        try:
            message = parse_message(value)
        except MalformedMessageError as error:
            raise self._malformed(str(error)) from None
        match message:
            case Hello():
                if not self._awaits_hello:
                    raise self._malformed("it sent hello twice")
                self.has_hello = True
                self._awaits_hello = False
            case Answer():
                if self._awaits_hello or message.id not in self._unanswered:
                    raise self._malformed("it answered a cell that was not requested")
                self._unanswered.remove(message.id)
            case Crash() | Done():
                self.has_ended = True
            case Heartbeat():
                return
        self._emit(message)

    def _noise(self, line: bytes) -> None:
        text = line[:200].decode("utf-8", "replace").rstrip()
        if text and self._noise_lines < NOISE_LINES:
            self._noise_lines += 1
            self._on_noise(text)

    def _malformed(self, why: str) -> VantageError:
        return VantageError(self.name, "not netprobe's prober", f"not what netprobe's prober says: {why}")
