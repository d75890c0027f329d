"""When a connection counts as quiet: the server's loop in this process, with a clock that the test advances."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from netprobe.echo.server import loop
from netprobe.echo.server.events import Draining, ServerEvent, ServerSummary
from netprobe.echo.server.loop import QUIET, ServerLoop, ServerSettings

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the lifeline is a pipe, which select cannot watch there"
)


class Clock:
    """Seconds that pass when the test says so; a server reads them at each event and each time-out."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A server in the main thread, as its signals demand, and a peer that acts in another."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.draining = threading.Event()
        self._lifeline, self._lifeline_end = os.pipe()
        self._errors: list[BaseException] = []

    def run(self, settings: ServerSettings, act: Callable[[socket.socket], None]) -> ServerSummary:
        """The server's summary after ``act(sock)``, which calls ``stop``."""
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()

        def peer() -> None:
            try:
                with socket.create_connection(address, 20) as sock:
                    act(sock)
            except BaseException as error:
                self._errors.append(error)
            finally:
                self.clock.now += 1_000_000  # whatever is still waited for
                self.stop()

        thread = threading.Thread(target=peer)
        server = ServerLoop([listener], settings, self._emit, self._lifeline)
        thread.start()
        try:
            return server.run()
        finally:
            thread.join()
            os.close(self._lifeline)
            for error in self._errors:
                raise error

    def stop(self) -> None:
        if not self.draining.is_set():
            os.close(self._lifeline_end)
            assert self.draining.wait(20)

    def _emit(self, event: ServerEvent) -> None:
        if isinstance(event, Draining):
            self.draining.set()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    clock = Clock()
    monkeypatch.setattr(loop, "monotonic", clock)
    yield Scene(clock)


def talk(sock: socket.socket, size: int) -> None:
    sock.sendall(data := os.urandom(size))
    assert sock.recv(size, socket.MSG_WAITALL) == data


@pytest.mark.parametrize("size", [64, 1000, 20_000])
def test_a_draining_server_waits_for_busy_connections_and_not_for_quiet_ones(scene: Scene, size: int) -> None:
    def act(sock: socket.socket) -> None:
        for _ in range(3):
            talk(sock, size)
        scene.clock.now += 10.0  # it was quiet before the stop: its next message may be on its way
        scene.stop()
        for _ in range(5):
            talk(sock, size)
            scene.clock.now += QUIET * 0.75
        scene.clock.now += QUIET
        assert sock.recv(1) == b""

    summary = scene.run(ServerSettings(drain_timeout=100.0), act)
    assert summary.received_bytes == summary.sent_bytes == 8 * size
    assert summary.undelivered_bytes == 0


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("size", [64, 1000, 20_000])
def test_each_message_restarts_the_idle_timeout(scene: Scene, size: int, log: bool) -> None:
    def act(sock: socket.socket) -> None:
        for _ in range(6):
            talk(sock, size)
            scene.clock.now += 0.3
        talk(sock, size)
        scene.clock.now += 0.45
        assert sock.recv(1) == b""
        scene.stop()

    summary = scene.run(ServerSettings(idle_timeout=0.4, log=log), act)
    assert summary.received_bytes == summary.sent_bytes == 7 * size
