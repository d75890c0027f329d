"""A reactor that a test drives by hand: connections are served when the test says so."""

from __future__ import annotations

from collections.abc import Callable

from netprobe.echo.server.connection import EchoConnection, Totals
from netprobe.echo.server.events import Ending
from netprobe.echo.server.memory import MemoryBudget
from netprobe.echo.server.small_messages import SMALL, echo_small
from netprobe.echo.server.splice import Pipe

__all__ = ["HandDrivenReactor"]


class HandDrivenReactor:
    """Keeps, by descriptor, how each connection would be served next, and how it ended."""

    def __init__(self, pipe: Pipe | None = None, small_size: int = SMALL) -> None:
        self.now = 1.0
        self.view = self.space = memoryview(bytearray(256 * 1024))
        self.max_buffer = 1 << 20
        self.max_content = 1 << 20
        self.small_size = small_size
        self.pipe = pipe
        self.totals = Totals()
        self.memory: MemoryBudget[EchoConnection] = MemoryBudget(1 << 30)
        self.frame_floor = 1000.0
        self.awaited: dict[EchoConnection, float] = {}
        self.ready: dict[int, Callable[[int], object]] = {}
        self.ended: dict[int, tuple[Ending, str | None]] = {}

    def watch(self, fd: int, mask: int, ready: Callable[[int], object], changed: bool) -> None:
        self.ready[fd] = ready

    def watch_small(self, connection: EchoConnection) -> None:
        def small(_mask: int) -> None:
            echo_small([connection.fd], {connection.fd: connection}, self.small_size, None)

        self.ready[connection.fd] = small

    def linger(self, connection: EchoConnection, seconds: float) -> None:
        assert connection.fd in self.ready

    def await_frame(self, connection: EchoConnection) -> None:
        self.awaited[connection] = self.now

    def frame_done(self, connection: EchoConnection) -> None:
        del self.awaited[connection]

    def forget(self, connection: EchoConnection, ending: Ending, cause: str | None) -> None:
        assert connection.fd not in self.ended
        self.memory.account(connection, 0)
        self.awaited.pop(connection, None)
        self.totals.add(connection)
        self.ended[connection.fd] = (ending, cause)
