"""One budget for all peers: who holds most is ended, whatever the others do, and running out costs no process."""

from __future__ import annotations

import random
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from netprobe.echo.framing import Connection, Message, Replies
from netprobe.echo.messages import Endpoint
from netprobe.echo.server import memory
from netprobe.echo.server.connection import EchoConnection
from netprobe.echo.server.framed_connection import FramedConnection
from netprobe.echo.server.memory import DEFAULT_BUDGET, LEAST_BUDGET, MemoryBudget, default_budget
from netprobe.echo.server.poller import BATCH
from netprobe.echo.server.small_messages import SMALL, echo_small
from tests.echo.loop import HandDrivenReactor
from tests.echo.running import Server, exactly

MIB = 1024 * 1024

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prlimit is Linux's")


@dataclass(eq=False)
class Peer:
    name: str
    held: int = 0


def test_the_sum_follows_each_and_the_largest_is_found() -> None:
    budget: MemoryBudget[Peer] = MemoryBudget(1000)
    peers = [Peer(str(number)) for number in range(20)]
    dice = random.Random(3)
    for _ in range(2000):
        budget.account(dice.choice(peers), dice.choice((0, 1, 100, 127, 128, 5000, 1 << 24)))
        assert budget.used == sum(peer.held for peer in peers)
        largest = budget.largest()
        most = max(peer.held for peer in peers)
        assert (largest.held.bit_length() if largest else 0) == most.bit_length()


def test_of_those_that_hold_about_the_same_the_one_that_did_so_first_is_named() -> None:
    budget: MemoryBudget[Peer] = MemoryBudget(1000)
    first, second = Peer("first"), Peer("second")
    budget.account(first, 1100)
    budget.account(second, 2000)
    assert budget.largest() is first
    budget.account(first, 1200)
    assert budget.largest() is first
    budget.account(first, 0)
    assert budget.largest() is second


@pytest.mark.parametrize(
    ("allowed", "budget"),
    [(None, DEFAULT_BUDGET), (1 << 40, DEFAULT_BUDGET), (400 * MIB, 100 * MIB), (100, LEAST_BUDGET)],
)
def test_the_default_is_a_quarter_of_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, allowed: int | None, budget: int
) -> None:
    monkeypatch.setattr(memory, "memory_limit", lambda: allowed)
    assert default_budget() == budget


def frame(size: int, kind: str = "binary/octet-stream") -> bytes:
    return Connection().send(Message.of_bytes(bytes(size), kind))


def test_the_capacity_of_a_buffer_counts_and_not_only_what_is_in_it() -> None:
    connection = Connection()
    assert connection.held == 0
    start = frame(100_000)[:50_000]
    for at in range(0, len(start), 1000):
        list(connection.receive(start[at : at + 1000]))
    assert connection.held >= connection.awaiting
    list(connection.receive(frame(100_000)[50_000:]))
    assert connection.held == 0


def test_a_header_without_its_content_counts() -> None:
    connection = Connection(keep_extra=False)
    list(connection.receive(frame(5, "x" * 1000)[:-5]))
    assert connection.awaiting == 0
    assert connection.held > 1000


def test_a_server_keeps_nothing_of_what_a_peer_says_of_itself() -> None:
    header = (
        b'{"byteorder":"big","content-type":"x","content-encoding":"binary","content-length":1,"netprobe":{"a":[%s]}}'
    )
    text = header % b",".join([b"[]"] * 20_000)
    connection = Connection(keep_extra=False)
    (message,) = connection.receive(struct.pack(">H", len(text)) + text + b"z")
    assert isinstance(message, Message)
    assert message.header.netprobe is None


def test_a_long_type_is_answered_and_not_remembered() -> None:
    replies = Replies(Endpoint("a", 1), Endpoint("b", 2), "s")
    for kind, content in (("\x00" * 1024, b"1"), ("short", b"2"), ("\x00" * 1024, b"3")):
        message = Message.of_bytes(content, kind)
        (reply,) = Connection().receive(replies.reply(message.header, message.content, 1, lambda: 2))
        assert isinstance(reply, Message)
        assert (reply.header.content_type, reply.content) == (kind, content)
        assert len(replies._head) <= 1024


