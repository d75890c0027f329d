"""Where a server listens: hosts, families, unix sockets, what systemd hands over, and what the kernel makes of it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from netprobe.echo.server.listening import Wanted, handed_over, open_sockets
from netprobe.errors import CannotRunError
from tests.conftest import Run, run_process
from tests.echo.running import Server

has_ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")


def listening(server: Server, number: int) -> list[dict[str, Any]]:
    """The first ``number`` listening events."""
    return [server.listening, *(server.event("listening") for _ in range(number - 1))]


def echoed(sock: socket.socket, data: bytes = b"hello") -> bytes:
    sock.settimeout(10)
    sock.send(data)
    return sock.recv(100)


@has_ipv6
def test_tcp_and_udp_of_all_hosts_share_one_port() -> None:
    with Server("--host", "127.0.0.1", "--host", "127.0.0.2", "--host", "::1") as server:
        found = listening(server, 6)
        assert len({event["port"] for event in found}) == 1
        assert {(event["protocol"], event["host"]) for event in found} == {
            (protocol, host) for protocol in ("tcp", "udp") for host in ("127.0.0.1", "127.0.0.2", "::1")
        }
        for event in found:
            family = socket.AF_INET6 if ":" in event["host"] else socket.AF_INET
            kind = socket.SOCK_STREAM if event["protocol"] == "tcp" else socket.SOCK_DGRAM
            with socket.socket(family, kind) as sock:
                sock.connect((event["host"], event["port"]))
                assert echoed(sock) == b"hello"


@has_ipv6
def test_both_wildcards_stand_side_by_side() -> None:
    with Server("--tcp", "--host", "0.0.0.0", "--host", "::") as server:
        listening(server, 2)
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, server.port), 10) as sock:
                assert echoed(sock) == b"hello"


def test_nothing_is_exposed_unless_asked() -> None:
    with Server() as server:
        assert {event["host"] for event in listening(server, 2)} == {"127.0.0.1"}


def test_a_unix_socket_echoes_and_its_file_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "echo"
    with Server("--unix", str(path), "--log") as server:
        assert (server.listening["protocol"], server.listening["host"]) == ("unix", str(path))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            assert echoed(sock) == b"hello"
        assert server.event("ended")["protocol"] == "unix"
        status, _, err = server.stop()
    assert (status, err) == (0, "")
    assert not path.exists()


def test_the_file_of_a_dead_server_is_taken_over_and_that_of_a_living_one_is_not(tmp_path: Path, netprobe: Run) -> None:
    path = tmp_path / "echo"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Server("--unix", str(path)):
        ran = netprobe("echo", "serve", "--unix", str(path))
        assert (ran.status, ran.stdout) == (3, "")
        assert "something listens there" in ran.stderr
    (tmp_path / "file").write_text("mine")
    ran = netprobe("echo", "serve", "--unix", str(tmp_path / "file"))
    assert ran.status == 3
    assert "no socket" in ran.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_server_with_a_full_backlog_is_not_waited_for(tmp_path: Path, netprobe: Run) -> None:
    path = str(tmp_path / "echo")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(path)
        busy.listen(0)
        first.connect(path)
        ran = netprobe("echo", "serve", "--unix", path)
    assert ran.status == 3
    assert "something listens there" in ran.stderr


def test_the_effective_backlog_is_told() -> None:
    somaxconn = Path("/proc/sys/net/core/somaxconn")
    if not somaxconn.exists():
        pytest.skip("only Linux tells it")
    most = int(somaxconn.read_text())
    with Server("--tcp", "--backlog", "7") as server:
        assert (server.listening["backlog"], server.listening["backlog_asked"]) == (7, 7)
    with Server("--tcp", "--backlog", str(most + 1000)) as server:
        assert (server.listening["backlog"], server.listening["backlog_asked"]) == (most, most + 1000)


def test_no_more_than_max_connections_are_taken_and_the_rest_waits() -> None:
    with Server("--tcp", "--max-connections", "2") as server:
        socks = [server.connect() for _ in range(4)]
        for sock in socks:
            sock.sendall(b"x")
        for sock in socks[:2]:
            assert sock.recv(1) == b"x"
        assert server.event("accept-paused")["cause"] == "max-connections"
        for sock in socks[:2]:
            sock.close()
        for sock in socks[2:]:
            assert sock.recv(1) == b"x"
            sock.close()


ACTIVATE = """
import os, socket, sys
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
socks = []
for name in sys.argv[1].split(","):
    sock = socket.socket(socket.AF_INET, kinds[name])
    sock.bind(("127.0.0.1", 0))
    if name == "tcp":
        sock.listen()
    socks.append(sock)
