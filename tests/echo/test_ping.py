"""Ping against peers that are slow, rude or wrong, and its figures."""

from __future__ import annotations

import socket
import struct
import sys
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from netprobe.echo.clients.framed_trips import FramedTrips
from netprobe.echo.clients.peer_errors import PeerError
from netprobe.echo.clients.ping import Ping, Reply
from netprobe.echo.clients.statistics import percentile, summarise
from netprobe.echo.clients.trips import ConnectTrips, Stray, StreamTrips, Trip, Trips
from netprobe.echo.framing import Closed, Connection, Message, RemoteProtocolError, error_message
from netprobe.echo.messages import Json
from netprobe.verdicts import Verdict
from tests.echo.conftest import Behave, Serve


def ping_of(trips: Trips, count: int = 1) -> Ping:
    return Ping(trips, "127.0.0.1", 9, count=count, interval_s=0, size=64)


def one(port: int, size: int = 64, timeout_s: float = 5.0) -> Reply:
    (reply,) = ping_of(StreamTrips("127.0.0.1", port, size=size, timeout_s=timeout_s)).replies()
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
    ping = ping_of(StreamTrips("127.0.0.1", port, size=64, timeout_s=5), count=2)
    assert [reply.rtt_ms for reply in ping.replies()] == [None, None]
    assert ping.summary().loss_percent == 100


def test_percentiles_are_by_nearest_rank_and_exact() -> None:
    assert percentile(range(1, 1001), 99.9) == 999
    assert percentile(range(1, 101), 99) == 99
    assert percentile([5.0], 50) == 5.0
    assert percentile([1.0, 2.0], 50) == 1.0


def test_a_summary_counts_what_was_lost() -> None:
    figures = summarise(4, [1.0, 3.0, 2.0])
    assert (figures.sent, figures.received, figures.loss_percent) == (4, 3, 25.0)
    assert (figures.min_ms, figures.mean_ms, figures.max_ms) == (1.0, 2.0, 3.0)
    assert figures.jitter_ms == round(2 / 16 + (1 - 2 / 16) / 16, 4)  # RFC 3550 section 6.4.1


def test_the_highest_percentiles_need_many_messages() -> None:
    figures = summarise(2000, [float(n) for n in range(2000)])
    assert (figures.p99_ms, figures.p999_ms, figures.max_ms) == (1979.0, 1997.0, 1999.0)


def test_the_kernels_figures_of_a_connection_are_told(serve: Serve) -> None:
    ping = ping_of(StreamTrips("127.0.0.1", serve(echo), size=64, timeout_s=5), count=5)
    assert all(reply.verdict == "reachable" for reply in ping.replies())
    kernel = ping.summary().kernel
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
    ping = ping_of(ConnectTrips("127.0.0.1", serve(closing), timeout_s=5), count=3)
    assert [reply.verdict for reply in ping.replies()] == ["reachable"] * 3
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        (reply,) = ping_of(ConnectTrips("127.0.0.1", port, timeout_s=5)).replies()
    assert reply.verdict == "refused"


def test_a_handshake_that_nobody_answers_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        (reply,) = ping_of(ConnectTrips("127.0.0.1", full.getsockname()[1], timeout_s=0.3)).replies()
    assert (reply.verdict, reply.rtt_ms) == ("no-answer", None)


def framed_echo(observed: dict[str, Json]) -> Behave:
    info: dict[str, Json] = {"observed_peer": observed, "received_ns": 1_000, "transmitted_ns": 1_000 + 2_000}

    def behave(sock: socket.socket) -> None:
        connection = Connection()
        while True:
            try:
                for event in connection.receive(sock.recv(65536)):
                    if isinstance(event, Closed):
                        return
                    sock.sendall(Connection().send(Message(replace(event.header, netprobe=info), event.content)))
            except RemoteProtocolError as error:
                sock.sendall(Connection().send(error_message(error)))
                return

    return behave


def framed(port: int, size: int = 64) -> Reply:
    (reply,) = ping_of(FramedTrips("127.0.0.1", port, size=size, timeout_s=10)).replies()
    return reply


