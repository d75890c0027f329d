"""The messages of the framed protocol: frozen events that validate themselves, and two errors.

The two errors say whose fault it is, as h11's do: :class:`LocalProtocolError` for what we were about to send,
:class:`RemoteProtocolError` for what the peer sent. JSON is checked once, where a header is read; what leaves this
module is typed, including what a server adds to its replies (:class:`ReplyInfo`).

A peer names the encoding of its content, and Python would look that name up among all codecs that are installed: some
decode in quadratic time (punycode, idna: minutes for a megabyte), others are no encodings of text. So only those of
:data:`TEXT_ENCODINGS` are decoded, all of which take time in proportion to the content (:func:`text_codec`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from types import MappingProxyType
from typing import Final, TypeAlias

from netprobe.errors import Exit, NetprobeError

__all__ = [
    "FAULTS",
    "MAX_CONTENT",
    "MAX_HEADER",
    "TEXT_ENCODINGS",
    "Closed",
    "Endpoint",
    "Event",
    "Fault",
    "Header",
    "Json",
    "LocalProtocolError",
    "Message",
    "RemoteProtocolError",
    "ReplyInfo",
    "read_json",
    "text_codec",
]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

MAX_CONTENT: Final = 16 * 1024 * 1024
MAX_HEADER: Final = 0xFFFF  # two bytes hold its length
_MAX_TEXT: Final = (
    1024  # characters of a type or encoding: with the worst escaping both still fit into a reply's header
)
_MAX_WHY: Final = 200  # characters of a server's reason that are shown
_MAX_DIGITS: Final = 4300  # of a whole number, as in sys.set_int_max_str_digits

TEXT_ENCODINGS: Final[Mapping[str, str]] = MappingProxyType(  # names in lower case, as peers write them: Python's codec
    {
        name: codec
        for codec, names in (
            ("utf-8", ("utf-8", "utf8", "u8")),
            ("utf-8-sig", ("utf-8-sig",)),
            ("utf-16", ("utf-16", "utf16", "u16")),
            ("utf-16-le", ("utf-16-le", "utf-16le")),
            ("utf-16-be", ("utf-16-be", "utf-16be")),
            ("utf-32", ("utf-32", "utf32", "u32")),
            ("utf-32-le", ("utf-32-le", "utf-32le")),
            ("utf-32-be", ("utf-32-be", "utf-32be")),
            ("ascii", ("ascii", "us-ascii", "646")),
            ("latin-1", ("latin-1", "latin1", "l1", "iso-8859-1", "iso8859-1", "8859")),
            ("iso8859-15", ("latin9", "l9", "iso-8859-15", "iso8859-15")),
            ("cp1252", ("cp1252", "windows-1252", "1252")),
        )
        for name in names
    }
)

FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "header-empty": "the header is empty; even an empty object takes two bytes",
        "header-not-utf-8": "the header is not valid UTF-8",
        "header-not-json": "the header is not valid JSON",
        "header-not-object": "the header is JSON but not an object",
        "header-key-missing": "one of the four required keys is missing",
        "header-key-mistyped": "one of the four required keys has a value of the wrong type",
        "header-value-unknown": "byteorder is neither 'little' nor 'big'",
        "header-value-too-long": f"content-type or content-encoding is longer than {_MAX_TEXT} characters",
        "content-length-negative": "content-length is below 0",
        "content-too-long": "content-length is above the receiver's limit",
        "truncated": "the connection ended inside a frame",
        "stalled": "the frame made too little progress for too long",
        "over-memory": "the server's memory for all its peers is used up, and this one held most of it",
    }
)


class LocalProtocolError(NetprobeError):
    """We were about to send what the protocol does not allow."""

    exit_code = Exit.USAGE

    def __init__(self, why: str, fault: str = "misuse") -> None:
        super().__init__("frame", why)
        self.fault = fault


class RemoteProtocolError(NetprobeError):
    """The peer sent what the protocol does not allow; ``fault`` is one of :data:`FAULTS`."""

    exit_code = Exit.NO

    def __init__(self, why: str, fault: str) -> None:
        super().__init__("frame from the peer", why)
        self.fault = fault


class Fault(Exception):
    """A broken rule, before it is known whether we or the peer broke it."""

    def __init__(self, fault: str, why: str | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.why = why or FAULTS[fault]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection; ``port`` is None for a unix socket, whose path is the ``address``."""

    address: str
    port: int | None

    def as_json(self) -> dict[str, Json]:
        """The object that a reply holds."""
        return {"address": self.address, "port": self.port}


@dataclass(frozen=True, slots=True)
class ReplyInfo:
    """What the ``netprobe`` object of a reply says; None where a key is missing or its value has the wrong type."""

    observed_peer: Endpoint | None
    received_ns: int | None
    transmitted_ns: int | None
    error: str | None  # why the server refused the frame

    @classmethod
    def of(cls, extra: Mapping[str, Json]) -> ReplyInfo:
        """Read ``extra``, of which nothing is known but that it is a JSON object."""
        error = extra.get("error")
        why = error.get("why") if isinstance(error, Mapping) else None
        return cls(
            _endpoint(extra.get("observed_peer")),
            _integer(extra.get("received_ns")),
            _integer(extra.get("transmitted_ns")),
            why[:_MAX_WHY] if isinstance(why, str) else None,
        )


