"""How many datagrams a second one peer may have answered: a token bucket a peer, in a table that cannot grow."""

from __future__ import annotations

__all__ = ["Rate"]


class Rate:
    """``allows(peer, now)``: whether ``peer`` is within ``per_second`` (with a burst of one second's worth).

    At most ``peers`` are remembered, the longest unheard is forgotten first. A flood from invented addresses so
    costs memory for ``peers`` entries and no more.
    """

    def __init__(self, per_second: float, peers: int = 4096) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._peers = peers
        self._buckets: dict[str, tuple[float, float]] = {}  # peer: (tokens, when)

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, peer: str, now: float) -> bool:
        """Take one token of ``peer``'s at ``now`` (seconds of a monotonic clock), if there is one."""
        tokens, when = self._buckets.pop(peer, (self._burst, now))
        tokens = min(self._burst, tokens + (now - when) * self._per_second)
        allowed = tokens >= 1.0
        if len(self._buckets) >= self._peers:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[peer] = (tokens - 1.0 if allowed else tokens, now)
        return allowed
