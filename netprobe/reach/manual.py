"""A manual run, between two machines without any login: one listens, a person carries one command to the other.

The listening half is the responder of any run. The connecting half knows nothing of the other host but what the
command says, so it expects what the command promises: that every target can be reached. A name is promised as a whole:
it can be reached at one of its addresses, which clients try in turn, and not at all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.endpoints import format_endpoint, parse_endpoint
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.outcome.failures import FOREIGN_REPLY, Outcome, diagnose
from netprobe.reach.cells import Cell, build_cell, build_evidence, build_request
from netprobe.reach.facts import HostFacts
from netprobe.reach.host import host_facts
from netprobe.reach.host_name import HostName, parse_host
from netprobe.reach.listener import Listener
from netprobe.reach.messages import Answer, Crash, Message, Resolved
from netprobe.reach.name_remarks import NameRemark, name_remarks
from netprobe.reach.own_resolver import resolve_here
from netprobe.reach.plan import Question
from netprobe.reach.predict import Prediction
from netprobe.reach.proof import is_translated, remark
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.settings import Settings
from netprobe.reach.vantages import LOCAL
from netprobe.reach.visitors import Arrival, LeftOut
from netprobe.verdicts import Verdict

__all__ = [
    "NONCE_VARIABLE",
    "Target",
    "Visit",
    "connect",
    "connect_remarks",
    "offer_lines",
    "offers",
    "parse_targets",
    "visit_of",
    "visit_of_many",
]

NONCE_VARIABLE: Final = "NETPROBE_BINDTEST_NONCE"  # what click reads --nonce from
_PROMISED = Prediction(Verdict.REACHABLE, "the listening side offers it")


@dataclass(frozen=True, slots=True)
class Target:
    """Where ``--connect`` connects to; ``name`` led to the address, if one did."""

    address: ScopedAddress
    port: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A line of ``--listen-only``.

    ``event``: ``listening``, ``command`` (to run on the other machine), ``arrival`` of somebody who knows the nonce,
    ``stranger`` for the first visit of an address that does not; and at the end ``more-arrivals`` and
    ``more-strangers``, which have no line of their own but a ``count``: of one ``peer``, or (None) of all others.
    """

    event: str
    bind: str | None
    port: int | None
    protocol: str | None
    peer: str | None
    peer_port: int | None
    local: str | None
    command: str | None
    count: int | None = None


def parse_targets(
    texts: Sequence[str], default_port: int | None = None, version: int | None = None
) -> tuple[Target, ...]:
    """Read ``192.0.2.1:41234``, ``[fe80::1%eth0]:41234`` or ``name:41234``: each address of a name is a target.

    ``default_port`` is for those without a port. With a ``version``, 4 or 6, a name's addresses of that family only.
    Raises InvalidInputError, and CannotRunError for a name that does not resolve here.
    """
    wanted = [_host_and_port(text, default_port) for text in texts]
    names = tuple(dict.fromkeys(host for host, _ in wanted if isinstance(host, HostName)))
    resolved = resolve_here(names, version)
    found: dict[tuple[ScopedAddress, int], Target] = {}
    for host, port in wanted:
        if isinstance(host, ScopedAddress) and version not in (None, host.version):
            raise InvalidInputError(
                str(host), f"is IPv{host.version}, and -{version} asks for IPv{version} only", "leave one of them out"
            )
        addresses = resolved[host].addresses if isinstance(host, HostName) else (host,)
        name = host.text if isinstance(host, HostName) else None
        for address in addresses:
            found.setdefault((address, port), Target(address, port, name))
    return tuple(found.values())


def _host_and_port(text: str, default_port: int | None) -> tuple[ScopedAddress | HostName, int]:
    host, port = parse_endpoint(text, default_port or 0)
    if not port:
        raise InvalidInputError(text, "not HOST:PORT", "as in 192.0.2.1:41234 or [2001:db8::1]:41234")
    return parse_host(host), port


def _targets(listening: Sequence[Listener], host: HostFacts) -> tuple[dict[str, None], dict[str, None]]:
    """Where the other machine could get in, and this host's further addresses at which it could as well.

    Of a wildcard it is one address of each family: which of a host's addresses another machine can reach is not for
    this host to know, and the longer the line, the less anybody types it. A loopback address is the other machine's own
    there, so it is a target only where nothing else is bound (a tunnel, or a second user of this host, may lead to it).
    """
    outside = [x.address for x in host.addresses if not x.address.is_loopback and not x.address.is_link_local_6]
    targets: dict[str, None] = {}
    others: dict[str, None] = {}
    beyond = [listener for listener in listening if not listener.bind.is_loopback]
    for listener in beyond or listening:
        bind = listener.bind
        if not bind.is_wildcard:
            if not bind.is_link_local_6:
                targets[format_endpoint(bind.text, listener.port)] = None
            continue
        for version in (4, 6) if bind.version == 6 and listener.v6only is False else (bind.version,):
            first, *rest = [address.text for address in outside if address.version == version] or [""]
            if first:
                targets[format_endpoint(first, listener.port)] = None
            others.update(dict.fromkeys(rest))
    return targets, others


def _command(listening: Sequence[Listener], targets: Iterable[str], nonce: str) -> str:
    """The exact command for the other machine.

    The nonce is in its environment. Every user of a machine can read the arguments of all processes (ps(1)), but only
    its owner a process' environment: /proc/PID/environ has mode 0400 (proc(5)).
    """
    words = ["netprobe", "bindtest"]
    protocols = dict.fromkeys(listener.protocol for listener in listening)
    if len(protocols) == 1:  # both is what --connect does
        words += [f"--{protocol}" for protocol in protocols]
    for target in targets:
        words += ["--connect", target]
    return f"{NONCE_VARIABLE}={shlex.quote(nonce)} {shlex.join(words)}"


