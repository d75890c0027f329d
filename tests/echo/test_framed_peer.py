"""A framed connection of the server, driven by hand: its short cut, and what it owes."""

from __future__ import annotations

import socket
from typing import cast

import pytest

from netprobe.echo.framing import Closed, Connection, Message
from netprobe.echo.server import framed_stream
from netprobe.echo.server.framed_stream import FramedPeer
from netprobe.echo.server.loop import Server
from tests.echo.loop import Loop


def frame(size: int) -> bytes:
    return Connection().send(Message.of_bytes(bytes(size)))


def answers(connection: Connection, data: bytes, size: int) -> list[int]:
    """The sequence numbers of the replies in ``data``."""
    found = []
    for event in connection.receive(data):
        if isinstance(event, Closed):
            continue
        assert event.content == bytes(size)
        assert event.header.netprobe is not None
        found.append(event.header.netprobe["sequence"])
    return found


@pytest.mark.parametrize("size", [1000, 100_000])
def test_replies_keep_their_order_when_the_last_call_finds_some_pending(size: int) -> None:
    loop = Loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.settimeout(10)
        peer = FramedPeer(cast("Server", loop), ours, "")
        asked = 0
        while not peer.owed:
            theirs.sendall(frame(size))
            asked += 1
            peer.readable(1)
        assert loop.ready[peer.fd] == peer.flush
        connection = Connection()
        got = answers(connection, theirs.recv(1 << 20), size)
        theirs.sendall(frame(size))  # there is room again, and nobody has seen it yet
        peer.finish("stopped")
        while peer.owed:
            peer.flush(4)
            got += answers(connection, theirs.recv(1 << 20), size)
        got += answers(connection, b"".join(iter(lambda: theirs.recv(1 << 20), b"")), size)  # our side has ended
        assert got == list(range(1, asked + 1))
        assert peer.messages == asked
        theirs.shutdown(socket.SHUT_WR)
        while peer.fd not in loop.ended:
            loop.ready[peer.fd](1)


def test_an_answered_frame_is_a_sign_of_life() -> None:
    loop = Loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        peer = FramedPeer(cast("Server", loop), ours, "")
        connection = Connection()
        for sequence in (1, 2, 3):
            loop.now += 1.0
            theirs.sendall(frame(64))
            peer.readable(1)
            assert peer.heard == loop.now
            assert answers(connection, theirs.recv(1 << 16), 64) == [sequence]
        assert (peer.messages, peer.received) == (3, 3 * len(frame(64)))


def test_each_connection_has_the_time_of_the_system_as_it_is_set_then(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    for set_ns in (1_700_000_000_000_000_000, 1_600_000_000_000_000_000):
        monkeypatch.setattr(framed_stream, "time_ns", lambda set_ns=set_ns: set_ns)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            peer = FramedPeer(cast("Server", loop), ours, "")
            theirs.sendall(frame(64))
            peer.readable(1)
            (event,) = Connection().receive(theirs.recv(1 << 16))
            assert isinstance(event, Message)
            assert event.header.netprobe is not None
            received, transmitted = (event.header.netprobe[f"{name}_ns"] for name in ("received", "transmitted"))
            assert set_ns <= received <= transmitted < set_ns + 10**11
