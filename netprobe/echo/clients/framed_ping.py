"""Round trips of framed messages over TCP: the reply also says who we are there, and how long the server had it.

What a server says of us is read as an address and a port or not at all, since it is shown to people. Addresses are
compared as bytes: the same one in another spelling, or as IPv4-mapped IPv6 of a dual-stack server, is not translated.
"""

from __future__ import annotations

import socket
import time
from functools import partial

from netprobe.echo.clients.connection import set_timeout, time_left
from netprobe.echo.clients.ping import RoundTrip
from netprobe.echo.clients.tcp_ping import WINDOW, TcpProber, has_unread, random_message
from netprobe.echo.framing import Connection, Event, Message, RemoteProtocolError
from netprobe.echo.messages import Endpoint, ReplyInfo
from netprobe.endpoints import format_endpoint

__all__ = ["FramedProber"]

_BUFFER = 256 * 1024
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2


class FramedProber(TcpProber):
    """Framed messages over one TCP connection; ``size`` is that of the content."""

    def begin(self) -> None:
        """A new connection begins."""
        self._framing = Connection()
        self._buffer = bytearray(_BUFFER)

    def prepared(self, sequence: int) -> bytes:
        """The frame to send."""
        self._content = random_message(sequence, self.size)
        return Connection().send(Message.of_bytes(self._content))

    def exchange(self, sock: socket.socket, message: bytes) -> RoundTrip:
        """Send a frame, receive until one is whole, compare. Raises OSError and PeerError."""
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
        return self._checked(sock, replies[0], elapsed_ns)

    def _send_large(self, sock: socket.socket, message: bytes) -> None:
        """Send in windows and read meanwhile: a plain echo server answers early, and would block until we read."""
        view, outgoing = memoryview(self._buffer), memoryview(message)
        start, sent = time.perf_counter_ns(), 0
        while sent < len(message):
            time_left(start, self.timeout_s)
            sent += sock.send(outgoing[sent : sent + WINDOW])
            while sent < len(message) and has_unread(sock):
                for event in self._events(view[: sock.recv_into(view)]):
                    if isinstance(event, Message):
                        self._checked(sock, event, 0)
                    raise self.wrong("a reply came before the whole message was sent: no framed echo server")

    def _events(self, data: memoryview) -> list[Event]:
        try:
            return list(self._framing.receive(data))
        except RemoteProtocolError as error:
            raise self.wrong(f"no framed reply: {error.why}") from error

    def _checked(self, sock: socket.socket, reply: Message, elapsed_ns: int) -> RoundTrip:
        """The round trip that ended with ``reply``. Raises PeerError where that is not the echo."""
        info = reply.header.reply_info
        if reply.content != self._content:
            refusal = info.error if info else None
            raise self.wrong(
                "other content came back: no echo server" if refusal is None else f"the frame was refused: {refusal}"
            )
        if info is None:
            raise self.wrong("the frame came back without a server's reply: run 'echo serve --framed' there")
        seen, server_ns = _seen_address(info), _server_ns(info, elapsed_ns)
        if seen is None:
            return RoundTrip(elapsed_ns, server_ns=server_ns)
        own = sock.getsockname()
        return RoundTrip(
            elapsed_ns,
            server_ns=server_ns,
            appears_as=format_endpoint(seen.address, seen.port),
            translated=_packed(seen.address) != _packed(str(own[0])) or seen.port not in (None, own[1]),
        )


def _server_ns(info: ReplyInfo, elapsed_ns: int) -> int | None:
    """How long the server had the message; None where it does not say, or names a time that cannot be."""
    if info.received_ns is None or info.transmitted_ns is None:
        return None
    server_ns = info.transmitted_ns - info.received_ns
    return server_ns if 0 <= server_ns <= elapsed_ns else None


def _seen_address(info: ReplyInfo) -> Endpoint | None:
    """Address and port that the server saw; None where it gives none, or what is not an address."""
    packed = _packed(info.observed_peer.address) if info.observed_peer else None
    if info.observed_peer is None or packed is None:
        return None
    address = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    return Endpoint(address, info.observed_peer.port)


def _packed(address: str) -> bytes | None:
    """An address in bytes, without its zone, which means nothing on another host; an IPv4-mapped one as IPv4."""
    text = address.partition("%")[0]
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL or a surrogate in it
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed
