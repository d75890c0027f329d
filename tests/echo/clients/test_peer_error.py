"""Why nothing came back: who said no, what had come back before, and whom a client may meet in place of a server."""

from __future__ import annotations

import socket
import struct

import pytest

from netprobe.echo.clients.ping import Ping, Reply
from netprobe.echo.clients.tcp_ping import TcpProber
from tests.conftest import NETPROBE
from tests.echo.conftest import Serve
from tests.lab.conftest import BuildLab, lab
from tests.lab.network import Host

__all__ = ["lab"]

REJECTING = """table inet t {{ chain c {{
    type filter hook {hook} priority 0;
    th dport 6001 reject
    th dport 6003 reject with icmpx host-unreachable
}}; }}"""


def asked(host: Host, *options: str) -> str:
    """The first line of a ping with one message."""
    return host.run(str(NETPROBE), "echo", "ping", "--count", "1", *options, check=False).stdout.splitlines()[0]


@pytest.mark.lab
@pytest.mark.parametrize("address", ["192.168.0.1", "[fd00:a::1]"])
def test_a_rejection_that_came_is_no_silence(address: str, lab: BuildLab) -> None:
    network = lab("failures")
    network["pc1"].run("nft", "-f", "-", input=REJECTING.format(hook="input"))
    line = asked(network["pc2"], "--timeout", "0.5", f"{address}:6001")
    assert f"rejected: port unreachable from {address.strip('[]')}: a firewall rejects it" in line


@pytest.mark.lab
@pytest.mark.parametrize("options", [("--timeout", "0.5"), ("--timeout", "5"), ("--timeout", "5", "--udp")])
@pytest.mark.parametrize(("port", "word"), [(6001, "port unreachable"), (6003, "host unreachable")])
def test_the_own_firewall_is_named_as_such(port: int, word: str, options: tuple[str, ...], lab: BuildLab) -> None:
    network = lab("failures")
    network["pc2"].run("nft", "-f", "-", input=REJECTING.format(hook="output"))
    line = asked(network["pc2"], *options, f"192.168.0.1:{port}")
    assert f"rejected: {word} from 192.168.0.2" in line
    assert "this vantage: its own firewall rejects it" in line


@pytest.mark.lab
@pytest.mark.parametrize("how", ["--tcp", "--udp"])
def test_a_dead_host_on_the_link_is_no_word_of_a_router(how: str, lab: BuildLab) -> None:
    line = asked(lab("failures")["pc2"], how, "--timeout", "8", "192.168.0.77:9")
    assert "unreachable: no neighbour: nobody on the link answers for 192.168.0.77" in line


@pytest.mark.lab
@pytest.mark.parametrize("how", ["--tcp", "--udp", "--connect-only"])
def test_a_neighbour_that_is_given_up_during_a_later_message_is_no_firewall(how: str, lab: BuildLab) -> None:
    options = (how, "--timeout", "0.7", "--count", "5", "--interval", "1", "192.168.0.77:9")
    ran = lab("failures")["pc2"].run(str(NETPROBE), "echo", "ping", *options, check=False)
    told = [line for line in ran.stdout.splitlines() if "seq=" in line and "silence" not in line]
    assert all("unreachable: no neighbour" in line for line in told), told
    assert told


@pytest.mark.lab
def test_the_load_of_a_dead_neighbour_is_no_word_of_a_firewall(lab: BuildLab) -> None:
    options = ("--count", "1", "--timeout", "8", "192.168.0.77:9")
    ran = lab("failures")["pc2"].run(str(NETPROBE), "echo", "load", *options, check=False)
    assert "unreachable: no neighbour" in ran.stderr


@pytest.mark.lab
def test_the_load_of_the_own_firewall_is_named_as_such_too(lab: BuildLab) -> None:
    network = lab("failures")
    network["pc2"].run("nft", "-f", "-", input=REJECTING.format(hook="output"))
    ran = network["pc2"].run(str(NETPROBE), "echo", "load", "--count", "1", "192.168.0.1:6001", check=False)
    assert "this vantage: its own firewall rejects it" in ran.stderr


@pytest.mark.lab
def test_a_client_that_connected_to_itself_has_found_no_echo_server(lab: BuildLab) -> None:
    ports = {"net.ipv4.ip_local_port_range": "40000 40001"}
    host = lab({"hosts": {"only": {"sysctl": ports}}})["only"]
    lines = {asked(host, how, "127.0.0.1:40000") for how in ("--tcp", "--udp") for _ in range(12)}
    assert all(" refused: " in line for line in lines)
    assert any("connected to itself" in line for line in lines)
    met = lab({"hosts": {"only": {"sysctl": ports}}})["only"]
    loads = [met.run(str(NETPROBE), "echo", "load", "--count", "1", "127.0.0.1:40000", check=False) for _ in range(8)]
    assert all(": refused: " in ran.stderr for ran in loads)
    assert any("connected to itself" in ran.stderr for ran in loads)


def replies_of(port: int, count: int = 4) -> list[Reply]:
    prober = TcpProber("127.0.0.1", port, size=64, timeout_s=0.5)
    return list(Ping(prober, "127.0.0.1", port, count=count, interval_s=0, size=64).replies())


def echo_thrice(sock: socket.socket) -> None:
    for _ in range(3):
        sock.sendall(sock.recv(65536))
    sock.recv(65536)


def closing(sock: socket.socket) -> None:
    echo_thrice(sock)


def resetting(sock: socket.socket) -> None:
    echo_thrice(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def falling_silent(sock: socket.socket) -> None:
    echo_thrice(sock)
    sock.recv(1)


@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (closing, "closed after 3 messages had come back"),
        (resetting, "reset after 3 messages had come back"),
        (falling_silent, "silence for 0.5 s after 3 messages had come back"),
    ],
)
def test_a_server_that_stops_was_one(behave: object, cause: str, serve: Serve) -> None:
    *good, last = replies_of(serve(behave))  # type: ignore[arg-type]
    assert [reply.verdict for reply in good] == ["reachable"] * 3
    assert (last.verdict, last.cause) == ("no-answer", cause)
