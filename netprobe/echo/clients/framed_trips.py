"""Messages of the framed protocol: the reply says who we are there, and how long the server had it."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from netprobe.echo.clients.connecting import set_timeout
from netprobe.echo.clients.destination import place
from netprobe.echo.clients.trips import StreamTrips, Trip, message_of, time_left
from netprobe.echo.framing import Connection, Message, RemoteProtocolError

__all__ = ["FramedTrips", "seen_there"]

_BUFFER = 256 * 1024


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
        sendall, recv_into, clock = sock.sendall, sock.recv_into, time.perf_counter_ns
        waited = False
        start = clock()
        sendall(message)
        while True:
            count = recv_into(view)
            elapsed_ns = clock() - start
            if not count:
                raise self.closed("closed before the reply was whole: no framed echo server")
            try:
                replies = list(self._framing.receive(view[:count]))
            except RemoteProtocolError as error:
                raise self.wrong(f"no framed reply: {error.why}") from error
            if replies:
                break
            set_timeout(sock, time_left(start, self.timeout_s))
            waited = True
        if waited:
            set_timeout(sock, self.timeout_s)
        if len(replies) > 1 or not isinstance(replies[0], Message) or self._framing.awaiting:
            raise self.wrong("more came back than was sent: no framed echo server")
        return self._read(sock, replies[0], elapsed_ns)

    def _read(self, sock: socket.socket, reply: Message, elapsed_ns: int) -> Trip:
        said = reply.header.netprobe
        if said is None and reply.content == self._content:
            raise self.wrong("the frame came back, but nothing in it says who answers: serve with --framed there")
        said = said or {}
        if reply.content != self._content:
            fault = said.get("error")
            why = fault.get("why") if isinstance(fault, Mapping) else None
            raise self.wrong(f"the frame was refused: {why}" if why else "other content came back: no echo server")
        received, transmitted = said.get("received_ns"), said.get("transmitted_ns")
        server_ns = None
        if isinstance(received, int) and isinstance(transmitted, int) and 0 <= transmitted - received <= elapsed_ns:
            server_ns = transmitted - received
        own = sock.getsockname()
        return Trip(elapsed_ns, None, server_ns, seen_there(said), place(str(own[0]), int(own[1])))


def seen_there(said: Mapping[str, Any]) -> str | None:
    """``address:port`` that the server saw; None where it does not say."""
    peer = said.get("observed_peer")
    if not isinstance(peer, Mapping) or not isinstance(peer.get("address"), str):
        return None
    port = peer.get("port")
    return place(peer["address"], port) if isinstance(port, int) else peer["address"]
