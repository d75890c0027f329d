"""UDP that cannot be abused: who is answered, from which address, and who is not."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netprobe.echo.server.bind import BindSettings, open_sockets
from netprobe.echo.server.datagrams import REPLYING_PORTS, Datagrams, RateLimiter
from tests.echo.running import Server

has_ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")


@pytest.fixture
def echoing() -> Iterator[tuple[socket.socket, Datagrams]]:
    """A UDP socket of the server on all loopback addresses, not in any loop."""
    ((sock,),) = open_sockets(BindSettings(hosts=("0.0.0.0",), port=0, tcp=False))
    with sock:
        yield sock, Datagrams(sock, None, memoryview(bytearray(65536)))


def client(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.settimeout(5)
    return sock


def test_a_datagram_that_came_before_the_loop_is_answered() -> None:
    ((sock,),) = open_sockets(BindSettings(port=0, tcp=False))
    with sock, client() as peer:
        peer.sendto(b"early", sock.getsockname())
        Datagrams(sock, None, memoryview(bytearray(65536))).readable()
        assert peer.recvfrom(100) == (b"early", sock.getsockname())


def test_the_reply_leaves_from_the_address_that_was_asked(echoing: tuple[socket.socket, Datagrams]) -> None:
    sock, datagrams = echoing
    port = sock.getsockname()[1]
    with client() as peer:
        for address in ("127.0.0.1", "127.7.7.7"):
            peer.sendto(b"x", (address, port))
            datagrams.readable()
            assert peer.recvfrom(100) == (b"x", (address, port))


@pytest.mark.parametrize("size", [0, 1, 1472, 65507])
def test_exactly_what_came_goes_back(size: int, echoing: tuple[socket.socket, Datagrams]) -> None:
    sock, datagrams = echoing
    data = random.Random(size).randbytes(size)
    with client() as peer:
        peer.sendto(data, ("127.0.0.1", sock.getsockname()[1]))
        datagrams.readable()
        assert peer.recv(70000) == data


@pytest.mark.parametrize("nobody", [("::", 2000, 0, 0), ("0.0.0.0", 2000)])
def test_what_comes_from_no_address_is_not_sent_to_this_host(nobody: tuple[Any, ...]) -> None:
    """Linux takes ``::`` as a destination for ::1: a forged source would reach what listens on this host only."""

    class FromNobody(socket.socket):
        def recvmsg_into(self, *args: Any) -> Any:
            return (*super().recvmsg_into(*args)[:3], nobody)

    with FromNobody(socket.AF_INET, socket.SOCK_DGRAM) as sock, client() as peer:
        datagrams = Datagrams(sock, 0, memoryview(bytearray(65536)))
        sock.bind(("127.0.0.1", 0))
        peer.sendto(b"x", sock.getsockname())
        datagrams.readable()
    assert (datagrams.received, datagrams.answered, datagrams.refused) == (1, 0, 1)


@has_ipv6
def test_a_socket_for_both_versions_answers_no_broadcast() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock, client() as peer:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        datagrams = Datagrams(sock, 0, memoryview(bytearray(65536)))
        sock.bind(("::", 0))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        port = sock.getsockname()[1]
        for address in ("127.255.255.255", "127.0.0.1", "127.9.9.9"):
            peer.sendto(address.encode(), (address, port))
        datagrams.readable()
        assert [peer.recvfrom(100) for _ in range(2)] == [(a.encode(), (a, port)) for a in ("127.0.0.1", "127.9.9.9")]
    assert (datagrams.received, datagrams.answered, datagrams.refused) == (3, 2, 1)


def test_a_broadcast_is_not_answered(echoing: tuple[socket.socket, Datagrams]) -> None:
    sock, datagrams = echoing
    with client() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        peer.sendto(b"x", ("127.255.255.255", sock.getsockname()[1]))
        datagrams.readable()
    assert (datagrams.received, datagrams.answered, datagrams.refused) == (1, 0, 1)


def test_services_that_reply_by_themselves_get_no_answer(echoing: tuple[socket.socket, Datagrams]) -> None:
    sock, datagrams = echoing
    port = sock.getsockname()[1]
    assert {7, 13, 17, 19, 53, 123, 161, 1900, 5353, 11211} <= REPLYING_PORTS
    sock.sendto(b"loop", ("127.0.0.1", port))  # from another one of us: the same port
    datagrams.readable()
    assert (datagrams.received, datagrams.answered, datagrams.refused) == (1, 0, 1)


def test_two_ports_of_one_server_do_not_answer_each_other(echoing: tuple[socket.socket, Datagrams]) -> None:
    sock, _ = echoing
    ((other,),) = open_sockets(BindSettings(port=0, tcp=False))
    ports = {s.getsockname()[1] for s in (sock, other)}
    datagrams = Datagrams(sock, None, memoryview(bytearray(65536)), ports)
    with other:
        other.sendto(b"for ever", ("127.0.0.1", sock.getsockname()[1]))
        datagrams.readable()
    assert (datagrams.received, datagrams.answered) == (1, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers are Linux'")
@pytest.mark.parametrize("option", [29, 40], ids=["SO_TIMESTAMP", "SO_RXQ_OVFL"])
def test_other_ancillary_data_does_no_harm(option: int) -> None:
    ((sock,),) = open_sockets(BindSettings(port=0, tcp=False))
    with sock, client() as peer:
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        datagrams = Datagrams(sock, None, memoryview(bytearray(65536)))
        for _ in range(100):  # most are dropped, and the next one comes with their number
            peer.sendto(bytes(500), sock.getsockname())
        datagrams.readable()
        answered = datagrams.answered
        assert 0 < answered == datagrams.received < 100
        peer.sendto(b"next", sock.getsockname())
        datagrams.readable()
        assert [peer.recv(1000) for _ in range(answered + 1)] == [bytes(500)] * answered + [b"next"]


def test_a_peer_beyond_its_rate_is_not_answered() -> None:
    limiter = RateLimiter(10)
    assert sum(limiter.allows("192.0.2.1", 0.0) for _ in range(50)) == 10
    assert sum(limiter.allows("192.0.2.1", 1.0) for _ in range(50)) == 10
    assert sum(limiter.allows("192.0.2.1", 1.25) for _ in range(50)) == 2


def test_invented_sources_do_not_give_a_peer_a_new_bucket() -> None:
    limiter = RateLimiter(10)
    allowed = 0
    for number in range(200_000):
        allowed += number % 10_000 == 0 and limiter.allows("192.0.2.1", 0.0)
        limiter.allows(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert allowed <= 10
    assert not limiter.allows("192.0.2.1", 0.05)


def test_a_flood_from_invented_sources_leaves_room_for_others() -> None:
    limiter = RateLimiter(1000)
    for number in range(100_000):  # in a second
        limiter.allows(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", number / 100_000)
    assert all(limiter.allows("192.0.2.1", 1.0) for _ in range(900))


@pytest.mark.parametrize(
    "same",
    [
        ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff:ffff:ffff:ffff"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1%eth0", "fe80::2%eth0"),
    ],
)
def test_addresses_of_one_host_share_a_bucket(same: tuple[str, ...]) -> None:
    limiter = RateLimiter(10)
    assert sum(limiter.allows(peer, 0.0) for _ in range(10) for peer in same) == 10


def test_other_prefixes_do_not_share_a_bucket() -> None:
    limiter = RateLimiter(1)
    peers = ["2001:db8::1", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3"]
    assert all(limiter.allows(peer, 0.0) for peer in peers)  # by chance: 1 in 1,600 that two of them do


@pytest.mark.parametrize("per_second", [5e-324, 0.001, 1e9, 1e300])
def test_any_rate_works(per_second: float) -> None:
    limiter = RateLimiter(per_second)
    assert limiter.allows("192.0.2.1", 1e6)
    assert limiter.allows("192.0.2.1", 1e6) == (per_second > 1)


def test_an_explicit_rate_applies_to_loopback_too() -> None:
    running = Server("--udp", "--rate", "5")
    with client() as peer:
        for _ in range(200):
            peer.sendto(b"x", ("127.0.0.1", running.port))
        assert peer.recv(10) == b"x"
    _, events, _ = running.stop()
    summary = events[-1]
    assert 5 <= summary["datagrams_answered"] <= 10
    assert summary["datagrams_answered"] + summary["datagrams_refused"] == summary["datagrams"]


def test_a_hundred_thousand_random_datagrams_leave_it_as_it_was() -> None:
    rng = random.Random(862)
    running = Server("--udp")
    with client() as peer:
        peer.setblocking(False)
        for number in range(100_000):
            data = rng.randbytes(rng.choice((0, 1, 8, 64, 300)))
            try:
                peer.sendto(data, ("127.0.0.1", running.port))
                if number % 4 == 0:
                    peer.recv(1000)
            except BlockingIOError:
                continue
    with client() as peer:
        for number in range(50):  # what was queued before us may have cost the first ones
            peer.sendto(b"still there", ("127.0.0.1", running.port))
            peer.settimeout(0.2)
            try:
                assert peer.recv(100) == b"still there"
                break
            except TimeoutError:
                assert number < 49
    status, events, err = running.stop()
    assert (status, err) == (0, "")
    assert events[-1]["datagrams"] > 1000
