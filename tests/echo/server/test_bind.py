"""Where a server listens: hosts, families, unix sockets, sockets inherited from systemd, the effective backlog."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from netprobe.echo.server.bind import BindSettings, inherited_sockets, open_sockets
from netprobe.errors import CannotRunError
from tests.conftest import NETPROBE, Run, run_process
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


def test_the_file_of_a_dead_server_is_replaced_and_that_of_a_running_one_is_not(tmp_path: Path, netprobe: Run) -> None:
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
    assert "not a socket" in ran.stderr
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


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_after_the_first_line_ends_the_server_as_usual(
    number: int, options: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "echo"
    for _ in range(5):
        with Server("--unix", str(path), *options) as server:
            status, events, err = server.stop(number)
        assert (status, err, events[-1]["event"]) == (0, "", "summary")
        assert not path.exists()


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_successor_keeps_its_file_when_the_one_before_has_drained(options: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "echo"
    with Server("--unix", str(path), "--drain-timeout", "60", *options) as before, socket.socket(socket.AF_UNIX) as old:
        old.connect(str(path))
        assert echoed(old) == b"hello"
        old.setblocking(False)
        while select.select([], [old], [], 0.5)[1]:  # until the server has more pending than we take
            old.send(bytes(65536))
        before.process.send_signal(signal.SIGTERM)
        before.event("draining")
        with Server("--unix", str(path)):
            old.close()
            assert before.process.wait(20) == 0
            with socket.socket(socket.AF_UNIX) as new:
                new.connect(str(path))
                assert echoed(new) == b"hello"


def test_a_file_that_somebody_else_put_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "echo"
    with Server("--unix", str(path)) as server:
        path.unlink()
        path.write_text("mine")
        server.stop()
    assert path.read_text() == "mine"


def test_the_effective_backlog_is_reported() -> None:
    somaxconn = Path("/proc/sys/net/core/somaxconn")
    if not somaxconn.exists():
        pytest.skip("only Linux shows it")
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


def test_a_limit_that_nobody_waits_for_is_not_reported() -> None:
    with Server("--tcp", "--max-connections", "1", "--log") as server:
        for _ in range(20):
            with server.connect() as sock:
                assert echoed(sock) == b"hello"
            assert server.event("ended", "accept-paused")["event"] == "ended"
        status, events, _ = server.stop()
    assert (status, [event["event"] for event in events]) == (0, ["draining", "summary"])


def test_two_listeners_pause_once() -> None:
    with Server("--tcp", "--host", "127.0.0.1", "--host", "127.0.0.2", "--max-connections", "1") as server:
        listening(server, 2)
        with server.connect() as only:
            assert echoed(only) == b"hello"
            server.process.send_signal(signal.SIGSTOP)  # both are ready in the same look
            waiting = [socket.create_connection((host, server.port), 10) for host in ("127.0.0.1", "127.0.0.2")]
            server.process.send_signal(signal.SIGCONT)
            assert server.event("accept-paused")["connections"] == 1
            only.close()
            assert server.event("accept-paused", "accept-resumed")["event"] == "accept-resumed"
        for sock in waiting:
            sock.close()


def test_more_sockets_than_select_can_watch() -> None:
    hosts = [option for number in range(1, 27) for option in ("--host", f"127.0.0.{number}")]
    with Server(*hosts, "--workers", "20", prefix=("prlimit", "--nofile=4096")) as server:
        for _ in range(20):
            server.event("worker-started")
        with server.connect() as sock:
            assert echoed(sock) == b"hello"
        status, _, err = server.stop()
    assert (status, err) == (0, "")


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


HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_sockets_from_systemd_replace_host_and_port() -> None:
    prefix = (sys.executable, "-c", ACTIVATE, "tcp,udp")
    with Server("--port", "1", prefix=prefix) as server:  # port 1 needs root for most of us
        tcp, udp = listening(server, 2)
        assert (tcp["protocol"], udp["protocol"]) == ("tcp", "udp")
        with socket.create_connection(("127.0.0.1", tcp["port"]), 10) as sock:
            assert echoed(sock) == b"hello"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", udp["port"]))
            sock.settimeout(10)
            sock.send(b"early")  # its destination is unknown if the server has not started yet
            assert echoed(sock) in (b"early", b"hello")
        status, _, err = server.stop()
    assert (status, err) == (0, "")


def test_what_is_not_a_listening_socket_is_refused() -> None:
    assert inherited_sockets({}) == []
    assert inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    program = (
        "import os; r, w = os.pipe(); os.dup2(r, 3)\n"
        "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}\n"
        "from netprobe.echo.server.bind import inherited_sockets\n"
        "inherited_sockets(os.environ)\n"
    )
    ran = run_process([sys.executable, "-c", program])
    assert "CannotRunError: LISTEN_FDS: descriptor 3: is not a socket (ENOTSOCK)" in ran.stderr


def own(**variables: str) -> dict[str, str]:
    """Variables for this process."""
    return {"LISTEN_PID": str(os.getpid()), **variables}


@pytest.mark.parametrize(
    "number", ["", "0", "-1", "+1", " 1", "1 ", "01", "1.0", "1e3", "1\n", "\u0663", "\u00b2", "9" * 5000]
)
def test_the_number_of_sockets_is_digits_and_nothing_else(number: str) -> None:
    with pytest.raises(CannotRunError, match="LISTEN_FDS: is not a positive whole number"):
        inherited_sockets(own(LISTEN_FDS=number))


@pytest.mark.parametrize("pid", ["", "me", "-1", "\u0663", "1" * 5000])
def test_the_process_is_digits_and_nothing_else(pid: str) -> None:
    with pytest.raises(CannotRunError, match="LISTEN_PID: is not a positive whole number"):
        inherited_sockets({"LISTEN_PID": pid, "LISTEN_FDS": "1"})


@pytest.mark.parametrize("names", ["", "one:two:three", "one"])
def test_there_are_as_many_names_as_sockets(names: str) -> None:
    with pytest.raises(CannotRunError, match="LISTEN_FDNAMES"):
        inherited_sockets(own(LISTEN_FDS="2", LISTEN_FDNAMES=names))


def test_the_variables_are_gone_once_read() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a", "LISTEN_PIDFDID": "7", "HOME": "/"}
    assert inherited_sockets(environ) == []
    assert environ == {"HOME": "/"}


UNFIT = """
import os, socket, sys
from netprobe.echo.server.bind import inherited_sockets
made = {
    "unbound": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "connected": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "not listening": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "unix datagrams": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    "packets": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0),
}[sys.argv[1]]()
if sys.argv[1] == "connected":
    made.connect(("127.0.0.1", 9))
