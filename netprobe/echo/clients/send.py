"""Send bytes, half-close, take back all that comes: whole, however TCP cut it into segments."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Iterator
from typing import IO, Final

from netprobe.echo.clients.connecting import connect, peer_error
from netprobe.echo.clients.sent import Comparison
from netprobe.echo.framing import Connection, Message, RemoteProtocolError
from netprobe.errors import CannotRunError

__all__ = ["SURPLUS", "Source", "echo_back", "exchange"]

SURPLUS: Final = 1024 * 1024  # bytes beyond what was sent after which no end is waited for
_CHUNK = 64 * 1024


class Source:
    """Where the bytes come from: given at once, or read from a file, pipe or terminal as they are there."""

    def __init__(self, data: bytes = b"", file: IO[bytes] | None = None, name: str = "the file") -> None:
        self._data: bytes | None = data
        self._file = file
        self._name = name

    def next(self) -> bytes:
        """More bytes, b"" at the end; of a file what is there, which may be waited for. Raises CannotRunError."""
        data, self._data = self._data, None
        if data or self._file is None:
            return data or b""
        try:
            return getattr(self._file, "read1", self._file.read)(_CHUNK)
        except OSError as error:
            raise CannotRunError(self._name, error.strerror or str(error)) from error

    def register(self, selector: selectors.BaseSelector) -> bool:
        """Have ``selector`` tell when there is more; False where it is there already: of a file, of bytes."""
        if self._file is None:
            return False
        try:
            selector.register(self._file, selectors.EVENT_READ, self)
        except (OSError, ValueError):  # a regular file is always ready; Windows cannot tell of a pipe
            return False
        return True

    def unregister(self, selector: selectors.BaseSelector) -> None:
        """It need not be watched for now."""
        if self._file is not None:
            selector.unregister(self._file)


class _Exchange:
    """One stream out and one back at the same time, so that neither side's buffers can lock the other up."""

    def __init__(self, source: Source, sock: socket.socket, comparison: Comparison, half_closes: bool = True) -> None:
        self.source, self.sock, self.comparison, self.half_closes = source, sock, comparison, half_closes
        self.pending = memoryview(b"")
        self.ended = False  # all is sent, our side is closed if it half-closes
        self.selector = selectors.DefaultSelector()
        self.selector.register(sock, selectors.EVENT_READ)
        self.watched = source.register(self.selector)  # its readiness tells when there is more
        self.waits = self.watched

    def pieces(self, timeout_s: float) -> Iterator[bytes]:
        """What comes back, until the peer closes. Raises OSError."""
        last = time.monotonic()
        while True:
            self._fill()
            owed = self.ended or self.pending or self.comparison.under_way > 0
            left_s = last + timeout_s - time.monotonic() if owed else None
            if left_s is not None and left_s <= 0:
                raise TimeoutError("timed out")
            for key, mask in self.selector.select(left_s):
                if key.data is self.source:
                    self._take()
                    last = time.monotonic()
                    continue
                if mask & selectors.EVENT_WRITE:
                    self.pending = self.pending[self.sock.send(self.pending) :]
                    last = time.monotonic()
                if mask & selectors.EVENT_READ:
                    data = self.sock.recv(_CHUNK)
                    if not data:
                        return
                    last = time.monotonic()
                    self.comparison.add_received(data)
                    yield data

    def _fill(self) -> None:
        """Have something to send where that needs no waiting; say what is to be waited for."""
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
                if error.errno != errno.ENOTCONN:  # the peer was faster: what it sent, or did, is still to be received
                    raise


def echo_back(
    source: Source, host: str, port: int, timeout_s: float, comparison: Comparison, origin: str | None = None
) -> Iterator[bytes]:
    """What the peer answers to ``source``, piece by piece, until it closes; from the address ``origin``, if given.

    A ``timeout_s`` in which nothing moves although something is owed raises PeerError, and so does a reset.
    ``comparison`` is told of every byte. While ``source`` has nothing yet, what comes back is not held up.
    Where more than SURPLUS bytes come beyond those sent, though nobody waits for ``source``, the end is not awaited.
    """
    with connect(host, port, timeout_s, source=origin) as sock:
        sock.setblocking(False)
        running = _Exchange(source, sock, comparison)
        with running.selector:
            try:
                for data in running.pieces(timeout_s):
                    yield data
                    if comparison.under_way < -SURPLUS and (running.ended or running.pending):
                        return
            except OSError as error:
                raise peer_error(error, sock, host, port, "answer", timeout_s) from error


def exchange(
    message: Message, host: str, port: int, timeout_s: float, comparison: Comparison, origin: str | None = None
) -> Message:
    """The framed reply to one message. Raises PeerError, and RemoteProtocolError for what is no frame.

    ``comparison`` is told of the contents only.
    """
    framing = Connection()
    with connect(host, port, timeout_s, source=origin) as sock:
        sock.setblocking(False)
        comparison.add_sent(message.content)
        running = _Exchange(Source(framing.send(message)), sock, Comparison(), half_closes=False)
        with running.selector:
            try:
                for data in running.pieces(timeout_s):
                    for event in framing.receive(data):
                        if isinstance(event, Message):
                            comparison.add_received(event.content)
                            return event
            except OSError as error:
                raise peer_error(error, sock, host, port, "answer", timeout_s) from error
    list(framing.receive(b""))
    raise RemoteProtocolError("the connection was closed without a reply", "truncated")
