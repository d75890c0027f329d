"""A responder whose system calls fail: what fails costs one peer or a moment, and whatever ends it is told.

The faults cannot be had from a kernel at will (ENOMEM and ENOSPC of epoll_ctl(2)), so they are put in their place.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from netprobe.prober import wire
from netprobe.reach import responder as module
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.messages import Request
from netprobe.reach.responder import Responder, ResponderError
from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.sessions.receiver import Emit
from netprobe.reach.settings import parse_settings
from netprobe.verdicts import Verdict
from tests.conftest import clean_environment
from tests.reach.test_responder_limits import NONCE, is_answered, is_closed, started, until


@pytest.fixture
def clients() -> Iterator[Callable[[int], socket.socket]]:
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))


class Failing(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Its ``register`` fails so many times, once the responder has started."""

    failures = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.failures and isinstance(fileobj, socket.socket):
            self.failures -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        key: selectors.SelectorKey = super().register(fileobj, events, data)
        return key


def test_a_listener_that_cannot_be_watched_again_is_tried_again_and_told(
    clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "DefaultSelector", Failing)
    with pytest.raises(ResponderError, match="No space left on device"), Responder(NONCE) as responder:
        (tcp,) = started(responder, "tcp")
        (sock,) = responder._open
        accept, paused = responder._accept, []

        def pause(listener: socket.socket) -> None:
            if paused:
                accept(listener)
                return
            paused.append(listener)
            responder._selector.failures = 3
            responder._pause(listener)

        responder._selector.modify(sock, selectors.EVENT_READ, pause)
        monkeypatch.setattr(responder, "_accept", pause)
        assert is_answered(clients(tcp.port))
        assert responder.end is None


@pytest.mark.parametrize("name", ["_drop", "_report"])
def test_a_fault_in_the_sweep_costs_nobody_else_anything(
    name: str, clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    monkeypatch.setattr(module, "UNPROVEN_S", 0.0 if name == "_drop" else 60.0)
    failed: list[object] = []

    def fails(connection: object) -> None:
        failed.append(connection)
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with pytest.raises(ResponderError, match="Cannot allocate memory"), Responder(NONCE) as responder:
        (tcp,) = started(responder, "tcp")
        right = getattr(responder, name)
        monkeypatch.setattr(responder, name, fails)
        clients(tcp.port)
        until(lambda: failed)
        monkeypatch.setattr(responder, name, right)
        assert is_answered(clients(tcp.port))


def test_a_peer_that_cannot_be_forgotten_by_the_selector_is_closed_all_the_same(
    clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ResponderError, match="internal error: KeyError"), Responder(NONCE) as responder:
        (tcp,) = started(responder, "tcp")
        right = responder._selector.unregister

        def fails(sock: socket.socket) -> None:
            right(sock)
            raise KeyError("not registered")

        monkeypatch.setattr(responder._selector, "unregister", fails)
        stranger = clients(tcp.port)
        until(lambda: responder._unproven_count)
        until(lambda: any(x.watched for group in list(responder._unproven.values()) for x in list(group)))
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        until(lambda: is_closed(stranger))
        assert is_answered(clients(tcp.port))


def test_a_stranger_whose_peer_has_gone_can_be_sent_away_where_no_option_can_be_set(
    clients: Callable[[int], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESET_ON_CLOSE", b"x")  # EINVAL, as macOS has it for such a one
    with Responder(NONCE) as responder:
        (tcp,) = started(responder, "tcp")
        responder._most_unproven = 1
        oldest = clients(tcp.port)
        until(lambda: responder._unproven_count)
        clients(tcp.port)
        until(lambda: is_closed(oldest))
        assert is_answered(clients(tcp.port))


class _EndedWhileAsked(LocalSession):
    """The responder has ended before the probes go out, which then find a listener that answers nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.responder: Responder | None = None

    def run(self, request: Request, emit: Emit) -> None:
        assert self.responder is not None
        end_it(self.responder)
        super().run(request, emit)


def end_it(responder: Responder) -> None:
    """By what select() could raise: the thread is in it, and returns from it once for the waker."""

    def fails(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        raise OSError(errno.EBADF, "Bad file descriptor")

    responder._selector.select = fails
    responder._wake.send(b".")
    thread = responder._thread
    assert thread is not None
    thread.join(20)
    assert not thread.is_alive()


def test_what_ends_the_thread_is_raised_at_the_end() -> None:
    with pytest.raises(ResponderError, match=r"it has ended, .*: Bad file descriptor"), Responder(NONCE) as responder:
        started(responder, "tcp")
        end_it(responder)
        assert responder.end is not None


def test_ctrl_c_stays_ctrl_c_whatever_else_went_wrong() -> None:
    with pytest.raises(KeyboardInterrupt), Responder(NONCE) as responder:
        started(responder, "tcp")
        end_it(responder)
        raise KeyboardInterrupt


def test_silence_of_a_dead_responder_is_not_tested_and_an_error() -> None:
    session = _EndedWhileAsked()
    cells = []
    settings = replace(parse_settings(("127.0.0.1",), ()), timeout=0.3)
    with pytest.raises(ResponderError, match="it has ended"), Bindtest(settings, [session]) as test:
        session.responder = test._responder
        for cell in test.cells():
            cells.append(cell)
    assert {cell.observed for cell in cells} == {Verdict.NOT_TESTED}
    assert cells
    assert all("Bad file descriptor" in (cell.cause or "") for cell in cells)


# argv: bindtest's. Before the listeners' thread has served anybody it ends, or fails with each datagram.
BROKEN = """
import sys
from netprobe import cli
from netprobe.reach import responder

def ends(*_):
    raise OSError(9, "Bad file descriptor")

if sys.argv.pop(1) == "ends":
    responder.Responder._loop = ends
else:
    responder.Responder._datagram = lambda self, sock: (sock.recv(99), ends())
sys.exit(cli.run(sys.argv[1:]))
"""


def broken(how: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BROKEN, how, "bindtest", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )


@pytest.mark.parametrize("options", [("--listen-only", "--keep", "60"), ("--keep", "60"), ()])
def test_a_command_whose_responder_ends_says_so_and_ends_with_a_whole_document(options: tuple[str, ...]) -> None:
    with broken("ends", "--addr", "127.0.0.1", "--json", *options) as process:
        out, err = process.communicate(timeout=50)  # well before the listeners would have been kept long enough
    assert process.returncode == 3
    assert err.count("netprobe: the responder: it has ended, and its listeners answer nobody: Bad file descriptor") == 1
    document = json.loads(out)
    assert any("it has ended" in error["why"] for error in document["errors"])
    assert {cell.get("observed", "not-tested") for cell in document["results"]} == {"not-tested"}


def test_a_fault_with_one_peer_is_told_at_once_while_listening_and_once() -> None:
    with broken("fails", "--addr", "127.0.0.1", "--listen-only", "--format", "ndjson") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        visits = [json.loads(process.stdout.readline()) for _ in range(2)]
        port = next(visit["port"] for visit in visits if visit["protocol"] == "udp")
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            for _ in range(3):
                client.sendto(wire.probe_line(NONCE, "cd" * 16, 0), ("127.0.0.1", port))
            assert "one peer was not served: Bad file descriptor" in process.stderr.readline()
        process.send_signal(2)
        _, err = process.communicate(timeout=20)
    assert "Bad file descriptor" not in err
    assert process.returncode == 3
