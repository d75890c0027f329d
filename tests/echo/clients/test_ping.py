"""Ping against peers that are slow, rude or wrong, and its figures."""

from __future__ import annotations

import socket
import struct
import sys
import time
from itertools import pairwise

import pytest

from netprobe.echo.clients.peer_error import PeerError
from netprobe.echo.clients.ping import Ping, Prober, Reply, RoundTrip, Stray
from netprobe.echo.clients.tcp_ping import HandshakeProber, TcpProber
from netprobe.echo.clients.trials import Trials
from netprobe.verdicts import Verdict
from tests.echo.conftest import Behave, Serve


def ping_of(prober: Prober, count: int = 1) -> Ping:
    return Ping(prober, "127.0.0.1", 9, count=count, interval_s=0, size=64)


def one(port: int, size: int = 64, timeout_s: float = 5.0) -> Reply:
    (reply,) = ping_of(TcpProber("127.0.0.1", port, size=size, timeout_s=timeout_s)).replies()
    return reply


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


@pytest.mark.parametrize("size", [1, 64, 32 * 1024, 32 * 1024 + 1, 16 * 1024 * 1024])
def test_a_message_of_any_size_comes_back_from_a_server_that_blocks_while_it_sends(size: int, serve: Serve) -> None:
    assert one(serve(echo), size=size, timeout_s=30).verdict == "reachable"


def silent(sock: socket.socket) -> None:
    sock.recv(1 << 20)
    sock.recv(1)


def dripping(sock: socket.socket) -> None:
    data = sock.recv(65536)
    for position in range(len(data)):
        sock.sendall(data[position : position + 1])
        sock.settimeout(0.2)
        try:
            if not sock.recv(1):
                return
        except TimeoutError:
            continue


@pytest.mark.parametrize("behave", [silent, dripping])
def test_the_time_out_is_for_the_whole_message(behave: Behave, serve: Serve) -> None:
    reply = one(serve(behave), timeout_s=0.5)
    assert (reply.verdict, reply.rtt_ms) == ("no-answer", None)


def wrong(sock: socket.socket) -> None:
    sock.sendall(bytes(len(sock.recv(65536))))


def more(sock: socket.socket) -> None:
    sock.sendall(sock.recv(65536) + b"more")
    sock.recv(1)


def half(sock: socket.socket) -> None:
    sock.sendall(sock.recv(65536)[:30])
    sock.shutdown(socket.SHUT_WR)
    sock.recv(1)


@pytest.mark.parametrize("behave", [wrong, more, half])
def test_what_is_no_echo_is_a_wrong_responder(behave: Behave, serve: Serve) -> None:
    assert one(serve(behave)).verdict == "wrong-responder"


def resetting(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_reset_in_the_middle_is_no_echo_and_the_next_message_gets_a_new_connection(serve: Serve) -> None:
    port = serve(resetting)
    ping = ping_of(TcpProber("127.0.0.1", port, size=64, timeout_s=5), count=2)
    assert [reply.rtt_ms for reply in ping.replies()] == [None, None]
    assert ping.statistics().loss_percent == 100


def test_the_kernels_figures_of_a_connection_are_in_the_statistics(serve: Serve) -> None:
    ping = ping_of(TcpProber("127.0.0.1", serve(echo), size=64, timeout_s=5), count=5)
    assert all(reply.verdict == "reachable" for reply in ping.replies())
    kernel = ping.statistics().kernel
    if not sys.platform.startswith("linux"):
        pytest.skip("TCP_INFO is read on Linux only")
    assert kernel is not None
    assert kernel.source == "TCP_INFO"
    assert kernel.min_ms is not None
    assert 0 < kernel.min_ms < 5000
    assert kernel.retransmits == 0


def closing(sock: socket.socket) -> None:
    del sock


def test_a_handshake_needs_no_echo_server(serve: Serve) -> None:
    ping = ping_of(HandshakeProber("127.0.0.1", serve(closing), timeout_s=5), count=3)
    assert [reply.verdict for reply in ping.replies()] == ["reachable"] * 3
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        (reply,) = ping_of(HandshakeProber("127.0.0.1", port, timeout_s=5)).replies()
    assert reply.verdict == "refused"


def test_a_handshake_that_nobody_answers_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        (reply,) = ping_of(HandshakeProber("127.0.0.1", full.getsockname()[1], timeout_s=0.3)).replies()
    assert (reply.verdict, reply.rtt_ms) == ("no-answer", None)


class Slow:
    """Prober of which the second takes a second."""

    protocol = "test"

    def __init__(self) -> None:
        self.trials = Trials()
        self.begun: list[float] = []

    def round_trip(self, sequence: int) -> RoundTrip:
        self.begun.append(time.monotonic())
        if sequence == 2:
            time.sleep(1)
            raise PeerError("there", Verdict.NO_ANSWER, "silence")
        return RoundTrip(1000)

    def strays(self) -> list[Stray]:
        return []

    def kernel(self) -> None:
        return None

    def close(self) -> None:
        pass


def test_the_interval_is_kept_after_a_loss() -> None:
    slow = Slow()
    list(Ping(slow, "127.0.0.1", 9, count=5, interval_s=0.2, size=64).replies())
    apart = [after - before for before, after in pairwise(slow.begun)]
    assert min(apart) >= 0.19
