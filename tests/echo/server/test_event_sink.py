"""A server's events: no reader, and no name that a peer chose, can hold up the server or forge a line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from netprobe.echo.server.event_sink import EventSink
from netprobe.echo.server.events import (
    EVENT_TYPES,
    ConnectionEnded,
    Draining,
    EventsDropped,
    ServerEvent,
    ServerSummary,
)
from netprobe.errors import CannotRunError
from netprobe.render.output import Output
from netprobe.render.server_log import event_line
from netprobe.render.terminal import Terminal
from netprobe.render.view import View
from tests.conftest import NETPROBE, clean_environment
from tests.echo.running import exactly

DRAINING = Draining("2026-01-01T00:00:00.000Z", 0, 2.0)
SUMMARY = ServerSummary(duration_s=1.0)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="poll(2) cannot tell of a pipe here")


@pytest.fixture
def full() -> Iterator[tuple[int, int]]:
    """A pipe that takes no more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_what_nobody_reads_is_dropped_and_counted(full: tuple[int, int]) -> None:
    written: list[ServerEvent] = []
    sink = EventSink(written.append, full[1])
    for _ in range(3):
        sink(DRAINING)
    assert written == []
    os.read(full[0], 65536)
    sink(DRAINING)
    sink(SUMMARY)
    assert isinstance(written[0], EventsDropped)
    assert written[0].events == 3
    assert written[1:] == [DRAINING, SUMMARY]


def test_a_summary_that_cannot_be_written_is_not_a_success(full: tuple[int, int]) -> None:
    written: list[ServerEvent] = []
    sink = EventSink(written.append, full[1])
    sink(DRAINING)
    with pytest.raises(CannotRunError, match="2 events were dropped, including the summary"):
        sink(SUMMARY)
    assert written == []


def test_without_a_descriptor_to_poll_everything_is_written() -> None:
    written: list[ServerEvent] = []
    EventSink(written.append, None)(DRAINING)
    assert written == [DRAINING]


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_server_whose_log_nobody_reads_goes_on_and_ends_at_a_signal(options: tuple[str, ...]) -> None:
    argv = [str(NETPROBE), "echo", "serve", "--port", "0", "--tcp", "--log", "--json", *options]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
    assert process.stdout is not None
    try:
        first = b""
        while not first.endswith(b"\n"):  # byte by byte: what follows stays in the pipe
            first += os.read(process.stdout.fileno(), 1)
        port = json.loads(first)["port"]
        for _ in range(600):  # more lines than a pipe holds
            with socket.create_connection(("127.0.0.1", port), 20) as sock:
                sock.sendall(b"x")
                assert exactly(sock, 1) == b"x"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 3
        assert process.stderr is not None
        assert b"netprobe: standard output: nobody reads it: " in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_the_name_of_a_peer_cannot_forge_a_line_or_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "/tmp/x\n2026 10.0.0.1:1 tcp: forged\x1b[2J"
    event = ConnectionEnded("2026-01-01", "unix", name, None, 1, 1, None, 1.0, "closed", None)
    output = Output(Terminal.detect("never"))
    with output.document("echo serve", EVENT_TYPES, View(plain=event_line, streams=True), endless=True) as document:
        document.add(event)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert "forged" in line
