"""``netprobe echo`` as it is used: real processes, real sockets."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from rich.text import Text

from tests.conftest import NETPROBE, Run, run_in_terminal
from tests.echo.running import Server


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.process.kill()
    running.process.communicate()


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def test_the_first_line_is_the_listening_event(server: Server) -> None:
    assert server.listening["event"] == "listening"
    assert server.listening["protocol"] == "tcp"
    assert server.listening["host"] == "127.0.0.1"
    assert server.listening["port"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_prints_the_summary_and_is_success(server: Server, number: int) -> None:
    with server.connect() as sock:
        sock.sendall(b"x" * 1000)
        assert len(sock.recv(1000, socket.MSG_WAITALL)) == 1000
        status, events, err = server.stop(number)
    assert (status, err) == (0, "")
    assert events[-1]["event"] == "summary"
    assert events[-1]["sent_bytes"] == events[-1]["received_bytes"] == 1000


def test_a_second_signal_ends_a_drain_at_once() -> None:
    running = Server("--tcp", "--drain-timeout", "600")
    try:
        with running.connect() as sock:
            sock.setblocking(False)
            while select.select([], [sock], [], 0.5)[1]:  # until the server has more pending than we take
                sock.send(b"x" * 65536)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.stdout is not None
            while json.loads(running.process.stdout.readline())["event"] != "draining":
                pass
            status, _, err = running.stop(signal.SIGTERM)
        assert (status, err) == (130, "netprobe: interrupted\n")
    finally:
        running.process.kill()
        running.process.communicate()


def test_a_port_below_1024_names_the_port_and_a_remedy(netprobe: Run) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(self, address): raise PermissionError(13, 'Permission denied')\n"
        "socket.socket = type('socket', (socket.socket,), {'bind': refuse})\n"
        "from netprobe.__main__ import main\n"
        "sys.exit(main(['echo', 'serve', '--tcp', '--port', '80']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert "80" in done.stderr
    assert "1024" in done.stderr.partition("hint:")[2]


def test_every_byte_comes_back_after_a_half_close(server: Server) -> None:
    data = os.urandom(3_000_000)
    with server.connect() as sock:
        pid = os.fork()
        if pid == 0:  # a second process sends, so that neither side's buffers can lock the other up
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            os._exit(0)
        back = read_all(sock)
        os.waitpid(pid, 0)
    assert back == data


def test_a_peer_that_reads_late_loses_nothing(server: Server) -> None:
    with server.connect() as sock:
        sock.setblocking(False)
        sent = 0
        chunk = b"0123456789abcdef" * 4096
        while True:  # until back-pressure stops us
            try:
                sent += sock.send(chunk[sent % 16 :])
            except BlockingIOError:
                if not select.select([], [sock], [], 0.5)[1]:
                    break
        sock.setblocking(True)
        sock.settimeout(20)
        sock.shutdown(socket.SHUT_WR)
        back = read_all(sock)
    assert len(back) == sent


def test_many_connections_are_served_at_once(server: Server) -> None:
    socks = [server.connect() for _ in range(200)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%05d" % number)
    assert [sock.recv(5, socket.MSG_WAITALL) for sock in socks] == [b"%05d" % number for number in range(200)]
    for sock in socks:
        sock.close()


def test_send_prints_what_came_back(server: Server, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "Hello, world", "--to", f"127.0.0.1:{server.port}")
    assert (ran.status, ran.stdout, ran.stderr) == (0, "Hello, world\n", "")


def test_ping_prints_a_line_a_message_and_a_summary(server: Server, netprobe: Run) -> None:
    ran = netprobe("echo", "ping", f"127.0.0.1:{server.port}", "--count", "3", "--interval", "0")
    assert ran.status == 0
    lines = ran.stdout.splitlines()
    assert [f"seq={n}" in line for n, line in enumerate(lines[:3], 1)] == [True] * 3
    assert "0% lost" in ran.stdout
    assert "rtt p50 " in ran.stdout  # three replies have no p90


def test_ping_of_a_closed_port_names_it_and_exits_1(netprobe: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ran = netprobe("echo", "ping", f"127.0.0.1:{closed.getsockname()[1]}", "--count", "1")
    assert ran.status == 1
    assert "refused" in ran.stdout


def test_a_taken_port_is_named(server: Server, netprobe: Run) -> None:
    ran = netprobe("echo", "serve", "--port", str(server.port))
    assert (ran.status, ran.stdout) == (3, "")
    assert f"port {server.port}" in ran.stderr
    assert "hint:" in ran.stderr


@pytest.mark.parametrize("command", [["ping", "--count", "2", "--interval", "0", "--framed"], ["load", "--count", "9"]])
def test_in_a_narrow_terminal_lines_are_broken_between_words(command: list[str], framed_at: str, plain_at: str) -> None:
    where = framed_at if "--framed" in command else plain_at
    ran = run_in_terminal([str(NETPROBE), "echo", command[0], where, *command[1:]], 40)
    assert ran.status == 0
    assert max(len(Text.from_ansi(line).plain) for line in ran.stdout.splitlines()) <= 40
    assert "\n  " in ran.stdout  # what goes on is indented
