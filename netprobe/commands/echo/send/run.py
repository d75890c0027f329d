"""``netprobe echo send`` at work: bytes out, bytes back, and what that comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netprobe.commands.echo.send.files import Target, source_of
from netprobe.echo.clients.connecting import PeerError
from netprobe.echo.clients.send import SURPLUS, Source, echo_back, exchange
from netprobe.echo.clients.sent import Comparison, Sent
from netprobe.echo.framing import MAX_CONTENT, Header, Message, RemoteProtocolError
from netprobe.echo.messages import read_json
from netprobe.endpoints import format_endpoint, parse_endpoint
from netprobe.errors import Exit, InvalidInputError, NetprobeError
from netprobe.render.received import KEPT, Received, framed_text, sent_line, text_of
from netprobe.render.view import View
from netprobe.verdicts import Verdict

if TYPE_CHECKING:
    from netprobe.render.output import Document, Output

__all__ = ["run"]


def run(output: Output, options: Mapping[str, Any]) -> Exit:
    """Send, print or save what comes back, compare."""
    host, port = parse_endpoint(options["to"])
    if options["content_type"] and not options["framed"]:
        raise InvalidInputError("--type", "is for --framed")
    if options["framed"] and options["verify"]:
        raise InvalidInputError("--framed and --verify", "do not go together", "the reply's content is always compared")
    send, line = (_send_message, framed_text) if options["framed"] else (_send_stream, sent_line)
    with (
        output.document("echo send", Sent, View(plain=line, streams=True)) as document,
        source_of(output, options) as source,
        Target(options["output_file"]) as target,
    ):
        send(document, source, target, host, port, options)
    return document.status


def _send_stream(
    document: Document[Sent], source: Source, target: Target, host: str, port: int, options: Mapping[str, Any]
) -> None:
    output, where, comparison = document.output, format_endpoint(host, port), Comparison()
    only_verifies = options["verify"] and options["output_file"] is None
    prints = options["output_file"] is None and not options["verify"]
    received = Received(output, hexadecimal=options["hex"] is not None, ends_line=options["text"] not in (None, "-"))
    began = time.perf_counter()
    with _cut_short(document, where, comparison, lambda: received.end() if prints else None):
        for piece in echo_back(source, host, port, options["timeout"], comparison, options["source"]):
            target.write(piece)
            if prints:
                received.add(piece)
            if only_verifies and comparison.first_difference is not None:
                break
    elapsed_ms = (time.perf_counter() - began) * 1000
    text = received.end() if prints else None
    sent = comparison.result(where, elapsed_ms, text)
    if not prints or not output.for_people:
        document.add(sent)
    if sent.equal is False:
        document.answer(Exit.NO)
        if prints:
            output.say(f"netprobe: {where}: {sent_line(sent)}")
        if comparison.under_way < -SURPLUS and not only_verifies:
            output.say(f"netprobe: {where}: {SURPLUS:,} bytes more than was sent: its end was not waited for")


def _send_message(
    document: Document[Sent], source: Source, target: Target, host: str, port: int, options: Mapping[str, Any]
) -> None:
    output, where, comparison = document.output, format_endpoint(host, port), Comparison()
    message = _message(_content_of(source), options)
    began = time.perf_counter()
    with _cut_short(document, where, comparison, lambda: None):
        try:
            reply = exchange(message, host, port, options["timeout"], comparison, options["source"])
        except RemoteProtocolError as error:
            raise PeerError(where, Verdict.WRONG_RESPONDER, f"no framed reply: {error.why}") from error
    elapsed_ms = (time.perf_counter() - began) * 1000
    target.write(reply.content)
    header, prints = reply.header.as_json(), options["output_file"] is None
    text = text_of(reply.content[:KEPT], reply.header.content_encoding) if prints else None
    sent = comparison.result(where, elapsed_ms, text, header)
    if not prints or not output.for_people:
        document.add(sent)
    else:
        received = Received(output, hexadecimal=False, ends_line=options["text"] not in (None, "-"))
        received.add_message(header, reply.content, reply.header.content_encoding)
        received.end()
    if not sent.equal:
        document.answer(Exit.NO)
        info = reply.header.reply_info
        why = sent_line(sent) if info is None or info.error is None else info.error
        output.say(f"netprobe: {where}: {why}")
    elif reply == message:
        output.say(f"netprobe: {where}: the reply has no netprobe object: {_RAW}")


_RAW = "it came back as it was sent, from something that echoes bytes"


@contextmanager
def _cut_short(
    document: Document[Sent], where: str, comparison: Comparison, end: Callable[[], str | None]
) -> Iterator[None]:
    """An error does not hide what went and came back until then: ``end`` ends the printing, or gives the text."""
    began = time.perf_counter()
    try:
        yield
    except (NetprobeError, KeyboardInterrupt):
        text = end()
        if not document.output.for_people and comparison.sent + comparison.received:
            elapsed_ms = (time.perf_counter() - began) * 1000
            document.add(comparison.result(where, elapsed_ms, text, ended=False))
        raise


def _content_of(source: Source) -> bytes:
    """All of ``source``, which may have no end."""
    content = bytearray()
    while len(content) <= MAX_CONTENT and (piece := source.next()):
        content += piece
    if len(content) > MAX_CONTENT:
        raise InvalidInputError("a framed message", f"holds at most {MAX_CONTENT:,} bytes", "leave out --framed")
    return bytes(content)


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
        read_json(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True
