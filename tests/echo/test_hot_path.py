"""The server's three ways to send bytes back, by their size, and its two ways to wait."""

from __future__ import annotations

import errno
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netprobe.echo.server import waiting as waiting_module
from netprobe.echo.server.limits import BRIEF
from netprobe.echo.server.splice import LARGE, SMALL, Pipe
from netprobe.echo.server.stream import Peer
from netprobe.echo.server.waiting import awake, waiting
from tests.echo.loop import Loop
from tests.echo.running import Server, exactly

splices = pytest.mark.skipif(not hasattr(os, "splice"), reason="this system has no splice(2)")


@contextmanager
def peer_of(loop: Any) -> Iterator[tuple[Peer, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(10)
        peer = Peer(loop, ours, "")
        loop.ready[peer.fd] = peer.readable
        yield peer, theirs
    if loop.pipe is not None:
        loop.pipe.close()


def echoed(loop: Loop, peer: Peer, theirs: socket.socket, data: bytes) -> str:
    """Have ``data`` back; the name of the method that is to take what comes next."""
    theirs.sendall(data)
    back = b""
    while len(back) < len(data):
        loop.ready[peer.fd](1)
        back += theirs.recv(len(data))
    assert back == data
    return loop.ready[peer.fd].__name__


@splices
def test_the_last_size_decides_how_the_next_is_received() -> None:
    loop = Loop(Pipe.open())
    with peer_of(loop) as (peer, theirs):
        assert echoed(loop, peer, theirs, b"x" * 1000) == "readable"
        assert echoed(loop, peer, theirs, b"x" * 64) == "brief"
        assert echoed(loop, peer, theirs, b"x" * (BRIEF - 1)) == "brief"
        assert echoed(loop, peer, theirs, os.urandom(BRIEF)) == "readable"
        assert echoed(loop, peer, theirs, os.urandom(LARGE)) == "spliced"
        assert echoed(loop, peer, theirs, os.urandom(SMALL)) == "spliced"
        assert echoed(loop, peer, theirs, b"y" * (SMALL - 1)) == "readable"
        assert echoed(loop, peer, theirs, b"y" * LARGE) == "spliced"
        assert echoed(loop, peer, theirs, b"z") == "brief"


def test_without_pipe_and_with_a_small_buffer_everything_is_plain() -> None:
    loop = Loop(None, brief=0)
    with peer_of(loop) as (peer, theirs):
        for size in (64, BRIEF, LARGE):
            assert echoed(loop, peer, theirs, os.urandom(size)) == "readable"


@splices
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_system_that_does_not_splice_sockets_loses_nothing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    loop = Loop(Pipe.open())
    with peer_of(loop) as (peer, theirs):
        echoed(loop, peer, theirs, b"x" * LARGE)
        monkeypatch.setattr(os, "splice", refuse)
        assert echoed(loop, peer, theirs, os.urandom(LARGE)) == "readable"
        assert loop.pipe is None
        assert not loop.ended


@splices
def test_what_the_kernel_does_not_take_leaves_the_pipe() -> None:
    loop = Loop(Pipe.open())
    with peer_of(loop) as (peer, theirs):
        echoed(loop, peer, theirs, b"x" * LARGE)
        peer._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sent = b""
        while not peer.owed:
            data = os.urandom(LARGE)
            theirs.sendall(data)
            sent += data
            loop.ready[peer.fd](1)
        assert loop.pipe is not None
        assert loop.pipe.rest() == b""  # nothing of this peer's is left for the next
        back = b""
        while len(back) < len(sent):
            back += theirs.recv(65536)
            peer.flush(4)
        assert back == sent


@splices
def test_a_peer_that_resets_leaves_nothing_in_the_pipe() -> None:
    loop = Loop(Pipe.open())
    with peer_of(loop) as (peer, theirs):
        echoed(loop, peer, theirs, b"x" * LARGE)
        theirs.sendall(b"y" * LARGE)
        theirs.shutdown(socket.SHUT_RD)
        loop.ready[peer.fd](1)
        assert loop.ended == {peer.fd: ("reset", "EPIPE")}
        assert loop.totals.undelivered == LARGE
        assert loop.pipe is not None
        assert loop.pipe.rest() == b""
        assert peer.sent == LARGE


@pytest.mark.parametrize("room", [True, False])
def test_what_has_come_by_the_last_call_stays_behind_what_is_owed(room: bool) -> None:
    loop = Loop(None, brief=0)
    with peer_of(loop) as (peer, theirs):
        peer._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.sendall(sent := os.urandom(LARGE))
        loop.ready[peer.fd](1)
        assert peer.owed
        if not room:
            loop.max_buffer = peer.owed
        back = theirs.recv(LARGE - peer.owed)  # the kernel takes more again, and nobody has seen it yet
        theirs.sendall(b"last words")
        peer.finish("stopped")
        while peer.owed:
            peer.flush(4)
            back += theirs.recv(LARGE)
        back += b"".join(iter(lambda: theirs.recv(LARGE), b""))  # our side has ended
        assert back == sent + (b"last words" if room else b"")
        theirs.shutdown(socket.SHUT_WR)
        while peer.fd not in loop.ended:
            loop.ready[peer.fd](1)
        assert loop.ended[peer.fd] == ("stopped", None)


@splices
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("size", [100, LARGE, 3 * LARGE])
def test_urgent_data_is_in_nobodys_way(size: int, ends: bool) -> None:
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


def test_a_peer_that_has_spoken_and_gone_is_finished_once() -> None:
    loop = Loop(None)
    with peer_of(loop) as (peer, theirs):
        theirs.sendall(b"nobody will hear this again")
        theirs.shutdown(socket.SHUT_RD)
        peer.finish("idle")
        assert loop.ended == {peer.fd: ("reset", "EPIPE")}


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


# ---- waiting


class Clock:
    """Time that passes only while something is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.events: list[float] = []  # when they come
        self.slept = 0
        self.looked = 0
        monkeypatch.setattr(waiting_module, "monotonic", lambda: self.now)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        if timeout == 0:
            self.looked += 1
            self.now += 1e-6
        else:
            self.slept += 1
            self.now = max(self.now, min(self.events[0], self.now + (float("inf") if timeout is None else timeout)))
        if self.events and self.events[0] <= self.now:
            self.events.pop(0)
            return [(3, 1)]
        return []


def test_close_messages_are_awaited_awake_and_silence_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    wait = waiting(clock.poll, 100e-6)
    clock.events = [1.0, 1.000_05, 1.000_10, 1.000_15, 2.0, 3.0]
    assert wait(None) == [(3, 1)]  # after a second: no reason to stay awake
    assert wait(None) == [(3, 1)]
    assert (clock.slept, clock.looked) == (2, 0)
    assert wait(None) == [(3, 1)]
    assert wait(None) == [(3, 1)]
    assert clock.slept == 2  # the next two came within 100 us each
    looked = clock.looked
    assert wait(None) == [(3, 1)]
    assert clock.slept == 3
    assert clock.looked - looked <= 101  # the vain looking is bounded
    looked = clock.looked
    assert wait(None) == [(3, 1)]
    assert (clock.slept, clock.looked) == (4, looked)  # and not done again


def test_a_time_limit_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    wait = waiting(clock.poll, 100e-6)
    clock.events = [0.000_01, 9.0]
    assert wait(0.5) == [(3, 1)]
    assert wait(0.5) == []
    assert 0.5 <= clock.now < 0.501


def test_no_window_is_the_poller_itself() -> None:
    def poll(_timeout: float | None) -> list[tuple[int, int]]:
        return []

    assert waiting(poll, 0) is poll


def test_who_waits_awake_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    gave_way = 0

    def give_way() -> None:
        nonlocal gave_way
        gave_way += 1
        clock.now += 30e-6  # somebody else's turn

    monkeypatch.setattr(os, "sched_yield", give_way, raising=False)
    wait = waiting(clock.poll, 100e-6)
    clock.events = [0.000_01, 9.0]
    wait(None)
    wait(None)
    assert gave_way == 4  # and that counts as time


@pytest.mark.parametrize(("asked", "cores", "seconds"), [(None, 1, 0), (None, 2, 100e-6), (0, 8, 0), (50, 1, 50e-6)])
def test_who_stays_awake(asked: int | None, cores: int, seconds: float) -> None:
    assert awake(asked, cores) == seconds
