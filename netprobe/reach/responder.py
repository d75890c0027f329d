"""The responder: listeners of one run, opened as asked, never wider or longer, and closed whatever ends the run.

One socket for each bind address and protocol, all in one thread of this process. ``reachable`` is only said with a
proof that this side saw the probe, too: whoever knows the run's nonce gets an answer with an HMAC over what was asked
and what is seen here. Anybody else gets nothing, not a byte (TCP: the connection is closed; UDP: silence), so that a
port scan learns nothing and a port proxy cannot be mistaken for the listener; and is reported with its address.

The UDP side is naive on purpose: it answers with plain sendto(), as most servers do, so that a wildcard listener's
answer leaves from the address that the kernel picks. That is what the run is to show (``replied_from``).
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from netprobe.errors import CannotRunError
from netprobe.kernel import constants
from netprobe.kernel.required import need
from netprobe.prober import wire
from netprobe.prober.sockets import socket_address
from netprobe.reach.facts import HostFacts
from netprobe.reach.listener import Listener, ListenerOptions, Protocol
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.text import escape

__all__ = ["Arrival", "Responder", "listener_error", "listener_errors"]

SILENT_S = 1.0  # how long a peer may stay silent before it is reported as a stranger
IDLE_S = 5.0  # and before it is sent away
CHUNK = 262144
BACKLOG = 4096  # the kernel caps it (net.core.somaxconn): all cells may come at once
MOST_STRANGERS = 10_000  # kept; more are only reported

_SocketAddress = tuple[Any, ...]  # as the socket module has it: by family, and for a type checker Any


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came to a listener, and at which ``local`` address; ``proven`` peers know the nonce."""

    listener: str
    protocol: str
    peer: str
    peer_port: int
    local: str
    proven: bool


@dataclass(slots=True)
class _Connection:
    """A TCP peer: its line until the newline comes, then what is still to be sent to it."""

    sock: socket.socket
    listener: Listener
    peer: _SocketAddress
    since: float
    line: bytearray = field(default_factory=bytearray)
    proven: bool = False
    reported: bool = False
    to_read: int = 0
    unsent: bytearray = field(default_factory=bytearray)


