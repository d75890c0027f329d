"""One accepted connection: every byte goes back in order (RFC 862).

All connections of a process receive into one shared buffer and send from a view of it, which is why 10,000 idle ones
cost 0.3 KiB each and a loop in Python comes close to one in C. A connection holds bytes of its own only while the
kernel does not take them; then it waits to be writable, and keeps reading only while one more receive fits into
``--max-buffer``.

How the next message is received depends on the size of the last one: small ones by ``small_messages``, large ones by
``splice``, those between by :meth:`EchoConnection.readable`. What a connection needs of the loop that serves it is
:class:`Reactor`; tests drive connections with a reactor of their own.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from sys import getsizeof
from time import monotonic
from typing import Final, Protocol

from netprobe.echo.messages import Endpoint
from netprobe.echo.server.events import ConnectionEnded, Ending, ServerSummary, SocketName, endpoint, utc_now
from netprobe.echo.server.memory import MemoryBudget
from netprobe.echo.server.poller import AGAIN, READ, WRITE
from netprobe.echo.server.splice import START_SPLICING, STOP_SPLICING, Pipe

__all__ = ["EchoConnection", "Reactor", "Totals"]

_LINGER: Final = 0.5  # seconds that a peer has to close its side after we have closed ours
_CANNOT_SPLICE: Final = (errno.EINVAL, errno.ENOSYS, errno.EPERM)  # this kernel, or this sandbox
_ABORT: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # struct linger, socket(7): close with a reset
_LAST_RECEIVES: Final = 8  # from a peer that never pauses, before we close our side


class Totals:
    """What the connections of one process have moved so far."""

    def __init__(self) -> None:
        self.connections = 0
        self.broken_frames = 0
        self.undelivered = 0  # bytes received that could not be sent back
        self.ended_for_memory = 0
        self.stalled_frames = 0
        self._started = monotonic()
        self._received = self._sent = self._messages = 0

    def add(self, connection: EchoConnection) -> None:
        """Count what went over a connection that has ended."""
        self._received += connection.received
        self._sent += connection.sent
        self._messages += connection.messages or 0
        self.undelivered += connection.pending

    def echoed(self, count: int) -> None:
        """Count bytes that were echoed and that no connection counts."""
        self._received += count
        self._sent += count

    def summary(self, framed: bool) -> ServerSummary:
        """The totals up to now; datagrams are counted elsewhere."""
        return ServerSummary(
            duration_s=round(monotonic() - self._started, 3),
            connections=self.connections,
            received_bytes=self._received,
            sent_bytes=self._sent,
            messages=self._messages if framed else None,
            broken_frames=self.broken_frames,
            undelivered_bytes=self.undelivered,
            ended_for_memory=self.ended_for_memory,
            stalled_frames=self.stalled_frames,
        )


class Reactor(Protocol):
    """What a connection asks of the loop that serves it."""

    now: float  # seconds of the monotonic clock, when the loop last woke up
    max_buffer: int  # bytes that may be pending for one connection
    max_content: int  # bytes of a frame's content
    small_size: int  # bytes; messages below it are served by ``watch_small``; 0: none are
    view: memoryview  # the buffer that all connections share
    space: memoryview  # the part of it that one receive may fill
    pipe: Pipe | None  # for large messages; None where the system cannot splice
    memory: MemoryBudget[EchoConnection]  # what all connections hold
    frame_floor: float  # bytes by which an incomplete frame must grow in the time that ``await_frame`` grants
    totals: Totals

    def watch(self, fd: int, mask: int, ready: Callable[[int], None], changed: bool) -> None:
        """Call ``ready`` when ``fd`` is ready for ``mask``; ``changed`` says whether the mask is a new one."""

    def watch_small(self, connection: EchoConnection) -> None:
        """Serve ``connection`` with the others whose messages are small."""

    def linger(self, connection: EchoConnection, seconds: float) -> None:
        """Close ``connection`` after ``seconds`` if its peer has not closed its side by then."""

    def await_frame(self, connection: EchoConnection) -> None:
        """End ``connection`` if it does not call this again, or ``frame_done``, in time."""

    def frame_done(self, connection: EchoConnection) -> None:
        """``connection`` awaits no frame's end any more."""

    def forget(self, connection: EchoConnection, ending: Ending, cause: str | None) -> None:
        """``connection`` is about to close its socket."""


