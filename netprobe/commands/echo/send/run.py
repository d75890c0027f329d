"""``netprobe echo send``: from its options to bytes out, bytes back, and the record of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.echo.clients.comparison import Comparison
from netprobe.echo.clients.files import Source
from netprobe.echo.clients.send import SURPLUS, Destination, Sent, echo_back, framed_message, framed_reply
from netprobe.endpoints import parse_endpoint
from netprobe.errors import Exit, InvalidInputError, NetprobeError
from netprobe.files import OutputFile
from netprobe.render.send import KEPT, ReceivedPrinter, SentScreen, decoded, header_line, sent_line
from netprobe.render.view import View

if TYPE_CHECKING:
    from netprobe.render.output import Document, Output

__all__ = ["SendOptions", "run_send", "tell_of_an_address"]

_PLAIN_SERVER = "it came back unchanged, from something that echoes bytes"


@dataclass(frozen=True, slots=True)
class SendOptions:
    """The options of ``netprobe echo send``; ``timeout`` in seconds."""

    text: str | None  # "-" is standard input
    to: str
    file: str | None
    hex: str | None
    output_file: str | None
    verify: bool
    framed: bool
    content_type: str | None
    source: str | None
    timeout: float
    version: int | None  # 4 or 6 where only one is wanted

    @property
    def is_text(self) -> bool:
        """Are the bytes those of a text on the command line?"""
        return self.text not in (None, "-")

    @property
    def prints(self) -> bool:
        """Does what comes back go to standard output?"""
        return self.output_file is None and not self.verify


def tell_of_an_address(output: Output, text: str | None, *, is_default: bool) -> None:
    """A text that is an address with a port, or an IP address, is rarely meant as one where no server is named."""
    if text is None or not is_default:
        return
    try:
        host, port = parse_endpoint(text, default_port=0)
        if not (host == "localhost" and port):
            ip_address(host.partition("%")[0])
    except (InvalidInputError, ValueError):
        return
    output.say(f"netprobe: {text} is the text that is sent")
    output.say(f"hint: to send something there: netprobe echo send --to {text} TEXT")


def run_send(output: Output, options: SendOptions) -> Exit:
    """Send, print or save what comes back, compare."""
    host, port = parse_endpoint(options.to)
    if options.content_type and not options.framed:
        raise InvalidInputError("--type", "is for --framed")
    destination = Destination(host, port, options.timeout, options.source, options.version)
    send = _send_message if options.framed else _send_stream
    line = header_line if options.framed and not options.verify else sent_line
    compares = options.verify or not options.framed
    saves_reply = options.framed and not options.prints and not options.verify
    screen = partial(SentScreen, shows_header=saves_reply, compares=compares)
    with (
        output.document("echo send", Sent, View(plain=line, streams=True, screen=screen)) as document,
        _source(output, options) as source,
        nullcontext() if options.output_file is None else OutputFile(Path(options.output_file)) as output_file,
    ):
        if options.output_file is not None:
            source.check_is_not(options.output_file)
        send(document, source, output_file, destination, options)
    if destination.trials.remark is not None:
        output.say(f"netprobe: {host}: {destination.trials.remark}")
    return document.status


def _source(output: Output, options: SendOptions) -> Source:
    """What the options say is to be sent."""
    if sum(given is not None for given in (options.text, options.file, options.hex)) != 1:
        raise InvalidInputError("what to send", "must be exactly one of TEXT, -, --file and --hex", "see --help")
    if options.file is not None:
        source = Source.of_file(options.file)
    elif options.hex is not None:
        source = Source.of_hex(options.hex)
    elif options.text == "-":
        source = Source.of_stdin()
        if output.terminal.stdin_tty:
            output.detail("sends what you type; Ctrl-D ends it")
    else:
        source = Source((options.text or "").encode("utf-8", "surrogateescape"))
    return source


def _send_stream(
    document: Document[Sent],
    source: Source,
    output_file: OutputFile | None,
    destination: Destination,
    options: SendOptions,
) -> None:
    output, comparison = document.output, Comparison()
    only_verifies = options.verify and options.output_file is None
    printer = ReceivedPrinter(output, hexadecimal=options.hex is not None, ends_line=options.is_text)
    end = printer.end if options.prints else _no_text
    began = time.perf_counter()
    with _recorded_on_error(document, destination, comparison, end):
        for piece in echo_back(source, destination, comparison):
            if output_file is not None:
                output_file.write(piece)
            if options.prints:
                printer.add(piece)
            if only_verifies and comparison.first_difference is not None:
                break
    elapsed_ms = (time.perf_counter() - began) * 1000
    sent = _sent(destination, comparison, comparison.end(), elapsed_ms, end())
    if not options.prints or not output.for_people or output.on_screen:
        document.add(sent)
    if sent.equal is False:
        document.answer(Exit.NO)
        if options.prints and not output.on_screen:
            output.say(f"netprobe: {destination}: {sent_line(sent)}")
        if comparison.in_flight < -SURPLUS and not only_verifies:
            output.say(f"netprobe: {destination}: stopped reading {SURPLUS:,} bytes beyond what was sent")


def _send_message(
    document: Document[Sent],
    source: Source,
    output_file: OutputFile | None,
    destination: Destination,
    options: SendOptions,
) -> None:
    output, comparison = document.output, Comparison()
    message = framed_message(source, options.content_type, options.is_text)
    began = time.perf_counter()
    with _recorded_on_error(document, destination, comparison, _no_text):
        reply = framed_reply(message, destination, comparison)
    elapsed_ms = (time.perf_counter() - began) * 1000
    if output_file is not None:
        output_file.write(reply.content)
    text = decoded(reply.content[:KEPT], reply.header.content_encoding) if options.prints else None
    sent = _sent(destination, comparison, comparison.end(), elapsed_ms, text, reply.header.as_json())
    if options.prints and output.for_people:
        printer = ReceivedPrinter(output, hexadecimal=False, ends_line=options.is_text)
        hidden = printer.add_message(reply, max(comparison.sent, KEPT))
        printer.end()
        if hidden:
            output.say(f"netprobe: {destination}: {hidden:,} more bytes of the reply; --output FILE takes them all")
    if not options.prints or not output.for_people or output.on_screen:
        document.add(sent)
    error = reply.header.reply_info and reply.header.reply_info.error
    if error or (options.verify and not sent.equal):  # without --verify it is for the application what it answers
        document.answer(Exit.NO)
        if error:
            output.say(f"netprobe: {destination}: {error}")
    elif reply == message:
        output.say(f"netprobe: {destination}: the reply has no netprobe object: {_PLAIN_SERVER}")


def _no_text() -> None:
    """Nothing was printed and nothing kept."""


@contextmanager
def _recorded_on_error(
    document: Document[Sent], destination: Destination, comparison: Comparison, end: Callable[[], str | None]
) -> Iterator[None]:
    """An error does not hide what was sent and came back before it; ``end`` ends the printing, or gives the text."""
    began = time.perf_counter()
    try:
        yield
    except (NetprobeError, KeyboardInterrupt):
        text = end()
        if not document.output.for_people and comparison.sent + comparison.received:
            elapsed_ms = (time.perf_counter() - began) * 1000
            document.add(_sent(destination, comparison, comparison.so_far(), elapsed_ms, text))
        raise


def _sent(
    destination: Destination,
    comparison: Comparison,
    equal: bool | None,
    elapsed_ms: float,
    received: str | None,
    header: Mapping[str, object] | None = None,
) -> Sent:
    """The record."""
    return Sent(
        str(destination),
        "tcp",
        comparison.sent,
        comparison.received,
        equal,
        comparison.first_difference,
        round(elapsed_ms, 3),
        received,
        header,
    )
