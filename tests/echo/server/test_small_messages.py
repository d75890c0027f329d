"""Small messages of many connections at once: the same as one by one, whatever happens to one of them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeAlias

import pytest

from netprobe.echo.server import small_messages
from netprobe.echo.server.connection import EchoConnection
from netprobe.echo.server.poller import BATCH
from netprobe.echo.server.small_messages import SMALL, echo_small
from tests.echo.loop import HandDrivenReactor
from tests.echo.running import Server, exactly

pytestmark = pytest.mark.skipif(os.name != "posix", reason="read(2) and write(2) take sockets on POSIX systems only")


class Crowd:
    """Connections and their other ends; ``serve`` serves all of them."""

    def __init__(self, stack: ExitStack, number: int, summed: bool) -> None:
        self.reactor = HandDrivenReactor()
        self.summed = summed
        self.connections: list[EchoConnection] = []
        self.ends: list[socket.socket] = []
        for _ in range(number):
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            ours.setblocking(False)
            theirs.settimeout(10)
            self.connections.append(EchoConnection(self.reactor, ours, ""))
            self.ends.append(theirs)

    def serve(self) -> None:
        self.reactor.now = 7.0
        by_fd = {connection.fd: connection for connection in self.connections}
        echo_small(list(by_fd), by_fd, SMALL, self.reactor.totals if self.summed else None)

    def counted(self) -> tuple[int, int]:
        """Bytes received and sent, wherever they were counted."""
        for connection in self.connections:
            if connection.fd not in self.reactor.ended:
                self.reactor.totals.add(connection)
        summary = self.reactor.totals.summary(framed=False)
        return summary.received_bytes, summary.sent_bytes


Gathering: TypeAlias = Callable[[int], Crowd]


@pytest.fixture(params=["one by one", "all at once"])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer connections than a full batch, and a full one."""
    monkeypatch.setattr(small_messages, "BATCH", 1000 if request.param == "one by one" else 1)


@pytest.fixture(params=["each counts", "summed"])
def crowd(request: pytest.FixtureRequest, batches: None) -> Iterator[Gathering]:
    with ExitStack() as stack:
        yield lambda number: Crowd(stack, number, request.param == "summed")


def test_each_gets_its_own_bytes_back_and_they_are_counted(crowd: Gathering) -> None:
    those = crowd(5)
    for number, end in enumerate(those.ends):
        end.sendall(b"%d" % number * (number + 1))
    those.serve()
    assert [end.recv(100) for end in those.ends] == [b"0", b"11", b"222", b"3333", b"44444"]
    each = [(c.received, c.sent, c.active_at) for c in those.connections]
    assert each == [(0, 0, 1.0) if those.summed else (n, n, 7.0) for n in range(1, 6)]
    assert those.counted() == (15, 15)


def test_what_happens_to_some_does_not_touch_the_others(crowd: Gathering) -> None:
    those = crowd(6)
    silent, ended, deaf, long, full, well = those.ends
    ended.shutdown(socket.SHUT_WR)
    deaf.sendall(b"lost")
    deaf.shutdown(socket.SHUT_RD)
    long.sendall(b"x" * SMALL)
    full.sendall(b"later")
    filled = fill(those.connections[4])
    well.sendall(b"here")
    those.serve()
    assert well.recv(100) == b"here"
    assert long.recv(1000) == b"x" * SMALL
    fds = [connection.fd for connection in those.connections]
    assert those.reactor.ended == {fds[1]: ("closed", None), fds[2]: ("reset", "EPIPE")}
    assert those.reactor.totals.undelivered == len(b"lost")
    assert those.connections[4].pending == len(b"later")
    assert {fd: ready.__name__ for fd, ready in those.reactor.ready.items()} == {fds[3]: "readable", fds[4]: "flush"}
    assert those.connections[0].active_at == 1.0  # it was not ready after all
    assert those.counted() == (len(b"lostlaterhere") + SMALL, len(b"here") + SMALL)
    silent.sendall(b"x")
    those.connections[0].readable(1)
    assert silent.recv(9) == b"x"
    exactly(full, filled)
    those.connections[4].flush(4)
    assert full.recv(9) == b"later"


