"""Opening one listener: its socket options, and what to say when the system refuses."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from netprobe.errors import CannotRunError
from netprobe.kernel import constants
from netprobe.kernel.required import need
from netprobe.prober.sockets import socket_address
from netprobe.reach.records import Address, BindOptions, HostFacts, Listening, Protocol

__all__ = ["errno_name", "listener_error", "listener_errors", "open_socket", "strerror"]

BACKLOG = 4096  # the kernel caps it (net.core.somaxconn): all cells may come at once

Sock = socket.socket


def open_socket(bind: Address, protocol: Protocol, options: BindOptions, port: int) -> Sock:
    """A bound (and, for TCP, listening) socket; closed again if any step fails."""
    family = socket.AF_INET if bind.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        set_options(sock, protocol, options)
        sock.bind(socket_address(bind.text, port, bind.zone))
        if protocol == "tcp":
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def set_options(sock: Sock, protocol: Protocol, options: BindOptions) -> None:
    """Socket options that have to stand before bind()."""
    if protocol == "tcp" and os.name == "posix" and options.port:
        # A port of an earlier run whose connections still wait out their time (RFC 9293 section 3.6.1) is free for
        # a listener; on Windows this option would mean something else.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6 and options.v6only is not None:
        number = need("IPV6_V6ONLY", constants.IPV6_V6ONLY)
        sock.setsockopt(socket.IPPROTO_IPV6, number, int(options.v6only))
    if options.reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, need("SO_REUSEPORT", constants.SO_REUSEPORT), 1)
    if options.freebind:
        if sock.family == socket.AF_INET6:
            number = need("IPV6_FREEBIND", constants.IPV6_FREEBIND)
            sock.setsockopt(socket.IPPROTO_IPV6, number, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, need("IP_FREEBIND", constants.IP_FREEBIND), 1)
    if options.device:
        number = need("SO_BINDTODEVICE", constants.SO_BINDTODEVICE)
        sock.setsockopt(socket.SOL_SOCKET, number, options.device.encode() + b"\0")


def errno_name(error: Exception) -> str:
    """``EADDRINUSE``; the exception's name where there is no errno (a port above 65535, no such option)."""
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number, str(number)) if number is not None else type(error).__name__


def strerror(error: Exception) -> str:
    """The system's words."""
    return str(getattr(error, "strerror", None) or error)


def listener_errors(failed: Sequence[Listening], options: BindOptions, host: HostFacts) -> list[CannotRunError]:
    """One error for each address and reason, TCP and UDP together."""
    found: dict[tuple[Address, str | None], list[Listening]] = {}
    for listening in failed:
        found.setdefault((listening.bind, listening.errno), []).append(listening)
    return [listener_error(same[0], options, host, [x.protocol for x in same]) for same in found.values()]


def listener_error(
    failed: Listening, options: BindOptions, host: HostFacts, protocols: Sequence[str] = ()
) -> CannotRunError:
    """Why a listener that was asked for could not be opened, and what to do: exit status 3."""
    words = " and ".join(protocols or (failed.protocol,))
    what = f"{failed.bind} port {options.port} ({words})" if options.port else f"{failed.bind} ({words})"
    if failed.errno == "EADDRINUSE":
        hint = "another port, --port 0 for any free one, or --reuse-port; 'ss -tulpn' shows who has it"
        return CannotRunError(what, f"port {options.port} is already in use (EADDRINUSE)", hint)
    if failed.errno == "EADDRNOTAVAIL":
        there = ", ".join(dict.fromkeys(str(x.address) for x in host.addresses)) or "none"
        why = "no interface of this host has that address (EADDRNOTAVAIL)"
        if failed.bind.zone and host.has(failed.bind.ip):
            why = f"the address is not on {failed.bind.zone} (EADDRNOTAVAIL)"
        return CannotRunError(what, why, f"the addresses there are: {there}; --freebind binds it all the same")
    if failed.errno in ("EACCES", "EPERM") and 0 < options.port < 1024:
        hint = "a port from 1024 on, or the capability CAP_NET_BIND_SERVICE (run as root, or setcap)"
        return CannotRunError(what, f"ports below 1024 need a right ({failed.errno})", hint)
    if failed.errno in ("EPERM", "EACCES") and options.device:
        return CannotRunError(what, f"binding to {options.device} needs a right ({failed.errno})", "CAP_NET_RAW")
    if failed.errno == "ENODEV":
        there = ", ".join(link.name for link in host.links)
        return CannotRunError(what, f"there is no interface {options.device} (ENODEV)", f"there are: {there}")
    if failed.errno == "EINVAL" and failed.bind.is_link_local_6 and failed.bind.zone is None:
        own = next((str(x.address) for x in host.addresses if x.address.ip == failed.bind.ip), None)
        hint = f"as in {own or f'{failed.bind}%eth0'}"
        return CannotRunError(what, "a link-local address needs a zone (EINVAL)", hint)
    if failed.errno in ("EAFNOSUPPORT",):
        return CannotRunError(what, "this host has no IPv6 (EAFNOSUPPORT)")
    return CannotRunError(what, f"{failed.cause} ({failed.errno})")
