"""One connection of a load: messages out and back, every byte checked, the time of each kept."""

from __future__ import annotations

import os
import socket
from collections import deque
from time import perf_counter_ns

from netprobe.echo.clients.connecting import Found, met_itself
from netprobe.echo.clients.pattern import CHUNK, Pattern
from netprobe.echo.clients.peer_errors import Ended, reason
from netprobe.kernel.error_queue import ask_for_errors
from netprobe.prober.sockets import CONNECTING

__all__ = ["Lane", "WrongEcho"]


class WrongEcho(Exception):
    """Something else came back than was sent."""


class Lane:
    """A non-blocking connection. ``begin`` starts a message, ``receive`` ends some; the caller keeps the time."""

    __slots__ = (
        "_pattern",
        "_port",
        "begun",
        "begun_ns",
        "connected",
        "ended",
        "listed",
        "number",
        "opened_ns",
        "received",
        "sent",
        "size",
        "sock",
    )

    def __init__(self, number: int, found: Found, size: int) -> None:
        self.number, self.size = number, size
        self._pattern = Pattern(number)
        self.begun = self.ended = 0  # messages
        self.sent = self.received = 0  # bytes
        self.begun_ns: deque[int] = deque()  # when each message that is under way was due
        self.connected = False
        self.listed = False  # among those that have room for a message
        family, kind, protocol, _, address = found
        self._port: int = address[1]
        self.opened_ns = perf_counter_ns()  # when the handshake began
        self.sock = socket.socket(family, kind, protocol)
        try:
            self.sock.setblocking(False)
            ask_for_errors(self.sock)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = self.sock.connect_ex(address)
            if number not in CONNECTING:
                raise Ended("error", OSError(number, os.strerror(number)), said=reason(self.sock))
        except BaseException:
            self.sock.close()
            raise

    def finish_connect(self) -> None:
        """The handshake has ended. Raises OSError where it failed."""
        number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise Ended("error", OSError(number, os.strerror(number)), start_ns=self.opened_ns)
        if met_itself(self.sock, self._port):
            raise Ended("self")
        self.connected = True

    @property
    def under_way(self) -> int:
        """Messages that have not come back."""
        return self.begun - self.ended

    @property
    def owes(self) -> bool:
        """Is there more to send?"""
        return self.sent < self.begun * self.size

    def begin(self, due_ns: int) -> None:
        """One more message, which was due at ``due_ns``."""
        self.begun += 1
        self.begun_ns.append(due_ns)

    def send(self) -> int:
        """Send what the socket takes of what was begun; how many bytes that was. Raises OSError, Ended."""
        before = self.sent
        while (left := self.begun * self.size - self.sent) > 0:
            try:
                self.sent += self.sock.send(self._pattern.piece(self.sent, min(left, CHUNK)))
            except BlockingIOError:
                break
            except OSError as error:
                raise Ended("error", error, came=self._came(), said=reason(self.sock)) from error
        return self.sent - before

    def receive(self) -> int:
        """Take and check what has come; how many messages that completes. Raises OSError, WrongEcho."""
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Ended("error", error, came=self._came(), said=reason(self.sock)) from error
        if not data:
            if self.received or not self.sent:
                raise Ended("closed", came=self._came())
            raise WrongEcho(f"closed when {self.sent:,} bytes were owed: no echo server")
        if not self._pattern.fits(self.received, data):
            raise WrongEcho("other bytes came back: no echo server")
        self.received += len(data)
        if self.received > self.sent:
            raise WrongEcho("more came back than was sent: no echo server")
        done = self.received // self.size - self.ended
        self.ended += done
        return done

    def _came(self) -> str | None:
        """What has come back, in words."""
        return f"{self.received:,} bytes" if self.received else None

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()
