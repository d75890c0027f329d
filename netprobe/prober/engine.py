"""All cells of a request at once: one report for each.

Cells are started in bursts of 64, and between two bursts what has come is read: an answer that waited in its socket
until a thousand handshakes were begun would be timed with them. As many sockets are open at once as the system allows;
cells beyond that wait for the first to end, which costs time and never an answer.
"""

import collections
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from netprobe.prober import facts, ladder, names
from netprobe.prober.loop import Loop
from netprobe.prober.pacing import PATIENCE_S, Pacing
from netprobe.prober.probe import Context, Probe
from netprobe.prober.sockets import NO_ROOM, descriptors_for
from netprobe.prober.tcp import TcpProbe
from netprobe.prober.udp import UdpProbe
from netprobe.prober.wire import Address

__all__ = ["Engine", "run"]

BURST = 64
STOP_CHECK_S = 0.1  # how often a run that can be stopped looks whether it was

Emit = Callable[[Dict[str, Any]], None]


def run(
    request: Dict[str, Any],
    emit: Emit,
    stopped: Optional[Callable[[], bool]] = None,
    trace: Optional[Callable[[Dict[str, Any], Emit], None]] = None,
) -> None:
    """Probe all cells of ``request``: a hello, a report for each cell, and ``done`` go to ``emit`` as they come.

    Names of the request are resolved before that, each with a report of its own; cells are asked for with addresses.
    Its ladders come last: they use up ICMP errors, which hosts and routers send at a limited rate.
    ``trace`` answers what it asks of the trace (:mod:`netprobe.prober.tracing`).

    ``stopped`` is asked several times a second; once it says True, the run ends without the cells that are left, and
    without ``done``, which says that there are none.
    """
    emit({"hello": facts.hello(request["cells"])})
    if trace is not None:
        trace(request, emit)
    asked = request.get("names")
    if asked and not names.look_up(asked, float(request["resolve"]), emit, stopped):
        return
    if not Engine(request, emit, stopped).run():
        return
    ladders = request.get("ladders")
    if ladders and not ladder.climb(ladders, str(request["nonce"]), emit, stopped):
        return
    emit({"done": True})


