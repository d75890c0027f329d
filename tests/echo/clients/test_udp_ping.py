"""Ping over UDP: lost, late, doubled and overtaken datagrams, and peers that are no echo servers."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netprobe.echo.clients.connection import resolve
from netprobe.echo.clients.ping import Ping, Reply, Stray
from netprobe.echo.clients.udp_ping import MAX_DATAGRAM, UdpProber, _Sent
from tests.conftest import Run

Answer = Callable[[socket.socket, bytes, Any, int], None]
Serve = Callable[[Answer], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A UDP peer of one's own making: ``answer(sock, data, sender, number)`` for each datagram, counted from 1."""
    socks: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: Answer) -> int:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        socks.append(sock)

        def loop() -> None:
            number = 0
            while True:
                data, sender = sock.recvfrom(MAX_DATAGRAM + 1)
                if data == b"stop" and sender[1] == stopper.getsockname()[1]:
                    return
                number += 1
                answer(sock, data, sender, number)

        thread = threading.Thread(target=loop)
        thread.start()
        threads.append(thread)
        return int(sock.getsockname()[1])

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
        stopper.bind(("127.0.0.1", 0))
        yield start
        for sock, thread in zip(socks, threads, strict=True):
            stopper.sendto(b"stop", sock.getsockname())
            thread.join(20)
            sock.close()


def pinged(port: int, count: int = 1, size: int = 64, timeout_s: float = 5.0) -> tuple[list[Reply], Ping]:
    prober = UdpProber("127.0.0.1", port, size=size, timeout_s=timeout_s)
    ping = Ping(prober, "127.0.0.1", port, count=count, interval_s=0, size=size)
    return list(ping.replies()), ping


