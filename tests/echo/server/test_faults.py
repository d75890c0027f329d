"""What may happen to a server: too many peers, too slow, too greedy, gone in the middle; workers killed."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import pytest

from netprobe.echo.framing import Connection, Message
from netprobe.echo.server.events import ServerEvent, WorkerEnded
from netprobe.echo.server.loop import ServerSettings
from netprobe.echo.server.workers import _Supervisor
from netprobe.errors import CannotRunError
from tests.echo.running import Server

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def talk(sock: socket.socket, data: bytes) -> None:
    """Send ``data`` and have it back."""
    sock.sendall(data)
    back = b""
    while len(back) < len(data):
        more = sock.recv(65536)
        assert more, "closed in the middle"
        back += more
    assert back == data


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@linux
def test_ten_thousand_connections_are_open_while_fifty_talk() -> None:
    wanted = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted + 500:
        pytest.skip(f"this process may open no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + 500, hard))
    idle: list[socket.socket] = []
    try:
        with Server("--tcp", prefix=("prlimit", f"--nofile={wanted + 500}")) as server:
            pid = server.process.pid
            with server.connect() as first:
                talk(first, b"x")
                before = resident_kib(pid)
                for number in range(wanted - 1):  # each source address has ports of its own
                    source = (f"127.0.1.{1 + number // 5000}", 0)
                    idle.append(socket.create_connection((server.listening["host"], server.port), 30, source))
                talking = random.Random(1).sample(idle, 50)
                for round_ in range(20):
                    for sock in talking:
                        sock.sendall(b"%d" % round_)
                    for sock in talking:
                        assert sock.recv(10) == b"%d" % round_
                talk(first, b"y" * 100_000)
                assert (resident_kib(pid) - before) / wanted < 1.0  # KiB each
            for sock in idle:
                sock.close()
            _, events, err = server.stop()
        assert err == ""
        assert events[-1]["connections"] == wanted
    finally:
        for sock in idle:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@linux
def test_peers_that_never_read_cost_no_more_than_max_buffer() -> None:
    allowed = 300_000
    with Server("--tcp", "--max-buffer", str(allowed)) as server:
        pid = server.process.pid
        with server.connect() as other:
            talk(other, b"x")
            before = resident_kib(pid)
            greedy = [server.connect() for _ in range(20)]
            chunk = bytes(65536)
            for sock in greedy:
                sock.setblocking(False)
            sent = 0
            while writable := select.select([], greedy, [], 0.5)[1]:  # until the server takes no more
                sent += sum(sock.send(chunk) for sock in writable)
                assert sent < 20 * 100_000_000, "the server takes whatever comes"
            assert (resident_kib(pid) - before) * 1024 < 20 * (allowed + 300_000)
            talk(other, b"still served" * 1000)
            for sock in greedy:
                sock.close()


def test_a_byte_now_and_then_restarts_the_idle_timeout() -> None:
    with Server("--tcp", "--idle-timeout", "1", "--log") as server, server.connect() as loris:
        for _ in range(12):  # each pause is shorter than the time-out, all together they are longer
            talk(loris, b"z")
            assert not select.select([loris], [], [], 0.2)[0]
        assert loris.recv(1) == b""  # now it is silent
        ended = server.event("ended")
        assert (ended["received_bytes"], ended["sent_bytes"], ended["ended"]) == (12, 12, "idle")


def test_a_frame_that_trickles_in_is_idle_however_many_bytes_it_sends() -> None:
    frame = Connection().send(Message.of_bytes(bytes(1000)))
    with Server("--tcp", "--framed", "--idle-timeout", "0.6", "--log") as server, server.connect() as loris:
        talked = Connection()
        loris.sendall(frame)
        while not [event for event in talked.receive(loris.recv(65536)) if isinstance(event, Message)]:
            pass
        for position in range(200):
            loris.sendall(frame[position : position + 1])
            if select.select([loris], [], [], 0.05)[0]:
                break
        else:
            raise AssertionError("never ended")
        assert loris.recv(65536) == b""
        assert server.event("ended")["ended"] == "idle"


def test_a_reset_in_the_middle_of_a_message_ends_that_connection_only() -> None:
    frame = Connection().send(Message.of_bytes(bytes(100_000)))
    for options, data in (((), bytes(100_000)), (("--framed",), frame[:50_000])):
        with Server("--tcp", "--log", *options) as server, server.connect() as other:
            for _ in range(20):
                rude = server.connect()
                rude.setblocking(False)
                rude.send(data)
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                rude.close()
                assert server.event("ended")["ended"] in ("reset", "closed")
            if options:
                other.sendall(Connection().send(Message.of_bytes(b"fine")))
                assert b"fine" in other.recv(65536)
            else:
                talk(other, b"fine")
            other.close()
            assert server.event("ended")["ended"] == "closed"
            status, events, err = server.stop()
            assert (status, err, events[-1]["connections"]) == (0, "", 21)


@linux
def test_when_descriptors_run_out_accepting_pauses_and_recovers_without_spinning() -> None:
    with Server("--tcp", prefix=("prlimit", "--nofile=40")) as server:
        pid = server.process.pid
        with server.connect() as early:
            talk(early, b"x")
            waiting = [server.connect() for _ in range(60)]
            assert server.event("accept-paused")["cause"] == "EMFILE"
            talk(early, b"connections that stand go on" * 100)
            used, began = processor_seconds(pid), time.monotonic()
            assert not select.select([waiting[-1]], [], [], 2)[0]  # nobody accepts it
            elapsed = time.monotonic() - began
            assert processor_seconds(pid) - used < elapsed / 4
            for sock in waiting[:40]:
                sock.close()
            assert server.event("accept-resumed")
            for sock in waiting[40:]:
                talk(sock, b"served at last")
                sock.close()
        status, _, err = server.stop()
    assert (status, err) == (0, "")


def test_a_flood_past_the_backlog_is_served_in_the_end() -> None:
    with Server("--tcp", "--backlog", "8") as server:
        flood = []
        for _ in range(300):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((server.listening["host"], server.port))
            flood.append(sock)
        for number, sock in enumerate(flood):
            sock.settimeout(30)  # a SYN that found the queue full is sent again
            assert select.select([], [sock], [], 30)[1]
            talk(sock, b"%d" % number)
            sock.close()
        status, events, err = server.stop()
    assert (status, err, events[-1]["connections"]) == (0, "", 300)


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_sigterm_under_load_loses_no_pending_byte(options: tuple[str, ...]) -> None:
    with Server("--tcp", "--drain-timeout", "20", *options) as server:
        socks = [server.connect() for _ in range(20)]
        sent, got = [0] * len(socks), [0] * len(socks)
        enough, stop = threading.Event(), threading.Event()

        def send(number: int) -> None:
            while not stop.is_set():
                try:
                    sent[number] += socks[number].send(bytes(5000))
                except OSError:
                    return
                if sent[number] > 200_000:
                    enough.set()
            socks[number].shutdown(socket.SHUT_WR)

        def receive(number: int) -> None:
            while data := socks[number].recv(65536):
                got[number] += len(data)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(len(socks)) for work in (send, receive)]
        for thread in threads:
            thread.start()
        assert enough.wait(20)
        server.process.send_signal(signal.SIGTERM)
        server.event("draining")
        stop.set()  # the peers finish what they say
        for thread in threads:
            thread.join(30)
        assert server.process.stdout is not None
        events = [json.loads(line) for line in server.process.stdout]
        assert server.process.wait(30) == 0
        for sock in socks:
            sock.close()
    summary = events[-1]
    assert summary["event"] == "summary"
    assert summary["undelivered_bytes"] == 0
    assert got == sent
    assert summary["received_bytes"] == summary["sent_bytes"] == sum(sent)


@linux
def test_a_worker_that_is_killed_is_replaced_and_the_service_goes_on() -> None:
    with Server("--tcp", "--workers", "2") as server:
        workers = [server.event("worker-started")["pid"] for _ in range(2)]
        for sock in [server.connect() for _ in range(30)]:
            with sock:
                talk(sock, b"before")
        os.kill(workers[0], signal.SIGKILL)
        ended = server.event("worker-ended")
        assert (ended["pid"], ended["cause"]) == (workers[0], "SIGKILL")
        assert server.event("worker-started")["pid"] not in workers
        for sock in [server.connect() for _ in range(30)]:
            with sock:
                talk(sock, b"after")
        status, events, err = server.stop()
    assert (status, err) == (0, "")
    assert events[-1]["worker_restarts"] == 1
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@linux
@pytest.mark.parametrize(
    ("number", "prefix", "cause"),
    [
        (signal.SIGRTMIN + 6, (), f"signal {signal.SIGRTMIN + 6}"),
        (
            signal.SIGKILL,
            # who ignores SIGCHLD never learns how a child ended, and programs inherit what is ignored
            (
                sys.executable,
                "-c",
                "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
                "os.execvp(sys.argv[1], sys.argv[1:])",
            ),
            "unknown",
        ),
    ],
)
def test_a_worker_that_ends_in_an_unusual_way_is_replaced_too(number: int, prefix: tuple[str, ...], cause: str) -> None:
    with Server("--tcp", "--workers", "2", prefix=prefix) as server:
        workers = [server.event("worker-started")["pid"] for _ in range(2)]
        with server.connect() as sock:
            talk(sock, b"before")
        os.kill(workers[0], number)
        assert server.event("worker-ended")["cause"] == cause
        assert server.event("worker-started")["pid"] not in workers
        with server.connect() as sock:
            talk(sock, b"after")
        status, _, err = server.stop()
    assert (status, err) == (0, "")


@linux
def test_a_worker_that_hangs_does_not_hold_up_the_end() -> None:
    with Server("--tcp", "--workers", "2", "--drain-timeout", "0.1") as server:
        worker = [server.event("worker-started")["pid"] for _ in range(2)][1]
        os.kill(worker, signal.SIGSTOP)
        status, events, err = server.stop()
    assert (status, err) == (0, "")
    assert events[-1]["event"] == "summary"
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_process_that_cannot_be_started_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", no_fork, raising=False)
    events: list[ServerEvent] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        supervisor = _Supervisor([[listener]], ServerSettings(), events.append)
        try:
            with pytest.raises(CannotRunError, match="cannot start a process"):
                supervisor._start(supervisor._workers[0])
            worker = supervisor._workers[0]
            worker.started = 1.0  # it ran before
            for _ in range(3):
                supervisor._start(worker)
                assert worker.start_at is not None
            (event,) = events
            assert isinstance(event, WorkerEnded)
            assert "EAGAIN" in event.cause
        finally:
            supervisor._selector.close()
            for end in (supervisor._lifeline, supervisor._lifeline_end):
                os.close(end)
            with supervisor._signals:
                pass


@linux
def test_workers_end_when_their_supervisor_is_killed() -> None:
    with Server("--tcp", "--workers", "2") as server:
        workers = [server.event("worker-started")["pid"] for _ in range(2)]
        server.process.kill()
        server.process.communicate()  # ends when the last one has closed the pipe
    for pid in workers:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
            assert time.monotonic() < deadline, "a worker is left"
            time.sleep(0.05)


def test_garbage_on_a_framed_port_gets_one_error_and_does_no_harm() -> None:
    rng = random.Random(5)
    with Server("--tcp", "--framed") as server:
        for _ in range(300):
            with server.connect() as sock:
                sock.sendall(rng.randbytes(rng.randrange(1, 400)))
                sock.shutdown(socket.SHUT_WR)
                back = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))  # type: ignore[misc]
                replies = list(Connection().receive(back))
                assert len(replies) == 1
        with server.connect() as sock:
            sock.sendall(Connection().send(Message.of_json({"still": "there"})))
            assert b"still" in sock.recv(65536)
        status, events, err = server.stop()
    assert (status, err) == (0, "")
    assert events[-1]["broken_frames"] == 300
