"""Honest peers beside hostile ones: ``python -m tests.bench.echo.hostile [--seconds 600] [--connections 10000]``.

Half of the connections are to a plain server and half to a framed one. Most say something every 20 seconds, some 20
times a second, and every byte that comes back is compared. At the same time ``--hostile`` peers (100) in a process of
their own do what they can against both servers: frames without an end, readers that do not read, bytes one by one,
resets, garbage, connections that are opened and closed at once, or held and left silent. ``--memory`` is the servers'
budget, small enough here that it is reached; so is ``--max-buffer`` large. All other options are the defaults.

In each round the servers' resident memory and descriptors are read from /proc. At the end it says what was lost, how
long honest peers waited, and whether memory and descriptors of the second half exceed those of the first. The status
is 1 if a message was lost, or an honest connection.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from netprobe.echo.framing import Connection, Message
from tests.bench.echo.build import Running
from tests.bench.echo.compare import resident
from tests.bench.echo.soak import descriptors
from tests.conftest import NETPROBE, clean_environment

BUSY: Final = 50  # connections that say something often
OFTEN_S: Final = 0.05
SELDOM_S: Final = 20.0
PATIENCE_S: Final = 15.0  # after which a reply that has not come is lost
SIZES: Final = (64, 64, 64, 64, 1000, 1000, 20_000, 200_000)
ROUNDS: Final = 12


@dataclass(slots=True)
class Server:
    """A server and where it writes its events."""

    running: Running
    framed: bool
    log: Path
    summary: dict[str, Any] = field(default_factory=dict)


@contextmanager
def served(folder: Path, framed: bool, memory: str) -> Iterator[Server]:
    """A server of netprobe; when it has ended, its summary is known."""
    log = folder / f"log-{framed}"
    argv = ["prlimit", "--nofile=20000", str(NETPROBE), "echo", "serve", "--port", "0", "--json", "--tcp"]
    argv += ["--memory", memory, *(["--framed"] if framed else ["--max-buffer", "16000000"])]
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, env=clean_environment()) as process:
        try:
            while not log.read_bytes().endswith(b"\n"):
                if process.poll() is not None:
                    raise SystemExit("the server does not start")
                time.sleep(0.02)
            server = Server(Running(process.pid, json.loads(log.read_bytes().splitlines()[0])["port"]), framed, log)
            yield server
            if process.poll() is not None:
                raise SystemExit(f"the {'framed' if framed else 'plain'} server ended: {process.returncode}")
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
    server.summary = json.loads(log.read_bytes().splitlines()[-1])


# ---- honest peers


class Honest:
    """A connection with at most one message under way."""

    __slots__ = ("_content", "_framing", "_unsent", "back", "due", "every", "sent_at", "sock")

    def __init__(self, server: Server, number: int, every: float) -> None:
        source = (f"127.0.{1 + number // 5000}.{1 + server.framed}", 0)  # each address has ports of its own
        self.sock = socket.create_connection(("127.0.0.1", server.running.port), 30, source)
        self.sock.setblocking(False)
        self.every = every
        self.due = 0.0
        self.sent_at: float | None = None
        self.back = bytearray()
        self._framing = Connection() if server.framed else None
        self._content = b""
        self._unsent = memoryview(b"")

    def say(self, content: bytes, now: float) -> None:
        """Begin to send."""
        self._content, self.sent_at = content, now
        framing = self._framing
        self._unsent = memoryview(content if framing is None else framing.send(Message.of_bytes(content)))
        self.back.clear()
        self.send()

    def send(self) -> bool:
        """Send on; whether something is left to send."""
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self.sock.send(self._unsent) :]
        return bool(self._unsent)

    def receive(self) -> bool:
        """Receive; whether the reply is complete. Raises OSError if the connection or the reply is broken."""
        try:
            data = self.sock.recv(262_144)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionError("closed by the server")
        if self._framing is None:
            self.back += data
        else:
            for event in self._framing.receive(data):
                self.back += event.content if isinstance(event, Message) else b""
        if len(self.back) < len(self._content):
            return False
        if self.sent_at is None or self.back != self._content:
            raise ConnectionError("a reply that is not what was sent")
        self.sent_at = None
        return True


class Crowd:
    """All honest peers, in turn."""

    def __init__(self, servers: list[Server], count: int, dice: random.Random) -> None:
        self.replies = 0
        self.waits: list[float] = []
        self.lost: Counter[str] = Counter()
        self._dice = dice
        self._pool = dice.randbytes(2 * max(SIZES))
        self._epoll = select.epoll()
        self._peers: dict[int, Honest] = {}
        self._due: list[tuple[float, int]] = []
        start = time.monotonic()
        for number in range(count):
            busy = number < BUSY
            peer = Honest(servers[number % len(servers)], number, OFTEN_S if busy else SELDOM_S)
            self._peers[peer.sock.fileno()] = peer
            self._epoll.register(peer.sock.fileno(), select.EPOLLIN)
            heappush(self._due, (start + dice.random() * peer.every, peer.sock.fileno()))

    def run(self, until: float) -> None:
        """Talk until then."""
        while (now := time.monotonic()) < until:
            while self._due and self._due[0][0] <= now:
                self._speak(heappop(self._due)[1], now)
            wait = min(until, self._due[0][0] if self._due else until) - now
            self._poll(max(0.0, min(wait, 0.2)))

    def settle(self) -> None:
        """Wait for the replies to what was said; count as lost what does not come."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and any(peer.sent_at is not None for peer in self._peers.values()):
            self._poll(0.2)
        self.lost["no reply"] += sum(peer.sent_at is not None for peer in self._peers.values())
        for peer in self._peers.values():
            peer.sock.close()
        self._epoll.close()

    def _speak(self, fd: int, now: float) -> None:
        peer = self._peers.get(fd)
        if peer is None:
            return
        heappush(self._due, (now + peer.every, fd))
        if peer.sent_at is not None:  # the last one is not back yet
            if now - peer.sent_at > PATIENCE_S:
                self._gone(fd, "no reply")
            return
        size = self._dice.choice(SIZES)
        at = self._dice.randrange(len(self._pool) - size)
        self._act(fd, lambda peer: peer.say(self._pool[at : at + size], now))
        self._watch(fd)

    def _poll(self, seconds: float) -> None:
        for fd, mask in self._epoll.poll(seconds, 256):
            if mask & select.EPOLLOUT:
                self._act(fd, Honest.send)
                self._watch(fd)
            if mask & ~select.EPOLLOUT and fd in self._peers:
                began = self._peers[fd].sent_at
                if self._act(fd, Honest.receive) and began is not None:
                    self.replies += 1
                    self.waits.append(time.monotonic() - began)

    def _watch(self, fd: int) -> None:
        if (peer := self._peers.get(fd)) is not None:
            self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if peer.send() else 0))

    def _act(self, fd: int, what: Callable[[Honest], Any]) -> Any:
        try:
            return what(self._peers[fd])
        except OSError as error:
            self._gone(fd, str(error))
            return None

    def _gone(self, fd: int, why: str) -> None:
        self.lost[why] += 1
        self._peers.pop(fd).sock.close()


