"""Ping against peers that are slow, rude or wrong, and its figures."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from netprobe.echo.ping import Ping, Reply
from netprobe.echo.statistics import percentile, summarise

Behave = Callable[[socket.socket], None]
Serve = Callable[[Behave], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server of one's own making: ``serve(behave)`` gives the port; each connection gets ``behave(sock)``."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    done = threading.Event()

    def start(behave: Behave) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def loop() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    try:
                        behave(sock)
                    except OSError:
                        continue

        thread = threading.Thread(target=loop)
        thread.start()
        threads.append(thread)
        return int(listener.getsockname()[1])

    yield start
    done.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(20)


def one(port: int, size: int = 64, timeout_s: float = 5.0) -> Reply:
    ping = Ping("127.0.0.1", port, count=1, interval_s=0, size=size, timeout_s=timeout_s)
    (reply,) = ping.replies()
    return reply


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


@pytest.mark.parametrize("size", [1, 64, 32 * 1024, 32 * 1024 + 1, 16 * 1024 * 1024])
def test_a_message_of_any_size_comes_back_from_a_server_that_blocks_while_it_sends(size: int, serve: Serve) -> None:
    reply = one(serve(echo), size=size, timeout_s=30)
    assert (reply.verdict, reply.bytes) == ("reachable", size)


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
    ping = Ping("127.0.0.1", port, count=2, interval_s=0, size=64, timeout_s=5)
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
