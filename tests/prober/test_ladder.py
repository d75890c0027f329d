"""The ladder on its own: on loopback the first rung is the server, so nothing here needs a network."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netprobe.kernel.error_queue import ask_for_errors, take_errors, take_returned_errors
from netprobe.prober import bundle, ladder
from netprobe.prober.loop import Loop
from netprobe.prober.wire import read_probe, reply_line
from netprobe.reach.listener import Protocol
from netprobe.reach.messages import Done, Hello, Ladder, LadderRequest, Message, Request
from netprobe.reach.sessions.local import LocalSession
from tests.prober.asking import converse
from tests.prober.test_bundle import OLD_PYTHONS

NONCE = "secret"
each_address = pytest.mark.parametrize("address", ["127.0.0.1", "::1"])


@contextmanager
def bound(address: str, kind: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as sock:
        sock.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
        yield sock


def climb(address: str, port: int, protocol: str, **more: Any) -> dict[str, Any]:
    said: list[dict[str, Any]] = []
    assert ladder.climb([{"address": address, "port": port, "protocol": protocol, **more}], NONCE, said.append)
    report: dict[str, Any] = said[0]["ladder"]
    return report


@each_address
def test_an_open_port_answers_the_first_rung_and_none_is_above_it(address: str) -> None:
    with bound(address, socket.SOCK_STREAM) as listener:
        report = climb(address, listener.getsockname()[1], "tcp", control_port=1)
    assert [(rung["ttl"], rung["came"]) for rung in report["rungs"]] == [(1, "answer")]
    assert (report["control"], report["errno"], report["size"]) == ([], None, None)


@each_address
def test_a_closed_port_of_tcp_resets_and_one_of_udp_is_named_by_icmp(address: str) -> None:
    with bound(address, socket.SOCK_DGRAM) as taken:
        port = taken.getsockname()[1]
    (reset,) = climb(address, port, "tcp")["rungs"]
    (unreachable,) = climb(address, port, "udp")["rungs"]
    assert (reset["came"], reset["icmp"]) == ("rst", None)
    assert (unreachable["came"], unreachable["icmp"]["offender"]) == ("icmp", address)
    assert reset["rtt_ms"] >= 0 and unreachable["rtt_ms"] >= 0


@each_address
def test_a_listener_of_this_run_is_asked_in_its_own_words(address: str) -> None:
    """A responder answers nobody who does not know the nonce."""
    with bound(address, socket.SOCK_DGRAM) as listener:
        seen = []

        def emit(message: dict[str, Any]) -> None:
            seen.append(message)

        def stopped() -> bool:
            listener.setblocking(False)
            try:
                data, peer = listener.recvfrom(4096)
            except BlockingIOError:
                return False
            asked = read_probe(NONCE, data.partition(b"\n")[0])
            assert asked is not None
            listener.sendto(reply_line(NONCE, asked[0], "t0@x", (address, 1), "-"), peer)
            return False

        request = {"address": address, "port": listener.getsockname()[1], "protocol": "udp"}
        assert ladder.climb([request], NONCE, emit, stopped)
    assert seen[0]["ladder"]["rungs"][0]["came"] == "answer"


@pytest.mark.parametrize("size", [576, 1114, 1115, 1116, 1134, 1135, 1136, 1500, 10_000])
@each_address
def test_a_datagram_is_as_large_as_it_was_asked_for_or_a_byte_less(address: str, size: int) -> None:
    asked = {"address": address, "port": 9, "protocol": "udp", "size": size}
    climbing = ladder._UdpClimb(Loop(), asked, NONCE)
    question = climbing._question((1, 0))
    headers = 48 if ":" in address else 28
    line, _, payload = question.partition(b"\n")
    told = read_probe(NONCE, line)
    assert told is not None and told[1] == len(payload)
    assert size - len(question) - headers == (
        1 if size == 1087 + headers else 0
    )  # 999 bytes are too few, 1000 too many
    climbing.loop.close()


def test_what_cannot_be_sent_says_why() -> None:
    assert climb("192.0.2.1", 9, "tcp", source="192.0.2.77")["errno"] == "EADDRNOTAVAIL"
    assert climb("fe80::1", 9, "udp", zone="no-such-link")["errno"] == "EINVAL"


def test_a_run_that_is_stopped_tells_nothing_more() -> None:
    with bound("127.0.0.1", socket.SOCK_DGRAM) as silent:
        said: list[dict[str, Any]] = []
        request = {"address": "127.0.0.1", "port": silent.getsockname()[1], "protocol": "udp"}
        assert not ladder.climb([request], NONCE, said.append, lambda: True)
    assert said == []


def test_ladders_come_between_the_cells_and_done_and_pass_every_check() -> None:
    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    asked = tuple(
        LadderRequest(address, 1, protocol)
        for address, protocol in zip(("127.0.0.1", "127.0.0.2"), protocols, strict=True)
    )
    said: list[Message] = []
    LocalSession().run(Request(NONCE, 1.0, ladders=asked), said.append)
    assert [type(message) for message in said] == [Hello, Ladder, Ladder, Done]


@pytest.mark.parametrize("python", OLD_PYTHONS or [Path(sys.executable)], ids=lambda path: str(path).split("/")[-3])
def test_it_travels_to_every_python_there_is(python: Path) -> None:
    asked = (LadderRequest("127.0.0.1", 1, "tcp"), LadderRequest("::1", 1, "udp", size=1000))
    request = Request(NONCE, 1.0, ladders=asked).to_json()
    lines = converse([str(python), *bundle.ARGUMENTS], request)
    told = {line["ladder"]["number"]: line["ladder"] for line in lines if "ladder" in line}
    assert [told[number]["rungs"][0]["came"] for number in (0, 1)] == ["rst", "icmp"]
    assert lines[-1] == {"done": True}


def test_an_error_is_given_back_with_what_it_is_about() -> None:
    with bound("127.0.0.1", socket.SOCK_DGRAM) as taken:
        address = taken.getsockname()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        ask_for_errors(sock)
        sock.sendto(b"which one", address)
        with pytest.raises(ConnectionRefusedError):
            sock.recv(1)
        (returned,) = take_returned_errors(sock)
        assert (returned.data, returned.mtu, returned.error.errno) == (b"which one", 0, "ECONNREFUSED")
        assert take_errors(sock) == []


def test_the_time_that_ladders_may_take_grows_with_their_number() -> None:
    assert [ladder.longest_s(count) / ladder.LADDER_S for count in (0, 1, 5, 6, 20)] == [0, 1, 1, 2, 4]
    assert ladder.LADDER_S > ladder.AT_ONCE * ladder.PACE_S  # so the pace is never what takes longest


def test_a_silent_ladder_ends_by_itself_within_its_time() -> None:
    with bound("127.0.0.1", socket.SOCK_DGRAM) as silent:
        began = time.perf_counter()
        report = climb("127.0.0.1", silent.getsockname()[1], "udp")
        took = time.perf_counter() - began
    assert [rung["came"] for rung in report["rungs"]] == ["silence"] * ladder.MOST_HOPS
    assert report["elapsed_ms"] <= took * 1000 + 1
