"""Why a peer did not answer: what the system and the network reported, looked up in the one table of failures.

The errno alone is not enough. A blocking call ends with a time-out even when an ICMP error has been received meanwhile
(TCP keeps trying after most of them), and a dead neighbour and a firewall's REJECT are both EHOSTUNREACH. So the
socket's error queue is read first, and how long the attempt took goes into the evidence: the kernel gives a neighbour
up after about 3 s, a firewall answers at once.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Literal, TypeAlias

from netprobe.endpoints import format_endpoint
from netprobe.errors import Exit, NetprobeError
from netprobe.kernel import rtnetlink
from netprobe.kernel.error_queue import ORIGINS, QueuedError, take_errors
from netprobe.outcome.evidence import Evidence
from netprobe.outcome.failures import diagnose
from netprobe.verdicts import Verdict

__all__ = ["Attempt", "ExchangeError", "PeerError", "Silence", "Stage", "errno_name", "peer_error", "queued_error"]

Stage: TypeAlias = Literal["connect", "answer"]

_TIMED_OUT = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS)  # recv(2), connect(2) under SO_RCVTIMEO

# A connection that worked and then failed: the cause counts what had come back, which a single probe's cause cannot.
_AFTER_ECHOES: Mapping[str, str] = {
    "closed-in-payload": "closed after {received} had come back",
    "reset-in-payload": "reset after {received} had come back",
    "payload-black-hole": "silence for {seconds:.3g} s after {received} had come back",
}


class PeerError(NetprobeError):
    """The peer did not answer as an echo server does: exit status 1. ``why`` begins with ``verdict``."""

    exit_code = Exit.NO

    def __init__(self, what: str, verdict: Verdict, why: str, hint: str | None = None) -> None:
        self.verdict = verdict
        super().__init__(what, f"{verdict}: {why}", hint)

    @property
    def cause(self) -> str:
        """The reason without the verdict."""
        return self.why.removeprefix(f"{self.verdict}: ")


class ExchangeError(OSError):
    """A failed exchange, with what its errno cannot say.

    ``result`` is the failure table's word (``closed``, ``self``, ``error``); ``received`` says in words what had come
    back before; ``queued`` was taken from the error queue; ``start_ns`` is when the failed step began.
    """

    def __init__(
        self,
        result: str,
        error: OSError | None = None,
        *,
        received: str | None = None,
        queued: QueuedError | None = None,
        start_ns: int | None = None,
    ) -> None:
        super().__init__(error.errno if error else None, error.strerror if error else result)
        self.result, self.received, self.queued, self.start_ns = result, received, queued, start_ns


class Silence:
    """Since when a peer has been silent, over all attempts.

    The kernel gives a neighbour up 3 s after the first packet to it, not 3 s after the latest: without the whole time
    its error would look too quick for a dead neighbour, and a firewall would be blamed.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def begin(self) -> int:
        """An attempt begins; returns since when there has been silence, of the performance counter."""
        if self._since_ns is None:
            self._since_ns = perf_counter_ns()
        return self._since_ns

    def end(self, error: PeerError | None = None) -> None:
        """The attempt has ended, with ``error`` if it failed; anything but a time-out ends the silence."""
        if error is None or error.verdict != Verdict.NO_ANSWER:
            self._since_ns = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried: ``host`` as it was given, ``address`` the one of its addresses that was used.

    ``start_ns`` is when it began (performance counter), ``received`` says in words what had come back before.
    """

    host: str
    port: int
    stage: Stage
    timeout_s: float
    address: str | None = None
    start_ns: int | None = None
    received: str | None = None


def peer_error(error: OSError, attempt: Attempt, sock: socket.socket | None = None) -> PeerError:
    """What went wrong, by the table of failures. An ICMP error in the queue of ``sock`` outranks a time-out."""
    details = error if isinstance(error, ExchangeError) else ExchangeError("error")
    received = attempt.received or details.received
    start_ns = attempt.start_ns or details.start_ns
    queue = [details.queued] if details.queued else _queued_errors(sock)
    queued = queue[0] if queue else None
    timed_out = isinstance(error, TimeoutError) or error.errno in _TIMED_OUT
    rejected = timed_out and queued is not None and queued.origin != "local" and queued.errno != "EMSGSIZE"
    if timed_out and not rejected:
        elapsed_ms = attempt.timeout_s * 1000
    elif start_ns is None or (attempt.stage == "connect" and (rejected or len(queue) > 1)):
        elapsed_ms = 0.0  # connect(2) goes on after an ICMP error, so when that was received is not known
    else:
        elapsed_ms = (perf_counter_ns() - start_ns) / 1e6
    outcome = diagnose(
        Evidence(
            result="timeout" if timed_out and not rejected else details.result,
            protocol="udp" if sock is not None and sock.type == socket.SOCK_DGRAM else "tcp",
            destination=attempt.address or _peer_of(sock) or attempt.host,
            port=attempt.port,
            stage="payload" if received and attempt.stage == "answer" else attempt.stage,
            errno=queued.errno if rejected and queued else None if timed_out else errno_name(error),
            error=error.strerror or str(error),
            icmp=queued,
            elapsed_ms=elapsed_ms,
            own=_own_addresses(sock) if queued else frozenset(),
        )
    )
    cause = outcome.cause or str(error)
    if received and outcome.row in _AFTER_ECHOES:
        cause = _AFTER_ECHOES[outcome.row].format(received=received, seconds=elapsed_ms / 1000)
    hint = "is 'netprobe echo serve' running there?" if outcome.verdict == Verdict.REFUSED else None
    return PeerError(format_endpoint(attempt.host, attempt.port), outcome.verdict, cause, hint)


def queued_error(sock: socket.socket) -> QueuedError | None:
    """The first error that the network or this host reported; empties the queue."""
    return next(iter(_queued_errors(sock)), None)


def _queued_errors(sock: socket.socket | None) -> list[QueuedError]:
    """All of them; time stamps share the queue and are left out."""
    return [queued for queued in take_errors(sock) if queued.origin in ORIGINS.values()]


def _peer_of(sock: socket.socket | None) -> str | None:
    try:
        return str(sock.getpeername()[0]) if sock is not None else None
    except OSError:
        return None


def _own_addresses(sock: socket.socket | None) -> frozenset[str]:
    """This host's addresses by netlink, and the socket's own, which it loses when connect(2) fails."""
    own = {entry.address for entry in rtnetlink.usable_addresses()}
    with suppress(OSError):
        if sock is not None:
            own.add(str(sock.getsockname()[0]))
    return frozenset(own)


def errno_name(error: OSError) -> str | None:
    """``ECONNREFUSED`` and the like."""
    return errno.errorcode.get(error.errno or 0)
