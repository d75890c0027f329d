"""Opening the sockets of a server: hosts, one port for all, unix paths, or what systemd hands over."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Final

from netprobe.echo.server.datagrams import ask_destination
from netprobe.echo.server.happenings import Listening
from netprobe.echo.server.unix import unix_backlog, unix_listener
from netprobe.endpoints import format_endpoint
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.kernel.constants import IPV6_V6ONLY, SO_REUSEPORT, SYSTEM, TCP_INFO
from netprobe.kernel.required import need

__all__ = ["Wanted", "handed_over", "listening_event", "open_sockets"]

TRIES: Final = 16  # ports that are tried until one is free for every protocol and host
LISTEN_FDS_START: Final = 3  # sd_listen_fds(3)

Address = tuple[Any, ...]
Target = tuple[int, int, Address]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to listen on; ``port`` 0 is any free one, the same for all hosts and protocols."""

    hosts: Sequence[str] = ("127.0.0.1",)
    port: int = 65432
    tcp: bool = True
    udp: bool = True
    paths: Sequence[str] = ()
    backlog: int = 4096
    workers: int = 1


def open_sockets(wanted: Wanted) -> list[list[socket.socket]]:
    """One list of sockets a worker. Each worker has its own TCP and UDP sockets (SO_REUSEPORT); unix ones are shared.

    Raises CannotRunError, with the port and the way out, where one of them cannot be opened.
    """
    with ExitStack() as undo:
        first = _open_first(wanted, undo)
        sets = [first]
        for _ in range(1, wanted.workers):
            sets.append([_bind(s.family, s.type, s.getsockname(), wanted, undo, first=False) for s in first])
        shared = []
        for path in wanted.paths:
            shared.append(undo.enter_context(unix_listener(path, wanted.backlog)))
        undo.pop_all()
    return [[*own, *shared] for own in sets]