def offers(listening: Sequence[Listener], host: HostFacts, nonce: str) -> Iterator[Visit]:
    """What is open, and the command for the other machine."""
    open_ones = [listener for listener in listening if listener.is_open]
    for listener in open_ones:
        yield Visit("listening", str(listener.bind), listener.port, listener.protocol, None, None, None, None)
    if open_ones:
        command = _command(open_ones, _targets(open_ones, host)[0], nonce)
        yield Visit("command", None, None, None, None, None, None, command)


def offer_lines(listening: Sequence[Listener], host: HostFacts, nonce: str, seconds: float) -> Iterator[str]:
    """The same for a person; the command stands indented on a line of its own."""
    open_ones = [listener for listener in listening if listener.is_open]
    protocols: dict[str, list[str]] = {}
    for listener in open_ones:
        protocols.setdefault(format_endpoint(str(listener.bind), listener.port), []).append(listener.protocol)
    for endpoint, names in protocols.items():
        yield f"listening on {endpoint}, {' and '.join(names)}, for {seconds:g} s"
    if not open_ones:
        return
    targets, others = _targets(open_ones, host)
    yield ""
    if not targets:
        yield "No other machine can connect to what is bound here: this host has no address but those of lo."
        return
    if all(listener.bind.is_loopback for listener in open_ones):
        yield "On this host (no other can connect):"
    else:
        yield "On the other machine:"
    yield f"  {_command(open_ones, targets, nonce)}"
    if others:
        yield f"This host's other address{'es' if len(others) > 1 else ''}: {', '.join(others)}"


def visit_of(arrival: Arrival, listening: Sequence[Listener]) -> Visit:
    """An arrival as a line of output."""
    listener = next(x for x in listening if x.id == arrival.listener)
    event = "arrival" if arrival.proven else "stranger"
    return Visit(
        event,
        str(listener.bind),
        listener.port,
        arrival.protocol,
        arrival.peer,
        arrival.peer_port,
        arrival.local,
        None,
    )


def visit_of_many(left: LeftOut) -> Visit:
    """Visits without a line of their own."""
    event = "more-arrivals" if left.proven else "more-strangers"
    return Visit(event, None, None, None, left.peer, None, None, None, left.count)


def connect(targets: Sequence[Target], nonce: str, settings: Settings) -> Iterator[Cell]:
    """Probe the listeners of a run on another machine."""
    wanted = [(target, protocol) for target in targets for protocol in settings.protocols]
    questions = [
        # Where the listener is bound is for its answer to say.
        Question(number, Listener("", target.address, protocol, target.port), target.address, LOCAL, target.name)
        for number, (target, protocol) in enumerate(wanted)
    ]
    messages: list[Message] = []
    LocalSession().run(build_request(questions, nonce, settings), messages.append)
    crash = next((message for message in messages if isinstance(message, Crash)), None)
    if crash is not None:
        raise CannotRunError(LOCAL, f"the prober crashed: {crash.summary}")
    answers = {message.id: message for message in messages if isinstance(message, Answer)}
    here = host_facts()
    outcomes = {question.id: _observe(question, answers[question.id], here) for question in questions}
    reached: dict[tuple[str, str, int], ScopedAddress] = {}
    for question in questions:
        if question.name is not None and outcomes[question.id].verdict == Verdict.REACHABLE:
            reached.setdefault(_as_named(question, question.name), question.destination)
    for question in questions:
        outcome = outcomes[question.id]
        prediction = _PROMISED
        instead = None if question.name is None else reached.get(_as_named(question, question.name))
        if instead is not None and outcome.verdict not in (Verdict.REACHABLE, Verdict.WRONG_RESPONDER):
            prediction = Prediction(None, f"{question.name} is reached at {instead}")
        yield _cell(question, answers[question.id], prediction, outcome)


def connect_remarks(targets: Sequence[Target], cells: Sequence[Cell]) -> tuple[NameRemark, ...]:
    """Which address of a name answered, where another one did not."""
    addresses: dict[str, dict[ScopedAddress, None]] = {}
    for target in targets:
        if target.name is not None:
            addresses.setdefault(target.name, {})[target.address] = None
    resolved = {LOCAL: [Resolved(name, tuple(found)) for name, found in addresses.items()]}
    return name_remarks([HostName(name, name) for name in addresses], resolved, cells, (), here="this machine")


def _as_named(question: Question, name: str) -> tuple[str, str, int]:
    """What was promised: a name's port."""
    return (name, question.listener.protocol, question.listener.port)


def _observe(question: Question, answer: Answer, here: HostFacts) -> Outcome:
    outcome = diagnose(build_evidence(question, answer, here))
    if outcome.verdict != Verdict.REACHABLE:
        return outcome
    unusual = remark(question.destination, answer)
    if unusual is None and is_translated(answer):
        unusual = f"the listener sees this machine as {answer.observed}: an address translation (NAT) is in between"
    return outcome if unusual is None else replace(outcome, cause=unusual)


def _cell(question: Question, answer: Answer, prediction: Prediction, outcome: Outcome) -> Cell:
    wrong = outcome.verdict == Verdict.WRONG_RESPONDER and outcome.row != FOREIGN_REPLY
    hint = f"is the nonce ({NONCE_VARIABLE}, --nonce) the one that --listen-only printed?" if wrong else None
    cell = build_cell(question, prediction, outcome, answer, difference=hint)
    return replace(cell, bind=(answer.listener or "").partition("@")[2] or None)
