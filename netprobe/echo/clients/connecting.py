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
from netprobe.sockets.payload import ORIGINS, ask_for_errors, take_errors

__all__ = ["Found", "PeerError", "connect", "connect_to", "peer_error", "resolve", "set_timeout"]

Found = tuple[Any, Any, int, str, Any]  # a line of getaddrinfo(3)


class PeerError(NetprobeError):
    """The peer did not answer as an echo server does: exit status 1. ``verdict`` is the word for it."""

    exit_code = Exit.NO

    def __init__(self, what: str, verdict: str, why: str, hint: str | None = None) -> None:
        self.verdict = verdict
        super().__init__(what, f"{verdict}: {why}", hint)


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
    found: Found, host: str, port: int, timeout_s: float, source: str | None = None
) -> tuple[socket.socket, int]:
    """The same for one address that ``resolve`` found, and how many nanoseconds connect(2) took."""
    family, kind, protocol, _, address = found
    sock = socket.socket(family, kind, protocol)
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
    except OSError as error:
        told = peer_error(error, sock, host, port, "connect", timeout_s, str(address[0]))
        sock.close()
        raise told from error
    except BaseException:
        sock.close()
        raise
    return sock, elapsed_ns


def resolve(host: str, port: int, kind: int = socket.SOCK_STREAM, source: str | None = None) -> list[Found]:
    """The addresses of ``host``, those of the source address' family if there is one. Raises PeerError if none."""
    family = socket.AF_UNSPEC
    if source is not None:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
    try:
        return list(socket.getaddrinfo(host, port, family, kind))
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a name"
        raise PeerError(host, "unreachable", f"the name does not resolve ({why})") from error


def _bind(sock: socket.socket, source: str) -> None:
    try:
        found = socket.getaddrinfo(source, 0, sock.family, sock.type, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidInputError(source, "not an address", "--source takes an address of this host") from error
    try:
        sock.bind(found[0][4])
    except OSError as error:
        raise CannotRunError(source, error.strerror or str(error), "see 'netprobe interfaces'") from error


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


def peer_error(
    error: OSError,
    sock: socket.socket | None,
    host: str,
    port: int,
    stage: str,
    timeout_s: float,
    address: str | None = None,
) -> PeerError:
    """What went wrong, named by the one table of failures; ``address`` is that of ``host`` which was asked."""
    timed_out = isinstance(error, TimeoutError) or error.errno in _WAITED
    evidence = Evidence(
        result="timeout" if timed_out else "error",
        protocol="udp" if sock is not None and sock.type == socket.SOCK_DGRAM else "tcp",
        destination=address or _peer_of(sock) or host,
        stage=stage,
        errno=None if timed_out else errno.errorcode.get(error.errno or 0),
        error=error.strerror or str(error),
        icmp=_reason(sock),
        elapsed_ms=timeout_s * 1000 if timed_out else 0.0,
    )
    judged = judge(evidence)
    hint = "is 'netprobe echo serve' running there?" if judged.verdict == "refused" else None
    return PeerError(place(host, port), judged.verdict, judged.cause or str(error), hint)


def _peer_of(sock: socket.socket | None) -> str | None:
    try:
        return str(sock.getpeername()[0]) if sock is not None else None
    except OSError:
        return None


def _reason(sock: socket.socket | None) -> Mapping[str, Any] | None:
    """The error that the network or this host reported, out of whatever else is in the error queue."""
    return next((said for said in take_errors(sock) if said["origin"] in ORIGINS.values()), None)
