"""``netprobe echo load``: every byte checked, every message accounted for, even if the server stalls or corrupts."""

from __future__ import annotations

import json
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from netprobe.echo.clients import load
from netprobe.echo.clients.connection import PeerAddress
from netprobe.echo.clients.load import Load, LoadFigures, LoadPlan
from netprobe.echo.clients.load_connection import LoadConnection
from netprobe.echo.clients.peer_error import PeerError
from tests.conftest import NETPROBE, Run, clean_environment, run_process
from tests.echo.conftest import Behave, Serve


def loaded(port: int, plan: LoadPlan) -> tuple[LoadFigures, Load]:
    running = Load("127.0.0.1", port, plan)
    for _ in running.run():
        pass
    return running.figures(), running


def record(netprobe: Run, *args: str) -> dict[str, Any]:
    ran = netprobe("echo", "load", *args, "--json")
    assert (ran.status, ran.stderr) == (0, "")
    (found,) = json.loads(ran.stdout)["results"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("more", [(), ("--pipeline", "7"), ("--rate", "5000"), ("--churn",)])
@pytest.mark.parametrize("size", ["1", "64", "100000"])
def test_so_many_messages_come_back_and_no_more(more: tuple[str, ...], size: str, plain_at: str, netprobe: Run) -> None:
    if more == ("--churn",):
        found = record(netprobe, plain_at, "--count", "300", "--size", size, "--churn", "--connections", "9")
        assert (found["mode"], found["connects"]) == ("churn", 300)
    else:
        found = record(netprobe, plain_at, "--count", "300", "--size", size, "--connections", "9", *more)
        assert (found["mode"], found["connects"]) == ("messages", 9)
    assert (found["messages"], found["bytes"]) == (300, 300 * int(size))
    assert (found["unanswered"], found["failures"]) == (0, {})
    latency = found["latency"]
    assert 0 < latency["min_ms"] <= latency["p50_ms"] <= latency["p999_ms"] <= latency["max_ms"]


def test_a_stream_is_whole(plain_at: str, netprobe: Run) -> None:
    found = record(netprobe, plain_at, "--stream", "--duration", "0.3", "--connections", "3")
    assert found["mode"] == "stream"
    assert found["bytes"] > 0
    assert found["bytes"] % 65536 == 0
    assert found["latency"] is None
    assert found["unanswered"] == 0


def test_a_load_is_bounded_in_time_by_default(plain_at: str, netprobe: Run) -> None:
    text = netprobe("echo", "load", "--help").stdout
    assert "default 10;" in " ".join(text.split())
    found = record(netprobe, plain_at, "--duration", "0.2")
    assert found["messages"] > 0


def test_many_connections_are_opened_before_the_clock_starts(plain_at: str) -> None:
    figures, _ = loaded(int(plain_at.partition(":")[2]), LoadPlan(connections=700, count=1400))
    assert (figures.connects, figures.messages, figures.failures) == (700, 1400, {})


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def lying_later(sock: socket.socket) -> None:
    for number in range(10):
        data = sock.recv(65536)
        sock.sendall(data if number < 9 else bytes(len(data)))


def one_byte_too_many(sock: socket.socket) -> None:
    sock.sendall(sock.recv(65536) + b"x")
    sock.recv(1)


def leaving(sock: socket.socket) -> None:
    sock.recv(65536)


@pytest.mark.parametrize("behave", [lying_later, one_byte_too_many, leaving])
def test_a_wrong_byte_ends_the_connection_and_is_reported(behave: Behave, serve: Serve) -> None:
    figures, load = loaded(serve(behave), LoadPlan(connections=3, duration_s=30))
    assert figures.failures == {"wrong-responder": 3}
    assert figures.unanswered == 3
    assert load.failures.first is not None


def test_silence_is_unanswered_after_the_time_out(serve: Serve) -> None:
    done = threading.Event()

    def mute(sock: socket.socket) -> None:
        done.wait(20)

    figures, _ = loaded(serve(mute), LoadPlan(connections=2, duration_s=0.1, timeout_s=0.3))
    done.set()
    assert (figures.messages, figures.unanswered, figures.failures) == (0, 2, {"no-answer": 2})


def test_a_byte_now_and_then_is_no_progress(serve: Serve) -> None:
    def trickle(sock: socket.socket) -> None:
        for byte in sock.recv(65536):
            sock.sendall(bytes([byte]))
            time.sleep(0.05)  # the fault itself

    figures, _ = loaded(serve(trickle), LoadPlan(connections=1, count=1, size=1000, timeout_s=0.5))
    assert (figures.messages, figures.unanswered) == (0, 1)
    assert set(figures.failures) == {"no-answer"}


def test_a_stall_is_felt_by_every_message_that_was_due_meanwhile(serve: Serve) -> None:
    def stalling(sock: socket.socket) -> None:
        data = sock.recv(65536)
        time.sleep(0.6)  # the fault itself
        sock.sendall(data)
        echo(sock)

    plan = LoadPlan(connections=1, duration_s=1.0, rate=100)
    figures, _ = loaded(serve(stalling), plan)
    assert figures.latency is not None
    assert figures.latency.p50_ms > 50  # 60 of the 100 were due while the server slept; a closed loop would see one
    assert figures.messages + figures.not_begun >= 100


def test_what_was_due_and_never_begun_is_counted(serve: Serve) -> None:
    def slow(sock: socket.socket) -> None:
        while data := sock.recv(65536):
            time.sleep(0.05)  # the fault itself
            sock.sendall(data)

    figures, _ = loaded(serve(slow), LoadPlan(connections=1, duration_s=0.5, rate=1000))
    assert figures.not_begun > 400
    assert figures.failures == {}


def test_a_closed_port_is_refused(netprobe: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        for more in ((), ("--churn",)):
            ran = netprobe("echo", "load", f"127.0.0.1:{port}", *more)
            assert ran.status == 1
            assert "refused" in ran.stderr
            assert "hint:" in ran.stderr


def test_ctrl_c_sums_up(plain_at: str) -> None:
    argv = [str(NETPROBE), "echo", "load", plain_at, "--duration", "60", "--json"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        wait_for_load(plain_at)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "netprobe: interrupted\n")
    assert json.loads(out)["results"][0]["connections"] == 10


def wait_for_load(plain_at: str) -> None:
    """Until ten connections to that port stand (proc(5), net/tcp: state 01 is established)."""
    port = f":{int(plain_at.partition(':')[2]):04X}"
    for _ in range(600):
        with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123 (a file of the kernel's)
            rows = [line.split() for line in table]
        if sum(row[3] == "01" and row[2].endswith(port) for row in rows[1:]) >= 10:
            return
        time.sleep(0.05)
    raise AssertionError("no load")


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("--stream", "--churn"), "--stream and --churn"),
        (("--stream", "--rate", "5"), "--stream and --rate"),
        (("--churn", "--pipeline", "2"), "--churn and --pipeline"),
        (("--count", "5", "--duration", "5"), "--count and --duration"),
    ],
)
def test_what_does_not_go_together_is_one_line(args: tuple[str, ...], names: str, netprobe: Run) -> None:
    ran = netprobe("echo", "load", *args)
    assert (ran.status, ran.stdout) == (2, "")
    assert f"{names}: do not go together" in ran.stderr


