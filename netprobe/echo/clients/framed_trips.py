"""Messages of the framed protocol: the reply says who we are there, and how long the server had it."""

from __future__ import annotations

import socket
import time
from functools import partial

from netprobe.echo.clients.connecting import set_timeout
from netprobe.echo.clients.trips import WINDOW, StreamTrips, Trip, message_of, more_waits, time_left
from netprobe.echo.framing import Connection, Event, Message, RemoteProtocolError
from netprobe.echo.messages import ReplyInfo
from netprobe.endpoints import format_endpoint

__all__ = ["FramedTrips", "seen_there"]

_BUFFER = 256 * 1024
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2


class FramedTrips(StreamTrips):
    """Framed messages over one TCP connection; ``size`` is that of the content."""

    def begin(self) -> None:
        """A new connection begins."""
        self._framing = Connection()
        self._buffer = bytearray(_BUFFER)

    def prepared(self, sequence: int) -> bytes:
        """The frame to send."""
        self._content = message_of(sequence, self.size)
        return Connection().send(Message.of_bytes(self._content))

    def exchange(self, sock: socket.socket, message: bytes) -> Trip:
        """Send a frame, take frames until one is whole, compare. Raises OSError and PeerError."""
        view = memoryview(self._buffer)
        send = sock.sendall if len(message) <= WINDOW else partial(self._send_large, sock)
        recv_into, clock = sock.recv_into, time.perf_counter_ns
        waited = False
        start = clock()
        send(message)
        while True:
            count = recv_into(view)
            elapsed_ns = clock() - start
            if not count:
                raise self.closed("closed before the reply was whole: no framed echo server")
            replies = self._events(view[:count])
            if replies:
                break
            set_timeout(sock, time_left(start, self.timeout_s))
            waited = True
        if waited:
            set_timeout(sock, self.timeout_s)
        if len(replies) > 1 or not isinstance(replies[0], Message) or self._framing.awaiting:
            raise self.wrong("more came back than was sent: no framed echo server")
        return self._read(sock, replies[0], elapsed_ns)

    def _send_large(self, sock: socket.socket, message: bytes) -> None:
        """Send in windows, and take what comes meanwhile: a server that waits for us to read is no framed one."""
        view, outgoing = memoryview(self._buffer), memoryview(message)
        start, sent = time.perf_counter_ns(), 0
        while sent < len(message):
            time_left(start, self.timeout_s)
            sent += sock.send(outgoing[sent : sent + WINDOW])
            while sent < len(message) and more_waits(sock):
                for event in self._events(view[: sock.recv_into(view)]):
                    if isinstance(event, Message):
                        self._read(sock, event, 0)
                    raise self.wrong("an answer came before the whole message was sent: no framed echo server")

    def _events(self, data: memoryview) -> list[Event]:
        try:
            return list(self._framing.receive(data))
        except RemoteProtocolError as error:
            raise self.wrong(f"no framed reply: {error.why}") from error

    def _read(self, sock: socket.socket, reply: Message, elapsed_ns: int) -> Trip:
        info = reply.header.reply_info
        if reply.content != self._content:
            why = info.error if info else None
            raise self.wrong(
                "other content came back: no echo server" if why is None else f"the frame was refused: {why}"
            )
        if info is None:
            raise self.wrong("the frame came back, but nothing in it says who answers: serve with --framed there")
        server_ns = None
        if info.received_ns is not None and info.transmitted_ns is not None:
            held_ns = info.transmitted_ns - info.received_ns
            server_ns = held_ns if 0 <= held_ns <= elapsed_ns else None
        seen = seen_there(info)
        if seen is None:
            return Trip(elapsed_ns, None, server_ns)
        address, port = seen
        own = sock.getsockname()
        translated = _packed(address) != _packed(str(own[0])) or port not in (None, own[1])
        return Trip(
            elapsed_ns, None, server_ns, address if port is None else format_endpoint(address, port), translated
        )


def seen_there(info: ReplyInfo) -> tuple[str, int | None] | None:
    """Address and port that the server saw; None where it does not say, or says what is neither."""
    peer = info.observed_peer
    packed = _packed(peer.address) if peer else None
    if peer is None or packed is None:
        return None
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed), peer.port


def _packed(address: str) -> bytes | None:
    """An address in bytes, without its zone, which means nothing elsewhere; an IPv4-mapped one as IPv4."""
    text = address.partition("%")[0]
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL or a surrogate in it
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed
