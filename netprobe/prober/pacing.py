"""Silence behind an ICMP rate limit: which cells are asked again, how slowly, and for how long.

A closed UDP port, and a firewall's REJECT of any protocol, answer with an ICMP error; hosts send those at a limited
rate (RFC 1812 section 4.3.2.8). Linux answers 6 at once and then 1 a second, per peer (icmp(7): icmp_ratelimit 1000 ms;
icmp_ratemask has types 3, 4, 11 and 12). So when all cells of a run are asked at once, most closed ports of one host
look silent: of 100 closed remote UDP ports 21 were refused and 79 timed out. Asked one a second, 15 of 15 were refused.

Hence: ask everything at once first, which is all that most runs need. A host that sent us an ICMP error is known to
limit them; its silent cells are asked again one at a time, a little more than a second apart. Two such questions in a
row without an answer, and the rest of that address is taken as silent: a firewall that drops would otherwise cost a
second for each port. All of it ends after ``patience`` seconds, since one a second does not scale: what is left is
reported as a time-out with ``limited``, and the diagnosis at home then says "no answer", never "filtered".

TCP, too: a REJECT is as limited as a closed UDP port. Its second question lasts long enough for the kernel's own second
SYN. The limit is the host's, not the address's: cells of this run's host share one budget, whichever of its addresses
they ask. Our own addresses are exempt: what stays on this host is not limited.
"""

import collections
import time
from typing import Any, Collection, Deque, Dict, Optional, Set

from netprobe.prober.probe import Probe

__all__ = ["PACE_GRACE_S", "PACE_S", "PATIENCE_S", "Pacing"]

PATIENCE_S = 5.0
PACE_S = 1.05  # Linux answers one ICMP error a second and peer
PACE_GRACE_S = 0.25  # how long the answer to a paced question may take
SILENCES = 2  # paced questions in a row without an answer, after which an address is taken as silent


class Pacing:
    """The cells that wait for their turn, and what is known of the hosts that they ask."""

    def __init__(self, patience: float, own: Collection[str]) -> None:
        self.current: Optional[Probe] = None  # the one that asks again now
        self._patience = patience
        self._own = own
        self._queue: Deque[Probe] = collections.deque()
        self._ends_at = 0.0
        self._limiting: Set[str] = set()
        self._silences: Dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._queue)

    def heard_from(self, probe: Probe) -> None:
        """A probe has ended: was it by an ICMP error of another machine, which are sent at a limited rate?"""
        icmp = probe.icmp
        if icmp is not None and icmp.is_icmp and icmp.offender not in self._own:
            self._limiting.add(self._budget(probe.cell))
            self._silences.pop(probe.cell["address"], None)

    def silent_again(self, probe: Probe) -> None:
        """A paced question stayed without an answer."""
        address = probe.cell["address"]
        self._silences[address] = self._silences.get(address, 0) + 1

    def is_limited(self, cell: Dict[str, Any]) -> bool:
        """Did the host of this silent cell answer others with ICMP errors?"""
        return self._budget(cell) in self._limiting

    def add(self, probe: Probe) -> None:
        """Let it ask again when its turn comes."""
        if not self._ends_at:
            self._ends_at = time.perf_counter() + self._patience
        self._queue.append(probe)

    def next(self) -> Optional[Probe]:
        """The next probe in the queue."""
        return self._queue.popleft() if self._queue else None

    def is_hopeless(self, probe: Probe) -> bool:
        """Is the patience over, or its address taken as silent?"""
        return time.perf_counter() > self._ends_at or self._silences.get(probe.cell["address"], 0) >= SILENCES

    def _budget(self, cell: Dict[str, Any]) -> str:
        """Whose ICMP errors these are: one host's limit is shared by all its addresses."""
        address = str(cell["address"])
        return "host" if cell.get("host") and address not in self._own else address
