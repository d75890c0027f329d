"""Short messages of many peers at once: the same as one by one, whatever happens to one of them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeAlias

import pytest

from netprobe.echo.server import brief
from netprobe.echo.server.brief import echo_brief
from netprobe.echo.server.limits import BRIEF
from netprobe.echo.server.readiness import BATCH
from netprobe.echo.server.stream import Peer
from tests.echo.loop import Loop
from tests.echo.running import Server, exactly

pytestmark = pytest.mark.skipif(os.name != "posix", reason="read(2) and write(2) take sockets on POSIX systems only")


class Crowd:
    """Peers and their other ends; ``serve`` has all of them served."""

    def __init__(self, stack: ExitStack, number: int, summed: bool) -> None:
        self.loop = Loop()
        self.summed = summed
        self.peers: list[Peer] = []
        self.ends: list[socket.socket] = []
        for _ in range(number):
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            ours.setblocking(False)
            theirs.settimeout(10)
            self.peers.append(Peer(self.loop, ours, ""))  # type: ignore[arg-type]
            self.ends.append(theirs)

    def serve(self) -> None:
        self.loop.now = 7.0
        by_fd = {peer.fd: peer for peer in self.peers}
        echo_brief(list(by_fd), by_fd, BRIEF, self.loop.totals if self.summed else None)

    def counted(self) -> tuple[int, int]:
        """Bytes received and sent, whoever counted them."""
        for peer in self.peers:
            if peer.fd not in self.loop.ended:
                self.loop.totals.add(peer)
        summary = self.loop.totals.summary(False, [])
        return summary.received_bytes, summary.sent_bytes


Gathering: TypeAlias = Callable[[int], Crowd]


@pytest.fixture(params=["one by one", "all at once"])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers that are fewer than a full batch, and a full one."""
    monkeypatch.setattr(brief, "BATCH", 1000 if request.param == "one by one" else 1)


@pytest.fixture(params=["each counts", "summed"])
def crowd(request: pytest.FixtureRequest, batches: None) -> Iterator[Gathering]:
    with ExitStack() as stack:
        yield lambda number: Crowd(stack, number, request.param == "summed")


def test_each_has_its_own_bytes_back_and_they_are_counted(crowd: Gathering) -> None:
    those = crowd(5)
    for number, end in enumerate(those.ends):
        end.sendall(b"%d" % number * (number + 1))
    those.serve()
    assert [end.recv(100) for end in those.ends] == [b"0", b"11", b"222", b"3333", b"44444"]
    each = [(p.received, p.sent, p.heard) for p in those.peers]
    assert each == [(0, 0, 1.0) if those.summed else (n, n, 7.0) for n in range(1, 6)]
    assert those.counted() == (15, 15)


def test_what_happens_to_some_is_theirs_alone(crowd: Gathering) -> None:
    those = crowd(6)
    silent, ended, deaf, long, full, well = those.ends
    ended.shutdown(socket.SHUT_WR)
    deaf.sendall(b"lost")
    deaf.shutdown(socket.SHUT_RD)
    long.sendall(b"x" * BRIEF)
    full.sendall(b"later")
    filled = fill(those.peers[4])
    well.sendall(b"here")
    those.serve()
    assert well.recv(100) == b"here"
    assert long.recv(1000) == b"x" * BRIEF
    fds = [peer.fd for peer in those.peers]
    assert those.loop.ended == {fds[1]: ("closed", None), fds[2]: ("reset", "EPIPE")}
    assert those.loop.totals.undelivered == len(b"lost")
    assert those.peers[4].owed == len(b"later")
    assert {fd: ready.__name__ for fd, ready in those.loop.ready.items()} == {fds[3]: "readable", fds[4]: "flush"}
    assert those.peers[0].heard == 1.0  # it was not ready after all
    assert those.counted() == (len(b"lostlaterhere") + BRIEF, len(b"here") + BRIEF)
    silent.sendall(b"x")
    those.peers[0].readable(1)
    assert silent.recv(9) == b"x"
    exactly(full, filled)
    those.peers[4].flush(4)
    assert full.recv(9) == b"later"


def test_who_sends_more_than_a_short_message_is_served_otherwise_from_then_on(crowd: Gathering) -> None:
    those = crowd(3)
    for end, size in zip(those.ends, (BRIEF - 1, BRIEF, 1), strict=True):
        end.sendall(bytes(size))
    those.serve()
    assert {fd: ready.__name__ for fd, ready in those.loop.ready.items()} == {those.peers[1].fd: "readable"}
    assert those.counted() == (2 * BRIEF, 2 * BRIEF)


def test_who_ends_among_those_who_talk_has_ended(crowd: Gathering) -> None:
    those = crowd(3)
    first, ended, last = those.ends
    first.sendall(b"1")
    ended.close()
    last.sendall(b"3")
    those.serve()
    assert (first.recv(9), last.recv(9)) == (b"1", b"3")
    assert those.loop.ended == {those.peers[1].fd: ("closed", None)}
    assert those.counted() == (2, 2)


@pytest.mark.parametrize("wrong", [0, 2, 4])
def test_a_receive_that_fails_is_that_peers_end(crowd: Gathering, monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    those = crowd(5)
    bad = those.peers[wrong].fd

    def read(fd: int, size: int) -> bytes:
        if fd == bad:
            raise ConnectionResetError(104, "reset")
        return os.read(fd, size)

    monkeypatch.setattr(brief, "read", read)
    for number, end in enumerate(those.ends):
        end.sendall(b"%d" % number)
    those.serve()
    assert those.loop.ended == {bad: ("reset", "ECONNRESET")}
    for number, end in enumerate(those.ends):
        if number != wrong:
            assert end.recv(9) == b"%d" % number


def test_what_the_kernel_takes_in_part_is_finished_later(crowd: Gathering, monkeypatch: pytest.MonkeyPatch) -> None:
    those = crowd(3)
    monkeypatch.setattr(brief, "write", lambda fd, data: os.write(fd, data[:2]))
    for end in those.ends:
        end.sendall(b"whole")
    those.serve()
    assert [peer.owed for peer in those.peers] == [3, 3, 3]
    for peer, end in zip(those.peers, those.ends, strict=True):
        peer.flush(4)
        assert end.recv(5, socket.MSG_WAITALL) == b"whole"
        assert (peer.received, peer.sent, peer.owed) == (5, 5, 0)


@pytest.mark.parametrize("options", [(), ("--log",)])
def test_hundreds_talk_at_once_and_none_is_mixed_up_with_another(options: tuple[str, ...]) -> None:
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


def fill(peer: Peer) -> int:
    """Write to this peer until the kernel takes nothing more; how many bytes that were."""
    filled = 0
    try:
        while True:
            filled += os.write(peer.fd, bytes(4096))
    except BlockingIOError:
        return filled
