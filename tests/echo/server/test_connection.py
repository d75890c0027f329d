"""A connection's three ways to receive, by the size of messages, and what it does when sending stalls or fails."""

from __future__ import annotations

import errno
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netprobe.echo.server.connection import EchoConnection
from netprobe.echo.server.small_messages import SMALL
from netprobe.echo.server.splice import START_SPLICING, STOP_SPLICING, Pipe
from tests.echo.loop import HandDrivenReactor
from tests.echo.running import Server, exactly

splices = pytest.mark.skipif(not hasattr(os, "splice"), reason="this system has no splice(2)")


@contextmanager
def connected(reactor: HandDrivenReactor) -> Iterator[tuple[EchoConnection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(10)
        connection = EchoConnection(reactor, ours, "")
        reactor.ready[connection.fd] = connection.readable
        yield connection, theirs
    if reactor.pipe is not None:
        reactor.pipe.close()


def echoed(reactor: HandDrivenReactor, connection: EchoConnection, theirs: socket.socket, data: bytes) -> str:
    """Have ``data`` back; the name of the method that is to take what comes next."""
    theirs.sendall(data)
    back = b""
    while len(back) < len(data):
        reactor.ready[connection.fd](1)
        back += theirs.recv(len(data))
    assert back == data
    return reactor.ready[connection.fd].__name__


@splices
def test_the_last_size_decides_how_the_next_message_is_received() -> None:
    reactor = HandDrivenReactor(Pipe.open())
    with connected(reactor) as (connection, theirs):
        assert echoed(reactor, connection, theirs, b"x" * 1000) == "readable"
        assert echoed(reactor, connection, theirs, b"x" * 64) == "small"
        assert echoed(reactor, connection, theirs, b"x" * (SMALL - 1)) == "small"
        assert echoed(reactor, connection, theirs, os.urandom(SMALL)) == "readable"
        assert echoed(reactor, connection, theirs, os.urandom(START_SPLICING)) == "spliced"
        assert echoed(reactor, connection, theirs, os.urandom(STOP_SPLICING)) == "spliced"
        assert echoed(reactor, connection, theirs, b"y" * (STOP_SPLICING - 1)) == "readable"
        assert echoed(reactor, connection, theirs, b"y" * START_SPLICING) == "spliced"
        assert echoed(reactor, connection, theirs, b"z") == "small"


def test_without_a_pipe_and_with_a_small_buffer_everything_is_received_plainly() -> None:
    reactor = HandDrivenReactor(None, small_size=0)
    with connected(reactor) as (connection, theirs):
        for size in (64, SMALL, START_SPLICING):
            assert echoed(reactor, connection, theirs, os.urandom(size)) == "readable"


@splices
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_system_that_does_not_splice_sockets_loses_nothing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    reactor = HandDrivenReactor(Pipe.open())
    with connected(reactor) as (connection, theirs):
        echoed(reactor, connection, theirs, b"x" * START_SPLICING)
        monkeypatch.setattr(os, "splice", refuse)
        assert echoed(reactor, connection, theirs, os.urandom(START_SPLICING)) == "readable"
        assert reactor.pipe is None
        assert not reactor.ended


@splices
def test_what_the_kernel_does_not_take_is_read_out_of_the_pipe() -> None:
    reactor = HandDrivenReactor(Pipe.open())
    with connected(reactor) as (connection, theirs):
        echoed(reactor, connection, theirs, b"x" * START_SPLICING)
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sent = b""
        while not connection.pending:
            data = os.urandom(START_SPLICING)
            theirs.sendall(data)
            sent += data
            reactor.ready[connection.fd](1)
        assert reactor.pipe is not None
        assert (
            bytes(reactor.pipe.rest(memoryview(bytearray(100)))) == b""
        )  # nothing of this connection's is left for the next
        back = b""
        while len(back) < len(sent):
            back += theirs.recv(65536)
            connection.flush(4)
        assert back == sent


@splices
def test_a_peer_that_resets_leaves_nothing_in_the_pipe() -> None:
    reactor = HandDrivenReactor(Pipe.open())
    with connected(reactor) as (connection, theirs):
        echoed(reactor, connection, theirs, b"x" * START_SPLICING)
        theirs.sendall(b"y" * START_SPLICING)
        theirs.shutdown(socket.SHUT_RD)
        reactor.ready[connection.fd](1)
        assert reactor.ended == {connection.fd: ("reset", "EPIPE")}
        assert reactor.totals.undelivered == START_SPLICING
        assert reactor.pipe is not None
        assert bytes(reactor.pipe.rest(memoryview(bytearray(100)))) == b""
        assert connection.sent == START_SPLICING


@pytest.mark.parametrize("room", [True, False])
def test_what_arrives_before_the_end_stays_behind_what_is_pending(room: bool) -> None:
    reactor = HandDrivenReactor(None, small_size=0)
    with connected(reactor) as (connection, theirs):
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.sendall(sent := os.urandom(START_SPLICING))
        reactor.ready[connection.fd](1)
        assert connection.pending
        if not room:
            reactor.max_buffer = connection.pending
        back = theirs.recv(START_SPLICING - connection.pending)  # room again, which nobody has noticed yet
        theirs.sendall(b"last words")
        connection.finish("stopped")
        while connection.pending:
            connection.flush(4)
            back += theirs.recv(START_SPLICING)
        back += b"".join(iter(lambda: theirs.recv(START_SPLICING), b""))  # our side has ended
        assert back == sent + (b"last words" if room else b"")
        theirs.shutdown(socket.SHUT_WR)
        while connection.fd not in reactor.ended:
            reactor.ready[connection.fd](1)
        assert reactor.ended[connection.fd] == ("stopped", None)


@splices
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("size", [100, START_SPLICING, 3 * START_SPLICING])
def test_urgent_data_is_skipped(size: int, ends: bool) -> None:
    with Server("--tcp", "--log") as server, server.connect() as sock:
        for _ in range(3):
            sock.sendall(bytes(size))
            assert exactly(sock, size) == bytes(size)
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(b"after it")
        if ends:
            sock.shutdown(socket.SHUT_WR)
        assert exactly(sock, 8) == b"after it"
        sock.close()
        ended = server.event("ended")
        assert (ended["ended"], ended["received_bytes"], ended["sent_bytes"]) == ("closed", 3 * size + 8, 3 * size + 8)


def test_a_connection_that_fails_while_it_is_finished_ends_once() -> None:
    reactor = HandDrivenReactor(None)
    with connected(reactor) as (connection, theirs):
        theirs.sendall(b"never read back")
        theirs.shutdown(socket.SHUT_RD)
        connection.finish("idle")
        assert reactor.ended == {connection.fd: ("reset", "EPIPE")}


@pytest.mark.parametrize("options", [(), ("--max-buffer", "100"), ("--max-buffer", "20000"), ("--workers", "2")])
def test_messages_of_all_sizes_come_back_in_order(options: tuple[str, ...]) -> None:
    chance = random.Random(5)
    sizes = [chance.choice((1, 64, 447, 448, 449, 4095, 4096, 16383, 16384, 65536, 300_000)) for _ in range(300)]
    data = chance.randbytes(sum(sizes))
    with Server("--tcp", *options) as server, server.connect() as sock:

        def send() -> None:
            start = 0
            for size in sizes:
                sock.sendall(data[start : start + size])
                start += size
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        back = b"".join(iter(lambda: sock.recv(chance.choice((100, 5000, 200_000))), b""))
        sender.join()
        assert back == data
        _, events, _ = server.stop()
        assert events[-1]["received_bytes"] == events[-1]["sent_bytes"] == len(data)