class Engine(Context):
    """The cells of a request on one loop."""

    def __init__(self, request: Dict[str, Any], emit: Emit, stopped: Optional[Callable[[], bool]] = None) -> None:
        self.loop = Loop()
        self.nonce = str(request["nonce"])
        self.timeout = float(request["timeout"])
        self.payload_size = int(request.get("payload") or 0)
        self._cells = request["cells"]
        self._emit = emit
        self._stopped = stopped
        self._waiting: Deque[Probe] = collections.deque()
        self._pacing = Pacing(float(request.get("patience", PATIENCE_S)), facts.own_addresses(), self._cells)
        self._most = descriptors_for(len(request["cells"]))
        if request.get("sockets"):
            self._most = min(self._most, int(request["sockets"]))
        self._no_room = False
        self._sources: Dict[Tuple[Any, Any], Optional[str]] = {}
        self._variants: Dict[Any, Tuple[List[Probe], List[Dict[str, Any]]]] = {}  # by cell: probes and their reports

    def run(self) -> bool:
        """Probe every cell; False when it was stopped before."""
        for cell in self._cells:
            kind = UdpProbe if cell["protocol"] == "udp" else TcpProbe
            zones = facts.link_zones() if cell.get("zone") == facts.ANY_ZONE else [cell.get("zone")]
            probes: List[Probe] = [kind(self, dict(cell, zone=zone)) for zone in zones]
            self._variants[cell["id"]] = (probes, [])
            self._waiting.extend(probes)
        try:
            while self._waiting or self.loop.watched or self._pacing:
                if self._stopped is not None and self._stopped():
                    return False
                self._start_waiting()
                self._start_paced()
                self.loop.turn(self._longest_turn())
        finally:
            self.loop.close()
        return True

    def silent(self, probe: Probe) -> None:
        """No answer in time: a time-out, or another question if an ICMP error for it may be missing."""
        if probe.stage not in ("payload", "bind"):
            if probe.paced:
                self._pacing.silent_again(probe)
                limiter = self._pacing.limiter_between(probe.cell)
                if limiter is not None:
                    probe.end("timeout", limited=True, limited_by=limiter)
                    return
            elif self._pacing.limiter(probe.cell) is not None and not probe.evidence.get("connect_ms"):
                self.loop.forget(probe)
                probe.sock = None
                self._pacing.add(probe)
                return
        probe.end("timeout")

    def ended(self, probe: Probe, evidence: Dict[str, Any]) -> None:
        """Make room for the next cell, and hand out the evidence: of a cell asked on several links once, the best."""
        self._pacing.heard_from(probe)
        self._forget(probe)
        probes, reports = self._variants[evidence["cell"]]
        reports.append(evidence)
        if _rank(evidence) >= 2 or all(other.finished for other in probes):
            for other in probes:
                if not other.finished:
                    other.finished = True
                    self._forget(other)
            self._emit(max(reports, key=_rank))

    def self_connected(self, challenge: str, port: int, peer: Address) -> None:
        """A question of this run came to one of its own sockets: the cell that asked has its answer.

        Only if the socket that asked is the one that it came from: a question that somebody overheard and sends again
        is not a question.
        """
        for probe in list(self.loop.watched.values()):
            if not (isinstance(probe, Probe) and probe.challenge == challenge and probe.cell["port"] == port):
                continue
            if probe.sock is not None and probe.sock.getsockname()[1] == peer[1] and probe.stage != "payload":
                probe.end("self", replied_from=probe.cell["address"])

    def source_for(self, cell: Dict[str, Any]) -> Optional[str]:
        """The source address towards the cell's destination; it is looked up once for each."""
        key = (cell["address"], cell.get("zone"))
        if key not in self._sources:
            self._sources[key] = facts.source_address(cell)
        return self._sources[key]

    def _start_waiting(self) -> None:
        for _ in range(min(BURST, len(self._waiting), self._most - len(self.loop.watched))):
            probe = self._waiting.popleft()
            if probe.finished:
                continue
            try:
                probe.start()
            except OSError as error:
                if error.errno in NO_ROOM and probe.stage == "socket" and self.loop.watched:
                    self._waiting.appendleft(probe)
                    self._no_room = True
                    break
                probe.fail(error)
            except (OverflowError, ValueError) as error:
                probe.fail(error)

    def _start_paced(self) -> None:
        """Let the next cell behind a rate limit ask again, if none does."""
        if self._pacing.current is not None:
            return
        probe = self._pacing.next()
        if probe is None or probe.finished:
            return
        if self._pacing.is_hopeless(probe):
            probe.end("timeout", limited=True, limited_by=self._pacing.limiter(probe.cell))
            return
        self._pacing.current = probe
        probe.paced = True
        try:
            probe.start()
        except (OSError, OverflowError, ValueError) as error:
            probe.fail(error)

    def _longest_turn(self) -> Optional[float]:
        """No wait at all while something can be started."""
        has_room = not self._no_room and len(self.loop.watched) < self._most
        if (self._waiting and has_room) or (self._pacing and self._pacing.current is None):
            return 0.0
        return None if self._stopped is None else STOP_CHECK_S

    def _forget(self, probe: Probe) -> None:
        self.loop.forget(probe)
        self._no_room = False
        if self._pacing.current is probe:
            self._pacing.current = None


def _rank(evidence: Dict[str, Any]) -> int:
    """Which of several pieces of evidence says most: proof, any other answer, a refusal, an error, silence."""
    if evidence["result"] == "error":
        return 2 if evidence["errno"] == "ECONNREFUSED" else 1
    return {"proof": 4, "timeout": 0}.get(evidence["result"], 3)
