"""``netprobe echo send`` at work: where the bytes come from, and where those go that come back."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from netprobe.echo.clients.connecting import PeerError
from netprobe.echo.clients.destination import place, read_destination
from netprobe.echo.clients.send import Source, echo_back, exchange
from netprobe.echo.clients.sent import Comparison, Sent
from netprobe.echo.framing import MAX_CONTENT, Header, Message, RemoteProtocolError
from netprobe.errors import CannotRunError, Exit, InvalidInputError
from netprobe.render.received import KEPT, Received, framed_text, sent_line

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["run"]


def run(output: Output, options: Mapping[str, Any]) -> Exit:
    """Send, print or save what comes back, compare."""
    host, port = read_destination(options["to"])
    if options["content_type"] and not options["framed"]:
        raise InvalidInputError("--type", "is for --framed")
    if options["framed"] and options["verify"]:
        raise InvalidInputError("--framed and --verify", "do not go together", "the reply's content is always compared")
    with _source(output, options) as source:
        if options["framed"]:
            return _send_message(output, source, host, port, options)
        return _send_stream(output, source, host, port, options)


@contextmanager
def _source(output: Output, options: Mapping[str, Any]) -> Iterator[Source]:
    text, path, digits = options["text"], options["file"], options["hex"]
    if sum(value is not None for value in (text, path, digits)) != 1:
        raise InvalidInputError("what to send", "is given as one of TEXT, -, --file and --hex", "see --help")
    if path is not None:
        try:
            file = Path(path).open("rb")  # noqa: SIM115 (closed below)
        except OSError as error:
            raise CannotRunError(path, error.strerror or str(error)) from error
        with file:
            yield Source(file=file)
    elif digits is not None:
        try:
            yield Source(bytes.fromhex(digits))
        except ValueError:
            raise InvalidInputError(digits, "not hexadecimal", "two digits a byte: 48 65 6c 6c 6f") from None
    elif text == "-":
        if output.terminal.stdin_tty:
            output.detail("sends what you type; Ctrl-D ends it")
        yield Source(file=sys.stdin.buffer)
    else:
        yield Source(text.encode("utf-8", "surrogateescape"))


@contextmanager
def _target(options: Mapping[str, Any]) -> Iterator[IO[bytes] | None]:
    """The file to write to, if there is one; what cannot be written is told by the file's name."""
    if options["output_file"] is None:
        yield None
        return
    try:
        with Path(options["output_file"]).open("wb") as file:
            yield file
    except OSError as error:
        raise CannotRunError(options["output_file"], error.strerror or str(error)) from error


def _send_stream(output: Output, source: Source, host: str, port: int, options: Mapping[str, Any]) -> Exit:
    comparison = Comparison()
    prints = options["output_file"] is None and not options["verify"]
    received = Received(output, hexadecimal=options["hex"] is not None, ends_line=options["text"] not in (None, "-"))
    with output.document("echo send", Sent, plain=sent_line, line=sent_line) as document:
        began = time.perf_counter()
        with _target(options) as target:
            for piece in echo_back(source, host, port, options["timeout"], comparison, options["source"]):
                if target is not None:
                    target.write(piece)
                elif prints:
                    received.add(piece)
        elapsed_ms = (time.perf_counter() - began) * 1000
        text = received.end() if prints else None
        where = place(host, port)
        sent = comparison.result(where, elapsed_ms, text)
        if not prints or output.format not in ("table", "plain"):
            document.add(sent)
        if sent.equal is False:
            document.answer(Exit.NO)
            if prints:
                output.say(f"netprobe: {where}: {sent_line(sent)}")
    return document.status


def _send_message(output: Output, source: Source, host: str, port: int, options: Mapping[str, Any]) -> Exit:
    content = b"".join(iter(source.next, b""))
    if len(content) > MAX_CONTENT:
        raise InvalidInputError("a framed message", f"holds at most {MAX_CONTENT:,} bytes", "leave out --framed")
    message = _message(content, options)
    where = place(host, port)
    with output.document("echo send", Sent, plain=framed_text, line=framed_text) as document, _target(options) as to:
        began = time.perf_counter()
        try:
            reply = exchange(message, host, port, options["timeout"], options["source"])
        except RemoteProtocolError as error:
            raise PeerError(where, "wrong-responder", f"no framed reply: {error.why}") from error
        elapsed_ms = (time.perf_counter() - began) * 1000
        comparison = Comparison()
        comparison.add_sent(content)
        comparison.add_received(reply.content)
        if to is not None:
            to.write(reply.content)
        text = _text_of(reply) if to is None else None
        sent = comparison.result(where, elapsed_ms, text, reply.header.as_json())
        document.add(sent)
        if not sent.equal:
            document.answer(Exit.NO)
            fault = (reply.header.netprobe or {}).get("error")
            why = fault.get("why") if isinstance(fault, Mapping) else sent_line(sent)
            output.say(f"netprobe: {where}: {why}")
    return document.status


def _message(content: bytes, options: Mapping[str, Any]) -> Message:
    """The message as it is labelled: JSON must be JSON, and comes back byte by byte as it is written here."""
    given = options["content_type"]
    is_json = _is_json(content)
    if given == "text/json" and not is_json:
        raise InvalidInputError("the message", "is no JSON", "--type text/plain sends any text")
    if given is None:
        is_text = options["text"] not in (None, "-")
        given = ("text/json" if is_json else "text/plain") if is_text else "binary/octet-stream"
    encoding = "utf-8" if given.startswith("text/") else "binary"
    return Message(Header(len(content), given, encoding), content)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def _text_of(reply: Message) -> str:
    """The first 64 KiB of the content, read in the encoding that the header names, where that is one."""
    content = reply.content[:KEPT]
    try:
        return content.decode(reply.header.content_encoding, "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")