def address_of(host: str, port: int) -> PeerAddress:
    return PeerAddress(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, host, port, (host, port))


@pytest.mark.parametrize("more", [{"count": 30}, {"count": 30, "churn": True}, {"count": 9, "rate": 99.0}])
def test_a_name_is_asked_at_the_address_that_answers(
    more: dict[str, Any], plain_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = LoadPlan(3, **more)
    port = int(plain_at.rpartition(":")[2])

    def both(*_: object, **__: object) -> list[PeerAddress]:
        return [address_of(host, port) for host in ("127.0.0.9", "127.0.0.1", "127.0.0.8")]

    monkeypatch.setattr(load, "resolve", both)
    figures, done = loaded(port, plan)
    assert (figures.messages, figures.unanswered, figures.failures) == (plan.count, 0, {})
    assert figures.connects == (plan.count if plan.churn else plan.connections)
    assert done.failures.first is None


def test_a_name_whose_addresses_all_refuse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        found = [address_of(f"127.0.0.{n}", port) for n in (1, 2)]
        monkeypatch.setattr(load, "resolve", lambda *_, **__: found)
        with pytest.raises(PeerError, match="refused"):
            loaded(port, LoadPlan(2, count=5))


def test_connections_that_are_done_with_are_not_kept(plain_at: str) -> None:
    _, done = loaded(int(plain_at.rpartition(":")[2]), LoadPlan(4, count=200, churn=True))
    assert (len(done._free), len(done._connections)) == (0, 0)


def test_a_stream_that_comes_back_wrong_is_not_called_whole(serve: Serve, netprobe: Run) -> None:
    def corrupt(sock: socket.socket) -> None:
        while data := sock.recv(65536):
            sock.sendall(bytes(len(data)))

    ran = netprobe("echo", "load", f"127.0.0.1:{serve(corrupt)}", "--stream", "--duration", "0.3", "--connections", "1")
    assert ran.status == 1
    assert "unchanged" not in ran.stdout
    assert "pieces of 64 KiB did not come back" in ran.stdout


def test_where_no_client_port_is_left_it_is_this_host_that_cannot_go_on(plain_at: str) -> None:
    program = (
        "import errno, socket, sys\n"
        "left = [50]\n"
        "class Few(socket.socket):\n"
        "    def connect_ex(self, address):\n"
        "        left[0] -= 1\n"
        "        return super().connect_ex(address) if left[0] >= 0 else errno.EADDRNOTAVAIL\n"
        "socket.socket = Few\n"
        "from netprobe.__main__ import main\n"
        f"sys.exit(main(['echo', 'load', '{plain_at}', '--churn', '--json', '--duration', '5']))\n"
    )
    ran = run_process([sys.executable, "-c", program])
    assert ran.status == 3
    (figures,) = json.loads(ran.stdout)["results"]
    assert (figures["messages"], figures["unanswered"]) == (50, 0)
    assert "no client port is left" in ran.stderr
    assert "net.ipv4.ip_local_port_range" in ran.stderr


def test_too_many_connections_are_an_error_in_the_document_too() -> None:
    command = f'ulimit -n 100; exec "{NETPROBE}" echo load --json --connections 300'
    ran = run_process(["sh", "-c", command])
    assert ran.status == 3
    assert [error["what"] for error in json.loads(ran.stdout)["errors"]] == ["--connections 300"]


def test_messages_that_are_due_when_no_connection_is_left_are_counted(serve: Serve) -> None:
    def once(sock: socket.socket) -> None:
        sock.sendall(sock.recv(65536))

    figures, _ = loaded(serve(once), LoadPlan(2, rate=100, duration_s=1.0))
    assert figures.messages + figures.unanswered + figures.not_begun == 100
    assert figures.not_begun > 50


def test_an_echo_now_and_then_does_not_keep_a_run_going(serve: Serve) -> None:
    """Each echo is progress; at one in a quarter of the time-out 400 messages in flight would take 80 s."""
    ended = threading.Event()

    def hesitates(sock: socket.socket) -> None:
        while (data := sock.recv(1)) and not ended.wait(0.2):
            sock.sendall(data)

    began = time.monotonic()
    plan = LoadPlan(connections=1, count=400, size=1, pipeline=400, timeout_s=0.8)
    figures, _ = loaded(serve(hesitates), plan)
    ended.set()
    assert figures.messages > 0
    assert figures.messages + figures.unanswered == 400
    assert time.monotonic() - began < 40  # half of what it would take


def test_a_handshake_now_and_then_does_not_put_the_start_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each handshake is progress; a listener that takes one connection a moment would be waited for 50 moments."""
    clock = [0.0]

    def finish_connect(self: Load, connection: LoadConnection) -> None:
        clock[0] += 0.9  # of the time-out, which is 1 s
        right(self, connection)

    class OneAtATime(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
            return [one for one in found if not one[0].data.connected][:1]

    right = Load._finish_connect
    monkeypatch.setattr(Load, "_finish_connect", finish_connect)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(selectors, "DefaultSelector", OneAtATime)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        running = Load("127.0.0.1", listener.getsockname()[1], LoadPlan(connections=50, count=1, timeout_s=1.0))
        monkeypatch.setattr(running, "_work", lambda: iter(()))
        for _ in running.run():
            pass
    assert running.connects <= 2
