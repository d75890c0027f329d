"""From the bytes of one vantage to checked messages, in their order. Knows no process.

How much is read is bounded before anything is parsed: a budget of bytes that grows with what was asked, a longest
line, and depth, digits and keys of its JSON (:mod:`netprobe.reach.untrusted_json`). Without that a vantage that never
ends its output, or its line, would fill this process's memory; and were each piece of a line added to a copy of those
before it, one that comes byte by byte would fill its time.

What comes before the hello is a login shell's noise: banners, profiles, warnings. It is passed on for ``-v``, and
never trusted. From the hello on every line that looks like a message must be one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from netprobe.reach.contradictions import contradiction, ladder_contradiction
from netprobe.reach.facts import HostFacts
from netprobe.reach.messages import (
    MOST_FAILED,
    Answer,
    CellRequest,
    Crash,
    Done,
    Heartbeat,
    Hello,
    Ladder,
    LadderRequest,
    Looked,
    MalformedMessageError,
    Message,
    Replies,
    Request,
    Resolved,
    ToldPacket,
    Tracing,
    parse_message,
)
from netprobe.reach.untrusted_json import parse_untrusted
from netprobe.reach.vantage_errors import VantageError

__all__ = ["Emit", "OnNoise", "Receiver", "ignore_noise"]

HELLO_BYTES = 2 << 20  # for a hello without its routes: 20,000 addresses with room to spare
ROUTE_BYTES = 256  # for a cell's route in it
CELL_BYTES = 4096  # what a cell's answer may take, on average, and a name's; a real one has a few hundred
LADDER_BYTES = 32 << 10  # two times 30 rungs, each with an ICMP error, have 17,000
LOOK_BYTES = 8 << 20  # for the packets of a trace: MOST_TOLD of them, of 4 KiB each
NOISE_LINES = 100  # passed on; more is only read

Emit = Callable[[Message], None]
OnNoise = Callable[[str], None]


def ignore_noise(text: str) -> None:
    """For callers to whom a login banner is of no interest."""


class Receiver:
    """Hands each message of one vantage to ``emit``: for each request the hello first, each answer once, the end last.

    The answer to a name is what the resolver there says, so the request that follows is made of checked addresses, and
    an answer to a cell is held against the address that this side asked for.

    A message that is malformed, out of place, or contradicts what was asked raises :class:`VantageError`. Heartbeats
    are not passed on: that something came is all that they say.
    """

    def __init__(
        self,
        name: str,
        emit: Emit,
        on_noise: OnNoise = ignore_noise,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.has_hello = False
        self.has_ended = False
        self._is_done = False  # it has ended as it should
        self._emit = emit
        self._on_noise = on_noise
        self._clock = clock
        self.first_noise = ""
        self._noise_lines = 0
        self._request: Request | None = None
        self._asked_at = 0.0
        self._unanswered: dict[int, CellRequest] = {}
        self._unclimbed: dict[int, LadderRequest] = {}
        self._unresolved: set[str] = set()
        self._resolved: list[Resolved] = []
        self._failed: list[Answer] = []
        self._facts = HostFacts()
        self._of_a_trace: set[type[Message]] = set()  # what of a trace is still to come
        self._awaits_hello = True
        self._budget = 0
        self._longest_line = 0
        self._partial = bytearray()

    def expect(self, request: Request) -> None:
        """A request is sent: its cells may be answered, and there is more to read."""
        self._request = request
        self._asked_at = self._clock()
        self._unanswered = {cell.id: cell for cell in request.cells}
        self._unclimbed = dict(enumerate(request.ladders))
        self._unresolved = set(request.names)
        self._resolved = []
        self._failed = []
        self._of_a_trace = {*([Tracing] if request.trace is not None else []), *([Looked] if request.look else [])}
        self._longest_line = HELLO_BYTES + ROUTE_BYTES * len(request.cells)
        self._budget += self._longest_line + CELL_BYTES * (len(request.cells) + len(request.names))
        self._budget += LADDER_BYTES * len(request.ladders)
        self._budget += LOOK_BYTES if request.look else 0
        self._awaits_hello = True
        self.has_ended = self._is_done = False

    def follow_up(self) -> Request | None:
        """What to ask next, once a request is answered; None when there is nothing."""
        request = self._request
        if request is None or request.follow_up is None or not self._is_done:
            return None
        following = request.follow_up(Replies(self._facts, tuple(self._resolved), tuple(self._failed)))
        return None if following is None else replace(following, sockets=request.sockets)

    @property
    def only_adds(self) -> bool:
        """May the session end now, as every cell has its answer?"""
        return self._request is not None and self._request.only_adds

    def feed(self, data: bytes) -> None:
        """Bytes as they come, cut anywhere."""
        self._budget -= len(data)
        *ends, rest = data.split(b"\n")
        if self._budget < 0 or len(self._partial) + len(ends[0] if ends else rest) > self._longest_line:
            raise VantageError(self.name, "too much output", "the vantage sends more than any prober would")
        for end in ends:
            line = bytes(self._partial) + end
            self._partial.clear()
            if not self.has_ended:
                self._line(line)
        self._partial += rest

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"{"):
            self._noise(line)
            return
        try:
            value = parse_untrusted(line)
        except ValueError:
            if self.has_hello:
                raise self._malformed("a line is not valid JSON") from None
            self._noise(line)
            return
        if self.has_hello or "hello" in value or "crash" in value:
            self.take(value)
        else:
            self._noise(line)

    def take(self, value: object) -> None:
        """One decoded object. Nothing is expected after the end, and nothing is read."""
        if self.has_ended:
            return
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
                self._facts = message.facts
            case Resolved():
                self._check_resolved(message)
            case Answer():
                self._check_answer(message)
            case Ladder():
                self._check_ladder(message)
            case Done():
                left = self._unanswered or self._unresolved or self._unclimbed or self._of_a_trace
                if self._awaits_hello or left:
                    raise self._malformed("it was done before it had answered")
                self.has_ended = self._is_done = True
            case Tracing() | ToldPacket() | Looked():
                self._check_traced(message)
            case Crash():
                self.has_ended = True
            case Heartbeat():
                return
        self._emit(message)

    def _check_resolved(self, resolved: Resolved) -> None:
        if self._awaits_hello or resolved.name not in self._unresolved:
            raise self._malformed("it resolved a name that was not requested")
        self._unresolved.remove(resolved.name)
        self._resolved.append(resolved)

    def _check_answer(self, answer: Answer) -> None:
        cell = None if self._awaits_hello else self._unanswered.pop(answer.id, None)
        if cell is None or self._request is None:
            raise self._malformed("it answered a cell that was not requested")
        wrong = contradiction(answer, cell, self._request, self._clock() - self._asked_at)
        if wrong is not None:
            raise self._malformed(f"answer: {wrong}")
        if (answer.is_silent or answer.is_refused) and len(self._failed) < MOST_FAILED:
            self._failed.append(answer)

    def _check_ladder(self, ladder: Ladder) -> None:
        asked = None if self._awaits_hello else self._unclimbed.pop(ladder.number, None)
        if asked is None:
            raise self._malformed("it climbed a ladder that was not requested")
        wrong = ladder_contradiction(ladder, asked, self._clock() - self._asked_at)
        if wrong is not None:
            raise self._malformed(f"ladder: {wrong}")

    def _check_traced(self, message: Tracing | ToldPacket | Looked) -> None:
        kind = Looked if isinstance(message, ToldPacket) else type(message)
        if self._awaits_hello or kind not in self._of_a_trace:
            raise self._malformed("it told of a trace that was not requested")
        if type(message) is kind:
            self._of_a_trace.remove(kind)

    def _noise(self, line: bytes) -> None:
        text = line[:200].decode("utf-8", "replace").rstrip()
        if text and self._noise_lines < NOISE_LINES:
            self._noise_lines += 1
            self.first_noise = self.first_noise or text
            self._on_noise(text)

    def _malformed(self, why: str) -> VantageError:
        return VantageError(self.name, "not netprobe's prober", f"not what netprobe's prober says: {why}")