@pytest.mark.parametrize("size", [1, 64, 300_000])
def test_a_framed_reply_tells_who_we_are_there_and_how_long_the_server_had_it(size: int, serve: Serve) -> None:
    reply = framed(serve(framed_echo({"address": "203.0.113.9", "port": 4711})), size)
    assert reply.verdict == "reachable"
    assert (reply.appears_as, reply.translated) == ("203.0.113.9:4711", True)
    assert reply.server_ms == 0.002
    assert reply.rtt_ms is not None
    assert reply.network_ms == pytest.approx(reply.rtt_ms - 0.002, abs=1e-3)


def framed_refusal(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(Connection().send(error_message(RemoteProtocolError("too long for me", "content-too-long"))))


def framed_other(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(Connection().send(Message.of_json({"result": "other"})))


@pytest.mark.parametrize(
    ("behave", "word"),
    [
        (echo, "serve with --framed"),
        (framed_refusal, "too long for me"),
        (framed_other, "other content"),
        (wrong, "no framed reply"),
        (half, "closed before"),
    ],
)
def test_who_does_not_keep_the_framed_protocol_is_named(behave: Behave, word: str, serve: Serve) -> None:
    reply = framed(serve(behave))
    assert reply.verdict == "wrong-responder"
    assert word in str(reply.cause)


def test_a_source_address_is_where_we_ask_from(serve: Serve) -> None:
    trips = FramedTrips("127.0.0.1", serve(observing), size=64, timeout_s=5, source="127.0.0.9")
    (reply,) = ping_of(trips).replies()
    assert str(reply.appears_as).startswith("127.0.0.9:")
    assert reply.translated is False


@pytest.mark.parametrize(
    ("observed", "shown", "translated"),
    [
        ({"address": "::ffff:203.0.113.9", "port": 7}, "203.0.113.9:7", True),
        ({"address": "0:0:0:0:0:0:0:1%\x1b[31m", "port": 7}, "[::1]:7", True),
        ({"address": "203.0.113.9"}, "203.0.113.9", True),
        ({"address": "127.0.0.1", "port": None}, "127.0.0.1", False),
        ({"address": "\x1b[31mEVIL\x1b]0;title\x07\nfaked", "port": 7}, None, None),
        ({"address": "a.example", "port": 7}, None, None),
        ({"address": "\ud800", "port": 7}, None, None),
        ({"address": "203.0.113.9", "port": True}, None, None),
        ({"address": "203.0.113.9", "port": 65536}, None, None),
        ({"address": "203.0.113.9", "port": "\x1b"}, None, None),
    ],
)
def test_who_we_are_there_is_an_address_and_a_port_or_nothing(
    observed: dict[str, Json], shown: str | None, translated: bool | None, serve: Serve
) -> None:
    reply = framed(serve(framed_echo(observed)))
    assert (reply.verdict, reply.appears_as, reply.translated) == ("reachable", shown, translated)


def test_the_same_address_in_another_spelling_is_no_translation(serve: Serve) -> None:
    def mapped(sock: socket.socket) -> None:
        address, port = sock.getpeername()
        framed_echo({"address": f"::ffff:{address}", "port": port})(sock)

    assert framed(serve(mapped)).translated is False


@pytest.mark.parametrize("size", [100_000, 16_000_000])
def test_a_plain_server_is_told_from_a_framed_one_by_a_large_message_too(size: int, serve: Serve) -> None:
    reply = framed(serve(echo), size)
    assert reply.verdict == "wrong-responder"
    assert "serve with --framed" in str(reply.cause)


class Slow:
    """Trips of which the second takes a second."""

    protocol = "test"

    def __init__(self) -> None:
        self.begun: list[float] = []

    def trip(self, sequence: int) -> Trip:
        self.begun.append(time.monotonic())
        if sequence == 2:
            time.sleep(1)
            raise PeerError("there", Verdict.NO_ANSWER, "silence")
        return Trip(1000)

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


def observing(sock: socket.socket) -> None:
    address, port = sock.getpeername()
    framed_echo({"address": address, "port": port})(sock)
