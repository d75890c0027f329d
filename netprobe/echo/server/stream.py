"""One accepted connection: every byte back in order (RFC 862).

A peer holds bytes only while the kernel does not take them: then it waits to be writable, and reads on only while
one more receive fits into ``--max-buffer``. All peers of a process receive into the same buffer.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from netprobe.echo.server.readiness import AGAIN, READ, WRITE
from netprobe.echo.server.splice import LARGE, SMALL

if TYPE_CHECKING:
    from netprobe.echo.server.loop import Server

__all__ = ["LINGER", "Peer"]

LINGER: Final = 0.5  # seconds that a peer has to end its side after ours has ended
CANNOT_SPLICE: Final = (errno.EINVAL, errno.ENOSYS, errno.EPERM)  # this kernel, or this sandbox
LAST_RECEIVES: Final = 8  # from a peer that never pauses, before our side ends


class Peer:
    """A connection whose bytes come back as they came."""

    __slots__ = (
        "_ending",
        "_mask",
        "_pending",
        "_server",
        "_sock",
        "address",
        "fd",
        "heard",
        "received",
        "sent",
        "since",
    )

    def __init__(self, server: Server, sock: socket.socket, address: Any) -> None:
        self._server = server
        self._sock = sock
        self._pending: bytearray | None = None  # received, not yet taken by the kernel
        self._mask = READ  # what the poller waits for
        self._ending: str | None = None  # how it will have ended, once what is owed is sent
        self.address = address  # kept for --log only
        self.fd = sock.fileno()
        self.heard = self.since = server.now
        self.received = 0
        self.sent = 0

    @property
    def messages(self) -> int | None:
        """How many frames were answered; None where bytes are bytes."""
        return None

    @property
    def owed(self) -> int:
        """How many bytes wait to be sent back."""
        return len(self._pending) if self._pending else 0

    @property
    def ending(self) -> str | None:
        """How the connection will have ended; None while it goes on."""
        return self._ending

    @property
    def _closed(self) -> bool:
        return self._sock.fileno() < 0

    def readable(self, _mask: int) -> None:
        """The hot path: one receive, one send of the same bytes, nothing kept."""
        server = self._server
        try:
            count = self._sock.recv_into(server.space)
        except OSError as error:
            self.unread(error)
            return
        if not count:
            self.unread()
            return
        self.heard = server.now
        self.received += count
        try:
            sent = self._sock.send(server.view[:count])
        except AGAIN:
            sent = 0
        except OSError as error:
            self._lost(error, count)
            return
        self.sent += sent
        if sent != count:
            self._hold(server.view[sent:count])
        elif count < server.brief or count >= LARGE:
            self._suit(count)

    def after_brief(self, data: bytes, sent: int, error: OSError | None = None) -> None:
        """A short message came, and ``sent`` bytes of it are on their way: all, fewer, or none because of ``error``."""
        self.heard = self._server.now
        self.received += len(data)
        self.sent += sent
        if error is not None and not isinstance(error, AGAIN):
            self._lost(error, len(data))
        elif sent != len(data):
            self._hold(data[sent:])
        elif sent >= self._server.brief:
            self._suit(sent)

    def unread(self, error: OSError | None = None) -> None:
        """A receive gave nothing: the peer has ended its side, nothing was there after all, or it is lost."""
        if error is None:
            self.close("closed")
        elif not isinstance(error, AGAIN):
            self._lost(error)

    def spliced(self, _mask: int) -> None:
        """The same for large messages, through the server's pipe."""
        server = self._server
        pipe = server.pipe
        count = 0
        if pipe is not None:
            try:
                count = pipe.take(self.fd, len(server.space))
            except AGAIN:
                pass
            except OSError as error:
                if error.errno not in CANNOT_SPLICE:
                    self.unread(error)
                    return
                server.pipe = None
                pipe.close()
        if pipe is None or not count:  # the end, or urgent data in the way: recv(2) steps over that, splice(2) does not
            self.readable(READ)
            return
        self.heard = server.now
        self.received += count
        try:
            sent = pipe.give(self.fd, count)
        except AGAIN:
            sent = 0
        except OSError as error:
            pipe.rest()
            self._lost(error, count)
            return
        self.sent += sent
        if sent != count:
            self._hold(pipe.rest())
        elif count < SMALL:
            self._suit(count)

    def flush(self, _mask: int) -> None:
        """Something is pending, and the kernel takes more, or there is room to read more, or the peer is gone."""
        if _mask & ~READ and not self._send_pending():
            return
        if _mask & READ and self._pending and self._ending is None and self._room():
            self._receive_more()
        self._settle()

    def finish(self, how: str) -> None:
        """Take what has come until now, send what is owed, then end our side."""
        if self._ending is not None:
            return
        for _ in range(LAST_RECEIVES):
            if self._pending:  # what comes now stays behind it
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
            self._ending = how
            self._settle()

    def close(self, how: str, cause: str | None = None) -> None:
        """Forget the connection, whatever it still holds."""
        self._server.forget(self, how, cause)
        self._sock.close()

    def _suit(self, count: int) -> None:
        """Choose how to receive what comes next, by the ``count`` of bytes that came last."""
        server = self._server
        if count < server.brief:
            server.watch_brief(self)
            return
        large = count >= LARGE and server.pipe is not None
        server.watch(self.fd, self._mask, self.spliced if large else self.readable, changed=False)

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
            self._lost(error)
            return False
        self.sent += sent
        self.heard = self._server.now
        del pending[:sent]
        return True

    def _receive_more(self) -> None:
        """Room is left beside what is pending: take one more receive's worth."""
        try:
            count = self._sock.recv_into(self._server.space)
        except OSError:  # nothing there; a dead connection shows at the next send
            return
        if not count:
            self._ending = "closed"
            return
        self.received += count
        assert self._pending is not None
        self._pending += self._server.view[:count]

    def _settle(self) -> None:
        """Choose what to wait for."""
        if self._pending:
            reading = READ if self._ending is None and self._room() else 0
            self._watch(WRITE | reading, self.flush)
        elif self._ending is not None:
            self._pending = None
            self._leave()
        else:
            self._pending = None
            self._watch(READ, self.readable)

    def _watch(self, mask: int, ready: Callable[[int], None]) -> None:
        self._server.watch(self.fd, mask, ready, changed=mask != self._mask)
        self._mask = mask

    def _room(self) -> bool:
        return self.owed + len(self._server.space) <= self._server.max_buffer

    def _leave(self) -> None:
        """All is sent. A peer that has ended its side is done with; any other may still send what nobody reads."""
        assert self._ending is not None
        if self._ending == "closed":
            self.close("closed")
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(self._ending)
            return
        self._watch(READ, self._discard)
        self._server.linger(self, LINGER)

    def _discard(self, _mask: int) -> None:
        """Closing over unread bytes would send a reset, and that may overtake our last words."""
        try:
            if self._sock.recv_into(self._server.space):
                return
        except AGAIN:
            return
        except OSError:
            pass
        self.close(self._ending or "closed")

    def _lost(self, error: OSError, unsent: int = 0) -> None:
        reset = error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
        self._server.totals.undelivered += unsent
        self.close("reset" if reset else "lost", errno.errorcode.get(error.errno or 0))
