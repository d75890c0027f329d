"""A socket to an echo server, with the time-out in the kernel, or the named reason why there is none."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

from netprobe.echo.clients.destination import place
from netprobe.errors import CannotRunError, Exit, InvalidInputError, NetprobeError
from netprobe.sockets.failures import Evidence, judge
from netprobe.sockets.payload import ORIGINS, ask_for_errors, netlink_facts, take_errors

__all__ = [
    "Ended",
    "Found",
    "PeerError",
    "connect",
    "connect_to",
    "met_itself",
    "peer_error",
    "reason",
    "resolve",
    "set_timeout",
]

Found = tuple[Any, Any, int, str, Any]  # a line of getaddrinfo(3)


class PeerError(NetprobeError):
    """The peer did not answer as an echo server does: exit status 1. ``verdict`` is the word for it."""

    exit_code = Exit.NO

    def __init__(self, what: str, verdict: str, why: str, hint: str | None = None) -> None:
        self.verdict = verdict
        super().__init__(what, f"{verdict}: {why}", hint)


class Ended(OSError):
    """An end that the errno alone does not tell.

    ``result`` is the table's word for it, ``came`` says what had come back before, ``said`` is an ICMP error.
    """

    def __init__(
        self,
        result: str,
        error: OSError | None = None,
        *,
        came: str | None = None,
        said: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(error.errno if error else None, error.strerror if error else result)
        self.result, self.came, self.said = result, came, said


def connect(
    host: str, port: int, timeout_s: float, kind: int = socket.SOCK_STREAM, source: str | None = None
) -> socket.socket:
    """A blocking, connected socket whose calls time out after ``timeout_s`` seconds, from ``source`` if given.

    Every address of ``host`` is tried in the resolver's order. Raises PeerError with the last one's reason, and
    CannotRunError when ``source`` is no address of this host.
    """
    last: PeerError | None = None
    for found in resolve(host, port, kind, source):
        try:
            return connect_to(found, host, port, timeout_s, source)[0]
        except PeerError as error:
            last = error
    assert last is not None
    raise last


def connect_to(
    found: Found, host: str, port: int, timeout_s: float, source: str | None = None, tries: int = 3
) -> tuple[socket.socket, int]:
    """The same for one address that ``resolve`` found, and how many nanoseconds connect(2) took.

    A datagram socket that was given its destination as its own name is taken anew, ``tries`` times in all.
    """
    family, kind, protocol, _, address = found
    sock = socket.socket(family, kind, protocol)
    start = perf_counter_ns()
    try:
        ask_for_errors(sock)
        set_timeout(sock, timeout_s)
        if source is not None:
            _bind(sock, source)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = perf_counter_ns()
        sock.connect(address)
        elapsed_ns = perf_counter_ns() - start
        if met_itself(sock, port):
            if kind == socket.SOCK_DGRAM and tries > 1:
                with sock:  # the next one cannot be given its port
                    return connect_to(found, host, port, timeout_s, source, tries - 1)
            raise Ended("self")
    except OSError as error:
        told = peer_error(error, sock, host, port, "connect", timeout_s, str(address[0]), start_ns=start)
        sock.close()
        raise told from error
    except BaseException:
        sock.close()
        raise
    return sock, elapsed_ns


def met_itself(sock: socket.socket, port: int) -> bool:
    """Was the socket's own port picked from where it asks (simultaneous open, RFC 9293 section 3.5)?"""
    own = sock.getsockname()
    if own[1] != port:
        return False
    try:
        return bool(sock.getpeername()[:2] == own[:2])
    except OSError:  # the peer is gone already
        return False


def resolve(host: str, port: int, kind: int = socket.SOCK_STREAM, source: str | None = None) -> list[Found]:
    """The addresses of ``host``, those of the source address' family if there is one.

    Raises PeerError if there is none, InvalidInputError for an address that cannot be meant.
    """
    family = socket.AF_UNSPEC
    if source is not None:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
    try:
        return list(socket.getaddrinfo(host, port, family, kind))
    except (socket.gaierror, UnicodeError) as error:
        _check_address(host, source)
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a name"
        wanted = "" if source is None else f" to an {_version(source)} address, as --source {source} needs it"
        raise PeerError(host, "unreachable", f"the name does not resolve{wanted} ({why})") from error


