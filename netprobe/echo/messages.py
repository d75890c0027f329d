"""What passes over a framed connection, and the rules it must keep: events that check themselves, two errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf
from types import MappingProxyType
from typing import Any, Final

from netprobe.errors import Exit, NetprobeError

__all__ = [
    "FAULTS",
    "MAX_CONTENT",
    "MAX_HEADER",
    "Closed",
    "Event",
    "Fault",
    "Header",
    "LocalProtocolError",
    "Message",
    "RemoteProtocolError",
    "check_header",
    "read_json",
]

MAX_CONTENT = 16 * 1024 * 1024
MAX_HEADER = 0xFFFF  # two bytes hold its length
MAX_TEXT = 1024  # a type or encoding: in the worst escaping, both still fit into the header of a reply

FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "header-empty": "a header has at least the two bytes of an empty object",
        "header-not-utf-8": "the header is no UTF-8",
        "header-not-json": "the header is no JSON",
        "header-not-object": "the header is JSON but no object",
        "header-key-missing": "one of the four keys is missing",
        "header-key-mistyped": "one of the four keys has a value of the wrong type",
        "header-value-unknown": "byteorder is neither 'little' nor 'big'",
        "header-value-too-long": f"content-type or content-encoding is longer than {MAX_TEXT} characters",
        "content-length-negative": "content-length is below 0",
        "content-too-long": "content-length is above the receiver's limit",
        "truncated": "the connection ended inside a frame",
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
    """A rule is broken; whose fault that is, sender and receiver know."""

    def __init__(self, fault: str, why: str | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.why = why or FAULTS[fault]


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says. ``netprobe`` is the reply's addition, ``None`` where there is none."""

    content_length: int
    content_type: str = "binary/octet-stream"
    content_encoding: str = "binary"
    byteorder: str = "big"
    netprobe: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        try:
            check_header(self.as_json())
        except Fault as error:
            raise LocalProtocolError(error.why, error.fault) from None

    def as_json(self) -> dict[str, Any]:
        """The object that is sent, in the order of the source document."""
        header: dict[str, Any] = {
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
    """A whole message: the content is bytes, in the encoding that the header names."""

    header: Header
    content: bytes

    @classmethod
    def of_bytes(cls, content: bytes, content_type: str = "binary/octet-stream", **header: Any) -> Message:
        """Binary content, as the source document labels it."""
        return cls(Header(len(content), content_type, **header), content)

    @classmethod
    def of_json(cls, value: Any, encoding: str = "utf-8", **header: Any) -> Message:
        """``value`` as ``text/json``."""
        try:
            content = json.dumps(value, ensure_ascii=False, allow_nan=False).encode(encoding)
        except (TypeError, ValueError, LookupError, RecursionError) as error:
            raise LocalProtocolError(f"cannot be sent as JSON in {encoding}: {error}") from None
        return cls(Header(len(content), "text/json", encoding, **header), content)

    def json(self) -> Any:
        """The value of a ``text/json`` content; raises RemoteProtocolError where it is none."""
        try:
            return read_json(self.content.decode(self.header.content_encoding))
        except (ValueError, LookupError, RecursionError, AttributeError, TypeError) as error:
            raise RemoteProtocolError(f"content is no JSON: {error}", "content-not-json") from None


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer has ended its side, between two frames."""


Event = Message | Closed


_KEYS: Final = (("byteorder", str), ("content-type", str), ("content-encoding", str), ("content-length", int))


def check_header(header: Mapping[str, Any]) -> None:
    """Raise Fault where one of the four keys is missing or has a value that cannot be."""
    for key, kind in _KEYS:
        if key not in header:
            raise Fault("header-key-missing", f"'{key}' is missing")
        if not isinstance(header[key], kind) or isinstance(header[key], bool):
            wanted = "a text" if kind is str else "a whole number"
            raise Fault("header-key-mistyped", f"'{key}' is not {wanted}")
        if kind is str and len(header[key]) > MAX_TEXT:
            raise Fault("header-value-too-long", f"'{key}' is longer than {MAX_TEXT:,} characters")
    if header["byteorder"] not in ("little", "big"):
        raise Fault("header-value-unknown")
    if header["content-length"] < 0:
        raise Fault("content-length-negative")


def _finite(text: str) -> float:
    if isinf(number := float(text)):
        raise ValueError(f"{text} is beyond all measure")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")  # RFC 8259, section 6; Python's json reads it all the same


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)


def read_json(text: str) -> Any:
    """The value of a JSON text, whose numbers are all finite. Raises ValueError and RecursionError."""
    return _DECODER.decode(text)
