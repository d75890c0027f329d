"""The addresses of a name, tried in turn, and what came of those before the one that answered.

A client that goes on to the next address hides that the first one is broken: a server that listens on 127.0.0.1 only is
found as ``localhost``, until somebody connects with a program that stops at ::1. So what was passed over is kept, and
told.

One after the other, and not side by side with a head start (RFC 8305): what is timed is one address, and a second
handshake on its way would be in the measurement.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

from netprobe.echo.clients.peer_error import PeerError
from netprobe.verdicts import Verdict

__all__ = ["PeerAddress", "Trials"]

T = TypeVar("T")

_WORDS = {
    Verdict.NO_ANSWER: "did not answer",
    Verdict.WRONG_RESPONDER: "is no echo server",
    Verdict.NOT_TESTED: "was not tested",
}


class PeerAddress(NamedTuple):
    """One address of a peer, ready for socket(2) and connect(2), as getaddrinfo(3) found it."""

    family: socket.AddressFamily
    kind: socket.SocketKind
    protocol: int
    address: str
    port: int
    sockaddr: tuple[object, ...]


class Trials:
    """What came of the addresses of one name, in the order in which they were tried."""

    def __init__(self) -> None:
        self._failed: dict[str, Verdict] = {}
        self._answered: str | None = None

    @property
    def remark(self) -> str | None:
        """``::1 refused, 127.0.0.1 answered``; None where the first one answered, or none did."""
        if self._answered is None or not self._failed:
            return None
        failed = [f"{address} {_WORDS.get(verdict, verdict)}" for address, verdict in self._failed.items()]
        return ", ".join([*failed, f"{self._answered} answered"])

    def failed(self, address: str, error: PeerError) -> None:
        """Another address is tried after this one."""
        self._failed[address] = error.verdict

    def answered(self, address: str) -> None:
        """No other address is tried."""
        self._answered = address

    def first(
        self,
        peers: Sequence[PeerAddress],
        attempt: Callable[[PeerAddress], T],
        final: Collection[Verdict] = (),
    ) -> T:
        """What ``attempt`` returns for the first of ``peers`` for which it does not raise PeerError.

        Raises that of the last one, or one with a verdict in ``final``: then the others are not tried. The only one of
        ``peers`` may be one that has answered before: what is known of the others stays.
        """
        *others, last = peers
        if others:
            self._failed.clear()
            self._answered = None
        for peer in others:
            try:
                found = attempt(peer)
            except PeerError as error:
                if error.verdict in final:
                    raise
                self.failed(peer.address, error)
            else:
                self.answered(peer.address)
                return found
        found = attempt(last)
        self.answered(last.address)
        return found
