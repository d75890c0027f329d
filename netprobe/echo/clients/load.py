"""Load on an echo server: many connections in one loop, bounded in time or number, every byte checked.

With a rate messages are due at fixed times whatever the server does, and each one's time runs from when it was due:
a server that stalls is not spared the messages that it kept waiting (no coordinated omission).
"""

from __future__ import annotations

import errno
import selectors
import time
from collections import deque
from collections.abc import Iterator

from netprobe.echo.clients.connecting import resolve
from netprobe.echo.clients.lanes import Lane, WrongEcho
from netprobe.echo.clients.latencies import Latencies
from netprobe.echo.clients.load_failures import Failures
from netprobe.echo.clients.load_records import STREAM_SIZE, LoadFigures, LoadPlan, sum_up
from netprobe.verdicts import Verdict

__all__ = ["Load"]

STREAM_AHEAD = 64  # pieces of a stream that are under way
ROUND_S = 0.1  # the loop looks at the clock at least so often
CONNECTING = 256  # handshakes under way at once: about what a backlog holds


class Load:
    """One run. ``run()`` yields now and then, so that the caller can show progress; ``figures()`` at any time."""

    def __init__(self, host: str, port: int, where: str, plan: LoadPlan) -> None:
        self.host, self.port, self.where, self.plan = host, port, where, plan
        self.size = STREAM_SIZE if plan.stream else plan.size
        self.ahead = STREAM_AHEAD if plan.stream else plan.pipeline
        self.messages = self.connects = self.bytes = self.unanswered = self.not_begun = 0
        self.failures = Failures(host, port, where, plan.timeout_s)
        self.latencies = Latencies()
        self.elapsed_ns = 0
        self._begun = 0  # messages, over all connections
        self._lanes: dict[int, Lane] = {}  # by descriptor
        self._free: deque[Lane] = deque()  # may begin a message
        self._numbers = 0
        self._chosen: Lane | None = None  # the connection that chose the address
        self._stopping = False

    def run(self) -> Iterator[None]:
        """Connect, work, let what is under way come back. Raises PeerError when no connection can be made at all."""
        self._found = resolve(self.host, self.port)
        with selectors.DefaultSelector() as self._selector:
            try:
                yield from self._choose_address()
                if not self.plan.churn:
                    yield from self._open_all()
                yield from self._work()
            finally:
                for lane in list(self._lanes.values()):
                    self._drop(lane)

    def figures(self) -> LoadFigures:
        """What came of it until now."""
        return sum_up(self)

    def _choose_address(self) -> Iterator[None]:
        """The first connection tries one address of the name after the other; the others follow it."""
        while len(self._found) > 1:
            lane, ends = self._open(), time.monotonic() + self.plan.timeout_s
            while lane is not None and not lane.connected and lane.sock.fileno() >= 0:
                for _ in self._selector.select(ROUND_S):
                    self._finish_connect(lane)
                if time.monotonic() > ends and not lane.connected and lane.sock.fileno() >= 0:
                    self._fail(lane, TimeoutError("timed out"), "connect")
                yield
            if lane is not None and lane.connected:
                self._chosen = lane
                del self._found[1:]
                return
            del self._found[0]
            self._numbers = 0
            self.failures.forget()

    def _open_all(self) -> Iterator[None]:
        """Every connection, a good many at a time, before the clock starts."""
        ends = time.monotonic() + self.plan.timeout_s
        waiting = 0
        while self._numbers < self.plan.connections or waiting:
            while self._numbers < self.plan.connections and waiting < CONNECTING:
                waiting += self._open() is not None
            for key, _ in self._selector.select(max(min(ends - time.monotonic(), ROUND_S), 0)):
                lane: Lane = key.data
                if not lane.connected:
                    waiting -= 1
                    ends = time.monotonic() + self.plan.timeout_s
                    self._finish_connect(lane)
            if waiting and time.monotonic() > ends:
                for lane in [lane for lane in self._lanes.values() if not lane.connected]:
                    self._fail(lane, TimeoutError("timed out"), "connect")
                break
            yield
        if not self._lanes and self.failures.first is not None:
            raise self.failures.first

    def _work(self) -> Iterator[None]:
        plan = self.plan
        begin_ns = time.perf_counter_ns()
        stop_ns = begin_ns + round(plan.duration_s * 1e9) if plan.count is None else None
        quiet_since = begin_ns
        while True:
            now = time.perf_counter_ns()
            if not self._stopping and (stop_ns is not None and now >= stop_ns):
                self._stopping = True
                quiet_since = now
                if plan.rate is not None:
                    self.not_begun = max(int(plan.duration_s * plan.rate) - self._begun, 0)
            if not self._stopping:
                self._start(now, begin_ns)
                self._stopping = plan.count is not None and self._begun >= plan.count
            if not self._under_way() and (self._stopping or not self._can_go_on()):
                break
            moved = self._turn(self._patience_s(now, begin_ns, stop_ns))
            now = time.perf_counter_ns()
            if moved or not self._under_way():
                quiet_since = now
            elif now - quiet_since > plan.timeout_s * 1e9:
                self._give_up()
                break
            self.elapsed_ns = now - begin_ns
            yield
        self.elapsed_ns = time.perf_counter_ns() - begin_ns
        if plan.rate is not None and plan.count is None and not self._stopping:  # no connection was left
            self.not_begun = max(int(plan.duration_s * plan.rate) - self._begun, 0)

    def _start(self, now: int, begin_ns: int) -> None:
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
            lane = self._free[0]
            if lane.under_way >= self.ahead or lane.sock.fileno() < 0:
                self._free.popleft().listed = False
                continue
            lane.begin(self._due_ns(now, begin_ns))
            self._begun += 1
            self._free.rotate(-1)
            self._push(lane)

    def _due_ns(self, now: int, begin_ns: int) -> int:
        rate = self.plan.rate
        return now if rate is None else begin_ns + round(self._begun / rate * 1e9)

    def _begin_churn(self, due_ns: int) -> None:
        untried = self.failures.by_verdict[Verdict.NOT_TESTED]
        lane, self._chosen = self._chosen or self._open(), None
        if lane is not None:
            self._begun += 1
            lane.begin(due_ns)
            if lane.connected:
                self._push(lane)
        elif self.failures.by_verdict[Verdict.NOT_TESTED] == untried:  # what could not even be tried is not unanswered
            self._begun += 1
            self.unanswered += 1

    def _patience_s(self, now: int, begin_ns: int, stop_ns: int | None) -> float:
        """How long the next look at the sockets may wait."""
        waits = [ROUND_S]
        if stop_ns is not None and not self._stopping:
            waits.append((stop_ns - now) / 1e9)
        if self.plan.rate is not None and not self._stopping and self._has_room():
            waits.append((begin_ns + self._begun / self.plan.rate * 1e9 - now) / 1e9)
        return max(min(waits), 0.0)

    def _turn(self, patience_s: float) -> bool:
        """One look at the sockets; did anything move?

        The system waits in whole milliseconds, rounded up: the last bit before a message is due is slept or spun away.
        """
        moved = False
        if patience_s < 0.002 and not self._under_way():
            time.sleep(patience_s)
            patience_s = 0
        patience_s = max(patience_s - 0.001, 0)
        for key, mask in self._selector.select(patience_s):
            lane: Lane = key.data
            if lane.sock.fileno() < 0:
                continue  # dropped a moment ago
            moved = True
            if not lane.connected:
                self._finish_connect(lane)
            elif mask & selectors.EVENT_WRITE:
                self._push(lane)
            if mask & selectors.EVENT_READ and lane.connected and lane.sock.fileno() >= 0:
                self._pull(lane)
        return moved

    def _pull(self, lane: Lane) -> None:
        before = lane.received
        try:
            done = lane.receive()
        except (WrongEcho, OSError) as error:
            self._fail(lane, error, "answer")
            return
        self.bytes += lane.received - before
        if not done:
            return
        now = time.perf_counter_ns()
        for _ in range(done):
            self.latencies.add(now - lane.begun_ns.popleft())
        self.messages += done
        self.failures.in_row = 0
        if self.plan.churn:
            self._drop(lane)
        elif not self._stopping and self.plan.rate is None and self.plan.count is None:
            for _ in range(done):  # the short way: this connection goes on at once
                lane.begin(now)
            self._begun += done
            self._push(lane)
        else:
            self._list(lane)

    def _list(self, lane: Lane) -> None:
        """It has room for a message."""
        if not lane.listed:
            lane.listed = True
            self._free.append(lane)

    def _push(self, lane: Lane) -> None:
        try:
            lane.send()
        except OSError as error:
            self._fail(lane, error, "answer")
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.owes else 0)
        if self._selector.get_key(lane.sock).events != wanted:
            self._selector.modify(lane.sock, wanted, lane)

    def _open(self) -> Lane | None:
        """Start a handshake."""
        found = self._found[0]
        number = self._numbers
        self._numbers += 1
        try:
            lane = Lane(number, found, self.size)
        except OSError as error:
            self._count_failure(error, "connect")
            return None
        self._lanes[lane.sock.fileno()] = lane
        self._selector.register(lane.sock, selectors.EVENT_WRITE, lane)
        return lane

    def _finish_connect(self, lane: Lane) -> None:
        try:
            lane.finish_connect()
        except OSError as error:
            self._fail(lane, error, "connect")
            return
        self.connects += 1
        if not self.plan.churn:
            self._list(lane)
        self._push(lane)

    def _fail(self, lane: Lane, error: Exception, stage: str) -> None:
        self.unanswered += lane.under_way
        self._count_failure(error, stage, lane)
        self._drop(lane)

    def _count_failure(self, error: Exception, stage: str, lane: Lane | None = None) -> None:
        self.failures.count(error, stage, str(self._found[0][4][0]), lane)

    def _drop(self, lane: Lane) -> None:
        descriptor = lane.sock.fileno()
        if descriptor >= 0:
            self._selector.unregister(lane.sock)
            del self._lanes[descriptor]
            lane.close()

    def _give_up(self) -> None:
        """Nothing has moved for the whole time-out."""
        for lane in [lane for lane in self._lanes.values() if lane.under_way or not lane.connected]:
            self._fail(lane, TimeoutError(errno.ETIMEDOUT, "timed out"), "answer" if lane.connected else "connect")

    def _under_way(self) -> int:
        """Messages that were begun and are neither back nor given up."""
        return self._begun - self.messages - self.unanswered

    def _has_room(self) -> bool:
        """Could a message begin now?"""
        return len(self._lanes) < self.plan.connections if self.plan.churn else bool(self._free)

    def _can_go_on(self) -> bool:
        """Is there any sense in beginning more?"""
        if self.plan.churn:
            return self.failures.in_row < max(2 * self.plan.connections, 20)
        return bool(self._lanes)
