"""Round trips of small messages through an echo server, one after the other, and what they add up to.

One message is in flight at a time: the question is how long one takes, and a second one would wait behind it. A wait
that was longer than the interval is not made up for with a burst, so that a slow peer is not flooded as it recovers.
How a message travels is the business of a :class:`Prober` (tcp_ping, framed_ping, udp_ping).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count as counted
from typing import NamedTuple, Protocol

from netprobe.echo.clients.peer_error import PeerError
from netprobe.echo.clients.statistics import KernelTimes, PingStatistics, Samples, Times, rounded, summarise
from netprobe.echo.clients.trials import Trials
from netprobe.endpoints import format_endpoint
from netprobe.kernel.tcp_info import TcpInfo
from netprobe.verdicts import Verdict

__all__ = ["Ping", "Prober", "Reply", "RoundTrip", "Stray"]


class RoundTrip(NamedTuple):
    """Nanoseconds: what the application waited, what the kernel measured, how long the server had the message.

    ``appears_as`` is the address and port that the server saw; ``translated``: they are not the socket's own.
    """

    elapsed_ns: int
    kernel_ns: int | None = None
    server_ns: int | None = None
    appears_as: str | None = None
    translated: bool | None = None


class Stray(NamedTuple):
    """A datagram that arrived while another one was awaited; ``note`` is that of its reply."""

    sequence: int
    note: str
    elapsed_ns: int


class Prober(Protocol):
    """Sends one message after the other to a peer and receives each back."""

    protocol: str
    trials: Trials  # of the addresses of the peer's name

    def round_trip(self, sequence: int) -> RoundTrip:
        """Send message ``sequence`` and wait for it. Raises PeerError; the next call may reconnect."""

    def strays(self) -> list[Stray]:
        """What else arrived since the last call."""

    def kernel(self) -> TcpInfo | None:
        """What the kernel knows of the connection so far, where there is one."""

    def close(self) -> None:
        """Close whatever is open."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One message: ``verdict`` is ``reachable`` when it came back unchanged, else it names the failure.

    ``note`` is ``late`` for an echo that arrived after its time-out, ``duplicate`` for one that arrived again,
    ``unawaited`` for one in time, but after an error had ended the wait.
    ``kernel_ms`` is the kernel's measure of the same round trip. With ``--framed``: how long the server had the
    message, what is left for the network, and the address and port that the server sees us under.
    """

    sequence: int
    destination: str
    protocol: str
    bytes: int
    verdict: Verdict
    rtt_ms: float | None
    cause: str | None = None
    note: str | None = None
    kernel_ms: float | None = None
    server_ms: float | None = None
    network_ms: float | None = None
    appears_as: str | None = None
    translated: bool | None = None


class Ping:
    """``count`` messages (0: no end) of ``size`` bytes through ``prober``, ``interval_s`` apart."""

    def __init__(self, prober: Prober, host: str, port: int, *, count: int, interval_s: float, size: int) -> None:
        self.prober, self.destination = prober, format_endpoint(host, port)
        self.count, self.interval_s, self.size = count, interval_s, size
        self.refused = False  # was any message?
        self._samples = Samples()
        self._highest = 0  # sequence number that has come back

    def replies(self, sleep: Callable[[float], None] = time.sleep) -> Generator[Reply, None, None]:
        """One reply a message, and one for each echo that arrived late or twice."""
        due = time.monotonic() - self.interval_s
        with _no_collection():
            try:
                for sequence in range(1, self.count + 1) if self.count else counted(1):
                    now = time.monotonic()
                    due = max(due + self.interval_s, now)  # time lost to a wait is not made up for
                    if due > now:  # sleep(0) would give the processor away and come back to cold caches
                        sleep(due - now)
                    self._samples.sent += 1
                    yield from self._send(sequence)
                self.prober.close()
                yield from map(self._stray_reply, self.prober.strays())
            finally:
                self.prober.close()
                for stray in self.prober.strays():
                    self._stray_reply(stray)

    def statistics(self) -> PingStatistics:
        """The figures of what was sent so far."""
        return summarise(self._samples, self._kernel_times())

    def _send(self, sequence: int) -> Iterator[Reply]:
        """What else arrived while the message was in flight, then what became of the message."""
        try:
            trip = self.prober.round_trip(sequence)
        except PeerError as error:
            yield from map(self._stray_reply, self.prober.strays())
            self.refused = self.refused or error.verdict == Verdict.REFUSED
            yield Reply(
                sequence, self.destination, self.prober.protocol, self.size, error.verdict, None, cause=error.cause
            )
        else:
            yield from map(self._stray_reply, self.prober.strays())
            yield self._reply(sequence, trip)

    def _reply(self, sequence: int, trip: RoundTrip) -> Reply:
        self._highest = max(self._highest, sequence)
        rtt_ms = trip.elapsed_ns / 1e6
        network_ns = None if trip.server_ns is None else trip.elapsed_ns - trip.server_ns
        self._samples.rtts_ms.append(rtt_ms)
        return Reply(
            sequence,
            self.destination,
            self.prober.protocol,
            self.size,
            Verdict.REACHABLE,
            rounded(rtt_ms),
            kernel_ms=_recorded(self._samples.kernel_ms, trip.kernel_ns),
            server_ms=_recorded(self._samples.server_ms, trip.server_ns),
            network_ms=_recorded(self._samples.network_ms, network_ns),
            appears_as=trip.appears_as,
            translated=trip.translated,
        )

    def _stray_reply(self, stray: Stray) -> Reply:
        if stray.note == "duplicate":
            self._samples.duplicates += 1
        else:
            self._samples.late += stray.note == "late"
            self._samples.reordered += stray.sequence < self._highest
            self._highest = max(self._highest, stray.sequence)
        return Reply(
            stray.sequence,
            self.destination,
            self.prober.protocol,
            self.size,
            Verdict.REACHABLE,
            rounded(stray.elapsed_ns / 1e6),
            note=stray.note,
        )

    def _kernel_times(self) -> KernelTimes | None:
        times = self._samples.kernel_ms
        if times:
            source = "SO_TIMESTAMPING" if self.prober.protocol == "udp" else "TCP_INFO"
            return KernelTimes(source, rounded(times.percentiles(50)[0]), rounded(times.least))
        info = self.prober.kernel()
        if info is None:
            return None
        return KernelTimes("TCP_INFO", info.rtt_ms, info.min_rtt_ms, info.deviation_ms, info.retransmits)


def _recorded(times: Times, nanoseconds: int | None) -> float | None:
    """Keep a time, where there is one, and return it rounded, in milliseconds."""
    if nanoseconds is None:
        return None
    times.append(nanoseconds / 1e6)
    return rounded(nanoseconds / 1e6)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection in the middle of a measurement; nothing here makes reference cycles.

    A full one takes 5 to 8 ms with what this command has imported, 300 times a round trip over loopback.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