@dataclass(frozen=True, slots=True)
class Header:
    """A frame's header. ``netprobe`` is what a server adds to its replies, unchecked: see ``reply_info``."""

    content_length: int
    content_type: str = "binary/octet-stream"
    content_encoding: str = "binary"
    byteorder: str = "big"
    netprobe: Mapping[str, Json] | None = None

    def __post_init__(self) -> None:
        if max(len(self.content_type), len(self.content_encoding)) > _MAX_TEXT:
            raise LocalProtocolError(FAULTS["header-value-too-long"], "header-value-too-long")
        if self.byteorder not in ("little", "big"):
            raise LocalProtocolError(FAULTS["header-value-unknown"], "header-value-unknown")
        if self.content_length < 0:
            raise LocalProtocolError(FAULTS["content-length-negative"], "content-length-negative")

    @classmethod
    def of_json(cls, value: Json) -> Header:
        """The header that a peer sent; raises Fault where it breaks a rule."""
        if not isinstance(value, dict):
            raise Fault("header-not-object")
        byteorder = _text(value, "byteorder")
        content_type, content_encoding = _text(value, "content-type"), _text(value, "content-encoding")
        length, extra = _required(value, "content-length"), value.get("netprobe")
        if type(length) is not int:
            raise Fault("header-key-mistyped", "'content-length' is not an integer")
        try:
            return cls(length, content_type, content_encoding, byteorder, extra if isinstance(extra, dict) else None)
        except LocalProtocolError as error:
            raise Fault(error.fault, error.why) from None

    @property
    def reply_info(self) -> ReplyInfo | None:
        """What the server says of itself and of us; None where it added nothing."""
        return None if self.netprobe is None else ReplyInfo.of(self.netprobe)

    def as_json(self) -> dict[str, Json]:
        """The object that is sent, its keys in the order of the protocol's original description."""
        header: dict[str, Json] = {
            "byteorder": self.byteorder,
            "content-type": self.content_type,
            "content-encoding": self.content_encoding,
            "content-length": self.content_length,
        }
        if self.netprobe is not None:
            header["netprobe"] = self.netprobe
        return header


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message; the content is bytes in the encoding that the header names."""

    header: Header
    content: bytes

    @classmethod
    def of_bytes(
        cls,
        content: bytes,
        content_type: str = "binary/octet-stream",
        *,
        content_encoding: str = "binary",
        byteorder: str = "big",
        netprobe: Mapping[str, Json] | None = None,
    ) -> Message:
        """Binary content, labelled as in the protocol's original description."""
        return cls(Header(len(content), content_type, content_encoding, byteorder, netprobe), content)

    @classmethod
    def of_json(
        cls, value: Json, encoding: str = "utf-8", *, byteorder: str = "big", netprobe: Mapping[str, Json] | None = None
    ) -> Message:
        """``value`` as ``text/json``."""
        codec = text_codec(encoding)
        if codec is None:
            raise LocalProtocolError(f"cannot be sent as JSON in {encoding}: that is not an encoding of text")
        try:
            content = json.dumps(value, ensure_ascii=False, allow_nan=False).encode(codec)
        except (TypeError, ValueError, RecursionError) as error:
            raise LocalProtocolError(f"cannot be sent as JSON in {encoding}: {error}") from None
        return cls(Header(len(content), "text/json", encoding, byteorder, netprobe), content)

    def json(self) -> Json:
        """The value of a ``text/json`` content; raises RemoteProtocolError where it is not JSON."""
        codec = text_codec(self.header.content_encoding)
        if codec is None:
            raise RemoteProtocolError("content is not in an encoding of text", "content-not-json")
        try:
            return read_json(self.content.decode(codec))
        except (ValueError, RecursionError) as error:
            raise RemoteProtocolError(f"content is not valid JSON: {error}", "content-not-json") from None


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer closed its side between two frames."""


Event = Message | Closed


def _endpoint(value: Json) -> Endpoint | None:
    if not isinstance(value, Mapping):
        return None
    address, port = value.get("address"), value.get("port")
    if not isinstance(address, str):
        return None
    if port is None or (type(port) is int and 0 <= port <= 65535):
        return Endpoint(address, port)
    return None


def _integer(value: Json) -> int | None:
    return value if type(value) is int and -(1 << 63) <= value < 1 << 63 else None


def _required(header: Mapping[str, Json], key: str) -> Json:
    if key not in header:
        raise Fault("header-key-missing", f"'{key}' is missing")
    return header[key]


def _text(header: Mapping[str, Json], key: str) -> str:
    text = _required(header, key)
    if not isinstance(text, str):
        raise Fault("header-key-mistyped", f"'{key}' is not a string")
    return text


def _finite(text: str) -> float:
    if isinf(number := float(text)):
        raise ValueError("a number exceeds the range of a double")
    return number


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:  # int() takes quadratic time, and its own limit can be switched off in the environment
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")  # RFC 8259, section 6; Python's json accepts it


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_int=_whole, parse_constant=_no_constant)


def text_codec(encoding: str) -> str | None:
    """Python's codec for a content-encoding; None where it is none of :data:`TEXT_ENCODINGS`."""
    return TEXT_ENCODINGS.get(encoding.lower().replace("_", "-"))


def read_json(text: str) -> Json:
    """The value of a JSON text, all numbers finite. Raises ValueError and RecursionError."""
    value: Json = _DECODER.decode(text)
    return value
