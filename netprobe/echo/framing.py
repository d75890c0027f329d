"""The framed echo protocol without I/O: bytes in, events out; events in, bytes out.

Sans-IO, as h11 is, so that the server's loop, the blocking clients and the tests drive the same code, and every split
of the bytes can be tested. Parsing JSON is the most expensive part of a frame, and peers repeat their headers: a
connection therefore remembers the last short header (:meth:`Connection.repeated`), and :class:`Replies` writes the
constant part of a reply once. With thousands of peers, which share one copy of what was read, that is a third more
messages a second.

A frame is what the application example of the protocol's original description sends::

    2 bytes   length of the header, big-endian, 1 … 65,535
    header    a JSON object in UTF-8: byteorder, content-type, content-encoding, content-length
    content   content-length bytes, in the encoding that the header names

Unknown keys are ignored. A reply of ``netprobe echo serve --framed`` repeats content, byteorder, type and encoding and
adds one key, ``netprobe``: an object with

    observed_peer, local           {"address": string, "port": number or null}: both ends as the server sees them
    sequence                       1 for the first message of a connection
    received_ns, transmitted_ns    nanoseconds since 1970 (UTC); their difference comes from a monotonic clock
    server                         the server's name and version

A broken frame is answered with one last message of type ``text/json`` whose content and whose header's ``netprobe``
object both hold ``{"error": {"fault": …, "why": …}}``; the fault is one of :data:`FAULTS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from sys import getsizeof
from typing import Final, NamedTuple

from netprobe.echo.messages import (
    FAULTS,
    MAX_CONTENT,
    MAX_HEADER,
    Closed,
    Endpoint,
    Event,
    Fault,
    Header,
    Json,
    LocalProtocolError,
    Message,
    RemoteProtocolError,
    read_json,
)

__all__ = [
    "FAULTS",
    "MAX_CONTENT",
    "Closed",
    "Connection",
    "Endpoint",
    "Event",
    "Header",
    "LocalProtocolError",
    "Message",
    "RemoteProtocolError",
    "Replies",
    "error_message",
]


_DEPTH: Final = 64  # levels of nesting in a header: what is accepted can be serialised again by any JSON library
_SHORT_HEAD: Final = 1024  # bytes of a reply's header worth remembering: 300 are usual
_SHORT: Final = 256  # bytes of a header worth remembering: the four keys take 110, the header of a reply 380


class _Parsed(NamedTuple):
    """A header that was parsed and checked."""

    start: bytes  # its length and its text, as received
    header: Header
    size: int  # bytes of the whole frame


class Connection:
    """One side of one connection.

    ``receive(data)`` takes what a socket returned (``b""`` at its end) and returns the events that this completes.
    Iterating raises RemoteProtocolError where the bytes break a rule, after the preceding events; from then on
    the connection stays broken and raises it again at each call.

    A server has no use for what a peer says under ``netprobe``: without ``keep_extra`` it is dropped. 64 KiB of ``[]``
    are 1.5 MB of objects once they are parsed, and a peer may take its time with the content.
    """

    __slots__ = (
        "_broken",
        "_buffer",
        "_closed",
        "_end_reported",
        "_ended",
        "_header",
        "_keep_extra",
        "_last",
        "_max_content",
    )

    def __init__(self, max_content: int = MAX_CONTENT, keep_extra: bool = True) -> None:
        self._max_content = max_content
        self._keep_extra = keep_extra
        self._buffer = bytearray()
        self._header: Header | None = None  # parsed, its content is still incomplete
        self._last: _Parsed | None = None  # the last header, if it is short: peers tend to repeat it
        self._broken: tuple[str, str] | None = (
            None  # why, and the fault; an exception would keep what it passed through
        )
        self._ended = False  # the peer's side
        self._end_reported = False
        self._closed = False  # our side

    @property
    def awaiting(self) -> int:
        """How many bytes of an incomplete frame are buffered."""
        return len(self._buffer)

    @property
    def held(self) -> int:
        """How many bytes of memory an incomplete frame takes: what the buffer could hold, not only what it does."""
        header = self._header
        size = getsizeof(self._buffer) if self._buffer else 0
        if header is not None:
            size += getsizeof(header) + getsizeof(header.content_type) + getsizeof(header.content_encoding)
        return size

    def receive(self, data: bytes | bytearray | memoryview) -> Iterator[Event]:
        """Buffer ``data`` (empty: the peer's end) and parse it lazily, an event each time the iterator is advanced."""
        if self._ended and len(data):
            raise LocalProtocolError("data was received after the end")
        if len(data):
            self._buffer += data
        else:
            self._ended = True
            self._last = None
        return self._events()

    def repeated(self, data: memoryview) -> tuple[Header, bytes] | None:
        """Header and content if ``data`` is exactly one frame with the last header again; else None, nothing consumed.

        A fast path for servers with many peers: the result of ``receive``, without making an event.
        """
        last = self._last
        if last is None or len(data) != last.size or self._buffer or self._header is not None:
            return None
        frame = bytes(data)
        if not frame.startswith(last.start):
            return None
        return last.header, frame[len(last.start) :]

    def send(self, event: Event) -> bytes:
        """The bytes of ``event``; raises LocalProtocolError, and nothing else, if it may not be sent."""
        if self._closed:
            raise LocalProtocolError("nothing may follow the end")
        if isinstance(event, Closed):
            self._closed = True
            return b""
        if len(event.content) != event.header.content_length:
            raise LocalProtocolError(
                f"content-length is {event.header.content_length}, the content has {len(event.content)} bytes"
            )
        try:
            header = json.dumps(event.header.as_json(), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise LocalProtocolError(f"the header cannot be written as JSON: {error}") from None
        return _length(header) + header + event.content

    def _events(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> Event | None:
        if self._broken is None:
            try:
                return self._message() or self._end()
            except Fault as error:
                self._broken = error.why, error.fault
                self._last = None
                self._buffer.clear()
        raise RemoteProtocolError(*self._broken)

    def _message(self) -> Message | None:
        buffer = self._buffer
        header = self._header
        start = 0
        if header is None:
            if len(buffer) < 2:
                return None
            start = 2 + (buffer[0] << 8 | buffer[1])
            if start == 2:
                raise Fault("header-empty")
            if len(buffer) < start:
                return None
            header = self._read(bytes(buffer[:start]))
        end = start + header.content_length
        if len(buffer) < end:
            self._header = header
            del buffer[:start]
            return None
        self._header = None
        content = bytes(buffer[start:end])
        del buffer[:end]
        return Message(header, content)

    def _read(self, start: bytes) -> Header:
        last = self._last
        if last is None or last.start != start:
            last = (_shared_parse if len(start) <= _SHORT else _parse)(start, self._max_content, self._keep_extra)
            self._last = last if len(start) <= _SHORT and not self._ended else None
        return last.header

    def _end(self) -> Closed | None:
        if not self._ended or self._end_reported:
            return None
        if self._buffer or self._header is not None:
            raise Fault("truncated")
        self._end_reported = True
        return Closed()


class Replies:
    """The server's replies on one connection; the constant part of their headers is serialised once."""

    __slots__ = ("_constant", "_head", "_last", "_sequence")

    def __init__(self, observed_peer: Endpoint, local: Endpoint, server: str) -> None:
        constant = {"observed_peer": observed_peer.as_json(), "local": local.as_json(), "server": server}
        self._constant = json.dumps(constant)[:-1]
        self._sequence = 0
        self._last: Header | None = None  # of the message answered last
        self._head = b""

    @property
    def sequence(self) -> int:
        """How many messages were answered."""
        return self._sequence

    def reply(self, header: Header, content: bytes, received_ns: int, clock_ns: Callable[[], int]) -> bytes:
        """The bytes that answer a message; ``clock_ns`` is read last, for ``transmitted_ns``."""
        if header is not self._last:
            head = self._write_head(header)
            # what is kept of a peer that says nothing more is small, whatever it said
            self._last = header if header.netprobe is None and len(head) <= _SHORT_HEAD else None
            self._head = head if self._last is not None else b""
        else:
            head = self._head
        self._sequence += 1
        raw = b'%b, "sequence": %d, "received_ns": %d, "transmitted_ns": %d}}' % (
            head,
            self._sequence,
            received_ns,
            clock_ns(),
        )
        return len(raw).to_bytes(2, "big") + raw + content

    def _write_head(self, header: Header) -> bytes:
        plain = Header(header.content_length, header.content_type, header.content_encoding, header.byteorder)
        return f'{json.dumps(plain.as_json())[:-1]}, "netprobe": {self._constant}'.encode()


def error_message(error: RemoteProtocolError) -> Message:
    """The one framed reply to a broken frame; a client that knows only the four keys finds it in the content."""
    body = {"error": {"fault": error.fault, "why": error.why}}
    return Message.of_json(body, netprobe=body)


def _length(header: bytes) -> bytes:
    if len(header) > MAX_HEADER:
        raise LocalProtocolError(f"the header has {len(header):,} bytes; the limit is {MAX_HEADER:,}")
    return len(header).to_bytes(2, "big")


def _parse(start: bytes, max_content: int, keep_extra: bool) -> _Parsed:
    """Parse a received header and check every rule."""
    try:
        text = start[2:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise Fault("header-not-utf-8", f"the header is not valid UTF-8: byte {error.start}") from None
    try:
        value = read_json(text)
    except json.JSONDecodeError as error:
        raise Fault("header-not-json", f"the header is not valid JSON: character {error.pos}: {error.msg}") from None
    except (ValueError, RecursionError):  # NaN; 1e999; a number with more than 4,300 digits; thousands of brackets
        raise Fault("header-not-json", "the header exceeds the limits of the JSON parser") from None
    if _deeper(value, _DEPTH):
        raise Fault("header-not-json", f"the header is nested more than {_DEPTH} levels deep")
    header = Header.of_json(value)
    if header.content_length > max_content:
        # 2**64 and above are not printed: the digits would only fill the peer's log
        shown = f"{header.content_length:,}" if header.content_length < 1 << 64 else "2**64 or more"
        raise Fault("content-too-long", f"content-length is {shown}; the limit is {max_content:,}")
    return _Parsed(start, header if keep_extra else replace(header, netprobe=None), len(start) + header.content_length)


def _deeper(value: Json, levels: int) -> bool:
    """Is ``value`` nested more than ``levels`` deep?"""
    level = [value]
    for _ in range(levels + 1):
        level = [x for v in level if isinstance(v, (dict, list)) for x in (v.values() if isinstance(v, dict) else v)]
        if not level:
            return False
    return True


_shared_parse = lru_cache(maxsize=64)(_parse)  # one copy for all connections: thousands would fill the CPU cache
