"""What an acceptor does with a listener that fails, with peers that never stop coming, and what it sets on sockets."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netprobe.echo.server.acceptor import Acceptor
from netprobe.kernel.constants import TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL


@contextmanager
def accepted() -> Iterator[socket.socket]:
    """What an acceptor hands on when somebody connects."""
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = Acceptor([listener], lambda: None, lambda sock, _: opened.append(sock), lambda _: None, _nothing)
        with socket.create_connection(listener.getsockname(), 20):
            assert select.select([listener], [], [], 20)[0]
            acceptor.accept(listener)
            yield opened[0]
        opened[0].close()


def _nothing(*_: object) -> None:
    return None


def test_a_peer_whose_machine_is_gone_is_noticed() -> None:
    with accepted() as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        values = [
            sock.getsockopt(socket.IPPROTO_TCP, name)
            for name in (TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT)
            if name is not None
        ]
        if len(values) == 3:
            idle, interval, count = values
            assert 30 <= idle + interval * count <= 600


class _Listener:
    """Always has somebody waiting, or fails."""

    family = socket.AF_UNIX

    def __init__(self, accept: Callable[[], tuple[Any, Any]]) -> None:
        self.accept = accept
        self.accepts = 0

    def setblocking(self, _blocking: bool) -> None:
        return


class _Sock:
    family = socket.AF_UNIX
    closed = False

    def setblocking(self, _blocking: bool) -> None:
        return

    def close(self) -> None:
        self.closed = True


def _failing(number: int, after: int = 100_000) -> Callable[[], tuple[Any, Any]]:
    left = after

    def accept() -> tuple[Any, Any]:
        nonlocal left
        left -= 1
        assert left, "no end"
        if number:
            raise OSError(number, os.strerror(number))
        return _Sock(), ""

    return accept


@pytest.mark.parametrize("number", [0, errno.EPERM, errno.ECONNABORTED])
def test_who_connects_without_a_pause_does_not_decide_when_the_last_accept_is(number: int) -> None:
    listener: Any = _Listener(_failing(number))
    Acceptor([listener], lambda: None, _nothing, _nothing, _nothing).accept_all()


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "ENOMEM"),
        (OSError(errno.ENOSPC, "no more watches"), "ENOSPC"),  # epoll_ctl(2)
        (OSError(errno.EINVAL, "it is gone"), None),  # setsockopt on macOS, of a connection that was reset
    ],
)
def test_a_connection_that_cannot_be_taken_is_closed_and_the_listener_goes_on(
    error: BaseException, cause: str | None
) -> None:
    socks = [_Sock() for _ in range(3)]
    waiting = list(socks)

    def accept() -> tuple[Any, Any]:
        if not waiting:
            raise BlockingIOError
        return waiting.pop(0), ""

    def opened(*_: object) -> None:
        raise error

    pauses: list[str] = []
    listener: Any = _Listener(accept)
    acceptor = Acceptor([listener], lambda: None, opened, pauses.append, _nothing)
    assert not acceptor.accept(listener)
    assert acceptor.listeners == [listener]
    assert [sock.closed for sock in socks] == ([True, False, False] if cause else [True, True, True])
    assert pauses == ([cause] if cause else [])


def test_a_listener_that_its_owner_shuts_down_is_dropped_and_the_others_go_on() -> None:
    owner, other = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    with owner, other:
        lost = []
        kept = Acceptor([owner, other], lambda: None, lambda *_: None, lambda _: None, lambda *args: lost.append(args))
        owner.shutdown(socket.SHUT_RDWR)
        assert not kept.accept(owner)
        assert lost == [(owner, "EINVAL")]
        kept.accept_all()  # comes to an end
        assert kept.listeners == [other]
        assert kept.may_resume()
