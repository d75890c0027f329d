"""A socket to an echo server, with the time-out in the kernel, or the named reason why there is none."""

from __future__ import annotations

import os
import socket
import struct
from time import perf_counter_ns
from typing import Any

from netprobe.echo.clients.peer_errors import Ended, PeerError, Silence, errno_name, peer_error
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.kernel.error_queue import ask_for_errors
from netprobe.outcome.evidence import Evidence
from netprobe.outcome.failures import diagnose
from netprobe.verdicts import Verdict

__all__ = ["Found", "PeerError", "connect", "connect_to", "met_itself", "peer_error", "resolve", "set_timeout"]

Found = tuple[Any, Any, int, str, Any]  # a line of getaddrinfo(3)


def connect(
    host: str,
    port: int,
    timeout_s: float,
    kind: int = socket.SOCK_STREAM,
    source: str | None = None,
    silence: Silence | None = None,
) -> socket.socket:
    """A blocking, connected socket whose calls time out after ``timeout_s`` seconds, from ``source`` if given.

    Every address of ``host`` is tried in the resolver's order. Raises PeerError with the last one's reason, and
    CannotRunError when ``source`` is no address of this host.
    """
    last: PeerError | None = None
    for found in resolve(host, port, kind, source):
        try:
            return connect_to(found, host, port, timeout_s, source, silence)[0]
        except PeerError as error:
            last = error
    assert last is not None
    raise last


def connect_to(
    found: Found,
    host: str,
    port: int,
    timeout_s: float,
    source: str | None = None,
    silence: Silence | None = None,
    tries: int = 3,
) -> tuple[socket.socket, int]:
    """The same for one address that ``resolve`` found, and how many nanoseconds connect(2) took.

    A datagram socket that was given its destination as its own name is taken anew, ``tries`` times in all.
    """
    family, kind, protocol, _, address = found
    sock = socket.socket(family, kind, protocol)
    silence = silence or Silence()
    since_ns = silence.begin()
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
                    return connect_to(found, host, port, timeout_s, source, silence, tries - 1)
            raise Ended("self")
    except OSError as error:
        told = peer_error(error, sock, host, port, "connect", timeout_s, str(address[0]), start_ns=since_ns)
        silence.end(told)
        sock.close()
        raise told from error
    except BaseException:
        sock.close()
        raise
    silence.end()
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
        raise PeerError(host, Verdict.UNREACHABLE, f"the name does not resolve{wanted} ({why})") from error


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
        judged = diagnose(Evidence("error", stage="bind", errno=errno_name(error), error=error.strerror or str(error)))
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