held = [os.dup(sock.fileno()) for sock in socks]
for fd, target in zip(held, range(3, 3 + len(held))):
    os.dup2(fd, target, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(held))}
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_what_systemd_hands_over_takes_the_place_of_host_and_port() -> None:
    prefix = (sys.executable, "-c", ACTIVATE, "tcp,udp")
    with Server("--port", "1", prefix=prefix) as server:  # port 1 would be refused to most of us
        tcp, udp = listening(server, 2)
        assert (tcp["protocol"], udp["protocol"]) == ("tcp", "udp")
        with socket.create_connection(("127.0.0.1", tcp["port"]), 10) as sock:
            assert echoed(sock) == b"hello"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", udp["port"]))
            sock.settimeout(10)
            sock.send(b"early")  # nobody asked the kernel for its destination, if the server is not there yet
            assert echoed(sock) in (b"early", b"hello")
        status, _, err = server.stop()
    assert (status, err) == (0, "")


def test_what_is_no_listening_socket_is_refused() -> None:
    assert handed_over({}) == []
    assert handed_over({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    program = (
        "import os; r, w = os.pipe(); os.dup2(r, 3)\n"
        "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}\n"
        "from netprobe.echo.server.listening import handed_over\n"
        "handed_over(os.environ)\n"
    )
    ran = run_process([sys.executable, "-c", program])
    assert "CannotRunError: LISTEN_FDS: descriptor 3: is no socket (ENOTSOCK)" in ran.stderr


def test_every_worker_has_sockets_of_its_own_on_the_same_port() -> None:
    sets = open_sockets(Wanted(port=0, workers=3))
    names = [[sock.getsockname() for sock in own] for own in sets]
    for own in sets:
        for sock in own:
            sock.close()
    assert names[0] == names[1] == names[2]
    assert len(sets) == 3


def test_no_socket_stays_open_when_one_cannot_be_opened() -> None:
    own = Path("/proc/self/fd")
    if not own.exists():
        pytest.skip("counts in /proc")
    before = len(list(own.iterdir()))
    with pytest.raises(CannotRunError, match="no interface of this host"):
        open_sockets(Wanted(hosts=("127.0.0.1", "203.0.113.1"), port=0))
    assert len(list(own.iterdir())) == before


@pytest.mark.parametrize(
    ("args", "status", "why"),
    [
        (("--host", ""), 2, "is empty"),
        (("--host", "no such name"), 3, "does not resolve"),
        (("--port", "65536"), 2, "65536"),
        (("--unix", "/nowhere/at/all"), 3, "No such file"),
        (("--workers", "0"), 2, "0"),
    ],
)
def test_where_nobody_can_listen_is_one_line(args: tuple[str, ...], status: int, why: str, netprobe: Run) -> None:
    ran = netprobe("echo", "serve", *args)
    assert (ran.status, ran.stdout) == (status, "")
    assert why in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_log_names_peer_bytes_duration_and_end() -> None:
    with Server("--tcp", "--log") as server:
        with server.connect() as sock:
            port = sock.getsockname()[1]
            sock.sendall(b"12345")
            assert sock.recv(10) == b"12345"
        ended = server.event("ended")
    assert (ended["peer"], ended["peer_port"], ended["ended"]) == ("127.0.0.1", port, "closed")
    assert (ended["received_bytes"], ended["sent_bytes"]) == (5, 5)
    assert ended["duration_ms"] > 0
