"""Servers for one test: ours as a real process, and peers of one's own making."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.echo.running import Server

Behave = Callable[[socket.socket], None]
Serve = Callable[[Behave], int]


@pytest.fixture
def plain_at() -> Iterator[str]:
    """``127.0.0.1:port`` of an echo server, TCP and UDP."""
    with Server() as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture
def framed_at() -> Iterator[str]:
    """The same of a framed one."""
    with Server("--framed", "--tcp") as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(behave)`` listens on a port and gives it; each connection gets ``behave(sock)`` in a thread."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def in_thread(work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    def start(behave: Behave) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        listeners.append(listener)

        def talk(sock: socket.socket) -> None:
            with sock, suppress(OSError):
                behave(sock)

        def accept() -> None:
            with suppress(OSError):  # the end: the listener is shut down
                while True:
                    sock, _ = listener.accept()
                    in_thread(lambda sock=sock: talk(sock))  # type: ignore[misc]

        in_thread(accept)
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(20)