def echo(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
    sock.sendto(data, sender)


@pytest.mark.parametrize("size", [1, 7, 64, 1472, MAX_DATAGRAM])
def test_datagrams_of_any_size_come_back(size: int, serve: Serve) -> None:
    replies, ping = pinged(serve(echo), count=3, size=size)
    assert [(reply.verdict, reply.protocol, reply.note) for reply in replies] == [("reachable", "udp", None)] * 3
    assert (ping.statistics().received, ping.statistics().loss_percent) == (3, 0)


@pytest.mark.parametrize("own", [True, False])
def test_a_peer_that_floods_is_not_listened_to_for_the_whole_time_out(own: bool, serve: Serve) -> None:
    done = threading.Event()

    def flood(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        if number == 1 and own:
            sock.sendto(data, sender)  # what follows are its doubles
        while number == 1 + own and not done.wait(0.0001):
            for _ in range(10):
                sock.sendto(last[0] if own else b"other", sender)
        last[:] = [data]

    last = [b""]
    replies, _ = pinged(serve(flood), count=1 + own, timeout_s=30)
    done.set()
    answer = [reply for reply in replies if reply.note is None][-1]
    assert answer.verdict == "wrong-responder"
    assert answer.cause == "1,024 other datagrams came back: no echo server"
    assert len(replies) <= 2 + 2 * 1024


def test_the_kernels_time_stamps_give_a_shorter_time(serve: Serve) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("SO_TIMESTAMPING is Linux'")
    replies, ping = pinged(serve(echo), count=5)
    kernel = ping.statistics().kernel
    assert kernel is not None
    assert kernel.source == "SO_TIMESTAMPING"
    for reply in replies:
        assert reply.kernel_ms is not None
        assert reply.rtt_ms is not None
        assert 0 < reply.kernel_ms <= reply.rtt_ms


def test_an_echo_after_its_time_out_is_late_and_counts_as_lost(serve: Serve) -> None:
    held: list[bytes] = []

    def hold_the_first(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        held.append(data)
        if number == 2:
            echo(sock, held[0], sender, number)
        if number > 1:
            echo(sock, data, sender, number)

    replies, ping = pinged(serve(hold_the_first), count=3, timeout_s=1)
    assert [(r.sequence, r.verdict, r.note) for r in replies] == [
        (1, "no-answer", None),
        (1, "reachable", "late"),
        (2, "reachable", None),
        (3, "reachable", None),
    ]
    figures = ping.statistics()
    assert (figures.received, figures.late, figures.reordered, figures.duplicates) == (2, 1, 0, 0)


def test_an_echo_that_was_overtaken_is_reordered(serve: Serve) -> None:
    held: list[bytes] = []

    def swap(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        held.append(data)
        if number == 3:
            echo(sock, held[0], sender, number)  # after the second has come back
        if number > 1:
            echo(sock, data, sender, number)

    _, ping = pinged(serve(swap), count=3, timeout_s=1)
    assert (ping.statistics().late, ping.statistics().reordered) == (1, 1)


def test_an_echo_that_comes_twice_is_a_duplicate(serve: Serve) -> None:
    def twice(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        echo(sock, data, sender, number)
        echo(sock, data, sender, number)

    replies, ping = pinged(serve(twice), count=4)
    assert [r.note for r in replies][:7] == [None, "duplicate", None, "duplicate", None, "duplicate", None]
    assert (ping.statistics().received, ping.statistics().reordered) == (4, 0)
    assert ping.statistics().duplicates in (3, 4)  # that of the last may come when all is over


def test_the_duplicate_of_the_last_message_counts_too(serve: Serve) -> None:
    came_twice = threading.Event()

    def twice(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        echo(sock, data, sender, number)
        echo(sock, data, sender, number)
        came_twice.set()

    class Patient(UdpProber):
        def close(self) -> None:
            assert came_twice.wait(20)
            super().close()

    port = serve(twice)
    ping = Ping(Patient("127.0.0.1", port, size=64, timeout_s=5), "127.0.0.1", port, count=1, interval_s=0, size=64)
    assert [reply.note for reply in ping.replies()] == [None, "duplicate"]
    assert ping.statistics().duplicates == 1


def test_an_echo_has_the_time_of_its_arrival_not_of_the_next_message(serve: Serve) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("SO_TIMESTAMPING is Linux'")
    timers: list[threading.Timer] = []

    def the_first_late(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        if number > 1:
            echo(sock, data, sender, number)
            return
        timers.append(threading.Timer(0.4, sock.sendto, (data, sender)))
        timers[0].start()

    prober = UdpProber("127.0.0.1", serve(the_first_late), size=64, timeout_s=0.2)
    ping = Ping(prober, "127.0.0.1", 9, count=2, interval_s=1, size=64)
    late = next(reply for reply in ping.replies() if reply.note)
    timers[0].join()
    assert (late.sequence, late.note) == (1, "late")
    assert late.rtt_ms is not None
    assert 390 < late.rtt_ms < 900


def test_an_echo_that_came_in_time_after_an_error_is_not_late() -> None:
    prober = UdpProber("127.0.0.1", 9, size=64, timeout_s=1)
    prober._sent.append(_Sent(b"one", 1, 0))
    assert prober._is_stray(b"one", 999_000_000)
    assert prober.strays() == [Stray(1, "unawaited", 999_000_000)]


def test_a_strange_datagram_is_no_reason_to_miss_the_echo_behind_it(serve: Serve) -> None:
    def hello_first(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        sock.sendto(b"hello", sender)
        echo(sock, data, sender, number)

    replies, ping = pinged(serve(hello_first), count=3)
    assert [(reply.verdict, reply.note) for reply in replies] == [("reachable", None)] * 3
    assert ping.statistics().duplicates == ping.statistics().late == 0


def test_of_a_names_addresses_the_next_is_asked_when_one_refuses(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    port = serve(echo)
    found = [resolve(address, port, socket.SOCK_DGRAM)[0] for address in ("127.0.0.77", "127.0.0.1")]
    monkeypatch.setattr("netprobe.echo.clients.udp_ping.resolve", lambda *_: found)
    replies, ping = pinged(port, count=2)
    assert [reply.verdict for reply in replies] == ["reachable"] * 2
    assert not ping.refused


def test_other_bytes_are_no_echo(serve: Serve) -> None:
    def other(sock: socket.socket, data: bytes, sender: Any, number: int) -> None:
        sock.sendto(b"hello", sender)

    ((reply,), _) = pinged(serve(other), timeout_s=0.5)
    assert reply.verdict == "wrong-responder"


def test_silence_is_no_answer(serve: Serve) -> None:
    ((reply,), _) = pinged(serve(lambda *_: None), timeout_s=0.3)
    assert (reply.verdict, reply.rtt_ms) == ("no-answer", None)


def test_a_closed_port_is_refused_by_name(netprobe: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.2", 0))
        port = taken.getsockname()[1]  # nobody has it on 127.0.0.1
        ran = netprobe("echo", "ping", "--udp", f"127.0.0.1:{port}", "--count", "1", "--timeout", "5")
    assert ran.status == 1
    assert "refused: nothing listens on port" in ran.stdout
    assert "hint: is 'netprobe echo serve' running there?" in ran.stderr
