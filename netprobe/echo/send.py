"""Send bytes, half-close, take back all that comes: whole, however TCP cut it into segments."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterable, Iterator

from netprobe.echo.connecting import connect, peer_error

__all__ = ["echo_back"]

_CHUNK = 64 * 1024


def echo_back(chunks: Iterable[bytes], host: str, port: int, timeout_s: float) -> Iterator[bytes]:
    """What the peer answers to ``chunks``, piece by piece, until it closes.

    Sending and receiving go on at the same time, so that neither side's buffers can lock the other up. Silence of
    ``timeout_s`` seconds while something is owed raises PeerError, and so does a reset.
    """
    sock = connect(host, port, timeout_s)
    with sock, selectors.DefaultSelector() as selector:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        source = iter(chunks)
        pending: memoryview | None = memoryview(b"")
        try:
            while True:
                events = selector.select(timeout_s)
                if not events:
                    raise TimeoutError("timed out")
                for _, mask in events:
                    if mask & selectors.EVENT_WRITE and pending is not None:
                        pending = _send_some(sock, pending, source)
                        if pending is None:
                            sock.shutdown(socket.SHUT_WR)
                            selector.modify(sock, selectors.EVENT_READ)
                    if mask & selectors.EVENT_READ:
                        data = sock.recv(_CHUNK)
                        if not data:
                            return
                        yield data
        except OSError as error:
            raise peer_error(error, sock, host, port, "answer", timeout_s) from error


def _send_some(sock: socket.socket, pending: memoryview, source: Iterator[bytes]) -> memoryview | None:
    """Send what can be sent; None when all is gone."""
    if not pending:
        chunk = next(source, None)
        if chunk is None:
            return None
        pending = memoryview(chunk)
    try:
        return pending[sock.send(pending) :]
    except BlockingIOError:
        return pending
