"""Short messages of many peers at once: the same as one by one, whatever happens to one of them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from netprobe.echo.server import together
from netprobe.echo.server.limits import BRIEF
from netprobe.echo.server.readiness import BATCH
from netprobe.echo.server.stream import Peer
from netprobe.echo.server.together import echo_together
from tests.echo.loop import Loop
from tests.echo.running import Server, exactly

pytestmark = pytest.mark.skipif(os.name != "posix", reason="read(2) and write(2) take sockets on POSIX systems only")


class Crowd:
    """Peers and their other ends; ``serve`` has all of them served together."""

    def __init__(self, stack: ExitStack, number: int) -> None:
        self.loop = Loop()
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
        by_fd = {peer.fd: peer for peer in self.peers}
        echo_together(list(by_fd), by_fd, BRIEF, 7.0)


@contextmanager
def crowd(number: int) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield Crowd(stack, number)


def test_each_has_its_own_bytes_back_and_is_counted() -> None:
    with crowd(5) as those:
        for number, end in enumerate(those.ends):
            end.sendall(b"%d" % number * (number + 1))
        those.serve()
        assert [end.recv(100) for end in those.ends] == [b"0", b"11", b"222", b"3333", b"44444"]
        assert [(p.received, p.sent, p.heard) for p in those.peers] == [(n, n, 7.0) for n in range(1, 6)]


def test_what_happens_to_some_is_theirs_alone() -> None:
    with crowd(6) as those:
        silent, ended, deaf, long, full, well = those.ends
        ended.shutdown(socket.SHUT_WR)
        deaf.sendall(b"lost")
        deaf.shutdown(socket.SHUT_RD)
        long.sendall(b"x" * BRIEF)
        full.sendall(b"later")
        fill(those.peers[4])
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
        silent.sendall(b"x")
        those.peers[0].brief(1)
        assert silent.recv(9) == b"x"


def test_who_ends_among_those_who_talk_has_ended() -> None:
    with crowd(3) as those:
        first, ended, last = those.ends
        first.sendall(b"1")
        ended.close()
        last.sendall(b"3")
        those.serve()
        assert (first.recv(9), last.recv(9)) == (b"1", b"3")
        assert those.loop.ended == {those.peers[1].fd: ("closed", None)}


@pytest.mark.parametrize("wrong", [0, 2, 4])
def test_a_receive_that_fails_is_that_peers_end(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    with crowd(5) as those:
        bad = those.peers[wrong].fd

        def read(fd: int, size: int) -> bytes:
            if fd == bad:
                raise ConnectionResetError(104, "reset")
            return os.read(fd, size)

        monkeypatch.setattr(together, "read", read)
        for number, end in enumerate(those.ends):
            end.sendall(b"%d" % number)
        those.serve()
        assert those.loop.ended == {bad: ("reset", "ECONNRESET")}
        for number, end in enumerate(those.ends):
            if number != wrong:
                assert end.recv(9) == b"%d" % number


def test_what_the_kernel_takes_in_part_is_finished_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with crowd(3) as those:
        monkeypatch.setattr(together, "write", lambda fd, data: os.write(fd, data[:2]))
        for end in those.ends:
            end.sendall(b"whole")
        those.serve()
        assert [peer.owed for peer in those.peers] == [3, 3, 3]
        for peer, end in zip(those.peers, those.ends, strict=True):
            peer.flush(4)
            assert end.recv(5, socket.MSG_WAITALL) == b"whole"
            assert (peer.received, peer.sent, peer.owed) == (5, 5, 0)


@pytest.mark.parametrize("options", [(), ("--log", "--idle-timeout", "20")])
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


def fill(peer: Peer) -> None:
    """The kernel takes nothing more for this peer."""
    try:
        while True:
            os.write(peer.fd, bytes(4096))
    except BlockingIOError:
        pass
