"""What a server tells, and to whom: nobody who listens, or does not, holds it up or fools it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe.echo.server.happenings import Draining, Ended, Happening, Summary, Unread
from netprobe.echo.server.telling import Telling
from netprobe.errors import CannotRunError
from netprobe.render.server_log import event_line
from tests.conftest import NETPROBE, clean_environment
from tests.echo.running import exactly

DRAINING = Draining("draining", "2026-01-01T00:00:00.000Z", 0, 2.0)
SUMMARY = Summary("summary", 1.0, 0, 0, 0, None, 0, 0, 0, 0, 0, 0)

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


def test_what_nobody_reads_is_left_out_and_its_number_told(full: tuple[int, int]) -> None:
    told: list[Happening] = []
    tell = Telling(told.append, full[1])
    for _ in range(3):
        tell(DRAINING)
    assert told == []
    os.read(full[0], 65536)
    tell(DRAINING)
    tell(SUMMARY)
    assert isinstance(told[0], Unread)
    assert told[0].events == 3
    assert told[1:] == [DRAINING, SUMMARY]


def test_a_summary_that_cannot_be_told_is_no_success(full: tuple[int, int]) -> None:
    told: list[Happening] = []
    tell = Telling(told.append, full[1])
    tell(DRAINING)
    with pytest.raises(CannotRunError, match="2 events were left out, the summary among them"):
        tell(SUMMARY)
    assert told == []


def test_where_nothing_can_be_looked_at_everything_is_told() -> None:
    told: list[Happening] = []
    Telling(told.append, None)(DRAINING)
    assert told == [DRAINING]


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_server_whose_log_nobody_reads_goes_on_and_ends_when_told(options: tuple[str, ...]) -> None:
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


def test_the_name_of_a_peer_cannot_forge_a_line_or_steer_a_terminal(tmp_path: Path) -> None:
    name = str(tmp_path / "x\n2026 10.0.0.1:1 tcp: forged\x1b[2J")
    line = event_line(Ended("ended", "2026-01-01", "unix", name, None, 1, 1, None, 1.0, "closed", None))
    assert line.isprintable()
    assert "forged" in line
