"""Silence behind an ICMP rate limit: which cells are asked again, how slowly, and for how long.

A closed UDP port, and a firewall's REJECT of any protocol, answer with an ICMP error; hosts send those at a limited
rate (RFC 1812 section 4.3.2.8). Linux answers 6 at once and then 1 a second, per peer (icmp(7): icmp_ratelimit 1000 ms;
icmp_ratemask has types 3, 4, 11 and 12). So when all cells of a run are asked at once, most closed ports of one host
look silent: of 100 closed remote UDP ports 21 were refused and 79 timed out. Asked one a second, 15 of 15 were refused.

Hence: ask everything at once first, which is all that most runs need. Where an ICMP error came, more of them may be
missing: the silent cells that it could be about are asked again one at a time, a little more than a second apart. Two
such questions in a row without an answer, and the rest of that address is taken as silent: a firewall that drops would
otherwise cost a second for each port. All of it ends after ``patience`` seconds, since one a second does not scale:
what is left is reported as a time-out with ``limited``, and with who sent those errors (``limited_by``); the diagnosis
at home then says "no answer", never "filtered".

Which cells an error is about is a matter of who sent it:

* The host that was asked: all its cells, whichever of its addresses they ask. The limit is the host's.
* Anybody else, such as a router that has no route or whose firewall rejects: the cells of the very address that was
  asked. Of other addresses, which it may pass on, it says nothing; nor is the host behind it known to limit anything.
  How fast its errors come is not known either: for a missing route, Linux takes twice from the same budget
  (ip_error() and icmp_send()), so silence to a question that was asked again still counts as limited.
* Our own addresses are exempt: what stays on this host is not limited. And "fragmentation needed" ends no question.

TCP waits for ICMP errors of TCP questions only: a firewall's REJECT is limited, but a closed port is a reset, and that
is not (RFC 9293 section 3.10.7.1), so closed UDP ports tell nothing of it. UDP waits for the errors of both. The second
question by TCP lasts long enough for the kernel's own second SYN.
"""

import collections
import time
from typing import Any, Collection, Deque, Dict, Optional, Sequence, Tuple

from netprobe.prober.probe import Probe
from netprobe.prober.sockets import unmapped

__all__ = ["PACE_GRACE_S", "PACE_S", "PATIENCE_S", "Pacing"]

PATIENCE_S = 5.0
PACE_S = 1.05  # Linux answers one ICMP error a second and peer
PACE_GRACE_S = 0.25  # how long the answer to a paced question may take
SILENCES = 2  # paced questions in a row without an answer, after which an address is taken as silent


class Pacing:
    """The cells that wait for their turn, and what is known of the hosts that they ask."""

    def __init__(self, patience: float, own: Collection[str], cells: Sequence[Dict[str, Any]] = ()) -> None:
        self.current: Optional[Probe] = None  # the one that asks again now
        self._patience = patience
        self._own = own
        self._queue: Deque[Probe] = collections.deque()
        self._ends_at = 0.0
        self._host = {unmapped(cell["address"]) for cell in cells if cell.get("host")} - {unmapped(x) for x in own}
        self._limiting: Dict[Tuple[Any, ...], str] = {}  # by whose cells and by protocol: who sent the ICMP error
        self._silences: Dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._queue)

    def heard_from(self, probe: Probe) -> None:
        """A probe has ended: was it by an ICMP error of another machine, which are sent at a limited rate?"""
        icmp = probe.icmp
        if icmp is None or not icmp.is_icmp or icmp.errno == "EMSGSIZE" or icmp.offender is None:
            return
        if icmp.offender in self._own:
            return
        sender, cell = unmapped(icmp.offender), probe.cell
        if sender in self._host and unmapped(cell["address"]) in self._host:
            whose: Tuple[Any, ...] = ("host",)
        else:
            whose = (cell["address"], cell.get("zone"))
        for protocol in {cell["protocol"], "udp"}:
            self._limiting.setdefault((*whose, protocol), icmp.offender)
        self._silences.pop(cell["address"], None)

    def silent_again(self, probe: Probe) -> None:
        """A paced question stayed without an answer."""
        address = probe.cell["address"]
        self._silences[address] = self._silences.get(address, 0) + 1

    def limiter(self, cell: Dict[str, Any]) -> Optional[str]:
        """Who sent ICMP errors for other cells, so that one for this silent cell may be missing; None: nobody did."""
        found = self._limiting.get((cell["address"], cell.get("zone"), cell["protocol"]))
        if found is None and unmapped(cell["address"]) in self._host:
            found = self._limiting.get(("host", cell["protocol"]))
        return found

    def limiter_between(self, cell: Dict[str, Any]) -> Optional[str]:
        """The same, if it is not the host that was asked: how fast its errors come is not known."""
        found = self.limiter(cell)
        if found is None or unmapped(found) in self._host or unmapped(found) == unmapped(cell["address"]):
            return None
        return found

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