def _check_address(host: str, source: str | None) -> None:
    """Raises InvalidInputError where ``host`` is an address, but not one of the source's family, or of another zone."""
    address, _, zone = host.partition("%")
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return
    if source is not None and (":" in source) != (":" in address):
        why = f"{_version(source)}, but {host} is {_version(host)}"
        raise InvalidInputError(f"--source {source}", why, "source and destination are of one family")
    if zone and packed[0] == 0xFE and packed[1] & 0xC0 == 0x80:  # fe80::/10, RFC 4291 section 2.5.6
        raise InvalidInputError(host, f"this host has no interface {zone}", "see 'netprobe interfaces'")
    if zone:
        raise InvalidInputError(host, f"{address} has no zone: only a link-local address has one", f"write {address}")


def _version(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _bind(sock: socket.socket, source: str) -> None:
    try:
        found = socket.getaddrinfo(source, 0, sock.family, sock.type, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidInputError(source, "not an address", "--source takes an address of this host") from error
    try:
        sock.bind(found[0][4])
    except OSError as error:
        judged = judge(Evidence("error", stage="bind", errno=_name(error), error=error.strerror or str(error)))
        raise CannotRunError(source, judged.cause or str(error), "see 'netprobe interfaces'") from error


def set_timeout(sock: socket.socket, timeout_s: float) -> None:
    """Let the kernel end a blocking send or receive after ``timeout_s`` (SO_RCVTIMEO, socket(7)): no poll per call."""
    if os.name == "nt":
        milliseconds = struct.pack("=L", max(1, round(timeout_s * 1000)))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, milliseconds)
        return
    seconds, rest = divmod(max(1, round(timeout_s * 1e6)), 1_000_000)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", seconds, rest))


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
    heard = [ended.said] if ended and ended.said else _heard(sock)
    said = heard[0] if heard else None
    timed_out = isinstance(error, TimeoutError) or error.errno in _WAITED
    rejected = timed_out and said is not None and said["origin"] != "local" and said["errno"] != "EMSGSIZE"
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
        errno=said["errno"] if rejected and said else None if timed_out else _name(error),
        error=error.strerror or str(error),
        icmp=said,
        elapsed_ms=elapsed_ms,
        own=_own(sock) if said else frozenset(),
    )
    judged = judge(evidence)
    cause = judged.cause or str(error)
    if came and judged.row in _AFTER:
        cause = _AFTER[judged.row].format(came=came, seconds=elapsed_ms / 1000)
    hint = "is 'netprobe echo serve' running there?" if judged.verdict == "refused" else None
    return PeerError(place(host, port), judged.verdict, cause, hint)


def reason(sock: socket.socket | None) -> Mapping[str, Any] | None:
    """The first error that the network or this host reported."""
    return next(iter(_heard(sock)), None)


def _heard(sock: socket.socket | None) -> list[Mapping[str, Any]]:
    """All of them, out of whatever else is in the error queue."""
    return [said for said in take_errors(sock) if said["origin"] in ORIGINS.values()]


def _peer_of(sock: socket.socket | None) -> str | None:
    try:
        return str(sock.getpeername()[0]) if sock is not None else None
    except OSError:
        return None


def _own(sock: socket.socket | None) -> frozenset[str]:
    """Addresses of this host: the socket's own, which a failed connect(2) takes back, and all that netlink tells."""
    own = {entry["address"] for entry in netlink_facts()[1]}
    try:
        return frozenset(own | {str(sock.getsockname()[0])} if sock is not None else own)
    except OSError:
        return frozenset(own)


def _name(error: OSError) -> str | None:
    return errno.errorcode.get(error.errno or 0)
