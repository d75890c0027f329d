"""A connection to an echo server, with the time-out in the kernel, or the named reason why there is none."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any

from netprobe.echo.destination import place
from netprobe.errors import Exit, NetprobeError
from netprobe.sockets.failures import Evidence, judge
from netprobe.sockets.payload import IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE, SOL_IPV6, extended_error

__all__ = ["PeerError", "connect", "peer_error", "set_timeout"]

_LINUX = sys.platform.startswith("linux")


class PeerError(NetprobeError):
    """The peer did not answer as an echo server does: exit status 1. ``verdict`` is the word for it."""

    exit_code = Exit.NO

    def __init__(self, what: str, verdict: str, why: str, hint: str | None = None) -> None:
        self.verdict = verdict
        super().__init__(what, f"{verdict}: {why}", hint)


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """A blocking TCP connection whose send and receive time out after ``timeout_s`` seconds.

    Every address of ``host`` is tried in the resolver's order. Raises PeerError with the last one's reason.
    """
    last: PeerError | None = None
    for family, kind, protocol, _, address in _resolve(host, port, timeout_s):
        sock = socket.socket(family, kind, protocol)
        try:
            _ask_for_reasons(sock, family)
            sock.settimeout(timeout_s)
            sock.connect(address)
            sock.settimeout(None)
            set_timeout(sock, timeout_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            last = peer_error(error, sock, host, port, "connect", timeout_s)
            sock.close()
        except BaseException:
            sock.close()
            raise
    assert last is not None
    raise last


def _resolve(host: str, port: int, timeout_s: float) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a name"
        raise PeerError(host, "unreachable", f"the name does not resolve ({why})") from error


def _ask_for_reasons(sock: socket.socket, family: int) -> None:
    if _LINUX:
        if family == socket.AF_INET6:
            sock.setsockopt(SOL_IPV6, IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


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


def peer_error(error: OSError, sock: socket.socket, host: str, port: int, stage: str, timeout_s: float) -> PeerError:
    """What went wrong, named by the one table of failures."""
    timed_out = isinstance(error, TimeoutError) or error.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    evidence = Evidence(
        result="timeout" if timed_out else "error",
        destination=host,
        stage=stage,
        errno=None if timed_out else errno.errorcode.get(error.errno or 0),
        error=error.strerror or str(error),
        icmp=_reason(sock),
        elapsed_ms=timeout_s * 1000 if timed_out else 0.0,
    )
    judged = judge(evidence)
    hint = "is 'netprobe echo serve' running there?" if judged.verdict == "refused" else None
    return PeerError(place(host, port), judged.verdict, judged.cause or str(error), hint)


def _reason(sock: socket.socket) -> Mapping[str, Any] | None:
    if not _LINUX:
        return None
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 512, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:
        return None
    wanted = ((socket.IPPROTO_IP, IP_RECVERR), (SOL_IPV6, IPV6_RECVERR))
    return next((extended_error(data) for level, kind, data in ancillary if (level, kind) in wanted), None)
