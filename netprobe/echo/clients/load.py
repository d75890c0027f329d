"""Load on an echo server: many connections in one loop, bounded in time or number, every byte checked.

Without a rate the loop is closed: a connection sends its next message when the last one has come back. That finds the
most that a server can do, but it hides stalls, because a server that stops for a second delays one message for each
connection and is asked nothing else meanwhile (coordinated omission). With ``rate`` the loop is open: messages are due
at fixed times whatever the server does, and the time of each runs from when it was due, not from when a connection was
free to send it. What was due and could never be sent is counted apart, as the percentiles cannot know of it.

Every wait has an end that no peer can move. Progress keeps a run going, because slow is not silent, but an echo now and
then, or a handshake, would do so for hours. So 256 handshakes together may take the time-out; and what is in flight
when the run is over may take as long as the run did, or the time-out if that is longer, and a second for each 128 KiB
(1 Mbit/s).

One process, one loop: beyond some rate the limit that is measured is this client's own. Workers would raise it, but
their schedules and histograms would have to be merged, and they would compete with the server under test for the same
processors wherever that runs on this host.
"""

from __future__ import annotations

import errno
import selectors
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from netprobe.echo.clients.connection import resolve
from netprobe.echo.clients.histogram import LatencyFigures, LatencyHistogram
from netprobe.echo.clients.load_connection import LoadConnection, WrongEchoError
from netprobe.echo.clients.peer_error import Attempt, PeerError, Stage, peer_error
from netprobe.echo.clients.trials import Trials
from netprobe.endpoints import format_endpoint
from netprobe.verdicts import Verdict

__all__ = ["Load", "LoadFailures", "LoadFigures", "LoadPlan"]

STREAM_PIECE: Final = 64 * 1024  # bytes; what a stream counts as a message
STREAM_PIPELINE: Final = 64  # pieces of a stream that are in flight
PROGRESS: Final = 4096  # bytes, within the time-out: a byte now and then is none
SLOWEST: Final = 128 * 1024  # bytes a second, for which what is in flight at the end gets more time
MAX_WAIT_S: Final = 0.1  # the loop looks at the clock at least this often
HANDSHAKES: Final = 256  # at once: about what a backlog holds


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to do. ``rate`` in messages a second over all connections, ``duration_s`` and ``timeout_s`` in seconds.

    ``version``: 4 or 6, where the name's other addresses are not wanted.
    """

    connections: int = 10
    size: int = 64
    pipeline: int = 1
    duration_s: float = 10.0
    count: int | None = None
    rate: float | None = None
    timeout_s: float = 5.0
    churn: bool = False
    stream: bool = False
    version: int | None = None


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What it came to. Bytes are those that came back and were checked; rates are over ``elapsed_s``.

    ``mode`` is ``messages``, ``churn`` (connect, one message, close) or ``stream``. ``unanswered`` messages were sent
    and did not come back within the time-out (of a stream: pieces of 64 KiB); ``not_begun`` ones were due and never
    sent, because no connection was free until the end: the percentiles include neither. ``failures`` counts failed
    connections by verdict.
    """

    destination: str
    mode: str
    connections: int
    size: int | None
    pipeline: int | None
    rate: float | None
    elapsed_s: float
    messages: int
    connects: int
    bytes: int
    messages_per_s: float
    connects_per_s: float
    megabytes_per_s: float
    unanswered: int
    not_begun: int
    failures: dict[str, int]
    latency: LatencyFigures | None


