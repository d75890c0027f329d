"""What a peer sent, on our standard output: as it is in a pipe, harmless on a terminal."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Mapping
from typing import Any

from netprobe.render.output import Output
from netprobe.text import escape

__all__ = ["KEPT", "Received", "framed_text", "sent_line", "text_of"]

KEPT = 64 * 1024  # bytes of it that a JSON document holds
_LAYOUT = "\n\t"  # what text is laid out with, on a terminal too


class Received:
    """Prints pieces as they come; in JSON and CSV the first 64 KiB are kept for the record instead."""

    def __init__(self, output: Output, hexadecimal: bool, ends_line: bool) -> None:
        self._kept = bytearray()
        self._prints = output.for_people
        self._harmless = output.terminal.stdout_tty
        self._hexadecimal, self._ends_line = hexadecimal, ends_line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._last = ""

    def add(self, piece: bytes) -> None:
        """One more piece."""
        if not self._prints:
            self._kept += piece[: max(KEPT - len(self._kept), 0)]
        elif self._hexadecimal:
            self._write(f"{' ' if self._last else ''}{piece.hex(' ')}")
        elif self._harmless:
            self._write(escape(self._decoder.decode(piece), keep=_LAYOUT))
        else:
            self._last = "\n" if piece.endswith(b"\n") else "x"
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()

    def add_message(self, header: Mapping[str, Any], content: bytes, encoding: str) -> None:
        """A framed reply: its header in a line, and its content, on a terminal read in the encoding it names."""
        self._write(_header_line(header) + "\n")
        if self._harmless:
            self._write(escape(text_of(content, encoding), keep=_LAYOUT))
        else:
            self.add(content)

    def end(self) -> str | None:
        """The end is reached; the text for the record, where nothing was printed."""
        if not self._prints:
            return self._kept.hex(" ") if self._hexadecimal else self._kept.decode("utf-8", "replace")
        if self._harmless:
            self._write(escape(self._decoder.decode(b"", True), keep=_LAYOUT))
        if self._last and self._last[-1] != "\n" and (self._ends_line or self._hexadecimal or self._harmless):
            self._write("\n")
        return None

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._last = text[-1]


def sent_line(sent: Any) -> str:
    """Did it come back? In one line."""
    sizes = f"{sent.sent_bytes:,} bytes sent, {sent.received_bytes:,} came back"
    if sent.equal is None:
        return f"{sizes}, too many at once to be compared"
    if sent.equal:
        return f"{sizes} as they were sent, in {sent.elapsed_ms / 1000:.3f} s"
    if sent.first_difference is None:
        return f"{sizes}, too many at once to tell where they differ"
    return f"{sizes}, different from byte {sent.first_difference:,} on"


def framed_text(sent: Any) -> str:
    """The header of a framed reply whose content went to a file."""
    return _header_line(sent.header)


def _header_line(header: Mapping[str, Any]) -> str:
    return escape(json.dumps(header, ensure_ascii=False))


def text_of(content: bytes, encoding: str) -> str:
    """``content`` read in ``encoding``, where that is one, else as UTF-8."""
    try:
        return content.decode(encoding, "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")
