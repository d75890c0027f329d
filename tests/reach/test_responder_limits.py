"""What anybody can hold of a responder, with and without the nonce: time, descriptors, turns and memory have an end."""

from __future__ import annotations

import itertools
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress

import pytest

from netprobe.prober import wire
from netprobe.reach import responder as module
from netprobe.reach.listener import Listener, ListenerOptions, Protocol
from netprobe.reach.responder import Responder, ResponderError
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.visitors import MOST_ANSWERS, LeftOut
from tests.conftest import clean_environment

NONCE = "secret"
LONG_S = 20.0  # only a failure takes so long


@pytest.fixture
def responder() -> Iterator[Responder]:
    with Responder(NONCE) as opened:
        yield opened


@pytest.fixture
def clients() -> Iterator[Callable[[int], socket.socket]]:
    """Connect to a port; whatever is still connected at the end is closed."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LONG_S))


def started(responder: Responder, *protocols: Protocol, addresses: Sequence[str] = ("127.0.0.1",)) -> list[Listener]:
    opened = responder.open([ScopedAddress.parse(text) for text in addresses], protocols, ListenerOptions())
    responder.start()
    return opened


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_closed(client: socket.socket) -> bool:
    """Has the other side closed it?"""
    if not select.select([client], [], [], 0)[0]:
        return False
    try:
        return client.recv(65536, socket.MSG_PEEK) == b""
    except ConnectionResetError:
        return True


def is_answered(client: socket.socket, challenge: str = "ab" * 16) -> bool:
    client.sendall(wire.probe_line(NONCE, challenge, 0))
    return wire.read_reply(NONCE, challenge, client.recv(500)) is not None


def test_a_byte_now_and_then_does_not_renew_the_time_of_a_stranger(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNPROVEN_S", 0.3)
    (tcp,) = started(responder, "tcp")
    client = clients(tcp.port)
    line = wire.probe_line("another", "ab" * 16, 0)[:-1] * 20  # so far it could be a probe

    def is_sent_away_between_two_bytes() -> bool:
        nonlocal line
        with suppress(BrokenPipeError, ConnectionResetError):
            line = line[client.send(line[:1]) :]
        return is_closed(client)

    until(is_sent_away_between_two_bytes)


def test_what_cannot_become_a_probe_is_sent_away_at_its_first_byte(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNPROVEN_S", 3600.0)
    (tcp,) = started(responder, "tcp")
    client = clients(tcp.port)
    client.sendall(b"G")
    until(lambda: is_closed(client))


def test_of_too_many_strangers_the_oldest_goes(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNPROVEN_S", 3600.0)
    monkeypatch.setattr(module, "MOST_UNPROVEN", 8)
    (tcp,) = started(responder, "tcp")
    strangers = [clients(tcp.port) for _ in range(20)]
    until(lambda: all(is_closed(client) for client in strangers[:12]))
    assert not any(is_closed(client) for client in strangers[12:])
    assert is_answered(clients(tcp.port))


def test_a_line_that_has_arrived_counts_even_if_its_turn_to_go_has_come(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNPROVEN", 8)
    (tcp,) = responder.open([ScopedAddress.parse("127.0.0.1")], ("tcp",), ListenerOptions())
    early = clients(tcp.port)
    strangers = [clients(tcp.port) for _ in range(20)]
    early.sendall(wire.probe_line(NONCE, "cd" * 16, 0))  # nothing is accepted yet
    responder.start()
    assert wire.read_reply(NONCE, "cd" * 16, early.recv(500)) is not None
    until(lambda: sum(is_closed(client) for client in strangers) == 12)


def test_the_flood_of_one_listener_is_at_its_own_expense(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNPROVEN_S", 3600.0)
    monkeypatch.setattr(module, "MOST_UNPROVEN", 8)
    flooded, quiet = started(responder, "tcp", addresses=("127.0.0.1", "127.0.0.1"))
    slow = clients(quiet.port)
    strangers = [clients(flooded.port) for _ in range(40)]
    until(lambda: sum(is_closed(client) for client in strangers) >= 32)
    assert not is_closed(slow)
    assert is_answered(slow)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_listeners_take_turns_whatever_waits_at_one_of_them(
    responder: Responder, monkeypatch: pytest.MonkeyPatch, protocol: Protocol
) -> None:
    """As many wait at each of them, before anything is served; what they say is who they are."""
    served: list[bytes] = []
    monkeypatch.setattr(wire, "read_probe", lambda nonce, line: served.append(line))
    monkeypatch.setattr(module, "CONNECTIONS", 64)
    monkeypatch.setattr(module, "DATAGRAMS", 64)
    binds = [ScopedAddress.parse("127.0.0.1")] * 2
    opened = responder.open(binds, (protocol,), ListenerOptions())
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with ExitStack() as stack:
        for number, listener in enumerate(opened):
            for _ in range(150):
                client = stack.enter_context(socket.socket(type=kind))
                client.connect(("127.0.0.1", listener.port))
                client.sendall(b"%d\n" % number)
        responder.start()
        until(lambda: len(served) == 300)
    longest = max(len(list(same)) for _, same in itertools.groupby(served))
    assert longest <= 64


def test_who_never_reads_the_payload_is_held_up_and_has_an_end(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROVEN_S", 1.0)
    monkeypatch.setattr(module, "SLOWEST", 1 << 40)
    (tcp,) = started(responder, "tcp")
    client = clients(tcp.port)
    client.sendall(wire.probe_line(NONCE, "ab" * 16, 64 << 20))
    client.settimeout(0.05)
    held = 0

    def is_sent_away() -> bool:
        nonlocal held
        with suppress(TimeoutError):
            client.send(b"x" * 65536)
        held = max([held, *(len(connection.unsent) for connection in responder._connections())])
        return False

    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        until(is_sent_away)
    assert held <= 2 * module.CHUNK


def test_who_has_its_answer_and_stays_is_sent_away(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWERED_S", 0.1)
    (tcp,) = started(responder, "tcp")
    client = clients(tcp.port)
    assert is_answered(client)
    until(lambda: is_closed(client))


def test_of_too_many_who_are_proven_one_with_its_answer_goes_first(
    responder: Responder, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PROVEN", 4)
    (tcp,) = started(responder, "tcp")
    busy = clients(tcp.port)
    busy.sendall(wire.probe_line(NONCE, "cd" * 16, 100))
    assert wire.read_reply(NONCE, "cd" * 16, busy.recv(500))
    answered = [clients(tcp.port) for _ in range(10)]
    assert all(is_answered(client, f"{number:032x}") for number, client in enumerate(answered))
    until(lambda: all(is_closed(client) for client in answered[:7]))
    busy.sendall(b"x" * 100)
    assert busy.recv(500) == b"x" * 100


@pytest.mark.parametrize("size", [10**100, 2**63])
def test_a_payload_of_any_size_is_no_fault(
    responder: Responder, clients: Callable[[int], socket.socket], size: int
) -> None:
    """Who knows the nonce need not be honest: a vantage is not trusted."""
    (tcp,) = started(responder, "tcp")
    client = clients(tcp.port)
    client.sendall(wire.probe_line(NONCE, "ab" * 16, size))
    client.recv(500)
    assert is_answered(clients(tcp.port))


def test_a_recorded_datagram_that_is_sent_again_and_again_is_soon_a_stranger_s(responder: Responder) -> None:
    (udp,) = started(responder, "udp")
    line = wire.probe_line(NONCE, "ab" * 16, 0)
    with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as again:
        for client in (first, again):
            client.bind(("127.0.0.1", 0))
            client.settimeout(LONG_S)
        first.sendto(line, ("127.0.0.1", udp.port))
        assert wire.read_reply(NONCE, "ab" * 16, first.recv(500))
        for _ in range(50):
            again.sendto(line, ("127.0.0.1", udp.port))
        until(lambda: responder.strangers)
        until(lambda: responder.visitors.left_out() == [LeftOut("127.0.0.1", False, 50 - MOST_ANSWERS)])
        again.settimeout(0.0)
        answers = 0
        with suppress(BlockingIOError):
            while again.recv(500):
                answers += 1
        assert answers == MOST_ANSWERS - 1
        assert responder.arrivals["ab" * 16].peer_port == first.getsockname()[1]


def test_an_answer_is_not_much_longer_than_its_question(responder: Responder) -> None:
    """Else a probe with a made-up source address would have us send somebody more than it costs the sender."""
    longest = "::ffff:255.255.255.255"
    question = wire.probe_line(NONCE, "ab" * 16, 0)
    answer = wire.reply_line(NONCE, "ab" * 16, f"u999@{longest}%{'x' * 15}", (longest, 65535), longest)
    assert len(answer) <= 3 * len(question)  # what QUIC allows before an address is validated, RFC 9000 section 8.1


def test_a_fault_of_ours_with_one_peer_is_raised_at_the_end_and_deafens_nobody(
    clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = wire.read_probe

    def read_probe(nonce: str, line: bytes) -> tuple[str, int] | None:
        if line == b"boom":
            raise ArithmeticError("a fault of ours")
        return right(nonce, line)

    monkeypatch.setattr(wire, "read_probe", read_probe)
    with pytest.raises(ResponderError, match="ArithmeticError: a fault of ours"), Responder(NONCE) as responder:
        tcp, udp = started(responder, "tcp", "udp")
        client = clients(tcp.port)
        client.sendall(b"boom\n")
        until(lambda: is_closed(client))
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(LONG_S)
            datagrams.sendto(b"boom\n", ("127.0.0.1", udp.port))
            datagrams.sendto(wire.probe_line(NONCE, "cd" * 16, 0), ("127.0.0.1", udp.port))
            assert wire.read_reply(NONCE, "cd" * 16, datagrams.recv(500))
        assert is_answered(clients(tcp.port))


OUT_OF_DESCRIPTORS = """
import os, resource, sys
from netprobe.reach import responder as module
from netprobe.reach.listener import ListenerOptions
from netprobe.reach.scoped_address import ScopedAddress