class Responder:
    """All listeners of a run: ``with Responder(nonce) as responder: responder.open(…); responder.start()``."""

    def __init__(
        self,
        nonce: str,
        on_stranger: Callable[[Arrival], None] | None = None,
        on_arrival: Callable[[Arrival], None] | None = None,
    ) -> None:
        self.nonce = nonce
        self._secret = secrets.token_hex(16)  # for receipts: unlike the nonce, nobody else has it
        self.arrivals: dict[str, Arrival] = {}  # by challenge
        self.strangers: list[Arrival] = []
        self._on_stranger = on_stranger
        self._on_arrival = on_arrival
        self._open: dict[socket.socket, Listener] = {}
        self._connections: dict[socket.socket, _Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._closing = False

    def open(
        self, binds: Iterable[ScopedAddress], protocols: Sequence[Protocol], options: ListenerOptions
    ) -> list[Listener]:
        """Open a listener for every address and protocol; one that cannot be opened says why instead."""
        opened: list[Listener] = []
        for bind in binds:
            port = options.port
            for protocol in protocols:
                listening = self._open_one(
                    f"{protocol[0]}{len(opened)}@{escape(str(bind))}", bind, protocol, options, port
                )
                opened.append(listening)
                port = port or listening.port  # the other protocol's free port: the same number, if it is free
        return opened

    def _open_one(
        self, number: str, bind: ScopedAddress, protocol: Protocol, options: ListenerOptions, port: int
    ) -> Listener:
        wanted = Listener(number, bind, protocol, options.port)
        try:
            sock = _open_socket(bind, protocol, options, port)
        except (OSError, OverflowError, CannotRunError) as error:
            if port and not options.port:
                return self._open_one(number, bind, protocol, options, 0)
            return replace(wanted, errno=_errno_name(error), cause=_strerror(error))
        only = None
        if sock.family == socket.AF_INET6 and constants.IPV6_V6ONLY is not None:
            only = bool(sock.getsockopt(socket.IPPROTO_IPV6, constants.IPV6_V6ONLY))
        self._open[sock] = replace(wanted, port=sock.getsockname()[1], v6only=only)
        return self._open[sock]

    def start(self) -> None:
        """Serve from a thread until :meth:`close`."""
        self._waker.setblocking(False)
        self._selector.register(self._waker, selectors.EVENT_READ, self._woken)
        for sock, listening in self._open.items():
            handle = self._accept if listening.protocol == "tcp" else self._datagram
            self._selector.register(sock, selectors.EVENT_READ, handle)
        self._thread = threading.Thread(target=self._serve, name="netprobe-responder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close every listener and connection. Safe to call twice, and in the middle of anything."""
        self._closing = True
        if self._thread is not None:
            self._wake.send(b".")
            self._thread.join(2.0)
            self._thread = None
        for connection in self._connections.values():
            self._report(connection)
        for sock in [*self._open, *self._connections, self._waker, self._wake]:
            sock.close()
        self._open.clear()
        self._connections.clear()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The thread.

    def _serve(self) -> None:
        swept = time.monotonic()
        while not self._closing:
            for key, events in self._selector.select(1.0 if self._connections else None):
                if self._closing:
                    return
                key.data(key.fileobj, events)
            now = time.monotonic()
            if now - swept >= 1.0:
                swept = now
                for connection in list(self._connections.values()):
                    if now - connection.since > IDLE_S:
                        self._drop(connection)
                    elif not connection.proven and now - connection.since > SILENT_S:
                        self._report(connection)

    def _woken(self, sock: socket.socket, events: int) -> None:
        """Close was called: the loop sees it."""

    def _accept(self, sock: socket.socket, events: int) -> None:
        while True:
            try:
                peer_sock, peer = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    time.sleep(0.01)  # others have to end first; the queue keeps
                if error.errno != errno.ECONNABORTED:
                    return
                continue
            peer_sock.setblocking(False)
            connection = _Connection(peer_sock, self._open[sock], peer, time.monotonic())
            self._connections[peer_sock] = connection
            self._selector.register(peer_sock, selectors.EVENT_READ, self._talk)
            self._talk(peer_sock, selectors.EVENT_READ)

    def _talk(self, sock: socket.socket, events: int) -> None:
        connection = self._connections[sock]
        try:
            if events & selectors.EVENT_READ and len(connection.unsent) < CHUNK:
                data = sock.recv(CHUNK if connection.proven else wire.LINE_LIMIT)
                if not data:
                    self._drop(connection)
                    return
                connection.since = time.monotonic()
                if not self._take(connection, data):
                    self._drop(connection)
                    return
            if connection.unsent:
                del connection.unsent[: sock.send(connection.unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(connection)
            return
        wanted = selectors.EVENT_WRITE if connection.unsent else 0
        if len(connection.unsent) < CHUNK:
            wanted |= selectors.EVENT_READ
        self._selector.modify(sock, wanted, self._talk)

    def _take(self, connection: _Connection, data: bytes) -> bool:
        """Read the probe's line, then echo its payload; False when the peer does not belong here."""
        if not connection.proven:
            connection.line += data
            line, newline, data = bytes(connection.line).partition(b"\n")
            if not newline:
                return len(line) <= wire.LINE_LIMIT
            asked = wire.read_probe(self.nonce, line)
            if asked is None:
                return False
            challenge, connection.to_read = asked
            connection.proven = True
            local = _plain(connection.sock.getsockname())[0]
            connection.unsent += self._answer(connection.listener, challenge, connection.peer, local)
        if len(data) > connection.to_read:
            return False
        connection.to_read -= len(data)
        connection.unsent += data
        return True

    def _answer(self, listening: Listener, challenge: str, peer: _SocketAddress, local: str) -> bytes:
        address, port = _plain(peer)
        arrival = Arrival(listening.id, listening.protocol, address, port, local, True)
        if challenge not in self.arrivals and self._on_arrival is not None:
            self._on_arrival(arrival)
        self.arrivals[challenge] = arrival
        receipt = self._receipt(challenge, arrival)
        return wire.reply_line(self.nonce, challenge, listening.id, (address, port), local, receipt)

    def has_seen(self, challenge: str, arrival: Arrival, receipt: str) -> bool:
        """Is ``receipt`` the one that was given to that arrival? However many came since, and whoever else did."""
        return hmac.compare_digest(receipt, self._receipt(challenge, arrival))

    def _receipt(self, challenge: str, arrival: Arrival) -> str:
        seen = (arrival.listener, arrival.protocol, arrival.peer, arrival.peer_port, arrival.local)
        return wire.proof(self._secret, "receipt", challenge, *seen)

    def _drop(self, connection: _Connection) -> None:
        self._selector.unregister(connection.sock)
        del self._connections[connection.sock]
        self._report(connection)
        connection.sock.close()

    def _report(self, connection: _Connection) -> None:
        """Once for each peer that has not proved to belong here."""
        if not connection.proven and not connection.reported:
            connection.reported = True
            self._stranger(connection.listener, connection.peer, self._local(connection.sock))

    def _datagram(self, sock: socket.socket, events: int) -> None:
        for _ in range(256):
            try:
                data, peer = sock.recvfrom(65536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of an earlier answer
            listening = self._open[sock]
            line, _, rest = data.partition(b"\n")
            asked = wire.read_probe(self.nonce, line)
            if asked is None or asked[1] != len(rest):
                self._stranger(listening, peer, self._local(sock))
                continue
            answer = self._answer(listening, asked[0], peer, self._local(sock))
            try:
                sock.sendto(answer + rest, peer)
            except OSError:
                continue  # no route back: the client sees silence, and the arrival tells why

    def _stranger(self, listening: Listener, peer: _SocketAddress, local: str) -> None:
        address, port = _plain(peer)
        arrival = Arrival(listening.id, listening.protocol, address, port, local, False)
        if len(self.strangers) < MOST_STRANGERS:
            self.strangers.append(arrival)
        if self._on_stranger is not None:
            self._on_stranger(arrival)

    @staticmethod
    def _local(sock: socket.socket) -> str:
        try:
            return _plain(sock.getsockname())[0]
        except OSError:
            return "-"


def _plain(address: _SocketAddress) -> tuple[str, int]:
    """Address without zone, and port; a v4-mapped peer as the IPv4 address that it is."""
    text = str(address[0]).partition("%")[0]
    return text.removeprefix("::ffff:") if "." in text else text, int(address[1])


def _open_socket(bind: ScopedAddress, protocol: Protocol, options: ListenerOptions, port: int) -> socket.socket:
    """A bound (and, for TCP, listening) socket; closed again if any step fails."""
    family = socket.AF_INET if bind.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        _set_options(sock, protocol, options)
        sock.bind(socket_address(bind.text, port, bind.zone))
        if protocol == "tcp":
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_options(sock: socket.socket, protocol: Protocol, options: ListenerOptions) -> None:
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


def _errno_name(error: Exception) -> str:
    """``EADDRINUSE``; the exception's name where there is no errno (a port above 65535, no such option)."""
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number, str(number)) if number is not None else type(error).__name__


def _strerror(error: Exception) -> str:
    """The system's words."""
    return str(getattr(error, "strerror", None) or error)


def listener_errors(failed: Sequence[Listener], options: ListenerOptions, host: HostFacts) -> list[CannotRunError]:
    """One error for each address and reason, TCP and UDP together."""
    found: dict[tuple[ScopedAddress, str | None], list[Listener]] = {}
    for listening in failed:
        found.setdefault((listening.bind, listening.errno), []).append(listening)
    return [listener_error(same[0], options, host, [x.protocol for x in same]) for same in found.values()]


def listener_error(
    failed: Listener, options: ListenerOptions, host: HostFacts, protocols: Sequence[str] = ()
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
        hint = "a port from 1024 on, or that capability (setcap)"
        return CannotRunError(what, f"ports below 1024 need root or CAP_NET_BIND_SERVICE ({failed.errno})", hint)
    if failed.errno in ("EPERM", "EACCES") and options.device:
        return CannotRunError(what, f"binding to {options.device} needs root or CAP_NET_RAW ({failed.errno})")
    if failed.errno == "ENODEV":
        there = ", ".join(link.name for link in host.links)
        return CannotRunError(
            what, f"there is no interface {options.device or failed.bind.zone} (ENODEV)", f"there are: {there}"
        )
    if failed.errno == "EINVAL" and failed.bind.is_link_local_6 and failed.bind.zone is None:
        own = next((str(x.address) for x in host.addresses if x.address.ip == failed.bind.ip), None)
        hint = f"as in {own or f'{failed.bind}%eth0'}"
        return CannotRunError(what, "a link-local address needs a zone (EINVAL)", hint)
    if failed.errno in ("EAFNOSUPPORT",):
        return CannotRunError(what, "this host has no IPv6 (EAFNOSUPPORT)")
    return CannotRunError(what, f"{failed.cause} ({failed.errno})")
