"""netprobe bindtest among strangers and beside readers that do not read: it answers, it ends, it does not grow."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from netprobe.reach.visitors import MOST_STRANGERS
from tests.conftest import NETPROBE, Ran, clean_environment, run_process

NONCE = "ab" * 16
LONG_S = 60.0  # only a failure takes so long
STREAMS = ["table", "plain", "ndjson", "csv"]
HOMES = ["127.0.0.1", "::1"]

# argv: address, port, how many connections. They are stalled or trickle a byte each round of what could be a probe, and
# are made again when they are closed; each round begins with datagrams, and with connections that are closed at once.
STRANGERS = """
import errno, socket, sys
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line = b"netprobe/1 probe " + b"a" * 1000
held, said = [], []

def connected():
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex((address, port))
    return sock

def is_over(place):
    try:
        if place % 2:
            return held[place].recv(1) == b""
        said[place] += held[place].send(line[said[place] : said[place] + 1])
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno != errno.ENOTCONN
    return False

for round in range(10**9):
    for _ in range(100):
        datagrams.sendto(b"x" * 40, (address, port))
        connected().close()
    for place in range(len(held)):
        if is_over(place):
            held[place].close()
            held[place], said[place] = connected(), 0
    while len(held) < count:
        held.append(connected())
        said.append(0)
    print(round, flush=True)
"""


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def probed(address: str, port: int, *options: str) -> list[dict[str, Any]]:
    """What the other side of a manual run sees."""
    target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    argv = [str(NETPROBE), "bindtest", "--connect", target, "--json", *options]
    results: list[dict[str, Any]] = json.loads(run_process(argv, env={"NETPROBE_BINDTEST_NONCE": NONCE}).stdout)[
        "results"
    ]
    return results


def observed(address: str, port: int, *options: str) -> set[str]:
    return {cell["observed"] for cell in probed(address, port, *options)}


class Listening:
    """A ``bindtest`` whose output goes nowhere unless it is read."""

    def __init__(self, address: str, *options: str, before: str = "", narrow: str = "") -> None:
        self.address = address
        self.port = free_port(address)
        command = f'{before} exec "$0" bindtest --addr {address} --port {self.port} "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", command, str(NETPROBE), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment({"NETPROBE_BINDTEST_NONCE": NONCE}),
        )
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            if narrow and hasattr(fcntl, "F_SETPIPE_SZ"):
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 4096)
        deadline = time.monotonic() + LONG_S
        while "reachable" not in observed(address, self.port, "--timeout", "0.5", "--tcp"):
            assert time.monotonic() < deadline and self.process.poll() is None, self.process.communicate()

    def resident(self) -> int:
        """KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def visited_by(self, strangers: int, each: int = 1) -> None:
        """Datagrams from so many addresses of 127.0.0.0/8; from one address and many ports where it is not IPv4.

        Those that come faster than they are read are lost.
        """
        for number in range(strangers):
            kind = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            with socket.socket(kind, socket.SOCK_DGRAM) as stranger:
                if kind == socket.AF_INET:
                    stranger.bind((f"127.1.{number // 250}.{number % 250 + 1}", 0))
                for _ in range(each):
                    stranger.sendto(b"x", (self.address, self.port))

    def connected_to_by(self, strangers: int, each: int = 1) -> None:
        """Connections of so many addresses, reset at once. Back when all of them are through: the last is a probe."""
        for number in range(strangers):
            for _ in range(each):
                with socket.socket() as stranger:
                    stranger.bind((f"127.1.{number // 250}.{number % 250 + 1}", 0))
                    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    stranger.connect((self.address, self.port))
        assert observed(self.address, self.port, "--timeout", "10", "--tcp") == {"reachable"}

    def interrupted(self) -> Ran:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=LONG_S)
        return Ran(self.process.returncode, out.decode(), err.decode())


@pytest.fixture
def listening() -> Iterator[Callable[..., Listening]]:
    with ExitStack() as stack:

        def start(*arguments: str, **options: str) -> Listening:
            started = Listening(*arguments, **options)
            stack.callback(started.process.communicate)
            stack.callback(started.process.kill)
            return started

        yield start


@pytest.fixture
def five_thousand() -> Iterator[Callable[[int], None]]:
    """Strangers in as many processes as their descriptors take; back when each has gone through a round."""
    with ExitStack() as stack:

        def start(port: int) -> None:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            most = 5000 if hard == resource.RLIM_INFINITY else min(5000, hard - 100)
            raised = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({most} + 100, {hard}))"
            processes = []
            for begin in range(0, 5000, most):
                argv = [sys.executable, "-c", raised + STRANGERS, "127.0.0.1", str(port), str(min(most, 5000 - begin))]
                processes.append(subprocess.Popen(argv, stdout=subprocess.PIPE))
                stack.callback(processes[-1].communicate)
                stack.callback(processes[-1].kill)
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline()

        yield start


def test_a_probe_is_answered_among_five_thousand_strangers(
    listening: Callable[..., Listening], five_thousand: Callable[[int], None]
) -> None:
    options = ("--listen-only", "--keep", "600", "--format", "ndjson")
    there = listening("127.0.0.1", *options, before="ulimit -n 1024;")
    before = there.resident()
    five_thousand(there.port)
    found = [observed("127.0.0.1", there.port, "--timeout", "10") for _ in range(3)]
    assert found == [{"reachable"}] * 3
    assert there.resident() - before < 16_000
    ran = there.interrupted()
    assert (ran.status, ran.stderr) == (0, "")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [event["peer"] for event in events if event["event"] == "stranger"] == ["127.0.0.1"]
    assert [event["count"] > 5000 for event in events if event["event"] == "more-strangers"] == [True]


