"""From questions to cells: the request sent to a vantage, the evidence made of its answer, the cell that is reported.

One builder each, for automatic and manual runs. Each kind of run had its own once, and they drifted apart: a manual run
reported a payload that came back in part as lost entirely, and a silence behind an ICMP rate limit as any silence, and
did not pass ``--patience`` on. What a manual run does not know (the facts of the other host) is an argument that it
leaves out, not another copy. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netprobe.outcome.blame import Blame
from netprobe.outcome.evidence import Evidence, Icmp
from netprobe.outcome.failures import LIMITED_PORT, Outcome
from netprobe.prober.facts import ANY_ZONE
from netprobe.reach.facts import HostFacts
from netprobe.reach.host_name import HostName
from netprobe.reach.messages import Answer, CellRequest, Replies, Request
from netprobe.reach.plan import NamedQuestion, Question
from netprobe.reach.predict import Prediction
from netprobe.reach.proof import challenge_of
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.settings import Settings
from netprobe.reach.vantages import LOCAL
from netprobe.verdicts import Verdict

__all__ = ["Cell", "build_cell", "build_evidence", "build_request", "build_resolving_request", "is_different"]

_NOTHING_KNOWN = HostFacts()


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one (bind address, destination, vantage, protocol).

    Keys up to ``rtt_ms`` are those of schema netprobe/bindtest/1; later ones are only ever added behind them.
    ``expected`` is null where no rule knows (an address that neither side has). ``bind_name`` and ``destination_name``
    are the names that led to the two addresses; the second one was resolved at the vantage, and where it has no address
    there, ``destination`` is that name, too. ``blame`` is who stopped a probe that was not to fail.
    """

    bind: str | None
    port: int | None
    protocol: str
    destination: str
    vantage: str
    expected: Verdict | None
    observed: Verdict
    because: str | None
    cause: str | None
    errno: str | None
    source: str | None
    replied_from: str | None
    rtt_ms: float | None
    differs: bool
    difference: str | None
    icmp: Icmp | None
    observed_source: str | None
    payload_bytes: int | None
    rules: tuple[str, ...]
    bind_name: str | None = None
    destination_name: str | None = None
    blame: Blame | None = None


def build_request(
    questions: Sequence[Question],
    nonce: str,
    settings: Settings,
    host: HostFacts = _NOTHING_KNOWN,
    secret: str | None = None,
    follow_up: Callable[[Replies], Request | None] | None = None,
) -> Request:
    """What one vantage is asked; ``host`` is the one under test, ``secret`` what its challenges begin with.

    ``follow_up`` makes the request that comes after it.
    """
    return Request(
        nonce=nonce,
        timeout=settings.timeout,
        patience=settings.patience,
        payload_size=settings.payload_size,
        cells=tuple(_cell_request(question, settings.source, host, secret) for question in questions),
        follow_up=follow_up,
    )


def build_resolving_request(
    names: Sequence[HostName],
    nonce: str,
    settings: Settings,
    most_cells: int,
    follow_up: Callable[[Replies], Request],
) -> Request:
    """What a vantage is asked first where destinations are named: ``follow_up`` asks for the cells, then."""
    return Request(
        nonce=nonce,
        timeout=settings.timeout,
        patience=settings.patience,
        names=tuple(name.ascii for name in names),
        cells_to_follow=most_cells,
        follow_up=follow_up,
    )


def _cell_request(question: Question, source: ScopedAddress | None, host: HostFacts, secret: str | None) -> CellRequest:
    destination = question.destination
    zone = destination.zone
    if zone is not None and question.vantage != LOCAL and question.name is None:
        zone = ANY_ZONE  # a zone is a name of this host's, unless a name there led to it: elsewhere every link is tried
    if source is not None and source.version != destination.version:
        source = None
    return CellRequest(
        id=question.id,
        protocol=question.listener.protocol,
        address=destination.text,
        port=question.listener.port,
        host=destination.text in host.texts,
        zone=zone,
        source=source.text if source else None,
        source_zone=source.zone if source else None,
        challenge=None if secret is None else challenge_of(secret, question.id),
    )


def build_evidence(
    question: Question, answer: Answer, vantage: HostFacts, host: HostFacts = _NOTHING_KNOWN
) -> Evidence:
    """What the table of failures looks at; ``host`` is the one under test."""
    destination = question.destination
    return Evidence(
        result=answer.result,
        protocol=question.listener.protocol,
        destination=destination.text,
        port=question.listener.port,
        stage=answer.stage,
        errno=answer.errno,
        error=answer.error,
        icmp=answer.icmp,
        elapsed_ms=answer.elapsed_ms,
        own=vantage.texts,
        host=host.texts,
        sample=answer.sample,
        limited=answer.limited,
        limited_by=answer.limited_by,
        payload_size=answer.payload_size or 0,
        payload_received=answer.payload_received or 0,
        broadcast=destination.text in vantage.broadcasts,
        other_zone=not vantage.has(destination.ip, destination.zone),
    )


def is_different(prediction: Prediction, outcome: Outcome) -> bool:
    """Does what was observed contradict what was expected?"""
    if prediction.verdict is None or prediction.verdict == outcome.verdict:
        return False
    # Silence behind an ICMP rate limit does not contradict a closed port of UDP. One of TCP is a reset, never limited.
    return outcome.row != LIMITED_PORT or prediction.verdict != Verdict.REFUSED


def build_cell(
    question: Question | NamedQuestion,
    prediction: Prediction,
    outcome: Outcome,
    answer: Answer | None,
    *,
    difference: str | None = None,
    source: str | None = None,
    errno: str | None = None,
    blame: Blame | None = None,
) -> Cell:
    """The record. ``source`` is what the vantage's routing table gives, for a cell whose answer has none.

    ``errno`` is that of a resolver, which is all that there is of a name without an address.
    """
    listener = question.listener
    return Cell(
        bind=str(listener.bind),
        port=listener.port or None,
        protocol=listener.protocol,
        destination=str(question.destination),
        vantage=question.vantage,
        expected=prediction.verdict,
        observed=outcome.verdict,
        because=prediction.because,
        cause=outcome.cause,
        errno=(answer.errno if answer else None) or listener.errno or errno,
        source=(answer.source if answer else None) or source,
        replied_from=answer.replied_from if answer else None,
        rtt_ms=answer.rtt_ms if answer else None,
        differs=is_different(prediction, outcome),
        difference=difference,
        icmp=outcome.icmp,
        observed_source=answer.observed if answer else None,
        payload_bytes=answer.payload_received if answer else None,
        rules=tuple(rule.id for rule in prediction.rules),
        bind_name=listener.name,
        destination_name=question.name,
        blame=blame,
    )
