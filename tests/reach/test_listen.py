"""Listeners: never wider or longer than asked, and silent towards strangers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from netprobe.prober import engine, wire
from netprobe.prober.udp import DATAGRAM_LIMIT
from netprobe.reach.listen import Arrival, Listeners
from netprobe.reach.opening import listener_error
from netprobe.reach.records import Address, BindOptions, HostFacts, Listening, Protocol

HOME = [Address.parse("127.0.0.1")]
BOTH: tuple[Protocol, ...] = ("tcp", "udp")


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    with Listeners("secret") as opened:
        yield opened


def started(listeners: Listeners, *protocols: Protocol, options: BindOptions | None = None) -> list[Listening]:
    opened = listeners.open(HOME, protocols or BOTH, options or BindOptions())
    listeners.start()
    return opened


def until_foreigner(listeners: Listeners) -> Arrival:
    deadline = time.monotonic() + 5
    while not listeners.foreigners and time.monotonic() < deadline:
        time.sleep(0.005)
    return listeners.foreigners[0]


def port_that_nobody_has() -> int:
    """Free for TCP and UDP on every address, and below those that outgoing connections take and leave behind."""
    for port in range(20_000, 30_000):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(("0.0.0.0", port))
            udp.bind(("0.0.0.0", port))
            return port
    raise AssertionError("no port is free")


def test_tcp_and_udp_get_the_same_free_port(listeners: Listeners) -> None:
    tcp, udp = started(listeners)
    assert tcp.port == udp.port != 0


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n\r\n", b"\n", b"x" * 5000, wire.probe_line("wrong", "ab", 0)])
def test_a_stranger_gets_not_a_byte(listeners: Listeners, said: bytes) -> None:
    tcp, udp = started(listeners)
    with socket.create_connection(("127.0.0.1", tcp.port), timeout=5) as client:
        client.sendall(said)
        try:
            answer = client.recv(100)
        except ConnectionResetError:
            answer = b""
    assert answer == b""
    assert until_foreigner(listeners).peer == "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.sendto(said[:1400], ("127.0.0.1", udp.port))
        with pytest.raises(TimeoutError):
            client.recvfrom(100)


def test_a_stranger_who_says_nothing_is_reported_too(listeners: Listeners) -> None:
    (tcp,) = started(listeners, "tcp")
    with socket.create_connection(("127.0.0.1", tcp.port)) as client:
        arrival = until_foreigner(listeners)
        assert arrival.peer_port == client.getsockname()[1]
        assert not arrival.proven


def test_who_knows_the_nonce_gets_a_proof_and_the_payload_back(listeners: Listeners) -> None:
    tcp, udp = started(listeners)
    lines: list[dict[str, object]] = []
    cells = [{"id": x.id, "protocol": x.protocol, "address": "127.0.0.1", "port": x.port} for x in (tcp, udp)]
    engine.run({"nonce": "secret", "timeout": 5.0, "payload": 300_000, "cells": cells}, lines.append)
    said = {str(line["cell"]): line for line in lines if "cell" in line}
    assert {name: line["result"] for name, line in said.items()} == {tcp.id: "proof", udp.id: "proof"}
    assert said[tcp.id]["payload_received"] == 300_000
    assert said[udp.id]["payload_received"] == DATAGRAM_LIMIT
    assert said[tcp.id]["listener"] == tcp.id
    assert {arrival.proven for arrival in listeners.arrivals.values()} == {True}


def test_a_split_line_is_read_whole(listeners: Listeners) -> None:
    (tcp,) = started(listeners, "tcp")
    with socket.create_connection(("127.0.0.1", tcp.port), timeout=5) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire.probe_line("secret", "ab" * 16, 0):
            client.sendall(bytes([byte]))
        assert wire.read_reply("secret", "ab" * 16, client.recv(500)) is not None


def test_nothing_is_open_after_the_end() -> None:
    with Listeners("secret") as listeners:
        tcp, udp = started(listeners)
        client = socket.create_connection(("127.0.0.1", tcp.port), timeout=5)
    with client, suppress(ConnectionResetError):
        client.settimeout(5)
        assert client.recv(10) == b""
    lines: list[dict[str, object]] = []
    cells = [{"id": x.id, "protocol": x.protocol, "address": "127.0.0.1", "port": x.port} for x in (tcp, udp)]
    engine.run({"nonce": "secret", "timeout": 5.0, "cells": cells}, lines.append)
    assert {line["errno"] for line in lines if "cell" in line} == {"ECONNREFUSED"}
    listeners.close()


def test_one_address_that_cannot_be_opened_does_not_sink_the_rest(listeners: Listeners) -> None:
    binds = [Address.parse("192.0.2.200"), Address.parse("fe80::1"), *HOME]
    opened = listeners.open(binds, ("tcp",), BindOptions())
    assert [x.errno for x in opened] == ["EADDRNOTAVAIL", "EINVAL", None]


def test_v6only_is_what_the_socket_says(listeners: Listeners) -> None:
    for wanted in (True, False):
        (opened,) = listeners.open([Address.parse("::")], ("tcp",), BindOptions(v6only=wanted))
        assert opened.v6only is wanted


def test_reuse_port_lets_listeners_share_one(listeners: Listeners) -> None:
    port = port_that_nobody_has()
    binds = [Address.parse("127.0.0.1"), Address.parse("0.0.0.0")]
    opened = listeners.open(binds, ("tcp", "udp"), BindOptions(port=port, reuse_port=True))
    assert all(x.is_open for x in opened)
    assert {x.port for x in opened} == {port}


def test_freebind_binds_what_nobody_has(listeners: Listeners) -> None:
    opened = listeners.open([Address.parse("192.0.2.200")], BOTH, BindOptions(freebind=True))
    assert all(x.is_open for x in opened)


@pytest.mark.parametrize(
    ("errno", "bind", "options", "words"),
    [
        ("EADDRINUSE", "0.0.0.0", BindOptions(port=8080), "8080"),
        ("EADDRNOTAVAIL", "9.9.9.9", BindOptions(), "no interface"),
        ("EACCES", "0.0.0.0", BindOptions(port=80), "below 1024"),
        ("ENODEV", "0.0.0.0", BindOptions(device="nope"), "nope"),
        ("EINVAL", "fe80::1", BindOptions(), "zone"),
        ("EAFNOSUPPORT", "::1", BindOptions(), "no IPv6"),
        ("EPERM", "0.0.0.0", BindOptions(device="e0"), "right"),
        ("EWEIRD", "0.0.0.0", BindOptions(), "EWEIRD"),
    ],
)
def test_a_refusal_says_what_to_do(errno: str, bind: str, options: BindOptions, words: str) -> None:
    failed = Listening("t0", Address.parse(bind), "tcp", options.port, errno=errno, cause="so it is")
    error = listener_error(failed, options, HostFacts())
    assert words in str(error)
    assert errno in str(error)
    assert error.exit_code == 3
