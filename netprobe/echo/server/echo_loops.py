"""Ends the datagrams that go to and fro between this server and another one that echoes, which alone would never end.

One datagram in the name of another echo server starts such a loop (CVE-1999-0103). A list of ports covers only servers
on well-known ones. What marks a loop on any port: the very bytes that were just sent to a peer come back from it, again
and again, without a pause. And what tells it from a client: a loop holds a fixed number of datagrams, each of which is
gone for good when it is not answered once; a client goes on sending. So when the same bytes have kept coming from a
peer for a second, faster than 50 a second (the 100 packets a second that a loop may cost), they are not answered for a
twentieth of a second. That ends every loop with this peer, however many there are, because all of their datagrams pass
here in that time. If bytes keep coming, somebody sends them: they are answered again for 1.7 s before the next test, so
that loops which were started behind a flood, or on a machine too busy to run both ends, have ended within 3 s, too.

What it costs honest peers: those whose datagrams differ, such as those of ``echo ping``, lose nothing, at any rate. One
that sends the same bytes over and over is, to the last bit, what an echo server looks like from here. If it waits for
each echo it loses one datagram for each second without a pause; at full rate without waiting 3 %, and from 40,000 a
second on less, because 2,048 that were not answered are more than two sockets' receive buffers hold. Contents that
repeat after more than ``_RUN`` datagrams, like those made from a counter of one byte, count as different.

Other ways that were considered: a reply with the TTL of the request less one ends a loop of two such servers without
any state, but not one with an inetd, and it shortens the reach of every reply to clients far away. A limit on repeated
bytes alone would cut an honest load to 50 datagrams a second. Refusing one in 64 instead of all for a moment took too
long where the machine was busy: a hundred loops at 2,500 datagrams a second lived for minutes. A second datagram that
asks the peer whether it echoes would confuse clients. A server that answers with ever new bytes cannot be told from a
client at all, which is what the list of ports and ``--max-rate`` are for.

Looking at every datagram would cost a twentieth of the time of a small one. So a run of datagrams is looked at,
one after the other, then none until a twentieth of a second after the run began, and each stands for those between:
0.3 % at 100,000 a second. Memory is constant: the fingerprints of one run, and a fixed number of peers, of which two
may share a place; no flood of invented peers makes one forgotten.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

__all__ = ["EchoLoops"]

_HARMLESS: Final = 50.0  # repeats per second that are answered for ever
_PATIENCE: Final = 1.0  # seconds for which more of them are answered,
_PATIENCE_AGAIN: Final = 1.7  # and after a test in which they kept coming
_PAUSE: Final = 0.25  # seconds without any after which a peer's are counted anew
_TEST: Final = 0.05  # seconds for which none is answered,
_TEST_STEP: Final = 0.02  # of which a time without datagrams counts no more: either end may have been kept from running
_TEST_MOST: Final = 2048  # datagrams; 212,992 bytes, net.core.rmem_default, hold 277 small ones

_RUN: Final = 200  # datagrams looked at without a gap: the most loops of one peer with different bytes that are seen
_RUN_EVERY: Final = 0.05  # seconds
_FINGERPRINTS: Final = 4096
_PEERS: Final = 1024
_END: Final = 1024  # bytes at either end of a datagram by which it is recognised


class EchoLoops:
    """What the datagrams of one socket tell of loops. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._run_at = 0.0  # when a run may begin
        self._left = 0  # datagrams of this run that are still to be looked at
        self._begun = 0  # datagrams that were received before this run
        self._stands_for = 1.0  # how many received datagrams one that is looked at stands for
        self._testing_until = 0.0  # until then, all are looked at
        self._seen: set[int] = set()  # in this run
        self._peers: list[_Repeats | None] = [None] * _PEERS

    def looks(self, now: float, received: int) -> bool:
        """Are the next datagrams to be looked at? ``received`` is how many there were before them."""
        if now < self._testing_until:
            return True
        if now >= self._run_at:
            self._run_at = now + _RUN_EVERY
            if self._left:  # so few datagrams that none was left out
                self._stands_for = 1.0
            else:
                self._stands_for = max(1.0, (received - self._begun) / _RUN)
                self._begun, self._left = received, _RUN
                self._seen.clear()
        return self._left > 0

    def refuses(self, peer: Hashable, datagram: memoryview, now: float) -> bool:
        """Is ``datagram`` one whose reply may go on with a loop?"""
        stands_for = 0.0
        if self._left:
            self._left -= 1
            stands_for = self._stands_for
        elif now >= self._testing_until:
            return False
        size = len(datagram)
        known_by = bytes(datagram) if size <= 2 * _END else bytes(datagram[:_END]) + bytes(datagram[-_END:])
        seen = hash((peer, size, known_by))
        if seen not in self._seen:
            if len(self._seen) >= _FINGERPRINTS:
                self._seen.clear()
            self._seen.add(seen)
            return False
        place = hash(peer) % _PEERS
        repeats = self._peers[place]
        if repeats is None:
            repeats = self._peers[place] = _Repeats()
        if not repeats.refuses(now, stands_for):
            return False
        self._testing_until = now + _PAUSE
        return True


class _Repeats:
    """The repeated datagrams of one peer, as long as they come without a pause."""

    __slots__ = ("_count", "_last", "_patience", "_since", "_test_s", "_unanswered")

    def __init__(self) -> None:
        self._last = self._since = float("-inf")
        self._count, self._patience = 0.0, _PATIENCE
        self._test_s: float | None = None  # how long the test has been going on
        self._unanswered = 0  # in this test

    def refuses(self, now: float, stands_for: float) -> bool:
        pause, self._last = now - self._last, now
        if pause > _PAUSE:
            self._count_from(now, _PATIENCE)
        if self._test_s is not None:
            self._test_s += min(pause, _TEST_STEP)
            if self._test_s < _TEST and self._unanswered < _TEST_MOST:
                self._unanswered += 1
                return True
            self._count_from(now, _PATIENCE_AGAIN)
        self._count += stands_for
        seconds = now - self._since
        if seconds < self._patience or self._count < _HARMLESS * seconds:
            return False
        self._test_s, self._unanswered = 0.0, 1
        return True

    def _count_from(self, now: float, patience: float) -> None:
        self._since, self._count, self._patience, self._test_s = now, 0.0, patience, None
