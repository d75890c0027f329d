"""A test between two machines without any login: one listens, a person carries one command to the other."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.endpoints import format_endpoint, parse_port
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.evidence import Evidence
from netprobe.outcome.failures import diagnose
from netprobe.prober import engine
from netprobe.reach.host import host_facts
from netprobe.reach.listen import Arrival
from netprobe.reach.probe import LOCAL
from netprobe.reach.records import Address, Cell, HostFacts, Listening, Protocol
from netprobe.verdicts import Verdict

__all__ = ["Target", "Visit", "command_for", "connect", "offers", "target_of", "visit_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect to by hand."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class Visit:
    """A line of ``--listen-only``.

    ``event``: ``listening``, ``command`` (to run on the other machine), ``arrival`` of somebody who knows the nonce,
    or ``foreigner``.
    """

    event: str
    bind: str | None
    port: int | None
    protocol: str | None
    peer: str | None
    peer_port: int | None
    local: str | None
    command: str | None


def target_of(text: str) -> Target:
    """Read ``192.0.2.1:41234``, ``[fe80::1%eth0]:41234`` or ``name:41234``."""
    host, _, digits = text.rpartition(":")
    port = parse_port(digits)
    if not host or port is None:
        raise InvalidInputError(text, "not HOST:PORT", "as in 192.0.2.1:41234 or [2001:db8::1]:41234")
    if host.startswith("[") or host.count(":") > 1 or host.replace(".", "").isdigit():
        return Target(Address.parse(host), port)
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotRunError(host, f"the name does not resolve: {error.strerror or error}") from None
    return Target(Address.parse(str(found[0][4][0])), port)


def command_for(listening: Sequence[Listening], host: HostFacts, nonce: str) -> str:
    """The exact command for the other machine: every address of this host at which it could get in."""
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
    return shlex.join([*words, "--nonce", nonce])


def offers(listening: Sequence[Listening], host: HostFacts, nonce: str) -> Iterator[Visit]:
    """What is open, and the command for the other machine."""
    open_ones = [listener for listener in listening if listener.is_open]
    for listener in open_ones:
        yield Visit("listening", str(listener.bind), listener.port, listener.protocol, None, None, None, None)
    if open_ones:
        yield Visit("command", None, None, None, None, None, None, command_for(open_ones, host, nonce))


def visit_of(arrival: Arrival, listening: Sequence[Listening]) -> Visit:
    """An arrival as a line of output."""
    listener = next(x for x in listening if x.id == arrival.listener)
    event = "arrival" if arrival.proven else "foreigner"
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


def connect(
    targets: Sequence[Target],
    protocols: Sequence[Protocol],
    nonce: str,
    *,
    timeout: float,
    payload_size: int = 0,
    source: Address | None = None,
) -> Iterator[Cell]:
    """Ask listeners of another machine's run. They are expected to be reachable: that is what the command said."""
    wanted = [(target, protocol) for target in targets for protocol in protocols]
    cells = [
        {
            "id": number,
            "protocol": protocol,
            "address": target.address.text,
            "port": target.port,
            "zone": target.address.zone,
            "source": source.text if source and source.version == target.address.version else None,
        }
        for number, (target, protocol) in enumerate(wanted)
    ]
    lines: list[dict[str, object]] = []
    request = {"nonce": nonce, "timeout": timeout, "payload": payload_size, "cells": cells}
    engine.run(request, lines.append)
    facts = host_facts()
    answers = {line["cell"]: line for line in lines if "cell" in line}
    for number, (target, protocol) in enumerate(wanted):
        yield cell_of(target, protocol, answers[number], facts)


def cell_of(target: Target, protocol: str, line: dict[str, object], facts: HostFacts) -> Cell:
    """The cell of one target: the bind address is what the listener says that it is."""
    evidence = Evidence(
        protocol=protocol,
        destination=target.address.text,
        own=facts.texts,
        broadcast=target.address.text in facts.broadcasts,
        **{  # type: ignore[arg-type]
            key: value
            for key in ("result", "stage", "errno", "error", "elapsed_ms", "sample", "payload_size")
            if (value := line.get(key)) is not None
        },
        icmp=QueuedError(**line["icmp"]) if line.get("icmp") else None,  # type: ignore[arg-type]
    )
    judged = diagnose(evidence)
    listener = str(line["listener"]) if line.get("listener") else ""
    source, observed = text_of(line, "source"), text_of(line, "observed")
    cause = judged.cause
    if observed and source and observed != source:
        cause = f"the listener sees this host as {observed}: an address translation (NAT) is in between"
    foreign = judged.verdict == Verdict.WRONG_RESPONDER
    return Cell(
        bind=listener.partition("@")[2] or None,
        port=target.port,
        protocol=protocol,
        destination=str(target.address),
        vantage=LOCAL,
        expected=Verdict.REACHABLE,
        observed=judged.verdict,
        because="the listening side offers it",
        cause=cause,
        errno=text_of(line, "errno"),
        source=source,
        replied_from=text_of(line, "replied_from"),
        rtt_ms=float(str(line["rtt_ms"])) if line.get("rtt_ms") is not None else None,
        differs=judged.verdict != Verdict.REACHABLE,
        difference="is the --nonce the one that --listen-only printed?" if foreign else None,
        icmp=judged.icmp,
        observed_source=observed,
        payload_bytes=int(str(line["payload_received"])) if "payload_received" in line else None,
        rules=(),
    )


def text_of(line: dict[str, object], key: str) -> str | None:
    """A field of the payload's line."""
    value = line.get(key)
    return None if value is None else str(value)