class EchoConnection:
    """A connection whose bytes go back as they came."""

    __slots__ = (
        "_ending",
        "_mask",
        "_opened_at",
        "_peer",
        "_pending",
        "_reactor",
        "_sock",
        "active_at",
        "fd",
        "held",
        "received",
        "sent",
    )

    def __init__(self, reactor: Reactor, sock: socket.socket, peer: SocketName) -> None:
        self._reactor = reactor
        self._sock = sock
        self._pending: bytearray | None = None  # received, not yet taken by the kernel
        self._mask = READ  # what the poller waits for
        self._ending: Ending | None = None  # how it ends once everything pending is sent
        self._peer = peer  # kept for --log only
        self.fd = sock.fileno()
        self.held = 0  # bytes of memory, as the budget knows it
        self.active_at = self._opened_at = reactor.now
        self.received = 0
        self.sent = 0

    @property
    def messages(self) -> int | None:
        """How many frames were answered; None on a connection without frames."""
        return None

    @property
    def pending(self) -> int:
        """How many bytes wait to be sent back."""
        return len(self._pending) if self._pending else 0

    @property
    def ending(self) -> Ending | None:
        """How the connection is about to end; None while it goes on."""
        return self._ending

    @property
    def _closed(self) -> bool:
        return self._sock.fileno() < 0

    def readable(self, _mask: int) -> None:
        """The hot path: one receive, one send of the same bytes, nothing kept."""
        reactor = self._reactor
        try:
            count = self._sock.recv_into(reactor.space)
        except OSError as error:
            self.nothing_received(error)
            return
        if not count:
            self.nothing_received()
            return
        self.active_at = reactor.now
        self.received += count
        try:
            sent = self._sock.send(reactor.view[:count])
        except AGAIN:
            sent = 0
        except OSError as error:
            self._fail(error, count)
            return
        self.sent += sent
        if sent != count:
            self._hold(reactor.view[sent:count])
        elif count < reactor.small_size or count >= START_SPLICING:
            self._choose_receive(count)

    def after_small(self, data: bytes, sent: int, error: OSError | None = None) -> None:
        """A small message was received, and ``sent`` bytes of it sent: all, fewer, or none because of ``error``."""
        self.active_at = self._reactor.now
        self.received += len(data)
        self.sent += sent
        if error is not None and not isinstance(error, AGAIN):
            self._fail(error, len(data))
        elif sent != len(data):
            self._hold(data[sent:])
        elif sent >= self._reactor.small_size:
            self._choose_receive(sent)

    def nothing_received(self, error: OSError | None = None) -> None:
        """A receive got nothing: the peer closed its side, nothing was there after all, or the connection failed."""
        if error is None:
            self.close("closed")
        elif not isinstance(error, AGAIN):
            self._fail(error)

    def spliced(self, _mask: int) -> None:
        """The same for large messages, through the loop's pipe."""
        reactor = self._reactor
        pipe = reactor.pipe
        count = 0
        if pipe is not None:
            try:
                count = pipe.take(self.fd, len(reactor.space))
            except AGAIN:
                pass
            except OSError as error:
                if error.errno not in _CANNOT_SPLICE:
                    self.nothing_received(error)
                    return
                reactor.pipe = None
                pipe.close()
        if pipe is None or not count:  # the end, or urgent data: recv(2) skips that, splice(2) stops at it
            self.readable(READ)
            return
        self.active_at = reactor.now
        self.received += count
        try:
            sent = pipe.give(self.fd, count)
        except AGAIN:
            sent = 0
        except OSError as error:
            pipe.rest(reactor.view)
            self._fail(error, count)
            return
        self.sent += sent
        if sent != count:
            self._hold(pipe.rest(reactor.view))
        elif count < STOP_SPLICING:
            self._choose_receive(count)

    def flush(self, _mask: int) -> None:
        """With bytes pending: the kernel takes more, there is room to receive more, or the peer is gone."""
        if _mask & ~READ and not self._send_pending():
            return
        if _mask & READ and self._pending and self._ending is None and self._room():
            self._receive_more()
        self._settle()

    def finish(self, ending: Ending) -> None:
        """Receive what has arrived by now, send everything pending, then close our side."""
        if self._ending is not None:
            return
        for _ in range(_LAST_RECEIVES):
            if self._pending:  # what arrives now must stay behind it
                if self._room():
                    self._receive_more()
                break
            before = self.received
            self.readable(READ)
            if self._closed:
                return
            if self._ending is not None or self.received == before:
                break
        if self._ending is None:
            self._ending = ending
            self._settle()

    def close(self, ending: Ending, cause: str | None = None) -> None:
        """Close at once, whatever is still pending."""
        try:
            self._reactor.forget(self, ending, cause)
        finally:
            self._sock.close()

    def evict(self, ending: Ending) -> None:
        """Give back what is held, for the sake of the other peers."""
        self.abort(ending)

    def abort(self, ending: Ending, cause: str | None = None) -> None:
        """Close with a reset: an orderly end would hide from the peer that bytes are missing, and the kernel would
        keep on trying to deliver those that it has.
        """
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.close(ending, cause)

    def peer(self) -> Endpoint:
        """The other side."""
        return endpoint(self._peer)

    def ended(self, ending: Ending, cause: str | None) -> ConnectionEnded:
        """The line of ``--log`` when the connection ends now."""
        peer = self.peer()
        return ConnectionEnded(
            at=utc_now(),
            protocol="unix" if peer.port is None else "tcp",
            peer=peer.address,
            peer_port=peer.port,
            received_bytes=self.received,
            sent_bytes=self.sent,
            messages=self.messages,
            duration_ms=round((self._reactor.now - self._opened_at) * 1000, 3),
            ended=ending,
            cause=cause,
        )

    def _choose_receive(self, count: int) -> None:
        """Choose how to receive the next message, by the ``count`` of bytes in the last one."""
        reactor = self._reactor
        if count < reactor.small_size:
            reactor.watch_small(self)
            return
        large = count >= START_SPLICING and reactor.pipe is not None
        reactor.watch(self.fd, self._mask, self.spliced if large else self.readable, changed=False)

    def _hold(self, rest: memoryview | bytes) -> None:
        if self._pending is None:
            self._pending = bytearray(rest)
        else:
            self._pending += rest
        self._settle()

    def _send_pending(self) -> bool:
        """Send as much as the kernel takes; False if the connection is over."""
        pending = self._pending
        if not pending:
            return True
        try:
            sent = self._sock.send(pending)
        except AGAIN:
            return True
        except OSError as error:
            self._fail(error)
            return False
        self.sent += sent
        self.active_at = self._reactor.now
        del pending[:sent]
        return True

    def _receive_more(self) -> None:
        """There is room beside what is pending: receive once more."""
        try:
            count = self._sock.recv_into(self._reactor.space)
        except OSError:  # nothing there; a dead connection fails at the next send
            return
        if not count:
            self._ending = "closed"
            return
        self.received += count
        if self._pending is None:
            self._pending = bytearray()
        self._pending += self._reactor.view[:count]

    def _settle(self) -> None:
        """Choose what to poll for."""
        if not self._pending:
            self._pending = None
        self._account()
        if self._pending:
            reading = READ if self._ending is None and self._room() else 0
            self._watch(WRITE | reading, self.flush)
        elif self._ending is not None:
            self._leave(self._ending)
        else:
            self._watch(READ, self.readable)

    def _account(self) -> None:
        """Tell the budget what is held."""
        self._reactor.memory.account(self, getsizeof(self._pending) if self._pending else 0)

    def _watch(self, mask: int, ready: Callable[[int], None]) -> None:
        self._reactor.watch(self.fd, mask, ready, changed=mask != self._mask)
        self._mask = mask

    def _room(self) -> bool:
        return self.pending + len(self._reactor.space) <= self._reactor.max_buffer

    def _leave(self, ending: Ending) -> None:
        """Everything is sent. If the peer has closed its side, so do we; any other may still be sending."""
        if ending == "closed":
            self.close("closed")
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(ending)
            return
        self._watch(READ, self._discard)
        self._reactor.linger(self, _LINGER)

    def _discard(self, _mask: int) -> None:
        """Read on: closing with unread bytes sends a reset, which may overtake the last bytes that we sent."""
        try:
            if self._sock.recv_into(self._reactor.space):
                return
        except AGAIN:
            return
        except OSError:
            pass
        self.close(self._ending or "closed")

    def _fail(self, error: OSError, unsent: int = 0) -> None:
        reset = error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
        self._reactor.totals.undelivered += unsent
        self.close("reset" if reset else "lost", errno.errorcode.get(error.errno or 0))

    def out_of_memory(self, unsent: int = 0) -> None:
        """An operation had to stop in its middle, and what was received in it is lost: the end of this connection."""
        self._reactor.totals.undelivered += unsent
        if not self._closed:
            self._reactor.totals.ended_for_memory += 1
            self.abort("memory", "ENOMEM")
