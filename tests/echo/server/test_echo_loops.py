"""Datagrams that would go to and fro between two echo servers for ever, in virtual time and with real sockets."""

from __future__ import annotations

import heapq
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest

from netprobe.echo.server.datagrams import Datagrams
from netprobe.echo.server.echo_loops import EchoLoops
from tests.echo.running import Server

PEER = ("192.0.2.1", 7007)


class Socket:
    """A server's socket in virtual time: one datagram after the other, ``cost`` seconds each."""

    def __init__(self, cost: float = 30e-6) -> None:
        self.loops, self.cost = EchoLoops(), cost
        self.received = self.free_at = 0.0

    def answers(self, now: float, peer: tuple[str, int], datagram: bytes) -> float | None:
        """When the reply leaves; None if there is none."""
        self.free_at = now = max(self.free_at, now) + self.cost
        looks = self.loops.looks(now, int(self.received))
        self.received += 1
        return None if looks and self.loops.refuses(peer, memoryview(datagram), now) else now


def rounds_after(loops: list[tuple[tuple[str, int], bytes]], since: float, rtt: float, cost: float) -> float:
    """Datagrams a second from ``since`` on, for 2 s, when all of ``loops`` begin at once with a foreign server."""
    server = Socket(cost)
    arrivals = [(number * 1e-6, number, loop) for number, loop in enumerate(loops)]
    heapq.heapify(arrivals)
    numbers = count(len(loops))
    late = 0
    while arrivals and arrivals[0][0] < since + 2:
        now, _, loop = heapq.heappop(arrivals)
        late += now >= since
        sent = server.answers(now, *loop)
        if sent is not None:
            heapq.heappush(arrivals, (sent + rtt, next(numbers), loop))
    return late / 2


@pytest.mark.parametrize("cost", [20e-6, 400e-6], ids=["a fast server", "a slow one"])
@pytest.mark.parametrize(
    "loops",
    [
        [(PEER, b"x")],
        [(PEER, b"")],
        [(PEER, b"x")] * 100,
        [(PEER, b"%d" % number) for number in range(150)],
        [((PEER[0], port), b"x") for port in range(10_000, 10_100)],
        [(PEER, bytes(60_000))] * 2,
    ],
    ids=["one", "empty", "100 alike", "150 different", "100 peers", "large"],
)
def test_loops_have_ended_after_three_seconds(loops: list[tuple[tuple[str, int], bytes]], cost: float) -> None:
    peers = {peer for peer, _ in loops}
    assert rounds_after(loops, 3, 50e-6, cost) <= 50 * len(peers)


def test_a_loop_over_a_distance_ends_too() -> None:
    assert rounds_after([(PEER, b"x")] * 10, 3, 0.02, 20e-6) <= 50


def test_a_loop_behind_a_flood_of_invented_peers_ends() -> None:
    """At 10,000 datagrams a second from as many sources, each sent twice, to use up whatever is remembered of peers."""
    server = Socket()
    loop_at: float | None = 0.0
    for number in range(30_000):
        now = number * 1e-4
        for _ in range(2):
            server.answers(now, (f"198.51.{number % 60_000 // 256}.{number % 256}", 1024 + number), b"flood")
        while loop_at is not None and loop_at <= now:
            loop_at = server.answers(loop_at, PEER, b"loop")
            loop_at = None if loop_at is None else loop_at + 50e-6
    assert loop_at is None


def lost(peer: tuple[str, int], datagrams: Iterator[bytes], interval: float, seconds: float) -> tuple[int, int]:
    """How many are sent at a fixed rate, whatever becomes of them, and how many get no answer."""
    server = Socket(1e-6)
    number = round(seconds / interval)
    return number, sum(server.answers(i * interval, peer, next(datagrams)) is None for i in range(number))


@pytest.mark.parametrize("interval", [1e-5, 1e-3, 1e-2])
def test_who_sends_what_differs_loses_nothing(interval: float) -> None:
    assert lost(PEER, (b"%064d" % number for number in count()), interval, 4)[1] == 0
    assert lost(PEER, (bytes([number % 256]) * 64 for number in count()), interval, 4)[1] == 0


def test_who_sends_the_same_at_full_rate_loses_next_to_nothing() -> None:
    sent, without = lost(PEER, (b"same" for _ in count()), 5e-6, 6)
    assert 0 < without < sent / 100
    sent, without = lost(PEER, (b"same" for _ in count()), 1e-3, 6)
    assert without < sent / 30


def test_who_sends_the_same_slowly_loses_nothing() -> None:
    assert lost(PEER, (b"same" for _ in count()), 1 / 45, 60)[1] == 0


def test_who_waits_for_each_echo_loses_one_and_goes_on() -> None:
    server = Socket()
    now, without = 0.0, 0
    while now < 30:
        sent = server.answers(now, PEER, b"same")
        without += sent is None
        now = now + 1.0 if sent is None else sent + 100e-6  # its time-out, or its next message
    assert 5 < without < 20


def test_others_lose_nothing_beside_a_loop_that_ends() -> None:
    server = Socket()
    loop_at: float | None = 0.0
    for number in range(30_000):
        now = number * 1e-4
        assert server.answers(now, ("192.0.2.2", 7007), b"%d" % number) is not None
        if loop_at is not None:
            loop_at = server.answers(now, PEER, b"loop")
    assert loop_at is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_loop_with_a_foreign_server_ends(host: str) -> None:
    """The foreign server makes the first datagram itself, so none has to be forged."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with Server("--udp", "--host", host) as server, socket.socket(family, socket.SOCK_DGRAM) as foreign:
        try:
            foreign.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        foreign.settimeout(30)  # the deadline: a loop that goes on never lets this time-out come
        echoed = 0
        silent = threading.Event()

        def echo() -> None:
            nonlocal echoed
            with suppress(TimeoutError):
                while True:
                    data, peer = foreign.recvfrom(65536)
                    foreign.settimeout(1)
                    echoed += 1
                    foreign.sendto(data, peer)
            silent.set()

        for _ in range(50):
            foreign.sendto(b"to and fro", (host, server.port))
        foreign.sendto(b"and others", (host, server.port))
        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        assert silent.wait(60)
        thread.join()
    assert echoed > 51


def test_the_server_asks_before_it_answers() -> None:
    """Datagrams, not only EchoLoops: the same datagram that it just sent is at last not answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as peer:
        datagrams = Datagrams(sock, 0, memoryview(bytearray(65536)))
        sock.bind(("127.0.0.1", 0))
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(0.5)
        peer.sendto(b"x", sock.getsockname())
        with pytest.raises(TimeoutError):
            while datagrams.received < 10_000_000:
                datagrams.readable()
                peer.sendto(*peer.recvfrom(10))
    assert datagrams.refused == 1