@pytest.mark.parametrize("home", HOMES)
def test_a_stderr_that_nobody_reads_costs_reports_and_nothing_else(
    listening: Callable[..., Listening], home: str
) -> None:
    there = listening(home, "--keep", "600", "--timeout", "0.3", "--patience", "0", narrow="yes")
    there.visited_by(200, each=10)
    assert observed(home, there.port, "--timeout", "10", "--tcp") == {"reachable"}
    there.process.send_signal(signal.SIGINT)
    assert there.process.wait(LONG_S) == 0


def test_a_stderr_that_nobody_reads_does_not_keep_listeners_open(listening: Callable[..., Listening]) -> None:
    there = listening("127.0.0.1", "--keep", "10", "--timeout", "0.3", "--patience", "0", narrow="yes")
    there.visited_by(200, each=10)
    assert there.process.wait(LONG_S) == 0


@pytest.mark.parametrize("form", STREAMS)
def test_a_stdout_that_nobody_reads_costs_reports_and_nothing_else(
    listening: Callable[..., Listening], form: str
) -> None:
    there = listening("127.0.0.1", "--listen-only", "--keep", "600", "--format", form, narrow="yes")
    there.connected_to_by(MOST_STRANGERS)
    assert observed("127.0.0.1", there.port, "--timeout", "10") == {"reachable"}
    there.process.send_signal(signal.SIGINT)
    assert there.process.wait(LONG_S) == 3
    assert there.process.stderr is not None
    assert b"standard output: nobody reads it" in there.process.stderr.read()


def test_what_a_slow_reader_reads_at_last_is_complete(listening: Callable[..., Listening]) -> None:
    there = listening("127.0.0.1", "--listen-only", "--keep", "600", "--format", "ndjson", narrow="yes")
    there.connected_to_by(300, each=3)
    ran = there.interrupted()
    assert ran.status == 0, ran.stderr
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    peers = [event["peer"] for event in events if event["event"] == "stranger"]
    assert len(peers) == len(set(peers)) == 300
    assert {event["count"] for event in events if event["event"] == "more-strangers"} == {2}


def test_a_reader_that_has_gone_ends_it_quietly(listening: Callable[..., Listening]) -> None:
    there = listening("127.0.0.1", "--listen-only", "--keep", "600", "--format", "plain")
    assert there.process.stdout is not None and there.process.stderr is not None
    there.process.stdout.close()
    there.visited_by(1)
    assert there.process.wait(LONG_S) == 0
    assert there.process.stderr.read() == b""


@pytest.mark.parametrize("home", HOMES)
def test_a_document_stays_small_whatever_strangers_send(listening: Callable[..., Listening], home: str) -> None:
    there = listening(home, "--listen-only", "--keep", "600", "--json")
    before = there.resident()
    there.visited_by(3 * MOST_STRANGERS, each=5)
    assert observed(home, there.port, "--timeout", "10") == {"reachable"}
    assert there.resident() - before < 16_000
    ran = there.interrupted()
    assert (ran.status, ran.stderr) == (0, "")
    visits = json.loads(ran.stdout)["results"]
    told = [visit["peer"] for visit in visits if visit["event"] == "stranger"]
    assert len(told) == len(set(told)) <= MOST_STRANGERS
    counts = {visit["peer"]: visit["count"] for visit in visits if visit["event"] == "more-strangers"}
    assert None in counts or home == "::1"
    assert counts.keys() <= {None, *told}
    assert len(ran.stdout) < 2_000_000


def test_a_document_has_so_many_arrivals_and_the_number_of_the_others(listening: Callable[..., Listening]) -> None:
    from netprobe.commands.bindtest.visits import _MOST_KEPT
    from netprobe.prober import wire

    there = listening("127.0.0.1", "--listen-only", "--keep", "600", "--json")
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(LONG_S)
        for number in range(_MOST_KEPT + 500):
            client.sendto(wire.probe_line(NONCE, f"{number:032x}", 0), ("127.0.0.1", there.port))
            assert client.recv(500)
    visits = json.loads(there.interrupted().stdout)["results"]
    assert len([visit for visit in visits if visit["event"] == "arrival"]) == _MOST_KEPT
    assert [visit["count"] >= 500 for visit in visits if visit["event"] == "more-arrivals"] == [True]


def test_the_key_count_is_the_last_one(listening: Callable[..., Listening]) -> None:
    there = listening("127.0.0.1", "--listen-only", "--keep", "600", "--format", "csv")
    there.connected_to_by(1, each=2)
    rows = list(csv.DictReader(io.StringIO(there.interrupted().stdout)))
    assert list(rows[0]) == [
        "event", "bind", "port", "protocol", "peer", "peer_port", "local", "command", "count",
    ]  # fmt: skip
    assert [(row["peer"], row["count"]) for row in rows if row["event"] == "more-strangers"] == [("127.1.0.1", "1")]


def test_a_run_counts_at_its_end_who_came_again(listening: Callable[..., Listening]) -> None:
    there = listening("127.0.0.1", "--udp", "--tcp", "--keep", "600", "--timeout", "0.3", "--patience", "0")
    there.connected_to_by(1, each=1001)
    there.connected_to_by(7)
    ran = there.interrupted()
    assert ran.status == 0
    lines = [line for line in ran.stderr.splitlines() if "stranger" in line]
    assert len(lines) == 8
    assert lines[-1] == "netprobe: strangers came 1,001 more times (127.1.0.1: 1,001)"
