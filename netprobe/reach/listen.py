"""Listeners of one run: opened as asked, never wider or longer, and closed whatever ends the run.

They run in one thread of this process. A peer that knows the nonce gets a proof; anybody else gets nothing, not a
byte (TCP: the connection is closed; UDP: silence), and is reported with its address.

The UDP listener is naive on purpose: it answers with plain sendto(), as most servers do, so that a wildcard listener's
answer leaves from the address that the kernel picks. That is what the run is to show (``replied_from``).
"""

from __future__ import annotations

import errno
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
from netprobe.prober import wire
from netprobe.reach.opening import errno_name, open_socket, strerror
from netprobe.reach.records import Address, BindOptions, Listening, Protocol

__all__ = ["Arrival", "Listeners"]

SILENT_S = 1.0  # how long a peer may stay silent before it is reported as a foreigner
IDLE_S = 5.0  # and before it is sent away
CHUNK = 262144

Sock = socket.socket


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came to a listener: ``proven`` peers know the nonce."""

    listener: str
    protocol: str
    peer: str
    peer_port: int
    local: str
    proven: bool


@dataclass(slots=True)
class _Connection:
    """A TCP peer: its line until the newline comes, then what it is still owed."""

    sock: Sock
    listener: Listening
    peer: tuple[Any, ...]
    since: float
    line: bytearray = field(default_factory=bytearray)
    proven: bool = False
    reported: bool = False
    to_read: int = 0
    owed: bytearray = field(default_factory=bytearray)


class Listeners:
    """All listeners of a run: ``with Listeners(nonce) as listeners: listeners.open(…); listeners.start()``."""

    def __init__(
        self,
        nonce: str,
        on_foreigner: Callable[[Arrival], None] | None = None,
        on_arrival: Callable[[Arrival], None] | None = None,
    ) -> None:
        self.nonce = nonce
        self.arrivals: dict[str, Arrival] = {}  # by challenge
        self.foreigners: list[Arrival] = []
        self._on_foreigner = on_foreigner
        self._on_arrival = on_arrival
        self._open: dict[Sock, Listening] = {}
        self._connections: dict[Sock, _Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._closing = False

    def open(self, binds: Iterable[Address], protocols: Sequence[Protocol], options: BindOptions) -> list[Listening]:
        """Open a listener for every address and protocol; one that cannot be opened says why instead."""
        opened: list[Listening] = []
        for bind in binds:
            port = options.port
            for protocol in protocols:
                listening = self._open_one(f"{protocol[0]}{len(opened)}@{bind}", bind, protocol, options, port)
                opened.append(listening)
                port = port or listening.port  # the other protocol's free port: the same number, if it is free
        return opened

    def _open_one(self, number: str, bind: Address, protocol: Protocol, options: BindOptions, port: int) -> Listening:
        wanted = Listening(number, bind, protocol, options.port)
        try:
            sock = open_socket(bind, protocol, options, port)
        except (OSError, OverflowError, CannotRunError) as error:
            if port and not options.port:
                return self._open_one(number, bind, protocol, options, 0)
            return replace(wanted, errno=errno_name(error), cause=strerror(error))
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
        self._thread = threading.Thread(target=self._serve, name="netprobe-listen", daemon=True)
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

    def _woken(self, sock: Sock, events: int) -> None:
        """Close was called: the loop sees it."""

    def _accept(self, sock: Sock, events: int) -> None:
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

    def _talk(self, sock: Sock, events: int) -> None:
        connection = self._connections[sock]
        try:
            if events & selectors.EVENT_READ and len(connection.owed) < CHUNK:
                data = sock.recv(CHUNK if connection.proven else wire.LINE_LIMIT)
                if not data:
                    self._drop(connection)
                    return
                connection.since = time.monotonic()
                if not self._take(connection, data):
                    self._drop(connection)
                    return
            if connection.owed:
                del connection.owed[: sock.send(connection.owed)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(connection)
            return
        wanted = selectors.EVENT_WRITE if connection.owed else 0
        if len(connection.owed) < CHUNK:
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
            local = plain(connection.sock.getsockname())[0]
            connection.owed += self._answer(connection.listener, challenge, connection.peer, local)
        if len(data) > connection.to_read:
            return False
        connection.to_read -= len(data)
        connection.owed += data
        return True

    def _answer(self, listening: Listening, challenge: str, peer: tuple[Any, ...], local: str) -> bytes:
        address, port = plain(peer)
        arrival = Arrival(listening.id, listening.protocol, address, port, local, True)
        if challenge not in self.arrivals and self._on_arrival is not None:
            self._on_arrival(arrival)
        self.arrivals[challenge] = arrival
        return wire.reply_line(self.nonce, challenge, listening.id, (address, port), local)

    def _drop(self, connection: _Connection) -> None:
        self._selector.unregister(connection.sock)
        del self._connections[connection.sock]
        self._report(connection)
        connection.sock.close()

    def _report(self, connection: _Connection) -> None:
        """Once for each peer that has not proved to belong here."""
        if not connection.proven and not connection.reported:
            connection.reported = True
            self._foreign(connection.listener, connection.peer, self._local(connection.sock))

    def _datagram(self, sock: Sock, events: int) -> None:
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
                self._foreign(listening, peer, self._local(sock))
                continue
            answer = self._answer(listening, asked[0], peer, self._local(sock))
            try:
                sock.sendto(answer + rest, peer)
            except OSError:
                continue  # no way back: the client sees silence, and the arrival tells why

    def _foreign(self, listening: Listening, peer: tuple[Any, ...], local: str) -> None:
        address, port = plain(peer)
        arrival = Arrival(listening.id, listening.protocol, address, port, local, False)
        if len(self.foreigners) < 10_000:
            self.foreigners.append(arrival)
        if self._on_foreigner is not None:
            self._on_foreigner(arrival)

    @staticmethod
    def _local(sock: Sock) -> str:
        try:
            return plain(sock.getsockname())[0]
        except OSError:
            return "-"


def plain(address: tuple[Any, ...]) -> tuple[str, int]:
    """Address without zone, and port; a v4-mapped peer as the IPv4 address that it is."""
    text = str(address[0]).partition("%")[0]
    return text.removeprefix("::ffff:") if "." in text else text, int(address[1])
