"""One run: open the listeners, ask from every vantage, judge every cell, explain what differs."""

from __future__ import annotations

import queue
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from netprobe.errors import CannotRunError, NetprobeError
from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.evidence import Evidence
from netprobe.outcome.failures import Outcome, diagnose
from netprobe.prober.pacing import PATIENCE_S
from netprobe.prober.sockets import descriptors_for
from netprobe.reach.explain import Seen, changes, difference
from netprobe.reach.host import host_facts
from netprobe.reach.listen import Arrival, Listeners
from netprobe.reach.opening import listener_error, listener_errors
from netprobe.reach.plan import default_binds, questions_of
from netprobe.reach.predict import Prediction, Situation, predict
from netprobe.reach.probe import LOCAL, Lines, LocalSession, Session, ask, request_for
from netprobe.reach.records import Address, BindOptions, Cell, HostFacts, Listening, Protocol, Question
from netprobe.verdicts import Verdict

__all__ = ["Bindtest", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked for. No ``binds``: every local address and both wildcards."""

    binds: tuple[Address, ...] = ()
    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    to: tuple[Address, ...] = ()
    source: Address | None = None
    timeout: float = 2.0
    patience: float = PATIENCE_S
    payload_size: int = 0
    options: BindOptions = field(default_factory=BindOptions)
    nonce: str | None = None


class Bindtest:
    """``with Bindtest(settings) as test: for cell in test.cells(): …``; the listeners live inside the ``with``.

    ``errors`` are the listeners that were asked for and could not be opened, and the vantages that could not be used.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sequence[Session] | None = None,
        on_foreigner: Callable[[Arrival], None] | None = None,
        on_arrival: Callable[[Arrival], None] | None = None,
    ) -> None:
        self.settings = settings
        self.sessions = list(sessions) if sessions is not None else [LocalSession()]
        self.nonce = settings.nonce or secrets.token_hex(16)
        self.host = host_facts()
        self.errors: list[NetprobeError] = []
        self.listening: list[Listening] = []
        self.questions: list[Question] = []
        self.hellos: dict[str, HostFacts] = {}
        self.crashes: dict[str, str] = {}
        self._listeners = Listeners(self.nonce, on_foreigner, on_arrival)
        self._failed: dict[str, NetprobeError] = {}
        self._lines: Lines = queue.SimpleQueue()

    def __enter__(self) -> Self:
        """Open the listeners."""
        try:
            binds = self.settings.binds or default_binds(self.host)
            descriptors_for(2 * len(binds) * len(self.settings.protocols))
            self.listening = self._listeners.open(binds, self.settings.protocols, self.settings.options)
            if self.settings.binds:
                failed = [x for x in self.listening if not x.is_open]
                self.errors += listener_errors(failed, self.settings.options, self.host)
            self._listeners.start()
            names = [session.name for session in self.sessions]
            self.questions = list(questions_of(self.listening, names, self.host, self.settings.to))
        except BaseException:
            self._listeners.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listeners.close()

    @property
    def arrivals(self) -> Mapping[str, Arrival]:
        """Who proved to belong to this run, by challenge."""
        return self._listeners.arrivals

    @property
    def foreigners(self) -> Sequence[Arrival]:
        """Who came and did not."""
        return self._listeners.foreigners

    def cells(self, on_wait: Callable[[int, int], None] | None = None) -> Iterator[Cell]:
        """Every cell in the order of the plan, each as soon as it and all before it are known.

        ``on_wait`` is told several times a second how many cells are known, and how many there are.

        Ctrl-C ends the asking: what is known until then is given, the rest as ``not-tested``, and the
        ``KeyboardInterrupt`` goes on after the last cell.
        """
        answers: dict[int, Mapping[str, Any]] = {}
        ended: set[str] = set()
        position = 0
        interrupted: KeyboardInterrupt | None = None
        try:
            for name, line in ask(self._requests(), self._lines):
                if "interrupt" in line:
                    raise KeyboardInterrupt
                if on_wait is not None:
                    on_wait(position + len(answers), len(self.questions))
                self._take(name, line, answers, ended)
                while position < len(self.questions) and self._is_known(self.questions[position], answers, ended):
                    question = self.questions[position]
                    position += 1
                    yield self._cell(question, answers.pop(question.id, None))
        except KeyboardInterrupt as error:
            interrupted = error
        for question in self.questions[position:]:
            reason = "interrupted by Ctrl-C" if interrupted else None
            yield self._cell(question, answers.pop(question.id, None), reason)
        if interrupted is not None:
            raise interrupted

    def interrupt(self) -> None:
        """End :meth:`cells` as Ctrl-C would, at a point where no record is half written. For signal handlers."""
        self._lines.put(("", {"interrupt": True}))

    def _requests(self) -> list[tuple[Session, Mapping[str, Any]]]:
        """What each session is asked: only listeners that are open."""
        settings = self.settings
        source = settings.source
        return [
            (
                session,
                request_for(
                    [q for q in self.questions if q.vantage == session.name and q.listener.is_open],
                    self.nonce,
                    self.host,
                    timeout=settings.timeout,
                    patience=settings.patience,
                    payload_size=settings.payload_size,
                    source=source.text if source else None,
                    zone=source.zone if source else None,
                ),
            )
            for session in self.sessions
        ]

    def _take(self, name: str, line: Mapping[str, Any], answers: dict[int, Mapping[str, Any]], ended: set[str]) -> None:
        if "cell" in line:
            answers[line["cell"]] = line
        elif "hello" in line:
            self.hellos[name] = HostFacts.from_hello(line["hello"])
        elif "failed" in line:
            self._failed[name] = line["failed"]
            self.errors.append(line["failed"])
        elif "crash" in line:
            self.crashes[name] = str(line["crash"])
            last = str(line["crash"]).strip().rpartition("\n")[2]
            self._failed[name] = CannotRunError(name, f"the prober crashed: {last}")
            self.errors.append(self._failed[name])
        elif "end" in line:
            ended.add(name)

    @staticmethod
    def _is_known(question: Question, answers: Mapping[int, Mapping[str, Any]], ended: set[str]) -> bool:
        return question.id in answers or question.vantage in ended

    def _cell(self, question: Question, line: Mapping[str, Any] | None, reason: str | None = None) -> Cell:
        """Prediction, observation, and what is to say about the two."""
        situation = self._situation(question)
        expected = self._expect(question, situation)
        observed = self._judge(situation, question, line, reason)
        line = line or {}
        differs = expected.verdict is not None and expected.verdict != observed.verdict
        if line is not None and line.get("limited") and expected.verdict == Verdict.REFUSED:
            differs = False  # silence behind an ICMP rate limit does not contradict a closed port
        explanation = None
        if differs:
            arrival = self.arrivals.get(str(line.get("challenge")))
            came_from = f"{arrival.peer}:{arrival.peer_port}" if arrival else None
            seen = Seen(line, came_from, changes(situation, host_facts()), len(self.sessions))
            explanation = difference(situation, expected, observed, seen)
        route = (situation.vantage.routes or {}).get(str(question.destination))
        return Cell(
            bind=str(question.listener.bind),
            port=question.listener.port or None,
            protocol=question.listener.protocol,
            destination=str(question.destination),
            vantage=question.vantage,
            expected=expected.verdict,
            observed=observed.verdict,
            because=expected.because,
            cause=observed.cause,
            errno=line.get("errno") or question.listener.errno,
            source=line.get("source") or (route.source if route and question.listener.is_open else None),
            replied_from=line.get("replied_from"),
            rtt_ms=line.get("rtt_ms"),
            differs=differs,
            difference=explanation or None,
            icmp=observed.icmp,
            observed_source=line.get("observed"),
            payload_bytes=line.get("payload_received"),
            rules=expected.rules,
        )

    def _expect(self, question: Question, situation: Situation) -> Prediction:
        if question.listener.is_open and question.vantage != LOCAL and question.vantage not in self.hellos:
            return Prediction(None, "nothing is known of the vantage", ())
        return predict(situation)

    def _situation(self, question: Question) -> Situation:
        facts = self.hellos.get(question.vantage, self.host)
        same = question.vantage == LOCAL or (facts.stack is not None and facts.stack == self.host.stack)
        destination = question.destination.ip
        if same and self.host.has(destination) and not facts.has(destination):
            facts = self.host  # it vanished before it was asked: what was to be expected is how it was before
        return Situation(
            listener=question.listener,
            destination=question.destination,
            host=self.host,
            vantage=facts,
            options=self.settings.options,
            source=self.settings.source,
            listeners=self.listening,
            same_host=same,
            timeout=self.settings.timeout,
        )

    def _judge(self, at: Situation, question: Question, line: Mapping[str, Any] | None, reason: str | None) -> Outcome:
        listener = question.listener
        if not listener.is_open:
            error = listener_error(listener, self.settings.options, self.host)
            return Outcome(Verdict.NOT_BINDABLE, error.why, Verdict.NOT_BINDABLE)
        if line is None:
            failed = self._failed.get(question.vantage)
            cause = reason or (failed.why if failed else "no word from the vantage")
            return Outcome(Verdict.NOT_TESTED, cause, Verdict.NOT_TESTED)
        judgement = diagnose(
            Evidence(
                result=str(line["result"]),
                protocol=listener.protocol,
                destination=question.destination.text,
                stage=str(line["stage"]),
                errno=line.get("errno"),
                error=line.get("error"),
                icmp=QueuedError(**line["icmp"]) if line.get("icmp") else None,
                elapsed_ms=float(line.get("elapsed_ms") or 0.0),
                own=at.vantage.texts,
                host=self.host.texts,
                sample=line.get("sample"),
                limited=bool(line.get("limited")),
                payload_size=int(line.get("payload_size") or 0),
                payload_received=int(line.get("payload_received") or 0),
                broadcast=question.destination.text in at.vantage.broadcasts,
                other_zone=not at.vantage.has(question.destination.ip, question.destination.zone),
            )
        )
        if line["result"] != "proof":
            return judgement
        return self._who_answered(question, line, judgement)

    def _who_answered(self, question: Question, line: Mapping[str, Any], judgement: Outcome) -> Outcome:
        """The nonce is right: was it the right listener, and did it answer from the address that was asked?"""
        if line["listener"] != question.listener.id:
            other = next((x for x in self.listening if x.id == line["listener"]), None)
            who = f"the one on {other.bind}" if other else "an unknown one"
            return Outcome(Verdict.WRONG_RESPONDER, f"another listener of this run answered: {who}", "other-listener")
        replied_from, asked = line.get("replied_from"), question.destination
        if replied_from and not asked.is_wildcard and Address.parse(replied_from).ip != asked.ip:
            if (asked.mapped or asked.ip) == (Address.parse(replied_from).mapped or Address.parse(replied_from).ip):
                return judgement
            cause = f"answered from {replied_from}, not from {asked.text}: a connected client would see silence"
            return Outcome(judgement.verdict, cause, "answered-from-elsewhere")
        return judgement
