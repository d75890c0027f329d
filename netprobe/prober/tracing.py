"""A vantage's own trace of the run's packets, if it has the right to one (:mod:`netprobe.kernel.nf_trace`).

It is asked twice. A request with ``trace`` (a list of protocol, address and port: what the run asks, from anywhere)
opens it, and is answered with ``tracing``: from then on each packet to or from there that this place sends, receives or
forwards is followed through its rules. A request with ``look`` is answered with a ``packet`` for each way that is new,
and ``looked``. Both may be many seconds apart, since a router has to follow what other vantages ask; so a thread takes
the rows meanwhile, for which the kernel has 8 MB.

Of a connection's many packets two are told for each direction, the first one that was stopped and the last one; of
their rows those of the watching table and the one that stopped it, with its words, which nobody else can look up.
Nothing is told unless somebody looks, and nobody looks in a run without a failure.
"""

import select
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

from netprobe.kernel.nf_trace import Mark, Packet, Row, Tracer
from netprobe.kernel.rule_text import RuleText, rule_text

__all__ = ["MOST_TOLD", "Tracing"]

MOST_TOLD = 2000  # packets in one look
_ROWS = 40  # of one packet
_TURN_S = 0.5
_ENDS = ("drop", "stolen", "queue")

Emit = Callable[[Dict[str, Any]], None]


class Tracing:
    """The trace of this place, from the request that opens it to the end of the process."""

    def __init__(self) -> None:
        self._tracer: Optional[Tracer] = None
        self._lock = threading.Lock()
        self._told: Dict[int, int] = {}  # how many rows of a packet have been told
        self._texts: Dict[Tuple[str, str, str, Optional[int]], RuleText] = {}

    def answer(self, request: Dict[str, Any], emit: Emit) -> None:
        """Open it, or tell what came."""
        if request.get("trace") is not None:
            emit({"tracing": self._open(request)})
        if request.get("look"):
            self._look(emit)

    def close(self) -> None:
        """Take the tables away; those that have no owner would stay."""
        with self._lock:
            if self._tracer is not None:
                self._tracer.close()
                self._tracer = None

    def _open(self, request: Dict[str, Any]) -> Dict[str, Any]:
        self.close()
        marks = [Mark(protocol, None, None, address, port) for protocol, address, port in request["trace"]]
        tracer = Tracer(marks, expires_s=float(request.get("life") or 60.0))
        tracer.__enter__()
        why = tracer.why_not()
        if why is None:
            self._tracer = tracer
            threading.Thread(target=self._follow, args=(tracer, tracer.fileno()), daemon=True).start()
        return {"why_not": why, "remarks": list(tracer.remarks)}

    def _follow(self, tracer: Tracer, descriptor: int) -> None:
        """Take the rows as they come."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while True:
            ready = poll.poll(1000 * _TURN_S)
            with self._lock:
                if self._tracer is not tracer:
                    return
                if ready:
                    tracer.read()

    def _look(self, emit: Emit) -> None:
        packets, incomplete = [], True
        with self._lock:
            if self._tracer is not None:
                packets = self._tracer.packets()
                incomplete = self._tracer.incomplete
        new = [number for number in _chosen(packets) if self._told.get(number) != len(packets[number].rows)]
        for number in new[:MOST_TOLD]:
            self._told[number] = len(packets[number].rows)
            emit({"packet": self._words(number, packets[number])})
        emit({"looked": {"incomplete": incomplete or len(new) > MOST_TOLD}})

    def _words(self, number: int, packet: Packet) -> Dict[str, Any]:
        stop = _stop(packet)
        words: Dict[str, Any] = {"number": number}
        for name in ("direction", "protocol", "source", "source_port", "destination", "destination_port"):
            words[name] = getattr(packet, name)
        words.update(
            incoming=_printable(packet.incoming),
            outgoing=_printable(packet.outgoing),
            sources=packet.sources[:8],
            destinations=packet.destinations[:8],
            rows=[self._row(row) for row in packet.rows if row.is_own or row is stop][-_ROWS:],
        )
        return words

    def _row(self, row: Row) -> Dict[str, Any]:
        words: Dict[str, Any] = dict(row._asdict(), table=_printable(row.table), chain=_printable(row.chain))
        if not row.is_own:
            key = (row.family, row.table, row.chain, row.handle if row.kind == "rule" else None)
            if key not in self._texts:
                self._texts[key] = rule_text(*key)
            found = self._texts[key]
            words["text"] = "policy " + row.verdict if row.kind == "policy" else found.text
            words["is_iptables"] = found.is_iptables
        return words


def _printable(name: Optional[str]) -> Optional[str]:
    """The kernel takes nearly any bytes as a name; what is no text would be refused where it is told."""
    return name and "".join(sign if sign.isprintable() else "?" for sign in name)


def _stop(packet: Packet) -> Optional[Row]:
    return next((row for row in packet.rows if row.verdict in _ENDS and not row.is_own), None)


def _chosen(packets: List[Packet]) -> List[int]:
    """The numbers of those that are told: of each flow the first that was stopped, and the last."""
    stopped: Dict[Tuple[Any, ...], int] = {}
    last: Dict[Tuple[Any, ...], int] = {}
    for number, packet in enumerate(packets):
        flow = packet[:6]
        last[flow] = number
        if flow not in stopped and _stop(packet) is not None:
            stopped[flow] = number
    return sorted(set(stopped.values()) | set(last.values()))
