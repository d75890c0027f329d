"""Why a peer did not answer: what the system and the network said, judged by the one table of failures."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from time import perf_counter_ns

from netprobe.endpoints import format_endpoint
from netprobe.errors import Exit, NetprobeError
from netprobe.kernel.error_queue import ORIGINS, QueuedError, take_errors
from netprobe.outcome.evidence import Evidence
from netprobe.outcome.failures import diagnose
from netprobe.prober.facts import own_addresses
from netprobe.verdicts import Verdict

__all__ = ["Ended", "PeerError", "Silence", "errno_name", "peer_error", "reason"]


class PeerError(NetprobeError):
    """The peer did not answer as an echo server does: exit status 1. ``verdict`` is the word for it."""

    exit_code = Exit.NO

    def __init__(self, what: str, verdict: Verdict, why: str, hint: str | None = None) -> None:
        self.verdict = verdict
        super().__init__(what, f"{verdict}: {why}", hint)


class Ended(OSError):
    """An end that the errno alone does not tell.

    ``result`` is the table's word for it, ``came`` says what had come back before, ``said`` is an ICMP error,
    ``start_ns`` is when that which ended had begun.
    """

    def __init__(
        self,
        result: str,
        error: OSError | None = None,
        *,
        came: str | None = None,
        said: QueuedError | None = None,
        start_ns: int | None = None,
    ) -> None:
        super().__init__(error.errno if error else None, error.strerror if error else result)
        self.result, self.came, self.said, self.start_ns = result, came, said, start_ns


class Silence:
    """How long nobody has said anything, over all attempts: a neighbour is given up 3 s after the first of them."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def begin(self) -> int:
        """An attempt begins: since when it is silent."""
        if self._since_ns is None:
            self._since_ns = perf_counter_ns()
        return self._since_ns

    def end(self, told: PeerError | None = None) -> None:
        """The attempt has ended: was it heard of?"""
        if told is None or told.verdict != Verdict.NO_ANSWER:
            self._since_ns = None


_WAITED = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS)  # the kernel's time-out of recv(2), connect(2)


# What had come back before is said in these words, and not in those of a probe.
_AFTER: Mapping[str, str] = {
    "closed-in-payload": "closed after {came} had come back",
    "reset-in-payload": "reset after {came} had come back",
    "payload-black-hole": "silence for {seconds:.3g} s after {came} had come back",
}


def peer_error(
    error: OSError,
    sock: socket.socket | None,
    host: str,
    port: int,
    stage: str,
    timeout_s: float,
    address: str | None = None,
    *,
    start_ns: int | None = None,
    came: str | None = None,
) -> PeerError:
    """What went wrong, named by the one table of failures; ``address`` is that of ``host`` which was asked.

    What failed began at ``start_ns`` of the performance counter; ``came`` says what had come back on the connection.
    An ICMP error that waits in the queue goes before the silence that the caller saw.
    """
    ended = error if isinstance(error, Ended) else None
    came = came or (ended.came if ended else None)
    start_ns = start_ns or (ended.start_ns if ended else None)
    heard = [ended.said] if ended and ended.said else _heard(sock)
    said = heard[0] if heard else None
    timed_out = isinstance(error, TimeoutError) or error.errno in _WAITED
    rejected = timed_out and said is not None and said.origin != "local" and said.errno != "EMSGSIZE"
    if timed_out and not rejected:
        elapsed_ms = timeout_s * 1000
    elif start_ns is None or (stage == "connect" and (rejected or len(heard) > 1)):
        elapsed_ms = 0.0  # only what comes while connect(2) is at its beginning does not end it
    else:
        elapsed_ms = (perf_counter_ns() - start_ns) / 1e6
    evidence = Evidence(
        result=ended.result if ended else "timeout" if timed_out and not rejected else "error",
        protocol="udp" if sock is not None and sock.type == socket.SOCK_DGRAM else "tcp",
        destination=address or _peer_of(sock) or host,
        stage="payload" if came and stage == "answer" else stage,
        errno=said.errno if rejected and said else None if timed_out else errno_name(error),
        error=error.strerror or str(error),
        icmp=said,
        elapsed_ms=elapsed_ms,
        own=_own(sock) if said else frozenset(),
    )
    judged = diagnose(evidence)
    cause = judged.cause or str(error)
    if came and judged.row in _AFTER:
        cause = _AFTER[judged.row].format(came=came, seconds=elapsed_ms / 1000)
    hint = "is 'netprobe echo serve' running there?" if judged.verdict == Verdict.REFUSED else None
    return PeerError(format_endpoint(host, port), judged.verdict, cause, hint)


def reason(sock: socket.socket | None) -> QueuedError | None:
    """The first error that the network or this host reported."""
    return next(iter(_heard(sock)), None)


def _heard(sock: socket.socket | None) -> list[QueuedError]:
    """All of them, out of whatever else is in the error queue."""
    return [said for said in take_errors(sock) if said.origin in ORIGINS.values()]


def _peer_of(sock: socket.socket | None) -> str | None:
    try:
        return str(sock.getpeername()[0]) if sock is not None else None
    except OSError:
        return None


def _own(sock: socket.socket | None) -> frozenset[str]:
    """Addresses of this host: the socket's own, which a failed connect(2) takes back, and all that netlink tells."""
    own = own_addresses()
    try:
        return frozenset(own | {str(sock.getsockname()[0])} if sock is not None else own)
    except OSError:
        return frozenset(own)


def errno_name(error: OSError) -> str | None:
    """``ECONNREFUSED`` and the like."""
    return errno.errorcode.get(error.errno or 0)
