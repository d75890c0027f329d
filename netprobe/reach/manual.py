"""A manual run, between two machines without any login: one listens, a person carries one command to the other.

The listening half is the responder of any run. The connecting half knows nothing of the other host but what the
command says, so it expects what the command promises: that every target can be reached.
"""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.endpoints import format_endpoint, parse_port
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.outcome.failures import FOREIGN_REPLY, diagnose
from netprobe.reach.cells import Cell, build_cell, build_evidence, build_request
from netprobe.reach.facts import HostFacts
from netprobe.reach.host import host_facts
from netprobe.reach.listener import Listener
from netprobe.reach.messages import Answer, Crash, Message
from netprobe.reach.plan import Question
from netprobe.reach.predict import Prediction
from netprobe.reach.proof import is_translated, remark
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.settings import Settings
from netprobe.reach.vantages import LOCAL
from netprobe.reach.visitors import Arrival, LeftOut
from netprobe.verdicts import Verdict

__all__ = ["NONCE_VARIABLE", "Target", "Visit", "connect", "offers", "parse_target", "visit_of", "visit_of_many"]

NONCE_VARIABLE: Final = "NETPROBE_BINDTEST_NONCE"  # what click reads --nonce from
_PROMISED = Prediction(Verdict.REACHABLE, "the listening side offers it")


@dataclass(frozen=True, slots=True)
class Target:
    """Where ``--connect`` connects to."""

    address: ScopedAddress
    port: int


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


def parse_target(text: str) -> Target:
    """Read ``192.0.2.1:41234``, ``[fe80::1%eth0]:41234`` or ``name:41234``."""
    host, _, digits = text.rpartition(":")
    port = parse_port(digits)
    if not host or port is None:
        raise InvalidInputError(text, "not HOST:PORT", "as in 192.0.2.1:41234 or [2001:db8::1]:41234")
    if host.startswith("[") or host.count(":") > 1 or host.replace(".", "").isdigit():
        return Target(ScopedAddress.parse(host), port)
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotRunError(host, f"the name does not resolve: {error.strerror or error}") from None
    except UnicodeError:
        raise InvalidInputError(text, "not a host name", "each part of a name has 1 to 63 characters") from None
    return Target(ScopedAddress.parse(str(found[0][4][0])), port)


def _command(listening: Sequence[Listener], host: HostFacts, nonce: str) -> str:
    """The exact command for the other machine: every address of this host at which it could get in.

    The nonce is in its environment. Every user of a machine can read the arguments of all processes (ps(1)), but only
    its owner a process' environment: /proc/PID/environ has mode 0400 (proc(5)).
    """
    outside = [x.address for x in host.addresses if not x.address.is_loopback and not x.address.is_link_local_6]
    words = ["netprobe", "bindtest"]
    protocols = dict.fromkeys(listener.protocol for listener in listening if listener.is_open)
    for protocol in protocols:
        words.append(f"--{protocol}")
    targets: dict[str, None] = {}
    for listener in listening:
        if not listener.is_open:
            continue
        bind = listener.bind
        if not bind.is_wildcard:
            there = [bind] if not bind.is_link_local_6 else []
        else:
            versions = {bind.version} if bind.version == 4 or listener.v6only is not False else {4, 6}
            there = [address for address in outside if address.version in versions]
        for address in there:
            targets[format_endpoint(address.text, listener.port)] = None
    for target in targets:
        words += ["--connect", target]
    return f"{NONCE_VARIABLE}={shlex.quote(nonce)} {shlex.join(words)}"


def offers(listening: Sequence[Listener], host: HostFacts, nonce: str) -> Iterator[Visit]:
    """What is open, and the command for the other machine."""
    open_ones = [listener for listener in listening if listener.is_open]
    for listener in open_ones:
        yield Visit("listening", str(listener.bind), listener.port, listener.protocol, None, None, None, None)
    if open_ones:
        yield Visit("command", None, None, None, None, None, None, _command(open_ones, host, nonce))


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
        Question(number, Listener("", target.address, protocol, target.port), target.address, LOCAL)
        for number, (target, protocol) in enumerate(wanted)
    ]
    messages: list[Message] = []
    LocalSession().run(build_request(questions, nonce, settings), messages.append)
    crash = next((message for message in messages if isinstance(message, Crash)), None)
    if crash is not None:
        raise CannotRunError(LOCAL, f"the prober crashed: {crash.summary}")
    answers = {message.id: message for message in messages if isinstance(message, Answer)}
    here = host_facts()
    for question in questions:
        yield _cell(question, answers[question.id], here)


def _cell(question: Question, answer: Answer, here: HostFacts) -> Cell:
    outcome = diagnose(build_evidence(question, answer, here))
    unusual = remark(question.destination, answer) if outcome.verdict == Verdict.REACHABLE else None
    if unusual is not None:
        outcome = replace(outcome, cause=unusual)
    elif outcome.verdict == Verdict.REACHABLE and is_translated(answer):
        cause = f"the listener sees this host as {answer.observed}: an address translation (NAT) is in between"
        outcome = replace(outcome, cause=cause)
    wrong = outcome.verdict == Verdict.WRONG_RESPONDER and outcome.row != FOREIGN_REPLY
    hint = f"is the nonce ({NONCE_VARIABLE}, --nonce) the one that --listen-only printed?" if wrong else None
    cell = build_cell(question, _PROMISED, outcome, answer, difference=hint)
    return replace(cell, bind=(answer.listener or "").partition("@")[2] or None)