def test_a_larger_message_ends_the_small_message_path(crowd: Gathering) -> None:
    those = crowd(3)
    for end, size in zip(those.ends, (SMALL - 1, SMALL, 1), strict=True):
        end.sendall(bytes(size))
    those.serve()
    assert {fd: ready.__name__ for fd, ready in those.reactor.ready.items()} == {those.connections[1].fd: "readable"}
    assert those.counted() == (2 * SMALL, 2 * SMALL)


def test_a_connection_that_closes_within_a_batch_has_ended(crowd: Gathering) -> None:
    those = crowd(3)
    first, ended, last = those.ends
    first.sendall(b"1")
    ended.close()
    last.sendall(b"3")
    those.serve()
    assert (first.recv(9), last.recv(9)) == (b"1", b"3")
    assert those.reactor.ended == {those.connections[1].fd: ("closed", None)}
    assert those.counted() == (2, 2)


@pytest.mark.parametrize("wrong", [0, 2, 4])
def test_a_failing_receive_ends_only_its_connection(
    crowd: Gathering, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    those = crowd(5)
    bad = those.connections[wrong].fd

    def read(fd: int, size: int) -> bytes:
        if fd == bad:
            raise ConnectionResetError(104, "reset")
        return os.read(fd, size)

    monkeypatch.setattr(small_messages, "read", read)
    for number, end in enumerate(those.ends):
        end.sendall(b"%d" % number)
    those.serve()
    assert those.reactor.ended == {bad: ("reset", "ECONNRESET")}
    for number, end in enumerate(those.ends):
        if number != wrong:
            assert end.recv(9) == b"%d" % number


def test_a_partial_send_is_finished_later(crowd: Gathering, monkeypatch: pytest.MonkeyPatch) -> None:
    those = crowd(3)
    monkeypatch.setattr(small_messages, "write", lambda fd, data: os.write(fd, data[:2]))
    for end in those.ends:
        end.sendall(b"whole")
    those.serve()
    assert [connection.pending for connection in those.connections] == [3, 3, 3]
    for connection, end in zip(those.connections, those.ends, strict=True):
        connection.flush(4)
        assert end.recv(5, socket.MSG_WAITALL) == b"whole"
        assert (connection.received, connection.sent, connection.pending) == (5, 5, 0)


@pytest.mark.parametrize("options", [(), ("--log",)])
def test_hundreds_talk_at_once_without_mixing_up_their_bytes(options: tuple[str, ...]) -> None:
    connections, rounds = 4 * BATCH, 30
    with ExitStack() as stack:
        server = stack.enter_context(Server("--tcp", *options))
        socks = [stack.enter_context(server.connect()) for _ in range(connections)]

        def talk(part: list[socket.socket], first: int) -> None:
            for turn in range(rounds):
                messages = [(b"%d:%d;" % (first + n, turn)) * (1 + (n + turn) % 60) for n in range(len(part))]
                for sock, message in zip(part, messages, strict=True):
                    sock.sendall(message)
                for sock, message in zip(part, messages, strict=True):
                    back = exactly(sock, len(message))
                    wrong.extend([(message, back)] if back != message else [])
                part.pop().close()  # one goes while the others talk on

        wrong: list[tuple[bytes, bytes]] = []
        half = connections // 2
        talkers = [threading.Thread(target=talk, args=(socks[i : i + half], i)) for i in (0, half)]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        assert wrong == []
        code, events, err = server.stop()
    assert (code, err) == (0, "")
    assert events[-1]["received_bytes"] == events[-1]["sent_bytes"] > 0
    assert events[-1]["undelivered_bytes"] == 0
    ended = [event for event in events if event["event"] == "ended"]
    assert len(ended) == (connections if "--log" in options else 0)
    assert all(event["received_bytes"] == event["sent_bytes"] for event in ended)
    assert not ended or sum(event["received_bytes"] for event in ended) == events[-1]["received_bytes"]


def fill(connection: EchoConnection) -> int:
    """Write to this connection until the kernel takes nothing more; returns how many bytes that were."""
    filled = 0
    try:
        while True:
            filled += os.write(connection.fd, bytes(4096))
    except BlockingIOError:
        return filled