def stuff(server: Server, socks: Sequence[socket.socket], data: bytes) -> None:
    """Send ``data`` on each, as far as the server takes it or ends them."""
    left = dict.fromkeys(socks, memoryview(data))
    for sock in socks:
        sock.setblocking(False)
    while left and (writable := select.select([], list(left), [], 1)[1]):
        for sock in writable:
            try:
                left[sock] = left[sock][sock.send(left[sock][:262_144]) :]
            except OSError:
                del left[sock]
                continue
            if not left[sock]:
                del left[sock]


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_slow_readers_together_hold_no_more_than_the_budget(options: tuple[str, ...]) -> None:
    with Server("--tcp", "--memory", "3M", "--max-buffer", "1000000", *options) as server, server.connect() as other:
        greedy = [server.connect() for _ in range(24)]
        stuff(server, greedy, bytes(30_000_000))
        told = server.event("memory-exceeded")
        assert told["limit_bytes"] == (3 * MIB // 2 if options else 3 * MIB)
        assert told["held_bytes"] > 100_000
        assert told["cause"] is None
        assert told["peer_port"] in {sock.getsockname()[1] for sock in greedy}
        other.sendall(b"still served" * 1000)
        assert exactly(other, 12_000) == b"still served" * 1000
        for sock in greedy:
            sock.close()
        _, events, err = server.stop()
    assert err == ""
    assert events[-1]["ended_for_memory"] >= 1
    assert len([event for event in events if event["event"] == "memory-exceeded"]) < 5


def test_unfinished_frames_together_hold_no_more_than_the_budget_and_who_is_ended_learns_why() -> None:
    with Server("--tcp", "--framed", "--memory", "8M") as server, server.connect() as other:
        hogs = [server.connect() for _ in range(10)]
        for sock in hogs:
            sock.sendall(frame(2_000_000)[:1_500_000])
        assert server.event("memory-exceeded")["limit_bytes"] == 8 * MIB
        first = hogs[0]  # of the same size as the others, and there before them
        back = b"".join(iter(lambda: first.recv(65536), b""))
        (reply,) = Connection().receive(back)
        assert isinstance(reply, Message)
        assert reply.header.reply_info is not None
        assert "memory" in (reply.header.reply_info.error or "")
        other.sendall(frame(1000))
        assert len(other.recv(65536)) > 1000
        for sock in hogs:
            sock.close()
        status, events, err = server.stop()
    assert (status, err) == (0, "")
    assert events[-1]["ended_for_memory"] >= 1


@linux
@pytest.mark.parametrize("options", [("--framed",), ("--max-buffer", str(64 * MIB))])
def test_where_the_system_gives_no_more_memory_the_server_goes_on(options: tuple[str, ...]) -> None:
    with (
        Server("--tcp", "--memory", "100G", *options, prefix=("prlimit", f"--as={300 * MIB}")) as server,
        server.connect() as other,
    ):
        framed = "--framed" in options
        hogs = [server.connect() for _ in range(40)]
        stuff(server, hogs, frame(16 * MIB)[:-1] if framed else bytes(80 * MIB))
        assert server.event("memory-exceeded")["cause"] == "ENOMEM"
        for number in range(20):
            said = frame(1000) if framed else b"%d" % number * 1000
            other.sendall(said)
            assert len(exactly(other, len(said))) == len(said)
            if framed:
                while select.select([other], [], [], 0.01)[0]:
                    other.recv(65536)
        for sock in hogs:
            sock.close()
        status, events, err = server.stop()
    assert (status, err) == (0, "")
    assert events[-1]["ended_for_memory"] >= 1


class _NoMemory(EchoConnection):
    """Cannot keep what the kernel does not take."""

    __slots__ = ()

    def after_small(self, data: bytes, sent: int, error: OSError | None = None) -> None:
        raise MemoryError


@pytest.mark.parametrize("count", [BATCH // 2, BATCH])
def test_of_a_batch_only_the_peer_without_memory_ends(count: int) -> None:
    reactor = HandDrivenReactor()
    pairs = [socket.socketpair() for _ in range(count)]
    try:
        kinds = [_NoMemory if number == 3 else EchoConnection for number in range(count)]
        connections = [kind(reactor, ours, "") for kind, (ours, _) in zip(kinds, pairs, strict=True)]
        for _, theirs in pairs:
            theirs.sendall(b"hello")
        echo_small([c.fd for c in connections], {c.fd: c for c in connections}, SMALL, None)
        assert set(reactor.ended.values()) == {("memory", "ENOMEM")}
        assert len(reactor.ended) == 1
        assert [c.received for c in connections].count(5) == count - 1
        for number, (_, theirs) in enumerate(pairs):
            theirs.settimeout(20)
            if number != 3:
                assert theirs.recv(10) == b"hello"
    finally:
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


def test_a_framed_peer_in_the_middle_of_a_reply_is_reset_instead_of_told() -> None:
    reactor = HandDrivenReactor()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), 20)
        ours, peer = listener.accept()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        served = FramedConnection(reactor, ours, peer)
        deadline = time.monotonic() + 20
        while not served.pending and time.monotonic() < deadline:
            theirs.sendall(frame(100_000))
            select.select([ours], [], [], 20)
            served.readable(1)
        assert served.held >= served.pending > 0
        served.evict("memory")
        assert reactor.ended == {served.fd: ("memory", None)}
        assert reactor.memory.used == 0
        with pytest.raises(ConnectionResetError):
            while theirs.recv(65536):
                pass
