"""A framed connection of the server, driven by hand: repeated headers, pending replies, its clock."""

from __future__ import annotations

import socket

import pytest

from netprobe.echo.framing import Closed, Connection, Message
from netprobe.echo.server import framed_connection
from netprobe.echo.server.framed_connection import FramedConnection
from tests.echo.loop import HandDrivenReactor


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
        sequence = event.header.netprobe["sequence"]
        assert isinstance(sequence, int)
        found.append(sequence)
    return found


@pytest.mark.parametrize("size", [1000, 100_000])
def test_replies_keep_their_order_when_finish_finds_some_pending(size: int) -> None:
    reactor = HandDrivenReactor()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.settimeout(10)
        served = FramedConnection(reactor, ours, "")
        asked = 0
        while not served.pending:
            theirs.sendall(frame(size))
            asked += 1
            served.readable(1)
        assert reactor.ready[served.fd] == served.flush
        connection = Connection()
        got = answers(connection, theirs.recv(1 << 20), size)
        theirs.sendall(frame(size))  # there is room again, which nobody has noticed yet
        served.finish("stopped")
        while served.pending:
            served.flush(4)
            got += answers(connection, theirs.recv(1 << 20), size)
        got += answers(connection, b"".join(iter(lambda: theirs.recv(1 << 20), b"")), size)  # our side has ended
        assert got == list(range(1, asked + 1))
        assert served.messages == asked
        theirs.shutdown(socket.SHUT_WR)
        while served.fd not in reactor.ended:
            reactor.ready[served.fd](1)


def test_an_answered_frame_counts_as_activity() -> None:
    reactor = HandDrivenReactor()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        served = FramedConnection(reactor, ours, "")
        connection = Connection()
        for sequence in (1, 2, 3):
            reactor.now += 1.0
            theirs.sendall(frame(64))
            served.readable(1)
            assert served.active_at == reactor.now
            assert answers(connection, theirs.recv(1 << 16), 64) == [sequence]
        assert (served.messages, served.received) == (3, 3 * len(frame(64)))


def test_each_connection_starts_from_the_system_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    reactor = HandDrivenReactor()
    for set_ns in (1_700_000_000_000_000_000, 1_600_000_000_000_000_000):
        monkeypatch.setattr(framed_connection, "time_ns", lambda set_ns=set_ns: set_ns)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            served = FramedConnection(reactor, ours, "")
            theirs.sendall(frame(64))
            served.readable(1)
            (event,) = Connection().receive(theirs.recv(1 << 16))
            assert isinstance(event, Message)
            info = event.header.reply_info
            assert info is not None
            assert info.received_ns is not None
            assert info.transmitted_ns is not None
            assert set_ns <= info.received_ns <= info.transmitted_ns < set_ns + 10**11