module.SPARE, module.FEWEST_UNPROVEN = int(sys.argv[1]), 2
accepts = 0

class Counting(module.Responder):
    def _accept(self, sock):
        global accepts
        accepts += 1
        super()._accept(sock)

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with Counting("secret") as responder:
    (tcp,) = responder.open([ScopedAddress.parse("127.0.0.1")], ("tcp",), ListenerOptions())
    responder.start()
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        print(tcp.port, flush=True)
    for line in sys.stdin:
        if line == "how many\\n":
            print(accepts, flush=True)
        elif line == "free\\n":
            os.close(held.pop())
            print("freed", flush=True)
"""


class Exhausted:
    """A responder in a process that has no descriptor left, but for ``spare`` in reserve."""

    def __init__(self, spare: int) -> None:
        argv = [sys.executable, "-c", OUT_OF_DESCRIPTORS, str(spare)]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment()
        )
        self.port = int(self.read())

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()


@pytest.fixture
def exhausted(request: pytest.FixtureRequest) -> Iterator[Exhausted]:
    there = Exhausted(request.param)
    try:
        yield there
    finally:
        there.process.kill()
        there.process.communicate()


@pytest.mark.parametrize("exhausted", [2], indirect=True)
def test_without_a_descriptor_probes_get_in_by_the_reserve(
    exhausted: Exhausted, clients: Callable[[int], socket.socket]
) -> None:
    strangers = [clients(exhausted.port) for _ in range(5)]
    assert [is_answered(clients(exhausted.port), f"{number:032x}") for number in range(10)] == [True] * 10
    until(lambda: sum(is_closed(client) for client in strangers) >= 3)


@pytest.mark.parametrize("exhausted", [0], indirect=True)
def test_without_any_descriptor_nothing_spins_and_what_waits_is_answered_later(
    exhausted: Exhausted, clients: Callable[[int], socket.socket]
) -> None:
    waiting = clients(exhausted.port)
    waiting.sendall(wire.probe_line(NONCE, "ab" * 16, 0))
    until(lambda: int(exhausted.ask("how many")) >= 3)  # it was tried, and tried again
    before, since = int(exhausted.ask("how many")), time.monotonic()
    time.sleep(0.5)
    tried, seconds = int(exhausted.ask("how many")) - before, time.monotonic() - since
    assert tried <= 4 * seconds + 2
    assert re.match("freed", exhausted.ask("free"))
    assert wire.read_reply(NONCE, "ab" * 16, waiting.recv(500)) is not None