def handed_over(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets of systemd's socket activation (sd_listen_fds(3)); none where this process is not meant."""
    if environ.get("LISTEN_PID") != str(os.getpid()) or not environ.get("LISTEN_FDS", "").isdigit():
        return []
    sockets = []
    for fd in range(LISTEN_FDS_START, LISTEN_FDS_START + int(environ["LISTEN_FDS"])):
        try:
            os.set_inheritable(fd, False)
            sock = socket.socket(fileno=fd)
            waiting = sock.type == socket.SOCK_DGRAM or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise CannotRunError(f"LISTEN_FDS: descriptor {fd}", f"is no socket ({_name(error)})") from None
        if sock.type not in (socket.SOCK_STREAM, socket.SOCK_DGRAM) or not waiting:
            raise CannotRunError(f"LISTEN_FDS: descriptor {fd}", "is neither a listening stream nor a datagram socket")
        if sock.type == socket.SOCK_DGRAM and sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise CannotRunError(f"LISTEN_FDS: descriptor {fd}", "datagrams are echoed over UDP only")
        sockets.append(sock)
    return sockets


def listening_event(sock: socket.socket, framed: bool, asked: int | None, workers: int) -> Listening:
    """What is told of an open socket."""
    name = sock.getsockname()
    stream = sock.type == socket.SOCK_STREAM
    asked = asked if stream else None
    if isinstance(name, tuple):
        protocol = "tcp" if stream else "udp"
        return Listening("listening", protocol, name[0], name[1], framed and stream, _backlog(sock), asked, workers)
    path = os.fsdecode(name)
    return Listening("listening", "unix", path, None, framed, unix_backlog(asked), asked, workers)


def _open_first(wanted: Wanted, undo: ExitStack) -> list[socket.socket]:
    targets = list(dict.fromkeys(_targets(wanted)))
    for attempt in range(TRIES):
        port = wanted.port
        opened: list[socket.socket] = []
        with ExitStack() as undo_try:
            try:
                for family, kind, address in targets:
                    there = (address[0], port, *address[2:])
                    sock = _bind(family, kind, there, wanted, undo_try, first=True)
                    port = sock.getsockname()[1]
                    opened.append(sock)
            except _Taken as taken:
                _refuse_overlap(address[0], [s for s in opened if (s.family, s.type) == (family, kind)])
                if wanted.port == 0 and opened and attempt < TRIES - 1:
                    continue
                raise taken.said from None
            undo.push(undo_try.pop_all())
        break
    return opened


def _targets(wanted: Wanted) -> Iterator[Target]:
    kinds = [k for k, on in ((socket.SOCK_STREAM, wanted.tcp), (socket.SOCK_DGRAM, wanted.udp)) if on]
    for host in wanted.hosts:
        if not host:
            raise InvalidInputError("--host", "is empty", "0.0.0.0 is every IPv4 address, :: every IPv6 address")
        try:
            found = socket.getaddrinfo(host, wanted.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (socket.gaierror, UnicodeError) as error:
            why = error.strerror if isinstance(error, socket.gaierror) else str(error)
            raise CannotRunError(host, f"does not resolve to an address: {why}") from None
        for family, _, _, _, address in found:
            yield from ((family, kind, address) for kind in kinds)


def _refuse_overlap(host: str, opened: Sequence[socket.socket]) -> None:
    """The port may be taken by ourselves: a wildcard address is every address of its family."""
    for sock in opened:
        other = sock.getsockname()[0]
        if {host, other} & {"0.0.0.0", "::"}:
            raise InvalidInputError(f"--host {host}", f"shares addresses with --host {other}", "leave one of them out")


class _Taken(Exception):
    def __init__(self, said: CannotRunError) -> None:
        super().__init__()
        self.said = said


def _bind(family: int, kind: int, address: Address, wanted: Wanted, undo: ExitStack, *, first: bool) -> socket.socket:
    """An open socket. The first of several workers' makes sure that no stranger with SO_REUSEPORT has the port."""
    try:
        if first and wanted.workers > 1 and address[1]:
            with _prepared(family, kind) as alone:
                alone.bind(address)
        sock = undo.enter_context(_prepared(family, kind))
        if wanted.workers > 1:
            sock.setsockopt(socket.SOL_SOCKET, need("SO_REUSEPORT", SO_REUSEPORT), 1)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            sock.listen(wanted.backlog)
    except OverflowError:
        raise InvalidInputError(f"port {address[1]}", "is not between 0 and 65535") from None
    except OSError as error:
        said = _refusal(error, kind, address)
        if error.errno == errno.EADDRINUSE:
            raise _Taken(said) from None
        raise said from None
    return sock


def _prepared(family: int, kind: int) -> socket.socket:
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6 and IPV6_V6ONLY is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM and SYSTEM != "windows":  # there it means SO_REUSEPORT
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind == socket.SOCK_DGRAM:
        ask_destination(sock)
    return sock


def _refusal(error: OSError, kind: int, address: Address) -> CannotRunError:
    """What the kernel said to a bind, with the port and the way out."""
    host, port = str(address[0]), address[1]
    where = format_endpoint(host, port)
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    what = f"{where}/{protocol}"
    if error.errno == errno.EADDRINUSE:
        own = " (or an outgoing connection: it lies in the range of ephemeral ports)" if _ephemeral(port) else ""
        return CannotRunError(
            what,
            f"port {port} is taken by another listener{own} (EADDRINUSE)",
            f"choose another with --port, or --port 0 for any free one; who has it: ss -lnp 'sport = :{port}'",
        )
    if error.errno == errno.EACCES:
        return CannotRunError(
            what,
            f"port {port} is below 1024 and needs a right that you do not have (EACCES)",
            "choose --port 1024 or above, or grant CAP_NET_BIND_SERVICE "
            f"(or: sysctl net.ipv4.ip_unprivileged_port_start={port})",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotRunError(
            what, "no interface of this host has this address (EADDRNOTAVAIL)", "see: netprobe interfaces"
        )
    return CannotRunError(what, f"{os.strerror(error.errno or 0)} ({_name(error)})", _spelling_hint(error, address))


def _spelling_hint(error: OSError, address: Address) -> str | None:
    """What an invalid argument may mean: ipv6(7)."""
    if error.errno != errno.EINVAL or ":" not in address[0]:
        return None
    host = IPv6Address(address[0].partition("%")[0])
    if host.ipv4_mapped is not None:
        return f"IPv4 has sockets of its own here: --host {host.ipv4_mapped}"
    if host.is_link_local and not address[3]:
        return f"a link-local address needs its interface: --host {host}%eth0; see: netprobe interfaces"
    return None


def _ephemeral(port: object) -> bool:
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split())
    except (OSError, ValueError):
        return False
    return isinstance(port, int) and low <= port <= high


def _backlog(sock: socket.socket) -> int | None:
    """What the kernel made of the backlog: for a listening socket ``tcpi_sacked`` is its sk_max_ack_backlog."""
    if SYSTEM != "linux" or TCP_INFO is None or sock.type != socket.SOCK_STREAM:
        return None
    try:
        (backlog,) = struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 32), 28)
    except (OSError, struct.error):
        return None
    return int(backlog)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
