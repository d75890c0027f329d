"""Send bytes, half-close, receive everything that comes back: whole, however TCP cut it into segments.

Both directions run at once, in one poll loop over non-blocking sockets. Whoever sends everything first and reads then
is stuck with any message that is larger than the buffers in between: the server blocks until we read, and we block
until it reads. The source is part of the same poll, so that an echo is printed while standard input waits for more.

The time-out is one without progress and runs only while something is owed, so that a person may type slowly. Progress
is 4 KiB, or all that was owed: with a byte now and then a peer could keep us for as long as it likes. A peer that sends
without end is cut off 1 MiB after what was sent.

For a stream that is all, as with ``nc -w``: nobody knows how long it is, and one that moves is not to be cut. A message
that was given at once (a text, ``--hex``, ``--framed``) has a size, and so an end that no progress moves: the time-out
from the connection on, a second, and one more for each 16 KiB. A peer that sent 4 KiB now and then could hold a script
up for 20 minutes.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from netprobe.echo.clients.comparison import Comparison
from netprobe.echo.clients.connection import connect
from netprobe.echo.clients.files import Source
from netprobe.echo.clients.peer_error import Attempt, PeerError, peer_error
from netprobe.echo.clients.trials import Trials
from netprobe.echo.framing import MAX_CONTENT, Connection, Header, Message, RemoteProtocolError
from netprobe.echo.messages import read_json
from netprobe.endpoints import format_endpoint
from netprobe.errors import InvalidInputError
from netprobe.verdicts import Verdict

__all__ = ["SURPLUS", "Destination", "Sent", "echo_back", "framed_message", "framed_reply"]

SURPLUS: Final = 1024 * 1024  # bytes beyond what was sent after which the end is not waited for
_CHUNK = 64 * 1024
_PROGRESS: Final = 4096  # bytes within the time-out
_SLOWEST: Final = 16 * 1024  # bytes a second, for which a message gets more time: 131 kbit/s


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent and what came back.

    ``equal`` is None where the comparison was given up (more than 64 MiB were in flight at once), and where an error
    came before the end and before any difference; ``first_difference`` counts bytes from 0. ``received`` is text (at
    most the first 64 KiB; what is not UTF-8 is replaced), None where it was written to a file or only compared.
    ``header`` is that of a framed reply.
    """

    destination: str
    protocol: str
    sent_bytes: int
    received_bytes: int
    equal: bool | None
    first_difference: int | None
    elapsed_ms: float
    received: str | None = None
    header: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to send: ``timeout_s`` is the time without progress, and the least that a message gets; ``source`` an own
    address to connect from; ``version`` 4 or 6, where the name's other addresses are not wanted."""

    host: str
    port: int
    timeout_s: float
    source: str | None = None
    version: int | None = None
    trials: Trials = field(default_factory=Trials, repr=False, compare=False)

    def __str__(self) -> str:
        return format_endpoint(self.host, self.port)

    def connect(self) -> socket.socket:
        """A non-blocking connection. Raises PeerError and CannotRunError."""
        sock = connect(
            self.host, self.port, self.timeout_s, source=self.source, version=self.version, trials=self.trials
        )
        sock.setblocking(False)
        return sock

    def failure(self, error: OSError, sock: socket.socket) -> PeerError:
        """Why the exchange on ``sock`` failed."""
        return peer_error(error, Attempt(self.host, self.port, "answer", self.timeout_s), sock)

    def stall(self, comparison: Comparison) -> PeerError:
        """It answered, and then no longer: how much of how much came back."""
        came = f"{comparison.received:,} of {comparison.sent:,} bytes came back, then no progress"
        if comparison.in_flight <= 0:
            came = f"all {comparison.sent:,} bytes came back, but the connection was not closed"
        return PeerError(str(self), Verdict.NO_ANSWER, f"{came} for {self.timeout_s:g} s")


def echo_back(source: Source, destination: Destination, comparison: Comparison) -> Iterator[bytes]:
    """What the peer answers to ``source``, piece by piece, until it closes. ``comparison`` is given every byte.

    A time-out without progress while something is owed raises PeerError, and so do a reset and the end of the time for
    a message. More than SURPLUS bytes beyond those sent end the exchange, unless ``source`` is being waited for.
    """
    with destination.connect() as sock:
        running = _Exchange(source, sock, comparison)
        with running.selector:
            try:
                for data in running.pieces(destination):
                    yield data
                    if comparison.in_flight < -SURPLUS and (running.ended or running.pending):
                        return
            except TimeoutError as error:
                if comparison.received:
                    raise destination.stall(comparison) from error
                raise destination.failure(error, sock) from error
            except OSError as error:
                raise destination.failure(error, sock) from error


