"""The responder: never wider or longer than asked, and silent towards strangers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from netprobe.prober import engine, wire
from netprobe.prober.udp import DATAGRAM_LIMIT
from netprobe.reach.facts import HostFacts
from netprobe.reach.listener import Listener, ListenerOptions, Protocol
from netprobe.reach.responder import Arrival, Responder, listener_error
from netprobe.reach.scoped_address import ScopedAddress

HOME = [ScopedAddress.parse("127.0.0.1")]
BOTH: tuple[Protocol, ...] = ("tcp", "udp")


@pytest.fixture
def responder() -> Iterator[Responder]:
    with Responder("secret") as opened:
        yield opened


def started(responder: Responder, *protocols: Protocol, options: ListenerOptions | None = None) -> list[Listener]:
    opened = responder.open(HOME, protocols or BOTH, options or ListenerOptions())
    responder.start()
    return opened


def until_stranger(responder: Responder) -> Arrival:
    deadline = time.monotonic() + 5
    while not responder.strangers and time.monotonic() < deadline:
        time.sleep(0.005)
    return responder.strangers[0]


def port_that_nobody_has() -> int:
    """Free for TCP and UDP on every address, and below those that outgoing connections take and leave behind."""
    for port in range(20_000, 30_000):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(("0.0.0.0", port))
            udp.bind(("0.0.0.0", port))
            return port
    raise AssertionError("no port is free")


def test_tcp_and_udp_get_the_same_free_port(responder: Responder) -> None:
    tcp, udp = started(responder)
    assert tcp.port == udp.port != 0


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n\r\n", b"\n", b"x" * 5000, wire.probe_line("wrong", "ab", 0)])
def test_a_stranger_gets_not_a_byte(responder: Responder, said: bytes) -> None:
    tcp, udp = started(responder)
    with socket.create_connection(("127.0.0.1", tcp.port), timeout=5) as client:
        client.sendall(said)
        try:
            answer = client.recv(100)
        except ConnectionResetError:
            answer = b""
    assert answer == b""
    assert until_stranger(responder).peer == "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.sendto(said[:1400], ("127.0.0.1", udp.port))
        with pytest.raises(TimeoutError):
            client.recvfrom(100)


def test_a_stranger_who_says_nothing_is_reported_too(responder: Responder) -> None:
    (tcp,) = started(responder, "tcp")
    with socket.create_connection(("127.0.0.1", tcp.port)) as client:
        arrival = until_stranger(responder)
        assert arrival.peer_port == client.getsockname()[1]
        assert not arrival.proven


def test_who_knows_the_nonce_gets_a_proof_and_the_payload_back(responder: Responder) -> None:
    tcp, udp = started(responder)
    lines: list[dict[str, object]] = []
    cells = [{"id": x.id, "protocol": x.protocol, "address": "127.0.0.1", "port": x.port} for x in (tcp, udp)]
    engine.run({"nonce": "secret", "timeout": 5.0, "payload": 300_000, "cells": cells}, lines.append)
    said = {str(line["cell"]): line for line in lines if "cell" in line}
    assert {name: line["result"] for name, line in said.items()} == {tcp.id: "proof", udp.id: "proof"}
    assert said[tcp.id]["payload_received"] == 300_000
    assert said[udp.id]["payload_received"] == DATAGRAM_LIMIT
    assert said[tcp.id]["listener"] == tcp.id
    assert {arrival.proven for arrival in responder.arrivals.values()} == {True}


def test_a_split_line_is_read_whole(responder: Responder) -> None:
    (tcp,) = started(responder, "tcp")
    with socket.create_connection(("127.0.0.1", tcp.port), timeout=5) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire.probe_line("secret", "ab" * 16, 0):
            client.sendall(bytes([byte]))
        assert wire.read_reply("secret", "ab" * 16, client.recv(500)) is not None


def test_nothing_is_open_after_the_end() -> None:
    with Responder("secret") as responder:
        tcp, udp = started(responder)
        client = socket.create_connection(("127.0.0.1", tcp.port), timeout=5)
    with client, suppress(ConnectionResetError):
        client.settimeout(5)
        assert client.recv(10) == b""
    lines: list[dict[str, object]] = []
    cells = [{"id": x.id, "protocol": x.protocol, "address": "127.0.0.1", "port": x.port} for x in (tcp, udp)]
    engine.run({"nonce": "secret", "timeout": 5.0, "cells": cells}, lines.append)
    assert {line["errno"] for line in lines if "cell" in line} == {"ECONNREFUSED"}
    responder.close()


def test_one_address_that_cannot_be_opened_does_not_sink_the_rest(responder: Responder) -> None:
    binds = [ScopedAddress.parse("192.0.2.200"), ScopedAddress.parse("fe80::1"), *HOME]
    opened = responder.open(binds, ("tcp",), ListenerOptions())
    assert [x.errno for x in opened] == ["EADDRNOTAVAIL", "EINVAL", None]


def test_v6only_is_what_the_socket_says(responder: Responder) -> None:
    for wanted in (True, False):
        (opened,) = responder.open([ScopedAddress.parse("::")], ("tcp",), ListenerOptions(v6only=wanted))
        assert opened.v6only is wanted


def test_reuse_port_lets_listeners_share_one(responder: Responder) -> None:
    port = port_that_nobody_has()
    binds = [ScopedAddress.parse("127.0.0.1"), ScopedAddress.parse("0.0.0.0")]
    opened = responder.open(binds, ("tcp", "udp"), ListenerOptions(port=port, reuse_port=True))
    assert all(x.is_open for x in opened)
    assert {x.port for x in opened} == {port}


def test_freebind_binds_what_nobody_has(responder: Responder) -> None:
    opened = responder.open([ScopedAddress.parse("192.0.2.200")], BOTH, ListenerOptions(freebind=True))
    assert all(x.is_open for x in opened)


@pytest.mark.parametrize(
    ("errno", "bind", "options", "words"),
    [
        ("EADDRINUSE", "0.0.0.0", ListenerOptions(port=8080), "8080"),
        ("EADDRNOTAVAIL", "9.9.9.9", ListenerOptions(), "no interface"),
        ("EACCES", "0.0.0.0", ListenerOptions(port=80), "below 1024"),
        ("ENODEV", "0.0.0.0", ListenerOptions(device="nope"), "nope"),
        ("EINVAL", "fe80::1", ListenerOptions(), "zone"),
        ("EAFNOSUPPORT", "::1", ListenerOptions(), "no IPv6"),
        ("EPERM", "0.0.0.0", ListenerOptions(device="e0"), "CAP_NET_RAW"),
        ("EWEIRD", "0.0.0.0", ListenerOptions(), "EWEIRD"),
    ],
)
def test_a_refusal_says_what_to_do(errno: str, bind: str, options: ListenerOptions, words: str) -> None:
    failed = Listener("t0", ScopedAddress.parse(bind), "tcp", options.port, errno=errno, cause="so it is")
    error = listener_error(failed, options, HostFacts())
    assert words in str(error)
    assert errno in str(error)
    assert error.exit_code == 3
