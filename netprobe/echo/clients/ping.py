"""Round trips of small messages through an echo server, one after the other, and what they come to."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count as counted

from netprobe.echo.clients.peer_errors import PeerError
from netprobe.echo.clients.statistics import KernelTimes, RoundTrips, percentile, rounded, summarise
from netprobe.echo.clients.trips import Stray, Trip, Trips
from netprobe.endpoints import format_endpoint

__all__ = ["Ping", "Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One message: ``verdict`` is ``reachable`` when it came back as it was, else the word for what happened.

    ``note`` is ``late`` for an echo that came after its time-out, ``duplicate`` for one that came again, ``unawaited``
    for one that came in time, but after an error had ended the wait.
    ``kernel_ms`` is the kernel's measure of the same trip. With ``--framed``: how long the server had the message,
    what is left for the network, and the address and port under which we appear there.
    """

    sequence: int
    destination: str
    protocol: str
    bytes: int
    verdict: str
    rtt_ms: float | None
    cause: str | None = None
    note: str | None = None
    kernel_ms: float | None = None
    server_ms: float | None = None
    network_ms: float | None = None
    appears_as: str | None = None
    translated: bool | None = None


class Ping:
    """``count`` messages (0: without end) over ``trips``, ``interval_s`` apart."""

    def __init__(self, trips: Trips, host: str, port: int, *, count: int, interval_s: float, size: int) -> None:
        self.trips, self.where = trips, format_endpoint(host, port)
        self.count, self.interval_s, self.size = count, interval_s, size
        self.sent = self.duplicates = self.late = self.reordered = 0
        self.refused = False  # was any of them?
        self._highest = 0  # the latest message that came back
        self._rtts, self._server, self._network, self._kernel = (array("d") for _ in range(4))  # milliseconds

    def replies(self, sleep: Callable[[float], None] = time.sleep) -> Iterator[Reply]:
        """One reply a message, and one for each that came late or twice."""
        due = time.monotonic() - self.interval_s
        with _no_collection():
            try:
                for sequence in range(1, self.count + 1) if self.count else counted(1):
                    now = time.monotonic()
                    due = max(due + self.interval_s, now)  # what a wait has cost is not made up for
                    if due > now:  # sleep(0) would give the processor away and find it cold
                        sleep(due - now)
                    self.sent += 1
                    yield from self._outcome(sequence)
                self.trips.close()
                yield from map(self._besides, self.trips.strays())
            finally:
                self.trips.close()
                for stray in self.trips.strays():
                    self._besides(stray)

    def summary(self) -> RoundTrips:
        """The figures of what was sent so far."""
        return summarise(
            self.sent,
            self._rtts,
            duplicates=self.duplicates,
            late=self.late,
            reordered=self.reordered,
            server_ms=self._server,
            network_ms=self._network,
            kernel=self._kernel_times(),
        )

    def _outcome(self, sequence: int) -> Iterator[Reply]:
        """What came besides while the message was under way, then what became of the message."""
        try:
            trip = self.trips.trip(sequence)
        except PeerError as error:
            yield from map(self._besides, self.trips.strays())
            self.refused = self.refused or error.verdict == "refused"
            cause = error.why.partition(": ")[2]
            yield Reply(sequence, self.where, self.trips.protocol, self.size, error.verdict, None, cause)
        else:
            yield from map(self._besides, self.trips.strays())
            yield self._answered(sequence, trip)

    def _answered(self, sequence: int, trip: Trip) -> Reply:
        self._highest = max(self._highest, sequence)
        rtt_ms = trip.elapsed_ns / 1e6
        self._rtts.append(rtt_ms)
        kernel_ms = self._kept(self._kernel, trip.kernel_ns)
        server_ms = self._kept(self._server, trip.server_ns)
        network_ms = self._kept(self._network, None if trip.server_ns is None else trip.elapsed_ns - trip.server_ns)
        return Reply(
            sequence,
            self.where,
            self.trips.protocol,
            self.size,
            "reachable",
            rounded(rtt_ms),
            kernel_ms=kernel_ms,
            server_ms=server_ms,
            network_ms=network_ms,
            appears_as=trip.appears_as,
            translated=trip.translated,
        )

    def _besides(self, stray: Stray) -> Reply:
        if stray.what == "duplicate":
            self.duplicates += 1
        else:
            self.late += stray.what == "late"
            self.reordered += stray.sequence < self._highest
            self._highest = max(self._highest, stray.sequence)
        rtt_ms = rounded(stray.elapsed_ns / 1e6)
        return Reply(stray.sequence, self.where, self.trips.protocol, self.size, "reachable", rtt_ms, note=stray.what)

    @staticmethod
    def _kept(values: array[float], nanoseconds: int | None) -> float | None:
        if nanoseconds is None:
            return None
        values.append(nanoseconds / 1e6)
        return rounded(nanoseconds / 1e6)

    def _kernel_times(self) -> KernelTimes | None:
        if self._kernel:
            ordered = sorted(self._kernel)
            source = "SO_TIMESTAMPING" if self.trips.protocol == "udp" else "TCP_INFO"
            return KernelTimes(source, rounded(percentile(ordered, 50)), rounded(ordered[0]))
        known = self.trips.kernel()
        if known is None:
            return None
        return KernelTimes("TCP_INFO", known.rtt_ms, known.min_rtt_ms, known.deviation_ms, known.retransmits)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection in the middle of a measurement: nothing here makes cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
