"""The responder: listeners of one run, opened as asked, never wider or longer, and closed whatever ends the run.

One socket for each bind address and protocol, all in one thread of this process. ``reachable`` is only said with a
proof that this side saw the probe, too: whoever knows the run's nonce gets an answer with an HMAC over what was asked
and what is seen here. Anybody else gets nothing, not a byte (TCP: the connection is closed; UDP: silence), so that a
port scan learns nothing and a port proxy cannot be mistaken for the listener; and is reported with its address.

The UDP side is naive on purpose: it answers with plain sendto(), as most servers do, so that a wildcard listener's
answer leaves from the address that the kernel picks. That is what the run is to show (``replied_from``).

What anybody can hold here is bounded, because strangers come by on purpose, too:

- Time: a connection has an end from the moment it is accepted, another one from its proof on. No byte renews either.
- Descriptors: strangers hold a quarter of those that are allowed, at most; the rest is for listeners, probes and
  vantages. When one more comes, the oldest of the listener with the most unproven connections goes: a flood at one
  listener costs the others nothing. Accepting what comes and sending the oldest away beats leaving it in the kernel's
  queue, where a probe would wait behind all of them: by the time it is accepted its line has arrived, and it is proven
  at once. A few descriptors are held in reserve for probes that come when the process has no other left.
- Turns: each listener gets a burst of accepts or datagrams, then the others get theirs. What a flood of datagrams
  crowds out of the kernel's buffer is lost all the same; a probe asks three times.
- Memory: a line is short, what is echoed is read only after the last piece has been sent, and who came is kept in a
  book of a fixed size (:mod:`netprobe.reach.visitors`).
- Answers: a challenge is worth only a few, so that a probe that somebody recorded on its way is no means to have
  datagrams sent to others: the answer is longer than the question (some 200 bytes for 90).

This thread writes nothing and waits for nothing but its sockets. It does not end in silence either: a listener without
it still completes TCP handshakes, because the kernel does, and a run would read what follows as a network that swallows
probes. A fault with one peer costs that peer, and is told; what ends the thread all the same is there for all to see
(:attr:`Responder.end`), and no cell without a proof is believed from then on.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Self

from netprobe.errors import CannotRunError
from netprobe.kernel import constants
from netprobe.kernel.required import need
from netprobe.prober import wire
from netprobe.prober.sockets import OUT_OF_DESCRIPTORS, descriptors_for, socket_address
from netprobe.reach.facts import HostFacts
from netprobe.reach.listener import Listener, ListenerOptions, Protocol
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.visitors import Arrival, Visitors
from netprobe.text import escape

__all__ = ["Arrival", "Responder", "ResponderError", "listener_error", "listener_errors"]

SILENT_S: Final = 1.0  # how long a peer may stay without a proof before it is reported as a stranger
UNPROVEN_S: Final = 5.0  # and before it is sent away
PROVEN_S: Final = 60.0  # how long one with a proof may stay: a silence in the middle of a payload is its to report
ANSWERED_S: Final = 10.0  # how long, once it has got everything
SLOWEST: Final = 16384  # bytes of payload a second, for which it gets more time; at most that of
LARGEST: Final = 64 << 20  # bytes, the most that --payload can ask for
CHUNK: Final = 16384  # bytes that a peer which does not read can have us keep: 64 MiB for MOST_PROVEN of them
BACKLOG: Final = 1024  # all cells may come at once; but a probe waits behind all strangers in it, 60 µs each
CONNECTIONS: Final = 64  # of a listener, before it is another one's turn; a stranger's takes 60 µs
DATAGRAMS: Final = 512  # likewise; a stranger's takes 5 µs, and what does not fit into the kernel's buffer is lost
MOST_UNPROVEN: Final = 1024  # connections
FEWEST_UNPROVEN: Final = 8
MOST_PROVEN: Final = 4096
SPARE: Final = 8  # descriptors in reserve
SWEEP_S: Final = 0.25  # how often ends are looked at, and listeners without a descriptor tried again

RESET_ON_CLOSE: Final = struct.pack("HH" if os.name == "nt" else "ii", 1, 0)  # SO_LINGER: on, 0 seconds

START: Final = f"{wire.PROTOCOL} probe ".encode()

_EXHAUSTED: Final = OUT_OF_DESCRIPTORS | {errno.ENOMEM}
_BROKEN: Final = frozenset((errno.EINVAL, errno.EBADF, errno.ENOTSOCK))
_SocketAddress = tuple[Any, ...]  # as the socket module has it: by family, and for a type checker Any


@dataclass(slots=True, eq=False)
class _Connection:
    """A TCP peer: its line until the newline comes, then what is still to be read and to be sent to it."""

    sock: socket.socket
    listener: Listener
    peer: _SocketAddress
    report_at: float
    ends_at: float
    line: bytearray = field(default_factory=bytearray)
    proven: bool = False
    reported: bool = False
    closed: bool = False
    to_read: int = 0
    unsent: bytearray = field(default_factory=bytearray)
    watched: int = 0  # the events that the selector is asked for; 0: it does not know this one


class ResponderError(CannotRunError):
    """A fault of this side, not of the network: ``fault`` is what was raised."""

    def __init__(self, fault: BaseException | None, before: str = "") -> None:
        self.fault = fault
        if isinstance(fault, OSError):
            why, hint = fault.strerror or str(fault), None
        else:
            why = "its thread is gone" if fault is None else f"internal error: {type(fault).__name__}: {fault}"
            hint = "this is a bug in netprobe; run it again with --debug to see where"
        super().__init__("the responder", before + why, hint)
        self.__cause__ = fault

    def __reduce__(self) -> tuple[object, ...]:
        return (CannotRunError, (self.what, self.why, self.hint))


class Responder:
    """All listeners of a run: ``with Responder(nonce) as responder: responder.open(…); responder.start()``.

    ``visitors`` says who came.
    """

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce
        self._secret = secrets.token_hex(16)  # for receipts: unlike the nonce, nobody else has it
        self.visitors = Visitors()
        self._open: dict[socket.socket, Listener] = {}
        self._unproven: dict[str, dict[_Connection, None]] = {}  # by listener, the oldest first
        self._proven: dict[_Connection, None] = {}
        self._answered: dict[_Connection, None] = {}  # proven, and nothing is left to be read or sent
        self._unproven_count = 0
        self._most_unproven = FEWEST_UNPROVEN
        self._most_proven = FEWEST_UNPROVEN
        self._paused: set[socket.socket] = set()  # listeners for which there is no descriptor
        self._spare: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._fault: Exception | None = None  # the first one with a peer
        self._is_fault_told = False
        self._end: Exception | None = None  # what ended the thread
        self._is_end_told = False

    @property
    def arrivals(self) -> Mapping[str, Arrival]:
        """By challenge, the first who came with it and knew the nonce."""
        return self.visitors.arrivals

    @property
    def strangers(self) -> Sequence[Arrival]:
        """Who came and did not."""
        return self.visitors.strangers

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
        listeners = len(self._open)
        room = max(0, descriptors_for(listeners + 4 * MOST_UNPROVEN) - listeners - SPARE)
        self._most_unproven = min(MOST_UNPROVEN, max(FEWEST_UNPROVEN, room // 4))
        self._most_proven = min(MOST_PROVEN, max(FEWEST_UNPROVEN, room // 2))
        self._refill_spare()
        self._waker.setblocking(False)
        self._selector.register(self._waker, selectors.EVENT_READ, self._woken)
        for sock in self._open:
            self._watch(sock)
        self._thread = threading.Thread(target=self._serve, name="netprobe-responder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close every listener and connection. Safe to call twice, and in the middle of anything.

        Raises ResponderError for a fault that nobody was told of.
        """
        end = None if self._is_end_told else self.end
        self._closing = True
        if self._thread is not None:
            self._wake.send(b".")
            self._thread.join(2.0)
            self._thread = None
        connections = self._connections()
        for connection in connections:
            self._guarded(self._report, connection)
            _close(connection.sock)
        for sock in [*self._open, self._waker, self._wake]:
            _close(sock)
        while self._spare:
            os.close(self._spare.pop())
        for table in (self._open, self._unproven, self._proven, self._answered):
            table.clear()
        self._selector.close()
        fault = end or self.take_fault()
        self._is_end_told = True
        if fault is not None:
            raise fault

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except ResponderError:
            if error is None:  # else that one is told: Ctrl-C stays Ctrl-C
                raise

    # Its faults.

    @property
    def end(self) -> ResponderError | None:
        """Why nobody is answered any more, though no listener was closed; None while the thread serves."""
        thread = self._thread
        if self._end is None and (thread is None or thread.is_alive()):
            return None
        return ResponderError(self._end, "it has ended, and its listeners answer nobody: ")

    def check(self) -> None:
        """Raises ResponderError once nobody is answered any more."""
        end = self.end
        if end is not None:
            self._is_end_told = True
            raise end

    def take_fault(self) -> ResponderError | None:
        """What went wrong with one peer while others were served on. Only the first fault, and once: it may be many."""
        fault = None if self._is_fault_told else self._fault
        if fault is None:
            return None
        self._is_fault_told = True
        return ResponderError(fault, "one peer was not served: ")

    # The thread.

    def _serve(self) -> None:
        try:
            self._loop()
        except Exception as fault:
            self._end = fault

    def _loop(self) -> None:
        swept = time.monotonic()
        while not self._closing:
            holds_something = self._unproven_count or self._proven or self._answered or self._paused
            for key, events in self._selector.select(SWEEP_S if holds_something else None):
                if self._closing:
                    return
                self._guarded(self._handle, key, events)
            now = time.monotonic()
            if now - swept >= SWEEP_S:
                swept = now
                self._sweep(now)

    def _guarded(self, serve: Callable[..., object], *arguments: object) -> None:
        """A fault of ours with one peer must not make us deaf to all others: it is kept, to be told."""
        try:
            serve(*arguments)
        except Exception as fault:
            self._fault = self._fault or fault

    def _handle(self, key: selectors.SelectorKey, events: int) -> None:
        """One event."""
        if isinstance(key.data, _Connection):
            self._talk(key.data, events)
        else:
            key.data(key.fileobj)

    def _woken(self, sock: socket.socket) -> None:
        """Close was called: the loop sees it."""

    def _sweep(self, now: float) -> None:
        """Send away whose time is over, report who is silent, and try again what lacked a descriptor."""
        for connection in self._connections():
            if now >= connection.ends_at:
                self._guarded(self._drop, connection)
            elif now >= connection.report_at:
                self._guarded(self._report, connection)
        self._resume()

    def _connections(self) -> list[_Connection]:
        unproven = [connection for group in self._unproven.values() for connection in group]
        return [*unproven, *self._proven, *self._answered]

    # Descriptors.

    def _watch(self, sock: socket.socket) -> None:
        """Serve a listener."""
        handle = self._accept if self._open[sock].protocol == "tcp" else self._datagram
        self._selector.register(sock, selectors.EVENT_READ, handle)

    def _pause(self, sock: socket.socket) -> None:
        """Leave what comes in the kernel's queue until there is a descriptor: polling it would spin."""
        self._selector.unregister(sock)
        self._paused.add(sock)

    def _resume(self) -> None:
        """Serve all listeners again. One that cannot be watched (epoll_ctl(2): ENOMEM, ENOSPC) is tried again later."""
        self._refill_spare()
        for sock in list(self._paused):
            self._guarded(self._resume_one, sock)

    def _resume_one(self, sock: socket.socket) -> None:
        self._watch(sock)
        self._paused.discard(sock)

    def _refill_spare(self) -> None:
        try:
            while len(self._spare) < SPARE:
                self._spare.append(os.dup(self._wake.fileno()))
        except OSError:
            return  # the next connection that ends gives one back

    def _make_room(self) -> bool:
        """Free one descriptor: of the reserve, of a peer that has its answer, or of the oldest stranger."""
        if self._spare:
            os.close(self._spare.pop())
        elif self._answered:
            self._drop(next(iter(self._answered)))
        elif self._unproven_count:
            self._drop(self._oldest_unproven())
        else:
            return False
        return True

    def _oldest_unproven(self) -> _Connection:
        """Of the listener that has most: what floods one of them is at the expense of that one."""
        fullest = max(self._unproven.values(), key=len)
        return next(iter(fullest))

    # TCP.

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(CONNECTIONS):
            try:
                peer_sock, peer = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _BROKEN or (error.errno in _EXHAUSTED and not self._make_room()):
                    self._pause(sock)
                    return
                continue  # accept(2) passes on the error of a connection that died in the queue
            peer_sock.setblocking(False)
            self._admit(peer_sock, self._open[sock], peer)

    def _admit(self, sock: socket.socket, listening: Listener, peer: _SocketAddress) -> None:
        """A new connection; if it is one stranger too many, the oldest goes, after a last look at what it has sent."""
        now = time.monotonic()
        connection = _Connection(sock, listening, peer, now + SILENT_S, now + UNPROVEN_S)
        self._unproven.setdefault(listening.id, {})[connection] = None
        self._unproven_count += 1
        self._talk(connection, selectors.EVENT_READ)
        if self._unproven_count > self._most_unproven:
            oldest = self._oldest_unproven()
            self._talk(oldest, selectors.EVENT_READ)
            if not oldest.proven and not oldest.closed:
                # With a reset: a FIN would leave an orphan and then a TIME-WAIT in the kernel for each of a flood.
                with suppress(OSError):  # BSD: EINVAL for one whose peer has gone
                    oldest.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                self._drop(oldest)

    def _talk(self, connection: _Connection, events: int) -> None:
        if connection.closed:  # by what happened to another one in the same turn
            return
        try:
            if events & selectors.EVENT_READ and not connection.unsent:
                data = connection.sock.recv(CHUNK if connection.proven else wire.LINE_LIMIT)
                if not data or not self._take(connection, data):
                    self._drop(connection)
                    return
            if connection.unsent:
                del connection.unsent[: connection.sock.send(connection.unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(connection)
            return
        except Exception as fault:
            self._fault = self._fault or fault
            self._drop(connection)
            return
        self._follow(connection)
        if connection in self._proven and not connection.to_read and not connection.unsent:
            del self._proven[connection]
            self._answered[connection] = None
            connection.ends_at = min(connection.ends_at, time.monotonic() + ANSWERED_S)

    def _follow(self, connection: _Connection) -> None:
        """Have the selector tell what it can do next. Many are over before it has to know them."""
        wanted = selectors.EVENT_WRITE if connection.unsent else selectors.EVENT_READ
        try:
            if not connection.watched:
                self._selector.register(connection.sock, wanted, connection)
            elif wanted != connection.watched:
                self._selector.modify(connection.sock, wanted, connection)
            connection.watched = wanted
        except OSError:  # epoll_ctl(2): ENOMEM, ENOSPC
            self._drop(connection)

    def _take(self, connection: _Connection, data: bytes) -> bool:
        """Read the probe's line, then echo its payload; False when the peer does not belong here."""
        if not connection.proven:
            line, newline, data = data.partition(b"\n")
            connection.line += line
            if len(connection.line) > wire.LINE_LIMIT:
                return False
            if not newline:
                return START.startswith(connection.line[: len(START)])  # no use to wait for the rest of another one
            asked = wire.read_probe(self.nonce, bytes(connection.line))
            if asked is None or not self._prove(connection, *asked):
                return False
        if len(data) > connection.to_read:
            return False
        connection.to_read -= len(data)
        connection.unsent += data
        return True

    def _prove(self, connection: _Connection, challenge: str, size: int) -> bool:
        """The peer knows the nonce: it gets its answer, and as much time as the payload may take."""
        local = _plain(connection.sock.getsockname())[0]
        answer = self._answer(connection.listener, challenge, connection.peer, local)
        if answer is None:
            return False
        self._forget(connection)
        if len(self._proven) + len(self._answered) >= self._most_proven:
            self._drop(next(iter(self._answered or self._proven)))
        self._proven[connection] = None
        connection.proven = True
        connection.ends_at = time.monotonic() + PROVEN_S + min(size, LARGEST) // SLOWEST
        connection.to_read = size
        connection.unsent += answer
        return True

    def _forget(self, connection: _Connection) -> None:
        """Take it out of its table."""
        self._proven.pop(connection, None)
        self._answered.pop(connection, None)
        group = self._unproven.get(connection.listener.id, {})
        if connection in group:
            del group[connection]
            self._unproven_count -= 1
            if not group:
                del self._unproven[connection.listener.id]

    def _drop(self, connection: _Connection) -> None:
        if connection.closed:
            return
        connection.closed = True
        self._forget(connection)
        try:
            if connection.watched:
                self._selector.unregister(connection.sock)
            self._report(connection)
        finally:
            _close(connection.sock)
        if self._paused or len(self._spare) < SPARE:
            self._resume()

    def _report(self, connection: _Connection) -> None:
        """Once for each peer that has not proved to belong here."""
        if not connection.proven and not connection.reported:
            connection.reported = True
            self._stranger(connection.listener, connection.peer, connection.sock)

    # UDP.

    def _datagram(self, sock: socket.socket) -> None:
        listening = self._open[sock]
        for _ in range(DATAGRAMS):
            try:
                data, peer = sock.recvfrom(65536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of an earlier answer
            end = data.find(b"\n", 0, wire.LINE_LIMIT + 1)
            asked = wire.read_probe(self.nonce, data[:end]) if end >= 0 else None
            rest = data[end + 1 :]
            answer = None
            if asked is not None and asked[1] == len(rest):
                answer = self._answer(listening, asked[0], peer, self._local(sock))
            if answer is None:
                self._stranger(listening, peer, sock)
                continue
            try:
                sock.sendto(answer + rest, peer)
            except OSError:
                continue  # no route back: the client sees silence, and the arrival tells why

    # Both.

    def _answer(self, listening: Listener, challenge: str, peer: _SocketAddress, local: str) -> bytes | None:
        """What proves to a probe that this listener was reached; None for one that is sent again and again."""
        address, port = _plain(peer)
        arrival = Arrival(listening.id, listening.protocol, address, port, local, True)
        if not self.visitors.arrived(challenge, arrival):
            return None
        receipt = self._receipt(challenge, arrival)
        return wire.reply_line(self.nonce, challenge, listening.id, (address, port), local, receipt)

    def has_seen(self, challenge: str, arrival: Arrival, receipt: str) -> bool:
        """Is ``receipt`` the one that was given to that arrival? However many came since, and whoever else did."""
        return hmac.compare_digest(receipt, self._receipt(challenge, arrival))

    def _receipt(self, challenge: str, arrival: Arrival) -> str:
        seen = (arrival.listener, arrival.protocol, arrival.peer, arrival.peer_port, arrival.local)
        return wire.proof(self._secret, "receipt", challenge, *seen)

    def _stranger(self, listening: Listener, peer: _SocketAddress, sock: socket.socket) -> None:
        address, port = _plain(peer)
        if not self.visitors.came_again(address):
            arrival = Arrival(listening.id, listening.protocol, address, port, self._local(sock), False)
            self.visitors.stranger(arrival)

    @staticmethod
    def _local(sock: socket.socket) -> str:
        try:
            return _plain(sock.getsockname())[0]
        except OSError:
            return "-"


def _close(sock: socket.socket) -> None:
    """The descriptor is free whatever close(2) says."""
    with suppress(OSError):
        sock.close()


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
