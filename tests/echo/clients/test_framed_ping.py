"""Ping in frames: who we are there, how long the server had it, and peers that do not keep the protocol."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from netprobe.echo.clients.framed_ping import FramedProber
from netprobe.echo.clients.ping import Reply
from netprobe.echo.framing import Closed, Connection, Message, RemoteProtocolError, error_message
from netprobe.echo.messages import Json
from tests.echo.clients.test_ping import echo, half, ping_of, wrong
from tests.echo.conftest import Behave, Serve


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
    (reply,) = ping_of(FramedProber("127.0.0.1", port, size=size, timeout_s=10)).replies()
    return reply


@pytest.mark.parametrize("size", [1, 64, 300_000])
def test_a_framed_reply_says_who_we_are_there_and_how_long_the_server_had_it(size: int, serve: Serve) -> None:
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
        (echo, "echo serve --framed"),
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
    prober = FramedProber("127.0.0.1", serve(observing), size=64, timeout_s=5, source="127.0.0.9")
    (reply,) = ping_of(prober).replies()
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
def test_a_plain_server_is_recognised_by_a_large_message_too(size: int, serve: Serve) -> None:
    reply = framed(serve(echo), size)
    assert reply.verdict == "wrong-responder"
    assert "echo serve --framed" in str(reply.cause)


def observing(sock: socket.socket) -> None:
    address, port = sock.getpeername()
    framed_echo({"address": address, "port": port})(sock)