# ---- hostile peers

CHUNK: Final = bytes(262_144)
Hostile = Callable[[socket.socket, random.Random, threading.Event], None]


def unfinished(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """A frame of the largest size that lacks its last byte."""
    text = Connection().send(Message.of_bytes(bytes(16 << 20)))[:-1]
    sock.sendall(text)
    sock.settimeout(90)
    sock.recv(1000)


def slow_reader(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """Sends what the server takes and reads nothing."""
    sock.settimeout(5)
    with suppress(TimeoutError):
        while not over.is_set():
            sock.sendall(CHUNK)
    over.wait(dice.uniform(1, 60))


def trickler(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """A frame byte by byte."""
    for byte in Connection().send(Message.of_bytes(bytes(1000))):
        sock.sendall(bytes([byte]))
        if over.wait(0.3):
            return


def resetting(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """Gone in the middle."""
    sock.sendall(dice.randbytes(dice.randrange(1, 100_000)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    over.wait(dice.uniform(0, 0.2))


def junk(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """Whatever bytes; some replies are read."""
    for _ in range(dice.randrange(1, 10)):
        sock.sendall(dice.randbytes(dice.randrange(1, 5000)))
        if dice.random() < 0.5:
            sock.settimeout(0.05)
            with suppress(TimeoutError):
                sock.recv(1000)
            sock.settimeout(20)


def half_open(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """Closes its sending side, reads nothing, and stays."""
    sock.sendall(CHUNK[: dice.randrange(1, 200_000)])
    sock.shutdown(socket.SHUT_WR)
    over.wait(dice.uniform(0, 30))


def silent(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """Says nothing."""
    over.wait(dice.uniform(0, 60))


def churn(sock: socket.socket, dice: random.Random, over: threading.Event) -> None:
    """There and gone."""
    over.wait(0.005)


KINDS: Final[tuple[Hostile, ...]] = (unfinished, slow_reader, trickler, resetting, junk, half_open, silent, churn)


def attack(ports: list[int], count: int, done: Any) -> None:
    """``count`` hostile peers, each of one kind against one server, again and again until SIGTERM. Puts their sum."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    made: Counter[str] = Counter()

    def peer(number: int) -> None:
        kind, port = KINDS[number // len(ports) % len(KINDS)], ports[number % len(ports)]
        dice = random.Random(number)
        while not over.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 20) as sock:
                made[kind.__name__] += 1
                kind(sock, dice, over)
            over.wait(0.02)

    threads = [threading.Thread(target=peer, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    while not over.wait(0.2):
        pass
    done.send(dict(made))
    os._exit(0)


@contextmanager
def attacked(ports: list[int], count: int, made: dict[str, int]) -> Iterator[None]:
    """Hostile peers in a process of their own; ``made`` has how many connections of each kind, at the end."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=attack, args=(ports, count, theirs), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        if ours.poll(20):
            made.update(ours.recv())
        process.join(20)
        process.kill()


# ---- all of it


def main() -> int:
    """Run the rounds, and print a row for each and what came of it."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seconds", type=float, default=600.0)
    options.add_argument("--connections", type=int, default=10_000)
    options.add_argument("--hostile", type=int, default=100)
    options.add_argument("--memory", default="64M")
    given = options.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    dice = random.Random(1)
    made: dict[str, int] = {}
    rows: list[list[tuple[int, int]]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = [stack.enter_context(served(folder, framed, given.memory)) for framed in (False, True)]
        with attacked([server.running.port for server in servers], given.hostile, made):
            crowd = Crowd(servers, given.connections, dice)
            print(f"{given.connections:,} honest connections, {given.hostile} hostile ones, budget {given.memory}")
            titles = ("seconds", 8), ("plain KiB", 12), ("fds", 5), ("framed KiB", 12), ("fds", 5)
            print(*(f"{title:>{width}}" for title, width in (*titles, ("replies", 12), ("lost", 5), ("slowest", 10))))
            start = time.monotonic()
            for number in range(1, ROUNDS + 1):
                seen = len(crowd.waits)
                crowd.run(start + given.seconds * number / ROUNDS)
                pids = [server.running.pid for server in servers]
                rows.append([(resident(pid), descriptors(pid)) for pid in pids])
                slowest = max(crowd.waits[seen:], default=0.0) * 1000
                print(f"{time.monotonic() - start:8.0f}", *(f"{kib:>12} {fds:>5}" for kib, fds in rows[-1]), end=" ")
                print(f"{crowd.replies:>12,} {crowd.lost.total():>5} {slowest:>7.0f} ms", flush=True)
            crowd.settle()
    print("hostile connections:", ", ".join(f"{count:,} {kind}" for kind, count in sorted(made.items())))
    half = len(rows) // 2
    for number, server in enumerate(servers):
        before, after = (median(row[number][0] for row in part) for part in (rows[1:half], rows[half:]))
        fds = max(row[number][1] for row in rows[half:]) - max(row[number][1] for row in rows[1:half])
        name = "framed" if server.framed else "plain"
        print(
            f"{name}: second half against the first: {after - before:+.0f} KiB of {before:.0f}, {fds:+d} descriptors",
            end="; ",
        )
        print(
            ", ".join(f"{server.summary[key]} {key}" for key in ("connections", "ended_for_memory", "stalled_frames"))
        )
    cuts = quantiles(crowd.waits, n=1000)
    print(f"replies {crowd.replies:,}: median {cuts[499] * 1000:.1f} ms, 99.9 % within {cuts[998] * 1000:.0f} ms")
    print(f"lost: {crowd.lost.total()}", *(f"({count} x {why})" for why, count in crowd.lost.items() if count))
    return int(crowd.lost.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