def framed_reply(message: Message, destination: Destination, comparison: Comparison) -> Message:
    """The reply to one framed message. ``comparison`` is given the contents. Raises PeerError, also for a bad frame."""
    try:
        return _framed_reply(message, destination, comparison)
    except RemoteProtocolError as error:
        raise PeerError(str(destination), Verdict.WRONG_RESPONDER, f"no framed reply: {error.why}") from error


def _framed_reply(message: Message, destination: Destination, comparison: Comparison) -> Message:
    framing = Connection()
    with destination.connect() as sock:
        comparison.add_sent(message.content)
        running = _Exchange(Source(framing.send(message)), sock, Comparison(), half_closes=False)
        with running.selector:
            try:
                for data in running.pieces(destination):
                    for event in framing.receive(data):
                        if isinstance(event, Message):
                            comparison.add_received(event.content)
                            return event
            except OSError as error:
                raise destination.failure(error, sock) from error
    list(framing.receive(b""))
    raise RemoteProtocolError("the connection was closed without a reply", "truncated")


def framed_message(source: Source, content_type: str | None, is_text: bool) -> Message:
    """All of ``source`` as one message; ``is_text`` where it was given as text.

    Without a ``content_type`` text is JSON if it can be read as JSON. It is sent as it is written, not serialised
    again, so that it can come back byte by byte.
    """
    content = bytearray()
    while len(content) <= MAX_CONTENT and (piece := source.next()):  # a source may have no end
        content += piece
    if len(content) > MAX_CONTENT:
        raise InvalidInputError("a framed message", f"holds at most {MAX_CONTENT:,} bytes", "leave out --framed")
    is_json = _is_json(bytes(content))
    if content_type == "text/json" and not is_json:
        raise InvalidInputError("the message", "is not valid JSON", "--type text/plain sends any text")
    if content_type is None:
        content_type = ("text/json" if is_json else "text/plain") if is_text else "binary/octet-stream"
    encoding = "utf-8" if content_type.startswith("text/") else "binary"
    return Message(Header(len(content), content_type, encoding), bytes(content))


def _is_json(content: bytes) -> bool:
    try:
        read_json(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


class _Exchange:
    """One stream out and one back at the same time."""

    def __init__(self, source: Source, sock: socket.socket, comparison: Comparison, half_closes: bool = True) -> None:
        self.source, self.sock, self.comparison, self.half_closes = source, sock, comparison, half_closes
        self.pending = memoryview(b"")
        self.ended = False  # everything is sent, and our side is closed if it half-closes
        self.selector = selectors.DefaultSelector()
        self.selector.register(sock, selectors.EVENT_READ)
        self.watched = source.register(self.selector)  # the selector reports when there is more
        self.waits = self.watched

    def pieces(self, destination: Destination) -> Iterator[bytes]:
        """What comes back, until the peer closes. Raises OSError, and PeerError when a message's time is over."""
        timeout_s, size = destination.timeout_s, self.source.size
        longest_s = float("inf") if size is None else timeout_s + 1 + size // _SLOWEST
        last, moved = time.monotonic(), 0
        ends_at = last + longest_s
        while True:
            self._fill()
            owed = self.ended or self.pending or self.comparison.in_flight > 0
            left_s = last + timeout_s - time.monotonic() if owed else None
            if left_s is not None and left_s <= 0:
                raise TimeoutError("timed out")
            if left_s is not None and (left_s := min(left_s, ends_at - time.monotonic())) <= 0:
                came = f"{self.comparison.received:,} bytes came back in {longest_s:.3g} s, and not the end"
                raise PeerError(str(destination), Verdict.NO_ANSWER, came)
            for key, mask in self.selector.select(left_s):
                if key.data is self.source:
                    self._take()
                    last, moved = time.monotonic(), 0
                    continue
                if mask & selectors.EVENT_WRITE:
                    sent = self.sock.send(self.pending)
                    self.pending = self.pending[sent:]
                    moved += sent
                if mask & selectors.EVENT_READ:
                    data = self.sock.recv(_CHUNK)
                    if not data:
                        return
                    moved += len(data)
                    self.comparison.add_received(data)
                    yield data
                if moved >= _PROGRESS or (not self.pending and self.comparison.in_flight == 0):
                    last, moved = time.monotonic(), 0

    def _fill(self) -> None:
        """Have something to send where that needs no waiting; register what has to be waited for."""
        if not self.pending and not self.ended and not self.watched:
            self._take()
        if self.watched and self.waits != (not self.pending and not self.ended):
            self.waits = not self.waits
            if self.waits:
                self.source.register(self.selector)
            else:
                self.source.unregister(self.selector)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.pending else 0)
        if self.selector.get_key(self.sock).events != wanted:
            self.selector.modify(self.sock, wanted)

    def _take(self) -> None:
        data = self.source.next()
        self.pending = memoryview(data)
        if data:
            self.comparison.add_sent(data)
            return
        self.ended = True
        if self.half_closes:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # the peer has gone already: what it sent is still to be received
                    raise
