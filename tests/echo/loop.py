"""A stand-in for the server's loop: as much of it as peers need that a test drives by hand."""

from __future__ import annotations

from collections.abc import Callable

from netprobe.echo.server.brief import echo_brief
from netprobe.echo.server.limits import BRIEF
from netprobe.echo.server.splice import Pipe
from netprobe.echo.server.stream import Peer
from netprobe.echo.server.totals import Totals

__all__ = ["Loop"]


class Loop:
    """Keeps, by descriptor, how each peer would be served next, and how it ended."""

    def __init__(self, pipe: Pipe | None = None, brief: int = BRIEF) -> None:
        self.now = 1.0
        self.view = self.space = memoryview(bytearray(256 * 1024))
        self.max_buffer = 1 << 20
        self.max_content = 1 << 20
        self.brief = brief
        self.pipe = pipe
        self.totals = Totals()
        self.ready: dict[int, Callable[[int], object]] = {}
        self.ended: dict[int, tuple[str, str | None]] = {}

    def watch(self, fd: int, _mask: int, ready: Callable[[int], object], changed: bool) -> None:
        self.ready[fd] = ready

    def watch_brief(self, peer: Peer) -> None:
        def brief(_mask: int) -> None:
            echo_brief([peer.fd], {peer.fd: peer}, self.brief, None)

        self.ready[peer.fd] = brief

    def linger(self, peer: Peer, _seconds: float) -> None:
        assert peer.fd in self.ready

    def forget(self, peer: Peer, how: str, cause: str | None) -> None:
        assert peer.fd not in self.ended
        self.totals.add(peer)
        self.ended[peer.fd] = (how, cause)
