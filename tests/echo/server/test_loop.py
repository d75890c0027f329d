"""When a connection counts as quiet: the server's loop in this process, with a clock that the test advances."""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from netprobe.echo.framing import Connection, Message
from netprobe.echo.server import loop
from netprobe.echo.server.events import AcceptPaused, AcceptResumed, Draining, ServerEvent, ServerSummary
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
        self.events: list[ServerEvent] = []
        self.address: tuple[str, int] = ("", 0)

    def run(self, settings: ServerSettings, act: Callable[[socket.socket], None]) -> ServerSummary:
        """The server's summary after ``act(sock)``, which calls ``stop``."""
        listener = socket.create_server(("127.0.0.1", 0))
        address = self.address = listener.getsockname()

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
        self.events.append(event)
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


FRAME = Connection().send(Message.of_bytes(bytes(200_000)))


def replies(sock: socket.socket) -> list[Message]:
    """What is said until the other side ends."""
    connection = Connection()
    found = []
    while data := sock.recv(65536):
        found += [event for event in connection.receive(data) if isinstance(event, Message)]
    return found


@pytest.mark.parametrize("already", [1, 30, 100_000])
def test_a_frame_whose_rest_does_not_come_is_given_up(scene: Scene, already: int) -> None:
    def act(sock: socket.socket) -> None:
        sock.sendall(FRAME[:already])
        with socket.create_connection(scene.address, 20) as other:  # its turn comes after what was said before
            other.sendall(FRAME)
            assert other.recv(1)
        scene.clock.now += 59.0
        with socket.create_connection(scene.address, 20) as other:
            other.sendall(FRAME)
            assert other.recv(1)
        scene.clock.now += 1.5
        (reply,) = replies(sock)
        assert reply.header.reply_info is not None
        assert "progress" in (reply.header.reply_info.error or "")
        scene.stop()

    summary = scene.run(ServerSettings(framed=True), act)
    assert summary.stalled_frames == 1


def test_a_frame_that_trickles_is_given_up_however_long_it_could_go_on(scene: Scene) -> None:
    def act(sock: socket.socket) -> None:
        sock.sendall(FRAME[:150_000])
        sent = 0
        try:
            while not select.select([sock], [], [], 0.01)[0]:
                scene.clock.now += 1.0
                sock.sendall(FRAME[150_000 + sent : 150_001 + sent])
                sent += 1
                assert sent < 1000
        except OSError:
            pass
        scene.stop()

    assert scene.run(ServerSettings(framed=True), act).stalled_frames == 1


@pytest.mark.parametrize("timeout", [60.0, None])
def test_a_frame_that_comes_slowly_but_comes_is_answered(scene: Scene, timeout: float | None) -> None:
    def act(sock: socket.socket) -> None:
        # 75,000 bytes in 45 s: past the 61,440 that 60 s ask for, one step before they end. With no step to spare the
        # clock went on, once in a while, between the server's poll and its look at the clock, and the frame was late.
        step = 25_000 if timeout else 20
        at = 0
        while at < len(FRAME) - step * 3 and at < step * 100:
            sock.sendall(FRAME[at : at + step])
            at += step
            with socket.create_connection(scene.address, 20) as other:
                other.sendall(FRAME)
                assert other.recv(1)
            scene.clock.now += 15.0
        sock.sendall(FRAME[at:])
        connection = Connection()
        while not [event for event in connection.receive(sock.recv(65536)) if isinstance(event, Message)]:
            pass
        scene.clock.now += 1000.0  # between two frames there is no hurry
        sock.sendall(FRAME)
        while not [event for event in connection.receive(sock.recv(65536)) if isinstance(event, Message)]:
            pass
        scene.stop()

    assert scene.run(ServerSettings(framed=True, frame_timeout=timeout), act).stalled_frames == 0


def test_accepting_that_pauses_again_and_again_is_told_as_a_number(scene: Scene) -> None:
    def act(sock: socket.socket) -> None:
        served, waiting = sock, socket.create_connection(scene.address, 20)
        talk(served, 10)
        for _ in range(200):
            following = socket.create_connection(scene.address, 20)
            served.close()
            talk(waiting, 10)
            served, waiting = waiting, following
        scene.clock.now += 11.0
        talk(served, 10)
        served.close()
        talk(waiting, 10)
        waiting.close()
        scene.stop()

    summary = scene.run(ServerSettings(max_connections=1), act)
    told = [event for event in scene.events if isinstance(event, AcceptPaused | AcceptResumed)]
    assert summary.connections == 202
    assert len(told) <= 6
    assert sum(event.untold_pauses for event in told) > 150
