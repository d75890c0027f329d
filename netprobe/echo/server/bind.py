"""Binding the sockets of a server: hosts, one port for all of them, unix paths, or what systemd passes.

IPv4 and IPv6 have sockets of their own (IPV6_V6ONLY), so that ``0.0.0.0`` and ``::`` mean the same on every system and
each address is reported as it was bound. With ``--port 0`` the first socket's port is tried for all others, TCP and
UDP, and another one if it is taken there.

Several workers each bind the same port with SO_REUSEPORT, and the kernel spreads the connections: no process has to
accept for the others. It would also let a stranger's server share the port, so the first socket is also bound
without it, once.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from netprobe.echo.server.datagrams import request_destination
from netprobe.echo.server.events import ListenerOpened
from netprobe.echo.server.unix import unix_backlog, unix_listener
from netprobe.endpoints import format_endpoint
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.interfaces import why_not_usable
from netprobe.kernel import rtnetlink
from netprobe.kernel.constants import IPV6_V6ONLY, SO_REUSEPORT, SYSTEM, TCP_INFO
from netprobe.kernel.required import need

__all__ = ["BindSettings", "inherited_sockets", "listener_opened", "open_sockets"]

_PORT_ATTEMPTS: Final = 16  # ports that are tried until one is free for every protocol and host
_LISTEN_FDS_START: Final = 3  # sd_listen_fds(3)
_LISTEN_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_TCP: Final = (0, socket.IPPROTO_TCP, 262)  # and IPPROTO_MPTCP, linux/in.h

_SockAddr: TypeAlias = tuple[Any, ...]  # of IPv4 or IPv6, as getaddrinfo(3) gives it


class _Binding(NamedTuple):
    """One socket to open."""

    family: int
    kind: int  # SOCK_STREAM or SOCK_DGRAM
    address: _SockAddr


@dataclass(frozen=True, slots=True)
class BindSettings:
    """What to listen on; ``port`` 0 is any free one, the same for all hosts and protocols."""

    hosts: Sequence[str] = ("127.0.0.1",)
    port: int = 65432
    tcp: bool = True
    udp: bool = True
    paths: Sequence[str] = ()
    backlog: int = 4096
    workers: int = 1
    version: int | None = None  # 4 or 6: of a name, the other addresses are left alone


def open_sockets(settings: BindSettings) -> list[list[socket.socket]]:
    """A list of sockets for each worker. Each has its own TCP and UDP sockets (SO_REUSEPORT); unix ones are shared.

    Raises CannotRunError, with the port and a remedy, where one of them cannot be opened.
    """
    with ExitStack() as undo:
        first = _open_first(settings, undo)
        sets = [first]
        for _ in range(1, settings.workers):
            same = [_Binding(sock.family, sock.type, sock.getsockname()) for sock in first]
            sets.append([_bind(binding, settings, undo, first=False) for binding in same])
        shared = []
        for path in settings.paths:
            shared.append(undo.enter_context(unix_listener(path, settings.backlog)))
        undo.pop_all()
    return [[*own, *shared] for own in sets]


def inherited_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets of systemd's socket activation (sd_listen_fds(3)); none where they are for another process.

    The variables are removed, so that no child takes them for its own. Raises CannotRunError where they are not what
    systemd passes: to open other sockets instead, or some of them, would hide a mistake in a unit.
    """
    values = {name: environ.pop(name, None) for name in _LISTEN_VARIABLES}
    pid, number, names = (values[name] for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid is None or number is None or _decimal("LISTEN_PID", pid) != os.getpid():
        return []
    count = _decimal("LISTEN_FDS", number)
    if names is not None and len(names.split(":")) != count:
        raise CannotRunError("LISTEN_FDNAMES", f"does not have as many names as LISTEN_FDS has descriptors: {count}")
    with ExitStack() as undo:
        sockets = [
            undo.enter_context(_inherited_socket(fd)) for fd in range(_LISTEN_FDS_START, _LISTEN_FDS_START + count)
        ]
        undo.pop_all()
    return sockets


def _decimal(name: str, value: str) -> int:
    """The positive number that ``value`` is written as, in ASCII digits and nothing else."""
    if not re.fullmatch("[1-9][0-9]{0,8}", value):
        raise CannotRunError(name, "is not a positive whole number below 1,000,000,000")
    return int(value)


def _inherited_socket(fd: int) -> socket.socket:
    """The socket that the descriptor ``fd`` is, if it is one to serve."""
    where = f"LISTEN_FDS: descriptor {fd}"
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise CannotRunError(where, f"is not a socket ({_errno_name(error)})") from None
    try:
        why = _unfit(sock)
    except OSError as error:
        why = f"{error.strerror} ({_errno_name(error)})"
    if why is not None:
        sock.close()
        raise CannotRunError(where, why)
    return sock


def _unfit(sock: socket.socket) -> str | None:
    """Why ``sock`` cannot be served; None if it can."""
    internet = sock.family in (socket.AF_INET, socket.AF_INET6)
    if sock.type == socket.SOCK_STREAM:
        if not internet and sock.family != getattr(socket, "AF_UNIX", None):
            return f"is of an address family that is not supported ({_family_name(sock.family)})"
        if internet and sock.proto not in _TCP:
            return f"is a stream socket but not TCP (protocol {sock.proto})"
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return "is neither a listening stream nor a datagram socket"
    elif sock.type == socket.SOCK_DGRAM:
        if sock.family == getattr(socket, "AF_UNIX", None):
            return "unix datagram sockets are not supported, only UDP"
        if not internet or sock.proto not in (0, socket.IPPROTO_UDP):
            return f"is a datagram socket but not UDP ({_family_name(sock.family)}, protocol {sock.proto})"
        if not sock.getsockname()[1]:
            return "is a datagram socket that is not bound to a port"
        if _is_connected(sock):
            return "is connected to one peer"
    else:
        return "is neither a listening stream nor a datagram socket"
    return None


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:  # ENOTCONN
        return False
    return True


def _family_name(family: int) -> str:
    return family.name if isinstance(family, socket.AddressFamily) else f"family {family}"


def listener_opened(sock: socket.socket, framed: bool, asked: int | None, workers: int) -> ListenerOpened:
    """The event of an open socket; ``asked`` is the backlog that was asked for."""
    name = sock.getsockname()
    stream = sock.type == socket.SOCK_STREAM
    asked = asked if stream else None
    if isinstance(name, tuple):
        protocol = "tcp" if stream else "udp"
        return ListenerOpened(protocol, name[0], name[1], framed and stream, _backlog(sock), asked, workers)
    path = os.fsdecode(name)
    return ListenerOpened("unix", path, None, framed, unix_backlog(asked), asked, workers)


def _open_first(settings: BindSettings, undo: ExitStack) -> list[socket.socket]:
    bindings = list(dict.fromkeys(_bindings(settings)))
    for attempt in range(_PORT_ATTEMPTS):
        port = settings.port
        opened: list[socket.socket] = []
        with ExitStack() as undo_try:
            try:
                for binding in bindings:
                    address = (binding.address[0], port, *binding.address[2:])
                    sock = _bind(binding._replace(address=address), settings, undo_try, first=True)
                    port = sock.getsockname()[1]
                    opened.append(sock)
            except _Taken as taken:
                alike = [s for s in opened if (s.family, s.type) == (binding.family, binding.kind)]
                _refuse_overlap(binding.address[0], alike)
                if settings.port == 0 and opened and attempt < _PORT_ATTEMPTS - 1:
                    continue
                raise taken.error from None
            undo.push(undo_try.pop_all())
        break
    return opened


def _bindings(settings: BindSettings) -> Iterator[_Binding]:
    kinds = [k for k, on in ((socket.SOCK_STREAM, settings.tcp), (socket.SOCK_DGRAM, settings.udp)) if on]
    wanted = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[settings.version]
    for host in settings.hosts:
        if not host:
            raise InvalidInputError("--addr", "is empty", "0.0.0.0 is every IPv4 address, :: every IPv6 address")
        try:
            found = socket.getaddrinfo(host, settings.port, wanted, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (socket.gaierror, UnicodeError) as error:
            why = error.strerror if isinstance(error, socket.gaierror) else str(error)
            raise CannotRunError(host, f"does not resolve to an address: {why}") from None
        for family, _, _, _, address in found:
            yield from (_Binding(family, kind, address) for kind in kinds)


def _refuse_overlap(host: str, opened: Sequence[socket.socket]) -> None:
    """The port may be our own: a wildcard address is every address of its family."""
    for sock in opened:
        other = sock.getsockname()[0]
        if {host, other} & {"0.0.0.0", "::"}:
            raise InvalidInputError(f"--addr {host}", f"shares addresses with --addr {other}", "drop one of them")


class _Taken(Exception):
    """EADDRINUSE; ``error`` is what to raise where no other port may be tried."""

    def __init__(self, error: CannotRunError) -> None:
        super().__init__()
        self.error = error


def _bind(binding: _Binding, settings: BindSettings, undo: ExitStack, *, first: bool) -> socket.socket:
    """An open socket. The first worker's makes sure that no stranger with SO_REUSEPORT has the port."""
    family, kind, address = binding
    try:
        if first and settings.workers > 1 and address[1]:
            with _unbound(family, kind) as alone:
                alone.bind(address)
        sock = undo.enter_context(_unbound(family, kind))
        if settings.workers > 1:
            sock.setsockopt(socket.SOL_SOCKET, need("SO_REUSEPORT", SO_REUSEPORT), 1)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            sock.listen(settings.backlog)
    except OverflowError:
        raise InvalidInputError(f"port {address[1]}", "is not between 0 and 65535") from None
    except OSError as error:
        failure = _bind_error(error, kind, address)
        if error.errno == errno.EADDRINUSE:
            raise _Taken(failure) from None
        raise failure from None
    return sock


def _unbound(family: int, kind: int) -> socket.socket:
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6 and IPV6_V6ONLY is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM and SYSTEM != "windows":  # where it means SO_REUSEPORT
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind == socket.SOCK_DGRAM:
        request_destination(sock)
    return sock


def _bind_error(error: OSError, kind: int, address: _SockAddr) -> CannotRunError:
    """Why bind(2) failed, with the port and a remedy."""
    host, port = str(address[0]), address[1]
    where = format_endpoint(host, port)
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    what = f"{where}/{protocol}"
    if error.errno == errno.EADDRINUSE:
        own = " or an outgoing connection (it is in the ephemeral range)" if _ephemeral(port) else ""
        return CannotRunError(
            what,
            f"port {port} is taken by another listener{own} (EADDRINUSE)",
            f"choose another --port, or --port 0 for any free one; to see what holds it: ss -lnp 'sport = :{port}'",
        )
    if error.errno == errno.EACCES:
        return CannotRunError(
            what,
            f"port {port} is below 1024 and needs root or CAP_NET_BIND_SERVICE (EACCES)",
            f"choose --port 1024 or above, or: sysctl net.ipv4.ip_unprivileged_port_start={port}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        why = _unusable(host, address) or "no interface of this host has this address"
        return CannotRunError(what, f"{why} (EADDRNOTAVAIL)", "see: netprobe interfaces")
    return CannotRunError(what, f"{os.strerror(error.errno or 0)} ({_errno_name(error)})", _einval_hint(error, address))


def _unusable(host: str, address: _SockAddr) -> str | None:
    """Why an address that an interface does have cannot be bound; None where that is not it."""
    text, index = host.partition("%")[0], address[3] if len(address) > 3 else 0
    for held in rtnetlink.unusable_addresses():
        if held.address == text and index in (0, held.ifindex):
            return why_not_usable(socket.if_indextoname(held.ifindex), held.state)
    return None


def _einval_hint(error: OSError, address: _SockAddr) -> str | None:
    """What EINVAL may mean for an IPv6 address: ipv6(7)."""
    if error.errno != errno.EINVAL or ":" not in address[0]:
        return None
    host = IPv6Address(address[0].partition("%")[0])
    if host.ipv4_mapped is not None:
        return f"IPv4 addresses are bound as such: --addr {host.ipv4_mapped}"
    if host.is_link_local and not address[3]:
        return f"a link-local address needs its interface: --addr {host}%eth0; see: netprobe interfaces"
    return None


def _ephemeral(port: object) -> bool:
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split())
    except (OSError, ValueError):
        return False
    return isinstance(port, int) and low <= port <= high


def _backlog(sock: socket.socket) -> int | None:
    """The effective backlog: of a listening socket ``tcpi_sacked`` is sk_max_ack_backlog."""
    if SYSTEM != "linux" or TCP_INFO is None or sock.type != socket.SOCK_STREAM:
        return None
    try:
        (backlog,) = struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 32), 28)
    except (OSError, struct.error):
        return None
    return int(backlog)


def _errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
