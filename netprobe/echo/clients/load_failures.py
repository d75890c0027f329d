"""The connections of a load that failed, counted by the words of the one table of failures."""

from __future__ import annotations

from collections import Counter

from netprobe.echo.clients.connecting import PeerError, peer_error
from netprobe.echo.clients.lanes import Lane, WrongEcho
from netprobe.verdicts import Verdict

__all__ = ["Failures"]


class Failures:
    """What failed on the way to ``port`` of ``host``, named ``where`` for people."""

    def __init__(self, host: str, port: int, where: str, timeout_s: float) -> None:
        self.host, self.port, self.where, self.timeout_s = host, port, where, timeout_s
        self.forget()

    def forget(self) -> None:
        """None of it counts: another address answers."""
        self.by_verdict: Counter[str] = Counter()
        self.first: PeerError | None = None
        self.untested: PeerError | None = None  # the first that is a limit of this host
        self.in_row = 0  # since the last message that came back

    def count(self, error: Exception, stage: str, address: str, lane: Lane | None = None) -> None:
        """One more, at ``address``."""
        if isinstance(error, WrongEcho):
            told = PeerError(self.where, Verdict.WRONG_RESPONDER, str(error))
        else:
            assert isinstance(error, OSError)
            sock, start_ns = (lane.sock, lane.opened_ns if stage == "connect" else None) if lane else (None, None)
            told = peer_error(error, sock, self.host, self.port, stage, self.timeout_s, address, start_ns=start_ns)
        self.by_verdict[told.verdict] += 1
        if told.verdict == Verdict.NOT_TESTED:
            self.untested = self.untested or told
        self.in_row += 1
        self.first = self.first or told
