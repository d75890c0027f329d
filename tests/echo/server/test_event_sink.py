"""A server's events: no reader, and no name that a peer chose, can hold up the server or forge a line."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netprobe.echo.server.event_sink import EventSink, SummaryLostError
from netprobe.echo.server.events import (
    EVENT_TYPES,
    ConnectionEnded,
    Draining,
    EventsDropped,
    ServerEvent,
    ServerSummary,
    decode,
    encode,
)
from netprobe.echo.server.log_stream import LogStream
from netprobe.render.output import Output
from netprobe.render.server_log import event_line
from netprobe.render.terminal import Terminal
from netprobe.render.view import View
from tests.conftest import NETPROBE, clean_environment
from tests.echo.running import Server, exactly

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


def sink_to(stream: LogStream, said: list[str]) -> EventSink:
    def write(event: ServerEvent) -> None:
        stream.write(encode(event))
        stream.flush()

    return EventSink(write, stream, said.append)


def written(reading: int) -> list[ServerEvent]:
    """The events in a pipe, after the zero bytes that filled it."""
    data = b""
    while select.select([reading], [], [], 0)[0] and (more := os.read(reading, 1 << 20)):
        data += more
    return [decode(line) for line in data.lstrip(b"\0").splitlines()]


def test_what_nobody_reads_is_dropped_counted_and_complained_of_once(full: tuple[int, int]) -> None:
    reading, writing = full
    said: list[str] = []
    with LogStream(writing) as stream:
        sink = sink_to(stream, said)
        for _ in range(3):
            sink(DRAINING)
        assert said == ["nobody reads it"]
        assert written(reading) == []
        sink(DRAINING)
        sink(SUMMARY)
        lost, *rest = written(reading)
    assert isinstance(lost, EventsDropped)
    assert (lost.events, lost.cause) == (3, None)
    assert rest == [DRAINING, SUMMARY]
    assert said == ["nobody reads it"]


def test_a_summary_that_cannot_be_written_is_not_a_success(full: tuple[int, int]) -> None:
    with LogStream(full[1]) as stream:
        sink = sink_to(stream, [])
        sink(DRAINING)
        with pytest.raises(SummaryLostError, match="2 events were lost, including the summary"):
            sink(SUMMARY)
        assert written(full[0]) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE, errno.EFBIG, errno.EBADF])
def test_a_failing_output_loses_events_and_nothing_else(number: int) -> None:
    failing = True
    kept: list[ServerEvent] = []
    said: list[str] = []

    def write(event: ServerEvent) -> None:
        if failing:
            raise OSError(number, os.strerror(number))
        kept.append(event)

    sink = EventSink(write, None, said.append)
    for _ in range(5):
        sink(DRAINING)
    failing = False
    sink(DRAINING)
    failing = True
    sink(DRAINING)
    with pytest.raises(SummaryLostError) as caught:
        sink(SUMMARY)
    assert caught.value.reader_gone == (number == errno.EPIPE)
    lost, event = kept
    assert isinstance(lost, EventsDropped)
    assert (lost.events, lost.cause, event) == (5, errno.errorcode[number], DRAINING)
    assert said == [os.strerror(number)]


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
        first_line, last_line = process.stderr.read().decode().splitlines()
        assert first_line.startswith("netprobe: standard output: nobody reads it: serving goes on")
        assert "including the summary" in last_line
    finally:
        process.kill()
        process.communicate()


def served(path: str) -> None:
    """Echo something over the unix socket ``path`` once it is there."""
    deadline = time.monotonic() + 20
    while True:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            try:
                sock.connect(path)
            except OSError:
                assert time.monotonic() < deadline, "nobody listens"
                time.sleep(0.02)
                continue
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"x"
            return


@contextmanager
def logging(path: Path, *options: str, prefix: Sequence[str] = (), **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    argv = [*prefix, str(NETPROBE), "echo", "serve", "--unix", str(path), "--log", *options]
    process = subprocess.Popen(argv, env=clean_environment(), **streams)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_of(text: bytes) -> list[str]:
    return text.decode().splitlines()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("options", [("--json",), ("--format", "csv"), ("--format", "plain")])
def test_a_full_disk_ends_no_service_and_is_said_once(tmp_path: Path, options: tuple[str, ...]) -> None:
    with (
        Path("/dev/full").open("wb") as full_disk,
        logging(tmp_path / "s", *options, stdout=full_disk, stderr=subprocess.PIPE) as process,
    ):
        for _ in range(20):
            served(str(tmp_path / "s"))
        process.terminate()
        said = lines_of(process.communicate(timeout=20)[1])
        assert process.returncode == 3
    assert len(said) == 2
    assert said[0].startswith("netprobe: standard output: No space left on device: serving goes on")
    assert "including the summary" in said[1]


def test_what_belongs_at_the_head_comes_before_the_first_record_that_can_be_written(full: tuple[int, int]) -> None:
    reading, writing = full
    with LogStream(writing) as stream:
        stream.in_head = True
        stream.write("head\n")
        stream.flush()
        stream.in_head = False
        stream.write("lost\n")
        with pytest.raises(BlockingIOError):
            stream.flush()
        os.read(reading, 1 << 20)
        for record in ("first\n", "second\n"):
            stream.write(record)
            stream.flush()
    assert os.read(reading, 100) == b"head\nfirst\nsecond\n"


def test_a_record_of_which_the_beginning_was_taken_is_completed_before_the_next(full: tuple[int, int]) -> None:
    reading, writing = full
    os.read(reading, 4096)  # room for a page
    long = "x" * 10_000 + "\n"
    with LogStream(writing) as stream:
        stream.write(long)
        stream.flush()
        stream.write("lost\n")
        with pytest.raises(BlockingIOError):
            stream.flush()
        taken = os.read(reading, 1 << 20)
        stream.write("next\n")
        stream.flush()
        taken += os.read(reading, 1 << 20)
    assert taken.lstrip(b"\0").decode() == long + "next\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prlimit is Linux's")
def test_a_log_that_can_be_written_again_goes_on_with_the_number_of_those_lost(tmp_path: Path) -> None:
    import resource

    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        logging(
            tmp_path / "s", "--json", prefix=("prlimit", "--fsize=1500:unlimited"), stdout=file, stderr=subprocess.PIPE
        ) as process,
    ):
        for _ in range(20):
            served(str(tmp_path / "s"))
        assert log.stat().st_size <= 1500
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for _ in range(3):
            served(str(tmp_path / "s"))
        process.terminate()
        said = lines_of(process.communicate(timeout=20)[1])
        assert process.returncode == 0
    events = [json.loads(line) for line in lines_of(log.read_bytes())]  # each line is whole
    (lost,) = [event for event in events if event["event"] == "unread"]
    assert lost["cause"] == "EFBIG"
    assert len([event for event in events if event["event"] == "ended"]) + lost["events"] == 23
    assert len(said) == 1


def test_a_reader_that_leaves_ends_no_service(tmp_path: Path) -> None:
    with logging(tmp_path / "s", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        for _ in range(20):
            served(str(tmp_path / "s"))
        process.terminate()
        said = lines_of(process.communicate(timeout=20)[1])
        assert process.returncode == 0
    assert len(said) == 1
    assert said[0].startswith("netprobe: standard output: Broken pipe: serving goes on")


def test_a_stdout_that_is_closed_ends_no_service(tmp_path: Path) -> None:
    closing = ("sh", "-c", 'exec "$0" "$@" >&-')
    with logging(tmp_path / "s", "--json", prefix=closing, stderr=subprocess.PIPE) as process:
        served(str(tmp_path / "s"))
        process.terminate()
        said = lines_of(process.communicate(timeout=20)[1])
        assert process.returncode == 3
    assert said[0].startswith("netprobe: standard output: Bad file descriptor: serving goes on")


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_an_end_that_nobody_reads_for_stdout_and_stderr_holds_up_neither_serving_nor_the_end(
    tmp_path: Path, kind: str
) -> None:
    if kind == "pipe":
        reading, writing = os.pipe()
    elif kind == "socket":
        reading, writing = (end.detach() for end in socket.socketpair())
    else:
        import pty

        reading, writing = pty.openpty()
    try:
        with logging(tmp_path / "s", "--json", stdout=writing, stderr=writing) as process:
            for _ in range(1500):  # more lines than any of them holds
                served(str(tmp_path / "s"))
            process.terminate()
            assert process.wait(20) == 3
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SIGSTOP of the supervisor alone")
def test_a_supervisor_that_hangs_holds_up_no_worker() -> None:
    with Server("--tcp", "--log", "--workers", "2") as server:
        for _ in range(2):
            server.event("worker-started")
        os.kill(server.process.pid, signal.SIGSTOP)
        for _ in range(1500):  # more lines than the workers' pipes hold
            with server.connect() as sock:
                sock.sendall(b"x")
                assert exactly(sock, 1) == b"x"
        os.kill(server.process.pid, signal.SIGCONT)
        told = server.event("unread")["events"]
        with server.connect() as sock:
            sock.sendall(b"x")
            exactly(sock, 1)
        status, events, err = server.stop()
    assert (status, err) == (0, "")
    assert told > 0
    assert events[-1]["connections"] == 1501


def test_the_name_of_a_peer_cannot_forge_a_line_or_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "/tmp/x\n2026 10.0.0.1:1 tcp: forged\x1b[2J"
    event = ConnectionEnded("2026-01-01", "unix", name, None, 1, 1, None, 1.0, "closed", None)
    output = Output(Terminal.detect("never"))
    with output.document("echo serve", EVENT_TYPES, View(plain=event_line, streams=True), endless=True) as document:
        document.add(event)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert "forged" in line
