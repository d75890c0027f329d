"""The framed echo protocol with no socket in it: bytes in, events out; events in, bytes out.

A frame is what the application example of the source document sends::

    2 bytes   length of the header, big-endian, 1 … 65,535
    header    a JSON object in UTF-8: byteorder, content-type, content-encoding, content-length
    content   content-length bytes, in the encoding that the header names

Unknown keys are ignored. A reply of ``netprobe echo serve --framed`` repeats content, byteorder, type and encoding and
adds one key, ``netprobe``: an object with

    observed_peer, local           {"address": text, "port": number or null}: both ends as the server sees them
    sequence                       1 for the first message of a connection
    received_ns, transmitted_ns    nanoseconds since 1970 (UTC); their difference is taken on a monotonic clock
    server                         the server's name and version

A broken frame is answered by one last message of type ``text/json`` whose content and whose header's ``netprobe``
object both hold ``{"error": {"fault": …, "why": …}}``; the fault is one of :data:`FAULTS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from netprobe.echo.messages import (
    FAULTS,
    MAX_CONTENT,
    MAX_HEADER,
    Closed,
    Event,
    Fault,
    Header,
    LocalProtocolError,
    Message,
    RemoteProtocolError,
    check_header,
    read_json,
)

__all__ = [
    "FAULTS",
    "MAX_CONTENT",
    "Closed",
    "Connection",
    "Event",
    "Header",
    "LocalProtocolError",
    "Message",
    "RemoteProtocolError",
    "Replies",
    "error_message",
]


DEPTH: Final = 64  # levels of a header: what passes can be written again, by whomever
SHORT: Final = 256  # bytes of a header that is worth keeping: one with the four keys takes 110, a reply's 380


class _Known(NamedTuple):
    """A header that has been read and checked: JSON is dear."""

    start: bytes  # its length and itself, as they came
    header: Header
    size: int  # bytes of the whole frame


class Connection:
    """One side of one connection.

    ``receive(data)`` takes what a socket gave (``b""`` at its end) and returns the events which that completes.
    Iterating raises RemoteProtocolError where the bytes break a rule, after the events before; from there on the
    connection stays broken and says so at each further call.
    """

    __slots__ = (
        "_broken",
        "_buffer",
        "_closed",
        "_end_told",
        "_ended",
        "_header",
        "_known",
        "_max_content",
    )

    def __init__(self, max_content: int = MAX_CONTENT) -> None:
        self._max_content = max_content
        self._buffer = bytearray()
        self._header: Header | None = None  # read, its content is still awaited
        self._known: _Known | None = None  # the last header, if it is short: peers tend to repeat it
        self._broken: Fault | None = None
        self._ended = False  # the peer's side; and whether Closed has been given out
        self._end_told = False
        self._closed = False  # our side

    @property
    def awaiting(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._buffer)

    def receive(self, data: bytes | bytearray | memoryview) -> Iterator[Event]:
        """Take ``data`` at once; the events are made as the iterator is asked."""
        if self._ended and len(data):
            raise LocalProtocolError("more bytes are received after the end")
        if len(data):
            self._buffer += data
        else:
            self._ended = True
            self._known = None
        return self._events()

    def again(self, data: memoryview) -> tuple[Header, bytes] | None:
        """Header and content where ``data`` is one whole frame with the last header again; else None, nothing taken.

        The short cut of a server with many peers: what ``receive`` would do with it, without the event.
        """
        known = self._known
        if known is None or len(data) != known.size or self._buffer or self._header is not None:
            return None
        frame = bytes(data)
        if not frame.startswith(known.start):
            return None
        return known.header, frame[len(known.start) :]

    def send(self, event: Event) -> bytes:
        """The bytes of ``event``; nothing but LocalProtocolError comes out, when it may not be sent."""
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
                self._broken = error
                self._known = None
                self._buffer.clear()
        raise RemoteProtocolError(self._broken.why, self._broken.fault)

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
        known = self._known
        if known is None or known.start != start:
            known = (_known if len(start) <= SHORT else _read)(start, self._max_content)
            self._known = known if len(start) <= SHORT and not self._ended else None
        return known.header

    def _end(self) -> Closed | None:
        if not self._ended or self._end_told:
            return None
        if self._buffer or self._header is not None:
            raise Fault("truncated")
        self._end_told = True
        return Closed()


class Replies:
    """The server's replies on one connection: what stays the same in their headers is written once."""

    __slots__ = ("_asked", "_head", "_sequence", "_who")

    def __init__(self, observed_peer: Mapping[str, Any], local: Mapping[str, Any], server: str) -> None:
        who = {"observed_peer": observed_peer, "local": local, "server": server}
        self._who = json.dumps(who)[:-1]
        self._sequence = 0
        self._asked: Header | None = None  # the last message's header
        self._head = b""

    @property
    def sequence(self) -> int:
        """How many messages were answered."""
        return self._sequence

    def reply(self, asked: Header, content: bytes, received_ns: int, clock_ns: Callable[[], int]) -> bytes:
        """The bytes that answer a message; ``clock_ns`` is asked last, for ``transmitted_ns``."""
        if asked is not self._asked:
            self._asked = asked if asked.netprobe is None else None  # what others add to a header may be large
            self._head = self._write_head(asked)
        self._sequence += 1
        header = b'%b, "sequence": %d, "received_ns": %d, "transmitted_ns": %d}}' % (
            self._head,
            self._sequence,
            received_ns,
            clock_ns(),
        )
        return len(header).to_bytes(2, "big") + header + content

    def _write_head(self, header: Header) -> bytes:
        plain = Header(header.content_length, header.content_type, header.content_encoding, header.byteorder)
        return f'{json.dumps(plain.as_json())[:-1]}, "netprobe": {self._who}'.encode()


