"""One run: open the listeners, ask from every vantage, diagnose every cell, explain what differs."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from types import TracebackType
from typing import Self

from netprobe.diagnosis.attribute import blame_for
from netprobe.diagnosis.ladder import Climbed
from netprobe.errors import CannotRunError, NetprobeError
from netprobe.outcome.blame import Blame
from netprobe.outcome.failures import Outcome, diagnose
from netprobe.prober.pacing import PATIENCE_S
from netprobe.prober.sockets import descriptors_for
from netprobe.reach.cells import (
    Cell,
    build_cell,
    build_evidence,
    build_request,
    build_resolving_request,
    is_different,
)
from netprobe.reach.explain import Context, changes, difference
from netprobe.reach.facts import HostAddress, HostFacts
from netprobe.reach.host import host_facts
from netprobe.reach.kernel_view import Failure, KernelView, is_local, may_bind_any, with_vantages
from netprobe.reach.ladders import ladders_to
from netprobe.reach.listener import Listener
from netprobe.reach.messages import (
    Answer,
    Crash,
    Hello,
    Ladder,
    LadderRequest,
    Message,
    Replies,
    Request,
    Resolved,
    TraceMark,
)
from netprobe.reach.name_remarks import NameRemark, name_details, name_remarks
from netprobe.reach.own_resolver import bind_addresses, resolver_words
from netprobe.reach.plan import NamedQuestion, Plan, Question, default_binds
from netprobe.reach.predict import Prediction, Situation, predict
from netprobe.reach.proof import UNPROVEN, Sighting, challenge_of, weigh
from netprobe.reach.responder import Responder, ResponderError, listener_error, listener_errors
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.sessions.deadline import GRACE_S, HELLO_S
from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.sessions.session import Ended, Event, Events, Failed, Interrupted, Received, Session, ask
from netprobe.reach.settings import Settings
from netprobe.reach.vantages import LOCAL
from netprobe.reach.visitors import Arrival, Visitors
from netprobe.reach.watches import Watches
from netprobe.verdicts import Verdict

__all__ = ["Bindtest"]

_HERE = "this host"
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_Path = tuple[str, ScopedAddress, str]  # from which vantage, to which address, by which protocol
FACTS_S = 0.2  # how old this host's facts may be that a difference is explained with


class Bindtest:
    """``with Bindtest(settings) as test: for cell in test.cells(): …``; the listeners live inside the ``with``.

    ``errors`` are the listeners that were asked for and could not be opened, and the vantages that could not be used.
    ``hellos`` are the facts of the vantages that could, ``crashes`` the tracebacks of those whose prober failed,
    ``resolved`` is what the resolver at each vantage made of the names among the destinations.
    ``watchers`` are sessions of their own, to those vantages whose rules are to be traced.
    """

    def __init__(
        self, settings: Settings, sessions: Sequence[Session] | None = None, watchers: Sequence[Session] = ()
    ) -> None:
        self.settings = settings
        self.sessions = list(sessions) if sessions is not None else [LocalSession()]
        self.nonce = settings.nonce or secrets.token_hex(16)
        self._secret = secrets.token_hex(16)  # of the challenges: a vantage knows its own, and no other's
        self.host = self._facts = host_facts()
        self._read_at: float | None = None  # when the facts were last read
        self.errors: list[NetprobeError] = []
        self.listening: list[Listener] = []
        self.questions: list[Question | NamedQuestion] = []
        self.hellos: dict[str, HostFacts] = {}
        self.crashes: dict[str, str] = {}
        self.resolved: dict[str, list[Resolved]] = {session.name: [] for session in self.sessions}
        self._responder = Responder(self.nonce)
        self._view = KernelView()
        self._watchers = watchers
        self._watches = Watches()
        self._answered_at: dict[int, float] = {}
        self._answers: dict[int, Answer] = {}
        self._asked_about: dict[int, bool] = {}  # by question: may a ladder follow?
        self._climbing: dict[str, tuple[LadderRequest, ...]] = {}  # by vantage; each is one thread's to write
        self._climbed: dict[tuple[str, str], Climbed] = {}  # by vantage and address
        self._failures: dict[str, NetprobeError] = {}
        self._ended: set[str] = set()
        self._heard: set[str] = set()  # the vantages that have answered
        self._proofs: set[_Path] = set()  # where a listener answered
        self._paths: dict[_Path, list[int]] = {}  # the questions that have one
        self._events: Events = queue.SimpleQueue()

    def __enter__(self) -> Self:
        """Open the listeners."""
        try:
            version = self.settings.version
            names = bind_addresses(self.settings.binds, version)
            binds = tuple(names) or default_binds(self.host, version)
            self.host = self._facts = _with_local(self.host, binds)
            descriptors_for(2 * len(binds) * len(self.settings.protocols))
            opened = self._responder.open(binds, self.settings.protocols, self.settings.options)
            self.listening = [replace(listener, name=names.get(listener.bind)) for listener in opened]
            if self.settings.binds:
                failed = [x for x in self.listening if not x.is_open]
                self.errors += listener_errors(failed, self.settings.options, self.host)
            self._responder.start()
            self._view.begin(self.listening)
            vantages = [session.name for session in self.sessions]
            self._plan = Plan(self.listening, vantages, self.host, self.settings.to, version)
            self._responder.visitors.expect(self._plan.most_cells * len(vantages))
            self._questions = {vantage: list(self._plan.questions(vantage)) for vantage in vantages}
            self.questions = list(chain.from_iterable(self._questions.values()))
            if self.settings.trace:
                self._begin_trace()
        except BaseException:
            self._watches.close()
            self._view.close()
            self._responder.close()
            raise
        return self

    def _begin_trace(self) -> None:
        """Here and at the vantages. Where it is not allowed, or a kernel cannot, there is all else."""
        lasts = self._longest_s()
        self._view.trace(self.listening, lasts)
        marks: dict[TraceMark, None] = {}
        for question in self.questions:
            if question.listener.is_open:
                marks[_mark(question)] = None
        if marks:
            self._watches.start(self._watchers, tuple(marks), lasts, self.host.stack)

    def _longest_s(self) -> float:
        """How long the whole run may take: a watching prober ends by itself then, whatever has become of this side."""
        turns = 1 + len(self.sessions) // 8
        each = max((self._request(name).longest_s for name in self._questions), default=0.0)
        return turns * (HELLO_S + GRACE_S + PATIENCE_S + 2 * each)

    def untraced(self) -> Iterator[str]:
        """Where rules are not traced although they should be, and why; what is known of it once the cells are."""
        yield from (f"{_HERE}: {why}" for why in self._view.untraced)
        yield from (f"{name}: {why}" for name, why in self._watches.untraced())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watches.close()
        self._view.close()
        self._responder.__exit__(kind, error, trace)

    def check(self) -> None:
        """Raises ResponderError once the listeners answer nobody any more. Whoever keeps them open has to ask."""
        self._responder.check()

    def take_fault(self) -> ResponderError | None:
        """What went wrong on this side with one peer, once; what nobody takes, leaving the ``with`` raises."""
        return self._responder.take_fault()

    @property
    def arrivals(self) -> Mapping[str, Arrival]:
        """Who proved to belong to this run, by challenge."""
        return self._responder.arrivals

    @property
    def visitors(self) -> Visitors:
        """The book of all who came, for whoever tells of them."""
        return self._responder.visitors

    def cells(self, on_wait: Callable[[int, int], None] | None = None) -> Iterator[Cell]:
        """Every cell in the order of the plan, each as soon as it and all before it are known.

        ``on_wait`` is called several times a second with how many cells are known, and how many there are.

        Ctrl-C ends the asking: what is known until then is given, the rest as ``not-tested``, and the
        ``KeyboardInterrupt`` is raised after the last cell. So does the end of the responder: what was not proven is
        ``not-tested``, because silence says nothing when nobody answers, and its error is raised.
        """
        position = 0
        interrupted: KeyboardInterrupt | None = None
        try:
            with closing(ask(self._requests(), self._events)) as events:
                for event in events:
                    self._view.watch()
                    self._view.follow()
                    if on_wait is not None:
                        on_wait(position + len(self._answers), len(self.questions))
                    self._take(event)
                    if self._responder.end is not None:
                        break
                    while position < len(self.questions) and self._is_known(self.questions[position]):
                        question = self.questions[position]
                        position += 1
                        yield self._cell(question)
                self._watches.release()
        except KeyboardInterrupt as error:
            interrupted = error
        ended = self._responder.end
        reason = None if ended is None else ended.why
        if interrupted is not None:
            reason = f"interrupted by {str(interrupted) or 'Ctrl-C'}"
        for question in self.questions[position:]:
            yield self._cell(question, reason)
        if interrupted is not None:
            raise interrupted
        self._responder.check()

    def name_remarks(self, cells: Sequence[Cell]) -> tuple[NameRemark, ...]:
        """What of the names among the destinations decides who is reached."""
        return name_remarks(self._plan.names, self.resolved, cells, self.listening)

    def name_details(self) -> tuple[NameRemark, ...]:
        """What each of these names stands for at each vantage."""
        return name_details(self._plan.names, self.resolved)

    def interrupt(self, how: KeyboardInterrupt) -> None:
        """End :meth:`cells` as if ``how`` were raised, where no record is half written. For signal handlers."""
        self._events.put(Interrupted(how))

    def _requests(self) -> list[tuple[Session, Request]]:
        """What each session is asked: only listeners that are open."""
        return [(session, self._request_after_the_watches(session.name)) for session in self.sessions]

    def _request(self, vantage: str) -> Request:
        """The names first, where there are some: the cells follow, with the addresses that these have there."""
        plan, settings = self._plan, self.settings

        def cells(resolved: tuple[Resolved, ...] = ()) -> Request:
            found = plan.questions(vantage, _addresses(x.of_version(plan.version) for x in resolved))
            asked = [x for x in found if isinstance(x, Question) and x.listener.is_open]

            def ladders(replies: Replies) -> Request | None:
                return self._ladders(vantage, asked, replies)

            return build_request(asked, self.nonce, settings, self.host, self._secret, ladders)

        if not plan.names:
            return cells()
        return build_resolving_request(
            plan.names, self.nonce, settings, plan.most_cells, lambda replies: cells(replies.resolved)
        )

    def _ladders(self, vantage: str, asked: Sequence[Question], replies: Replies) -> Request | None:
        """Where probes were lost that should have been answered, asked once more; None where there are none.

        It runs in the session's thread, which must not wait for the main one: that may have ended.
        """
        numbers = {answer.id: answer for answer in replies.failed}
        lost = [
            (question, answer)
            for question in asked
            if (answer := numbers.get(question.id)) is not None and self._is_lost(question, answer, replies.facts)
        ]
        ladders = ladders_to(lost, self.settings)
        self._climbing[vantage] = ladders
        return Request(self.nonce, self.settings.timeout, ladders=ladders) if ladders else None

    def _is_lost(self, question: Question, answer: Answer, vantage: HostFacts) -> bool:
        """Did a probe fail on a path with routers that should not have failed?"""
        if question.vantage == LOCAL or not (answer.is_silent or answer.is_refused):
            return False
        route = vantage.route_to(question.destination)
        if route is None or route.gateway is None:
            return False
        situation = self._situation(question, vantage)
        expected = None if situation.same_host else predict(situation).verdict
        is_dropped = answer.is_silent and question.listener.protocol == "tcp"  # a port of UDP may be silent when closed
        return expected == Verdict.REACHABLE or (is_dropped and expected == Verdict.REFUSED)

    def _request_after_the_watches(self, vantage: str) -> Request:
        """The same, not before the traces are open: meanwhile the prober starts, and says hello."""
        request = self._request(vantage)
        if not self._watches:
            return request

        def go_on(_: Replies) -> Request:  # in the session's thread
            self._watches.wait()
            return request

        most = max(len(request.cells), request.cells_to_follow)
        first = Request(self.nonce, request.timeout, patience=0.0, cells_to_follow=most, follow_up=go_on)
        return replace(first, stays=HELLO_S + GRACE_S)

    def _take(self, event: Event) -> None:
        match event:
            case Received(name, message, at):
                if isinstance(message, Answer):
                    self._answered_at[message.id] = at
                self._take_message(name, message)
            case Failed(name, error):
                self._fail(name, error)
            case Ended(name):
                self._ended.add(name)
            case Interrupted(how):
                raise how

    def _take_message(self, name: str, message: Message) -> None:
        match message:
            case Answer():
                self._answers[message.id] = message
                self._heard.add(name)
            case Ladder():
                asked = self._climbing[name][message.number]
                self._climbed[name, asked.address] = asked.climbed(message)
            case Resolved():
                self._take_resolved(name, message)
            case Hello():
                if name not in self._heard:  # a ladder's has no routes
                    self.hellos[name] = message.facts
            case Crash():
                self.crashes[name] = message.traceback
                self._fail(name, CannotRunError(name, f"the prober crashed: {message.summary}"))

    def _take_resolved(self, name: str, resolved: Resolved) -> None:
        """Plan anew what is asked there. None of these cells has been given yet: the answers come after all names."""
        known = self.resolved[name]
        resolved = resolved.of_version(self._plan.version)
        known.append(resolved)
        self._questions[name] = list(self._plan.questions(name, _addresses(known)))
        self.questions = list(chain.from_iterable(self._questions.values()))
        self._paths.clear()
        if not resolved.addresses:
            text = next(x.text for x in self._plan.names if x.ascii == resolved.name)
            what = f"{text} at {'this host' if name == LOCAL else name}"
            self.errors.append(CannotRunError(what, resolver_words(resolved), f"there: getent ahosts {resolved.name}"))

    def _fail(self, name: str, error: NetprobeError) -> None:
        """A vantage that failed before its first answer could not be used: nothing is made of its facts either."""
        if name not in self._heard:
            self.hellos.pop(name, None)
        self._failures[name] = error
        self.errors.append(error)

    def _is_known(self, question: Question | NamedQuestion) -> bool:
        if question.vantage in self._ended:
            return True
        if isinstance(question, NamedQuestion):
            return len(self.resolved[question.vantage]) == len(self._plan.names)
        # What is lost is asked about once more, which is the last that is asked there.
        return question.id in self._answers and not self._is_asked_about(question)

    def _is_asked_about(self, question: Question) -> bool:
        if question.id not in self._asked_about:
            answer, facts = self._answers[question.id], self.hellos.get(question.vantage)
            self._asked_about[question.id] = facts is not None and self._is_lost(question, answer, facts)
        return self._asked_about[question.id]

    def _cell(self, question: Question | NamedQuestion, reason: str | None = None) -> Cell:
        """Prediction, observation, and what there is to say about the two; ``reason`` is why there is no answer."""
        if isinstance(question, NamedQuestion):
            return self._unresolved_cell(question, reason)
        answer = self._answers.pop(question.id, None)
        if answer is not None and not answer.names_a_listener and (ended := self._responder.end) is not None:
            answer, reason = None, ended.why
        situation = self._situation(question)
        prediction = self._predict(question, situation)
        outcome = self._observe(situation, question, answer, reason)
        explanation, blame = None, None
        if is_different(prediction, outcome):
            blame = self._blame(question, answer, prediction, outcome, situation)
            changed = changes(situation, prediction, self._facts_now())
            context = Context(answer, changed, blame)
            explanation = difference(situation, prediction, outcome, context) or None
        if outcome.verdict == Verdict.REACHABLE:
            self._proofs.add(_path(question))
        if answer is not None and outcome.row == UNPROVEN:
            arrival = self.arrivals.get(answer.challenge or "")
            answer = replace(answer, observed=arrival.peer if arrival else None)  # which is this side's to say
        route = situation.vantage.route_to(question.destination)
        source = route.source if route and question.listener.is_open else None
        return build_cell(question, prediction, outcome, answer, difference=explanation, source=source, blame=blame)

    def _blame(
        self, question: Question, answer: Answer | None, expected: Prediction, observed: Outcome, situation: Situation
    ) -> Blame | None:
        """Who stopped a probe that should not have failed, as far as it shows from here."""
        if answer is None:
            return None
        failure = Failure(
            question=question,
            answer=answer,
            expected=expected.verdict,
            observed=observed.verdict,
            arrival=self._arrival(question, answer),
            host=self._facts_now(),
            vantage=situation.vantage,
            same_host=situation.same_host,
            timeout_s=self.settings.timeout,
            host_name=_HERE,
            answered=self._other_answered(question),
            vantages=len(self.sessions),
            vantage_name=_HERE if question.vantage == LOCAL else question.vantage,
            climbed=self._climbed.get((question.vantage, question.destination.text)),
            others=tuple(facts for name, facts in self.hellos.items() if name != question.vantage),
        )
        seen = self._view.see(failure)
        if not self._watches or observed.verdict == Verdict.REACHABLE:
            return blame_for(seen)
        looks = self._watches.look(self._answered_at.get(question.id, time.monotonic()))
        return blame_for(with_vantages(seen, failure, looks))

    def _unresolved_cell(self, question: NamedQuestion, reason: str | None) -> Cell:
        """Of a name without an address at its vantage. What would be to expect of one is not known."""
        prediction = Prediction(None, "no address of the name is known")
        outcome = self._not_asked(question, reason)
        said = next((x for x in self.resolved[question.vantage] if x.name == question.destination.ascii), None)
        if said is None or outcome.verdict != Verdict.NOT_TESTED:
            return build_cell(question, prediction, outcome, None)
        outcome = replace(outcome, cause=resolver_words(said))
        return build_cell(question, prediction, outcome, None, errno=said.error)

    def _other_answered(self, question: Question) -> str | None:
        """The other protocol, if it was answered between the same two addresses."""
        other = "udp" if question.listener.protocol == "tcp" else "tcp"
        path = (question.vantage, question.destination, other)
        if path in self._proofs:
            return other
        if not self._paths:
            for each in self.questions:
                if isinstance(each, Question):
                    self._paths.setdefault(_path(each), []).append(each.id)
        answers = (self._answers.get(number) for number in self._paths.get(path, ()))
        return other if any(x is not None and x.challenge in self.arrivals for x in answers) else None

    def _facts_now(self) -> HostFacts:
        """This host's facts; read at most five times a second, since a vantage may have every cell differ."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > FACTS_S:
            self._read_at, self._facts = now, host_facts()
        return self._facts

    def _arrival(self, question: Question, answer: Answer | None) -> Arrival | None:
        """Who came with the challenge of an answer, if it is one of the question's."""
        if answer is None or not (answer.challenge or "").startswith(challenge_of(self._secret, question.id)):
            return None
        return self.arrivals.get(answer.challenge or "")

    def _predict(self, question: Question, situation: Situation) -> Prediction:
        if question.listener.is_open and question.vantage != LOCAL and question.vantage not in self.hellos:
            return Prediction(None, "nothing is known of the vantage")
        return predict(situation)

    def _situation(self, question: Question, vantage: HostFacts | None = None) -> Situation:
        """What is known of both ends; ``vantage`` are the facts of that one, if they are not to be looked up."""
        facts = vantage or self.hellos.get(question.vantage, self.host)
        same = question.vantage == LOCAL or (facts.stack is not None and facts.stack == self.host.stack)
        destination = question.destination.ip
        if same and self.host.has(destination) and not facts.has(destination):
            facts = self.host  # it vanished before it was asked: what was to be expected is how it was before
        pair = None if same or not self._is_as_before(question) else self._ends(question, facts)
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
            back=None if pair is None else self._view.route_back(*pair),
            nonlocal_bind=may_bind_any(question.listener.bind.version),
            strict_filters=() if pair is None else self._view.strict_filters(*pair, self.host),
        )

    def _is_as_before(self, question: Question) -> bool:
        """Has the host the destination still? What its routing says now tells nothing about a time when it had it."""
        ip = question.destination.mapped or question.destination.ip
        before, now = self.host.holder(ip), self._facts_now().holder(ip)
        if before is None or now is None:
            return before is now
        links = (facts.link(before.interface) for facts in (self.host, self._facts))
        return len({link is not None and link.up for link in links}) == 1

    def _ends(self, question: Question, vantage: HostFacts) -> tuple[str, str] | None:
        """The addresses of a packet to this host, about which its routing can be asked; None where they are unknown."""
        ip = question.destination.mapped or question.destination.ip
        source = self.settings.source
        route = vantage.route_to(question.destination)
        own = source.text if source is not None else None if route is None else route.source
        if own is None or ip.is_loopback or ip.is_multicast or ip.is_link_local or not self.host.has(ip):
            return None
        return (str(ip), own.partition("%")[0]) if (":" in own) == (ip.version == 6) else None

    def _observe(self, situation: Situation, question: Question, answer: Answer | None, reason: str | None) -> Outcome:
        if answer is None or not question.listener.is_open:
            return self._not_asked(question, reason)
        outcome = diagnose(build_evidence(question, answer, situation.vantage, self.host))
        if not answer.names_a_listener:
            return outcome
        return weigh(question, answer, outcome, self.listening, self._sighting(question, answer), self.host)

    def _not_asked(self, question: Question | NamedQuestion, reason: str | None) -> Outcome:
        """Nothing came back: there is no listener, or the vantage did not say."""
        if not question.listener.is_open:
            error = listener_error(question.listener, self.settings.options, self.host)
            return Outcome(Verdict.NOT_BINDABLE, error.why, Verdict.NOT_BINDABLE)
        failure = self._failures.get(question.vantage)
        cause = reason or (failure.why if failure else "no answer from the vantage")
        return Outcome(Verdict.NOT_TESTED, cause, Verdict.NOT_TESTED)

    def _sighting(self, question: Question, answer: Answer) -> Sighting:
        """What this side knows of an answer that names a listener."""
        challenge = answer.challenge or ""
        claimed = Arrival(
            listener=answer.listener or "",
            protocol=question.listener.protocol,
            peer=answer.observed or "",
            peer_port=answer.observed_port or 0,
            local=answer.local or "",
            proven=True,
        )
        is_receipt = self._responder.has_seen(challenge, claimed, answer.receipt or "")
        return Sighting(challenge_of(self._secret, question.id), is_receipt, self.arrivals.get(challenge))


def _mark(question: Question | NamedQuestion) -> TraceMark:
    """What a vantage is to trace of it. The unspecified address is the loopback there; a name's are not known yet."""
    listener = question.listener
    if isinstance(question, NamedQuestion):
        return TraceMark(listener.protocol, None, listener.port)
    to = question.destination
    address = _LOOPBACK[to.version] if to.is_wildcard else str(to.mapped or to.ip)
    return TraceMark(listener.protocol, address, listener.port)


def _with_local(host: HostFacts, binds: Iterable[ScopedAddress]) -> HostFacts:
    """With those of ``binds`` that no interface has and that a local route covers: they are this host's (AnyIP)."""
    more = tuple(
        HostAddress(bind)
        for bind in binds
        if not (bind.is_wildcard or bind.is_group or host.has(bind.mapped or bind.ip)) and is_local(bind.text)
    )
    return replace(host, addresses=(*host.addresses, *more)) if more else host


def _path(question: Question) -> _Path:
    return (question.vantage, question.destination, question.listener.protocol)


def _addresses(resolved: Iterable[Resolved]) -> dict[str, Sequence[ScopedAddress]]:
    """The addresses of each name that has some, by what the resolver was asked for."""
    return {x.name: x.addresses for x in resolved if x.addresses}