good = socket.create_server(("127.0.0.1", 0))
held = os.dup(good.fileno()), os.dup(made.fileno())
os.dup2(held[0], 3)
os.dup2(held[1], 4)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
inherited_sockets(os.environ)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="makes sockets that only Linux has")
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("unbound", "is a datagram socket that is not bound to a port"),
        ("connected", "is connected to one peer"),
        ("not listening", "is neither a listening stream nor a datagram socket"),
        ("unix datagrams", "unix datagram sockets are not supported, only UDP"),
        ("packets", "is neither a listening stream nor a datagram socket"),
        ("netlink", "is a datagram socket but not UDP"),
    ],
)
def test_a_socket_that_cannot_be_served_is_named(kind: str, why: str) -> None:
    ran = run_process([sys.executable, "-c", UNFIT, kind])
    assert f"CannotRunError: LISTEN_FDS: descriptor 4: {why}" in ran.stderr


def test_a_descriptor_that_is_not_open_is_named_by_its_number() -> None:
    program = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "{NETPROBE}" echo serve 3>&-'
    ran = run_process(["sh", "-c", program])
    assert ran.status == 3
    assert ran.stderr == "netprobe: LISTEN_FDS: descriptor 3: is not a socket (EBADF)\n"


def test_a_server_whose_listener_was_shut_down_reports_it_and_still_drains() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        prefix = (sys.executable, "-c", HAND_OVER, str(owner.fileno()))
        with Server(prefix=prefix, pass_fds=(owner.fileno(),)) as server, server.connect() as sock:
            assert echoed(sock) == b"hello"
            owner.shutdown(socket.SHUT_RDWR)
            assert server.event("accept-paused")["cause"] == "EINVAL"
            assert echoed(sock) == b"hello"
            sock.close()
            status, _, err = server.stop()
    assert (status, err) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shuts down a datagram socket without a peer")
def test_a_datagram_socket_that_was_shut_down_is_reported_and_closed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as owner:
        owner.bind(("127.0.0.1", 0))
        prefix = (sys.executable, "-c", HAND_OVER, str(owner.fileno()))
        with Server(prefix=prefix, pass_fds=(owner.fileno(),)) as server:
            with suppress(OSError):  # ENOTCONN, and it is shut down all the same
                owner.shutdown(socket.SHUT_RDWR)
            assert server.event("accept-paused", "summary")["cause"] == "EINVAL"
            status, _, err = server.stop()
    assert (status, err) == (0, "")


def test_every_worker_has_sockets_of_its_own_on_the_same_port() -> None:
    sets = open_sockets(BindSettings(port=0, workers=3))
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
        open_sockets(BindSettings(hosts=("127.0.0.1", "203.0.113.1"), port=0))
    assert len(list(own.iterdir())) == before


@pytest.mark.parametrize(
    ("args", "status", "why"),
    [
        (("--host", ""), 2, "is empty"),
        (("--unix", ""), 2, "is empty"),
        (("--port", "0", "--host", "0.0.0.0", "--host", "127.0.0.1"), 2, "shares addresses with --addr 0.0.0.0"),
        (("--port", "0", "--host", "127.0.0.1", "--host", "0.0.0.0"), 2, "shares addresses with --addr 127.0.0.1"),
        (("--port", "0", "--host", "::ffff:127.0.0.1"), 3, "--addr 127.0.0.1"),
        (("--port", "0", "--host", "fe80::1"), 3, "fe80::1%eth0"),
        (("--drain-timeout", "inf"), 2, "not a finite number"),
        (("--idle-timeout", "nan"), 2, "not a finite number"),
        (("--rate", "nan"), 2, "not a finite number"),
        (("--host", "no such name"), 3, "does not resolve"),
        (("--port", "65536"), 2, "65536"),
        (("--unix", "/nowhere/at/all"), 3, "No such file"),
        (("--workers", "0"), 2, "0"),
    ],
)
def test_a_bind_that_fails_is_one_line(args: tuple[str, ...], status: int, why: str, netprobe: Run) -> None:
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