def error_message(error: RemoteProtocolError) -> Message:
    """The one framed reply to a broken frame; a client that knows only the four keys finds it in the content."""
    said = {"error": {"fault": error.fault, "why": error.why}}
    return Message.of_json(said, netprobe=said)


def _length(header: bytes) -> bytes:
    if len(header) > MAX_HEADER:
        raise LocalProtocolError(f"the header has {len(header):,} bytes, {MAX_HEADER:,} is the most")
    return len(header).to_bytes(2, "big")


def _read(start: bytes, max_content: int) -> _Known:
    """A received header, every rule checked."""
    try:
        text = start[2:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise Fault("header-not-utf-8", f"the header is no UTF-8: byte {error.start}") from None
    try:
        value = read_json(text)
    except json.JSONDecodeError as error:
        raise Fault("header-not-json", f"the header is no JSON: character {error.pos}: {error.msg}") from None
    except (ValueError, RecursionError):  # NaN; 1e999; a number of more than 4,300 digits; brackets thousands deep
        raise Fault("header-not-json", "the header is JSON beyond all measure") from None
    if _deeper(value, DEPTH):
        raise Fault("header-not-json", f"the header is more than {DEPTH} levels deep")
    if not isinstance(value, dict):
        raise Fault("header-not-object")
    check_header(value)
    length = value["content-length"]
    if length > max_content:
        shown = f"{length:,}" if length < 1 << 64 else "beyond all measure"
        raise Fault("content-too-long", f"content-length is {shown}, {max_content:,} is the most here")
    extra = value.get("netprobe")
    header = Header(
        length,
        value["content-type"],
        value["content-encoding"],
        value["byteorder"],
        extra if isinstance(extra, dict) else None,
    )
    return _Known(start, header, len(start) + length)


def _deeper(value: Any, levels: int) -> bool:
    """Is ``value`` nested more than ``levels`` deep?"""
    level = [value]
    for _ in range(levels + 1):
        level = [x for v in level if isinstance(v, (dict, list)) for x in (v.values() if isinstance(v, dict) else v)]
        if not level:
            return False
    return True


_known = lru_cache(maxsize=64)(_read)  # one copy for all connections: thousands of copies fill the processor's cache
