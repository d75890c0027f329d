"""``netprobe echo send`` for people: what a peer sent, as it is in a pipe and harmless on a terminal."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Mapping

from netprobe.echo.clients.send import Sent
from netprobe.echo.framing import Message
from netprobe.echo.messages import text_codec
from netprobe.render.output import Output
from netprobe.render.terminal import Terminal
from netprobe.text import escape

__all__ = ["KEPT", "ReceivedPrinter", "SentScreen", "decoded", "header_line", "sent_line"]

KEPT = 64 * 1024  # bytes of it that a JSON document holds
_LAYOUT = "\n\t"  # characters that lay out a text, on a terminal, too


class ReceivedPrinter:
    """Prints pieces as they come; in formats for programs the first 64 KiB are kept for the record instead."""

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

    def add_message(self, reply: Message, most: int) -> int:
        """A framed reply: its header in a line, then its content, on a terminal decoded as its header says.

        There at most the first ``most`` bytes are shown; returns how many are not.
        """
        self._write(_header_text(reply.header.as_json()) + "\n")
        if not self._harmless:
            self.add(reply.content)
            return 0
        self._write(escape(decoded(reply.content[:most], reply.header.content_encoding), keep=_LAYOUT))
        return max(len(reply.content) - most, 0)

    def end(self) -> str | None:
        """Nothing more will come; the text for the record, where nothing was printed."""
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


class SentScreen:
    """On a terminal, below what came back: is it what was sent?

    ``shows_header``: that of a framed reply is not above it yet. ``compares``: another content is no answer.
    """

    def __init__(self, terminal: Terminal, *, shows_header: bool, compares: bool = True) -> None:
        self._terminal = terminal
        self._shows_header = shows_header
        self._compares = compares

    def add(self, sent: Sent) -> None:
        """Print the answer."""
        from rich.text import Text

        from netprobe.render.grid import prose
        from netprobe.render.palette import ANSWER, FAILURE
        from netprobe.render.table import print_lines

        if self._shows_header:
            sys.stdout.write(header_line(sent) + "\n")
        if sent.equal is not True and not self._compares:
            style, mark, answer = ANSWER, "", f"it answers: {sent.received_bytes:,} bytes, in {sent.elapsed_ms:,.1f} ms"
        else:
            style, mark = (FAILURE, "! ") if sent.equal is False else (ANSWER, "")
            answer = _answer(sent)
        print_lines(prose(Text(answer, style=style), self._terminal.width, "  ", mark), self._terminal)

    def end(self, head: object | None) -> None:
        """Nothing is kept for the end."""


def _answer(sent: Sent) -> str:
    if sent.equal:
        count = f"{sent.sent_bytes:,} byte{'s' if sent.sent_bytes != 1 else ''}"
        return f"it echoes: {count} came back unchanged, in {sent.elapsed_ms:,.1f} ms"
    if sent.equal is None:
        return sent_line(sent)
    return f"it does not echo: {sent_line(sent)}"


def sent_line(sent: Sent) -> str:
    """Did it come back? In one line."""
    sizes = f"{sent.sent_bytes:,} bytes sent, {sent.received_bytes:,} came back"
    if sent.equal is None:
        return f"{sizes}, too many in flight at once to compare"
    if sent.equal:
        return f"{sizes} unchanged, in {sent.elapsed_ms / 1000:.3f} s"
    if sent.first_difference is None:
        return f"{sizes}, too many in flight at once to tell where they differ"
    return f"{sizes}, different from byte {sent.first_difference:,} on"


def header_line(sent: Sent) -> str:
    """The header of a framed reply whose content went to a file."""
    return _header_text(sent.header or {})


def _header_text(header: Mapping[str, object]) -> str:
    return escape(json.dumps(header, ensure_ascii=False))


def decoded(content: bytes, encoding: str) -> str:
    """``content`` as text: binary as UTF-8, and what is in no encoding of text that we decode byte by byte."""
    codec = "utf-8" if encoding.lower() == "binary" else text_codec(encoding)
    if codec is None:
        return content.decode("ascii", "backslashreplace")
    return content.decode(codec, "replace")