class LoadFailures:
    """The connections of a load that failed, counted by the verdicts of the one table of failures."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self.clear()

    def clear(self) -> None:
        """Forget them all: another address is tried."""
        self.by_verdict: Counter[Verdict] = Counter()
        self.first: PeerError | None = None
        self.not_tested: PeerError | None = None  # the first one that is a limit of this host
        self.consecutive = 0  # since the last message that came back

    def count(
        self, error: WrongEchoError | OSError, stage: Stage, address: str, connection: LoadConnection | None
    ) -> None:
        """One more failure, at ``address``; ``connection`` is None where not even a socket was connecting."""
        if isinstance(error, WrongEchoError):
            where = format_endpoint(self._host, self._port)
            failure = PeerError(where, Verdict.WRONG_RESPONDER, str(error))
        else:
            start_ns = connection.opened_ns if connection and stage == "connect" else None
            attempt = Attempt(self._host, self._port, stage, self._timeout_s, address=address, start_ns=start_ns)
            failure = peer_error(error, attempt, connection.sock if connection else None)
        self.by_verdict[failure.verdict] += 1
        if failure.verdict == Verdict.NOT_TESTED:
            self.not_tested = self.not_tested or failure
        self.consecutive += 1
        self.first = self.first or failure


class Load:
    """One run. ``run()`` yields regularly, so that the caller can show progress; ``figures()`` at any time."""

    def __init__(self, host: str, port: int, plan: LoadPlan) -> None:
        self.host, self.port, self.plan = host, port, plan
        self.messages = self.connects = self.bytes = self.unanswered = self.not_begun = 0
        self.failures = LoadFailures(host, port, plan.timeout_s)
        self.trials = Trials()
        self.latencies = LatencyHistogram()
        self.elapsed_ns = 0
        self._moved = 0  # bytes, in both directions; a handshake and a message count as PROGRESS
        self._size = STREAM_PIECE if plan.stream else plan.size
        self._pipeline = STREAM_PIPELINE if plan.stream else plan.pipeline
        self._begun = 0  # messages, over all connections
        self._connections: dict[int, LoadConnection] = {}  # by descriptor
        self._free: deque[LoadConnection] = deque()  # have room for a message
        self._opened = 0
        self._chosen: LoadConnection | None = None  # the connection that chose the address
        self._stopping = False

    def run(self) -> Iterator[None]:
        """Connect, send, let what is in flight come back. Raises PeerError when no connection can be made at all."""
        self._peers = resolve(self.host, self.port, version=self.plan.version)
        with selectors.DefaultSelector() as self._selector:
            try:
                yield from self._choose_address()
                if not self.plan.churn:
                    yield from self._open_all()
                yield from self._work()
            finally:
                for connection in list(self._connections.values()):
                    self._drop(connection)

    def figures(self) -> LoadFigures:
        """What it has come to so far."""
        plan, seconds = self.plan, self.elapsed_ns / 1e9
        per_second = 1 / seconds if seconds else 0.0
        return LoadFigures(
            destination=format_endpoint(self.host, self.port),
            mode="stream" if plan.stream else "churn" if plan.churn else "messages",
            connections=plan.connections,
            size=None if plan.stream else plan.size,
            pipeline=None if plan.stream or plan.churn else plan.pipeline,
            rate=plan.rate,
            elapsed_s=round(seconds, 3),
            messages=self.messages,
            connects=self.connects,
            bytes=self.bytes,
            messages_per_s=round(self.messages * per_second, 1),
            connects_per_s=round(self.connects * per_second, 1) if plan.churn else 0.0,
            megabytes_per_s=round(self.bytes / 1e6 * per_second, 3),
            unanswered=self.unanswered,
            not_begun=self.not_begun,
            failures={verdict.value: count for verdict, count in self.failures.by_verdict.items()},
            latency=None if plan.stream else self.latencies.figures(),
        )

    def _choose_address(self) -> Iterator[None]:
        """The first connection tries one address of the name after the other; all others use the one that worked."""
        while len(self._peers) > 1:
            connection, ends = self._open(), time.monotonic() + self.plan.timeout_s
            while connection is not None and not connection.connected and connection.sock.fileno() >= 0:
                for _ in self._selector.select(MAX_WAIT_S):
                    self._finish_connect(connection)
                if time.monotonic() > ends and not connection.connected and connection.sock.fileno() >= 0:
                    self._fail(connection, TimeoutError("timed out"), "connect")
                yield
            if connection is not None and connection.connected:
                self._chosen = connection
                del self._peers[1:]
                return
            if self.failures.first is not None:
                self.trials.failed(self._peers[0].address, self.failures.first)
            del self._peers[0]
            self._opened = 0
            self.failures.clear()

    def _open_all(self) -> Iterator[None]:
        """Open every connection, HANDSHAKES at a time, before the clock starts."""
        ends = time.monotonic() + self.plan.timeout_s
        last = time.monotonic() + self.plan.timeout_s * -(-self.plan.connections // HANDSHAKES)
        handshakes = 0
        while self._opened < self.plan.connections or handshakes:
            while self._opened < self.plan.connections and handshakes < HANDSHAKES:
                handshakes += self._open() is not None
            for key, _ in self._selector.select(max(min(ends - time.monotonic(), MAX_WAIT_S), 0)):
                connection: LoadConnection = key.data
                if not connection.connected:
                    handshakes -= 1
                    ends = time.monotonic() + self.plan.timeout_s
                    self._finish_connect(connection)
            if handshakes and time.monotonic() > min(ends, last):
                for connection in [c for c in self._connections.values() if not c.connected]:
                    self._fail(connection, TimeoutError("timed out"), "connect")
                break
            yield
        if not self._connections and self.failures.first is not None:
            raise self.failures.first

    def _work(self) -> Iterator[None]:
        plan = self.plan
        begin_ns = time.perf_counter_ns()
        stop_ns = begin_ns + round(plan.duration_s * 1e9) if plan.count is None else None
        progress_ns, moved = begin_ns, self._moved
        give_up_ns: float = float("inf")
        while True:
            now = time.perf_counter_ns()
            if not self._stopping and (stop_ns is not None and now >= stop_ns):
                self._stopping = True
                progress_ns = now
                if plan.rate is not None:
                    self.not_begun = max(int(plan.duration_s * plan.rate) - self._begun, 0)
            if not self._stopping:
                self._begin_due(now, begin_ns)
                self._stopping = plan.count is not None and self._begun >= plan.count
            if self._stopping and give_up_ns == float("inf"):
                give_up_ns = now + max(plan.timeout_s * 1e9, now - begin_ns)
                give_up_ns += self._in_flight() * self._size / SLOWEST * 1e9
            if not self._in_flight() and (self._stopping or not self._can_go_on()):
                break
            self._poll(self._wait_s(now, begin_ns, stop_ns))
            now = time.perf_counter_ns()
            if now >= give_up_ns and self._in_flight():
                self._give_up()
                break
            if self._moved - moved >= PROGRESS or not self._in_flight():
                progress_ns, moved = now, self._moved
            elif now - progress_ns > plan.timeout_s * 1e9:
                self._give_up()
                break
            self.elapsed_ns = now - begin_ns
            yield
        self.elapsed_ns = time.perf_counter_ns() - begin_ns
        if plan.rate is not None and plan.count is None and not self._stopping:  # no connection was left
            self.not_begun = max(int(plan.duration_s * plan.rate) - self._begun, 0)

    def _begin_due(self, now: int, begin_ns: int) -> None:
        """Begin the messages that are due, each on a connection that has room for it."""
        plan = self.plan
        due_until = self._begun + (1 << 30) if plan.rate is None else int((now - begin_ns) / 1e9 * plan.rate) + 1
        if plan.count is not None:
            due_until = min(due_until, plan.count)
        if plan.churn:
            while self._begun < due_until and self._has_room() and self._can_go_on():
                self._begin_churn(self._due_ns(now, begin_ns))
            return
        while self._begun < due_until and self._free:
            connection = self._free[0]
            if connection.in_flight >= self._pipeline or connection.sock.fileno() < 0:
                self._free.popleft().listed = False
                continue
            connection.begin(self._due_ns(now, begin_ns))
            self._begun += 1
            self._free.rotate(-1)
            self._send(connection)

    def _due_ns(self, now: int, begin_ns: int) -> int:
        rate = self.plan.rate
        return now if rate is None else begin_ns + round(self._begun / rate * 1e9)

    def _begin_churn(self, due_ns: int) -> None:
        not_tested = self.failures.by_verdict[Verdict.NOT_TESTED]
        connection, self._chosen = self._chosen or self._open(), None
        if connection is not None:
            self._begun += 1
            connection.begin(due_ns)
            if connection.connected:
                self._send(connection)
        elif self.failures.by_verdict[Verdict.NOT_TESTED] == not_tested:  # what was not even sent is not unanswered
            self._begun += 1
            self.unanswered += 1

    def _wait_s(self, now: int, begin_ns: int, stop_ns: int | None) -> float:
        """How long the next poll may wait."""
        waits = [MAX_WAIT_S]
        if stop_ns is not None and not self._stopping:
            waits.append((stop_ns - now) / 1e9)
        if self.plan.rate is not None and not self._stopping and self._has_room():
            waits.append((begin_ns + self._begun / self.plan.rate * 1e9 - now) / 1e9)
        return max(min(waits), 0.0)

    def _poll(self, wait_s: float) -> None:
        """Serve the sockets that are ready.

        poll waits in whole milliseconds, rounded up: the last one before a message is due is slept or spun away.
        """
        if wait_s < 0.002 and not self._in_flight():
            time.sleep(wait_s)
            wait_s = 0
        wait_s = max(wait_s - 0.001, 0)
        for key, mask in self._selector.select(wait_s):
            connection: LoadConnection = key.data
            if connection.sock.fileno() < 0:
                continue  # dropped a moment ago
            if not connection.connected:
                self._finish_connect(connection)
            elif mask & selectors.EVENT_WRITE:
                self._send(connection)
            if mask & selectors.EVENT_READ and connection.connected and connection.sock.fileno() >= 0:
                self._receive(connection)

    def _receive(self, connection: LoadConnection) -> None:
        before = connection.received
        try:
            done = connection.receive()
        except (WrongEchoError, OSError) as error:
            self._fail(connection, error, "answer")
            return
        self.bytes += connection.received - before
        self._moved += connection.received - before + PROGRESS * done
        if not done:
            return
        now = time.perf_counter_ns()
        for _ in range(done):
            self.latencies.add(now - connection.begun_ns.popleft())
        self.messages += done
        self.failures.consecutive = 0
        if self.plan.churn:
            self._drop(connection)
        elif not self._stopping and self.plan.rate is None and self.plan.count is None:
            for _ in range(done):  # a closed loop: this connection goes on at once
                connection.begin(now)
            self._begun += done
            self._send(connection)
        else:
            self._list(connection)

    def _list(self, connection: LoadConnection) -> None:
        """Note that it has room for a message."""
        if not connection.listed:
            connection.listed = True
            self._free.append(connection)

    def _send(self, connection: LoadConnection) -> None:
        before = connection.sent
        try:
            connection.send()
        except OSError as error:
            self._fail(connection, error, "answer")
            return
        self._moved += connection.sent - before
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.has_unsent else 0)
        if self._selector.get_key(connection.sock).events != wanted:
            self._selector.modify(connection.sock, wanted, connection)

    def _open(self) -> LoadConnection | None:
        """Start a handshake."""
        number = self._opened
        self._opened += 1
        try:
            connection = LoadConnection(number, self._peers[0], self._size)
        except OSError as error:
            self._count_failure(error, "connect")
            return None
        self._connections[connection.sock.fileno()] = connection
        self._selector.register(connection.sock, selectors.EVENT_WRITE, connection)
        return connection

    def _finish_connect(self, connection: LoadConnection) -> None:
        try:
            connection.finish_connect()
        except OSError as error:
            self._fail(connection, error, "connect")
            return
        self.connects += 1
        self.trials.answered(self._peers[0].address)
        self._moved += PROGRESS
        if not self.plan.churn:
            self._list(connection)
        self._send(connection)

    def _fail(self, connection: LoadConnection, error: WrongEchoError | OSError, stage: Stage) -> None:
        self.unanswered += connection.in_flight
        self._moved += PROGRESS
        self._count_failure(error, stage, connection)
        self._drop(connection)

    def _count_failure(
        self, error: WrongEchoError | OSError, stage: Stage, connection: LoadConnection | None = None
    ) -> None:
        self.failures.count(error, stage, self._peers[0].address, connection)

    def _drop(self, connection: LoadConnection) -> None:
        descriptor = connection.sock.fileno()
        if descriptor >= 0:
            self._selector.unregister(connection.sock)
            del self._connections[descriptor]
            connection.close()

    def _give_up(self) -> None:
        """There was no progress for the whole time-out."""
        for connection in [c for c in self._connections.values() if c.in_flight or not c.connected]:
            stage: Stage = "answer" if connection.connected else "connect"
            self._fail(connection, TimeoutError(errno.ETIMEDOUT, "timed out"), stage)

    def _in_flight(self) -> int:
        """Messages that were begun and have neither come back nor been given up."""
        return self._begun - self.messages - self.unanswered

    def _has_room(self) -> bool:
        """Could a message begin now?"""
        return len(self._connections) < self.plan.connections if self.plan.churn else bool(self._free)

    def _can_go_on(self) -> bool:
        """Is it worth beginning more?"""
        if self.plan.churn:
            return self.failures.consecutive < max(2 * self.plan.connections, 20)
        return bool(self._connections)
