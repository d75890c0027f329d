"""What a server has done, told and counted as its connections end."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING

from netprobe.echo.server.happenings import Ended, Summary, endpoint, utc_now

if TYPE_CHECKING:
    from netprobe.echo.server.datagrams import Datagrams
    from netprobe.echo.server.stream import Peer

__all__ = ["Totals", "ended"]


class Totals:
    """The counts of one process, from now on."""

    def __init__(self) -> None:
        self.connections = 0
        self.broken_frames = 0
        self.undelivered = 0  # bytes that came and could not be sent back
        self._started = monotonic()
        self._received = self._sent = self._messages = 0

    def add(self, peer: Peer) -> None:
        """Count what went over a connection that has ended."""
        self._received += peer.received
        self._sent += peer.sent
        self._messages += peer.messages or 0
        self.undelivered += peer.owed

    def echoed(self, count: int) -> None:
        """Count bytes that came and went back, and that no peer counts."""
        self._received += count
        self._sent += count

    def summary(self, framed: bool, datagrams: Iterable[Datagrams]) -> Summary:
        """All of it, with what went over the sockets of ``datagrams``."""
        sockets = list(datagrams)
        return Summary(
            "summary",
            round(monotonic() - self._started, 3),
            self.connections,
            self._received,
            self._sent,
            self._messages if framed else None,
            self.broken_frames,
            self.undelivered,
            sum(d.received for d in sockets),
            sum(d.answered for d in sockets),
            sum(d.refused for d in sockets),
            0,
        )


def ended(peer: Peer, now: float, how: str, cause: str | None) -> Ended:
    """The line of ``--log`` on a connection that has ended at ``now``, in seconds as ``peer.since``."""
    name = endpoint(peer.address)
    protocol = "unix" if name["port"] is None else "tcp"
    milliseconds = round((now - peer.since) * 1000, 3)
    counts = (peer.received, peer.sent, peer.messages, milliseconds)
    return Ended("ended", utc_now(), protocol, name["address"], name["port"], *counts, how, cause)
