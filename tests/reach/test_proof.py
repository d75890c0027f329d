"""``reachable`` takes both sides: what the vantage says, and what the listeners of this run have seen."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from netprobe.prober import engine, wire
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.cells import Cell
from netprobe.reach.messages import Request
from netprobe.reach.responder import Arrival, Responder
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.sessions.receiver import Emit, Receiver
from netprobe.reach.sessions.session import Session
from netprobe.reach.settings import Settings, parse_settings

Line = dict[str, Any]
SETTINGS = replace(parse_settings(["127.0.0.1", "127.0.0.2"], ["127.0.0.1"]), timeout=60.0, patience=0.0)


class Lying:
    """A vantage in this process, which really probes, and changes what came of it before it is said."""

    def __init__(self, name: str, lie: Callable[[list[Line], Request], list[Line]]) -> None:
        self.name = name
        self._lie = lie

    def run(self, request: Request, emit: Emit) -> None:
        receiver = Receiver(self.name, emit)
        receiver.expect(request)
        said: list[Line] = []
        engine.run(request.to_json(), said.append)
        receiver.feed(b"".join(json.dumps(line).encode() + b"\n" for line in self._lie(said, request)))

    def stop(self) -> None:
        """It does not take long."""


def proofs(lines: Sequence[Line]) -> Iterator[Line]:
    return (line for line in lines if line.get("result") == "proof")


def each_proof(**changes: object) -> Callable[[list[Line], Request], list[Line]]:
    def lie(lines: list[Line], request: Request) -> list[Line]:
        for line in proofs(lines):
            line.update(changes)
        return lines

    return lie


def cells(*sessions: Session, settings: Settings = SETTINGS) -> dict[str, list[Cell]]:
    """The cells of each vantage that a listener of theirs should answer."""
    with Bindtest(settings, [*sessions, LocalSession()]) as test:
        found = [cell for cell in test.cells() if cell.expected == "reachable"]
        assert test.errors == []
    by_vantage = {session.name: [x for x in found if x.vantage == session.name] for session in test.sessions}
    assert {cell.observed for cell in by_vantage["local"]} == {"reachable"}
    return by_vantage


def test_what_both_sides_tell_is_reachable() -> None:
    seen = cells(Lying("true", lambda lines, request: lines))["true"]
    assert {(cell.observed, cell.cause) for cell in seen} == {("reachable", None)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observed": "198.51.100.7"}, "saw it come from 198.51.100.7:"),
        ({"observed_port": 7}, "saw it come from 127.0.0.1:7;"),
        ({"local": "192.0.2.77"}, "the receipt for that is not shown"),
        ({"receipt": None}, "the receipt for that is not shown"),
        ({"receipt": "00" * 16}, "the receipt for that is not shown"),
        ({"listener": "t9@127.0.0.9"}, "an unknown listener"),
        ({"listener": "u1@127.0.0.1"}, "the vantage says that"),
        ({"challenge": "ab" * 32}, "no listener of this run saw that probe"),
        ({"challenge": "ab"}, "no listener of this run saw that probe"),
    ],
)
def test_what_the_listener_did_not_see_is_the_wrong_responder(changes: Line, words: str) -> None:
    for cell in cells(Lying("odd", each_proof(**changes)))["odd"]:
        if changes.get("listener") == "u1@127.0.0.1" and cell.protocol == "udp" and cell.bind == "127.0.0.1":
            continue  # that is the truth
        assert (cell.observed, cell.differs) == ("wrong-responder", True)
        assert cell.cause is not None and words in cell.cause
        assert cell.difference == "what both sides tell of a connection must agree before it counts"
        assert cell.observed_source in (None, "127.0.0.1")  # whom the listener saw, not whom the vantage names


def test_the_proofs_of_an_earlier_run_are_none() -> None:
    earlier: list[Line] = []

    def keep(lines: list[Line], request: Request) -> list[Line]:
        earlier.extend(lines)
        return lines

    cells(Lying("odd", keep))
    for cell in cells(Lying("odd", lambda lines, request: earlier))["odd"]:
        assert cell.observed == "wrong-responder"
        assert "no listener of this run saw that probe" in (cell.cause or "")


def test_the_proof_of_another_cell_is_none_of_this_one() -> None:
    """TCP's proofs are said of other cells of the same listener, UDP's of other listeners."""

    def swap(lines: list[Line], request: Request) -> list[Line]:
        found = list(proofs(lines))
        parts = [{k: line[k] for k in ("challenge", "listener", "observed", "observed_port", "local", "receipt")}
                 for line in found]  # fmt: skip
        for line, part in zip(found, [*parts[1:], parts[0]], strict=True):
            line.update(part)
        return lines

    for cell in cells(Lying("odd", swap))["odd"]:
        assert cell.observed == "wrong-responder"
        assert "it is not this cell's" in (cell.cause or "")


def test_who_repeats_what_another_vantage_says_harms_itself_alone() -> None:
    """Even though its challenge was seen at the listener, and even if it is heard first."""
    overheard: dict[int, Line] = {}  # by the place of the cell in the request, which is the same for both
    heard, repeated = threading.Event(), threading.Event()

    def be_overheard(lines: list[Line], request: Request) -> list[Line]:
        overheard.update((line["cell"] - request.cells[0].id, dict(line)) for line in proofs(lines))
        heard.set()
        repeated.wait(30)
        return lines

    class Thief(Lying):
        def run(self, request: Request, emit: Emit) -> None:
            heard.wait(30)
            super().run(request, emit)
            repeated.set()

    def repeat(lines: list[Line], request: Request) -> list[Line]:
        for line in proofs(lines):
            line.update(overheard[line["cell"] - request.cells[0].id], cell=line["cell"])
        return lines

    by_vantage = cells(Lying("victim", be_overheard), Thief("thief", repeat))
    assert {cell.observed for cell in by_vantage["victim"]} == {"reachable"}
    assert {cell.observed for cell in by_vantage["thief"]} == {"wrong-responder"}


def test_a_payload_that_was_lost_behind_a_proof_needs_the_proof() -> None:
    """``the listener answered, but …`` is said of a listener that answered."""

    def lose(lines: list[Line], request: Request) -> list[Line]:
        for line in proofs(lines):
            line.update(result="timeout", payload_received=3, receipt="ab")
        return lines

    for cell in cells(Lying("odd", lose), settings=replace(SETTINGS, payload_size=9))["odd"]:
        assert cell.observed == "wrong-responder"


def test_an_overheard_probe_that_somebody_repeats_does_not_unsay_the_first() -> None:
    """A receipt is over what was seen of one probe, so what is seen of the next takes nothing from it."""
    with Responder("secret") as responder:
        (listening,) = responder.open([ScopedAddress.parse("127.0.0.1")], ("udp",), SETTINGS.options)
        responder.start()
        known = []
        for source in ("127.0.0.1", "127.0.0.66"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind((source, 0))
                client.settimeout(10)
                client.sendto(wire.probe_line("secret", "ab", 0), ("127.0.0.1", listening.port))
                reply = wire.read_reply("secret", "ab", client.recv(2000))
                assert reply is not None
                known.append(reply)
        for reply, other in zip(known, reversed(known), strict=True):
            seen = Arrival(listening.id, "udp", reply["observed"], reply["observed_port"], reply["local"], True)
            assert responder.has_seen("ab", seen, reply["receipt"])
            assert not responder.has_seen("ab", seen, other["receipt"])
            assert not responder.has_seen("cd", seen, reply["receipt"])


@pytest.mark.parametrize(
    ("bind", "replied_from", "observed", "words"),
    [
        ("127.0.0.1", "127.0.0.9", "wrong-responder", "does not answer from there"),
        ("0.0.0.0", "203.0.113.9", "wrong-responder", "does not answer from there"),
        ("0.0.0.0", "127.0.0.9", "reachable", "a connected client would see silence"),
    ],
)
def test_an_answer_comes_from_where_the_listener_can_have_answered(
    bind: str, replied_from: str, observed: str, words: str
) -> None:
    settings = replace(parse_settings([bind], ["127.0.0.1"], tcp=False), timeout=60.0, patience=0.0)
    found = cells(Lying("odd", each_proof(replied_from=replied_from)), settings=settings)["odd"]
    (cell,) = [cell for cell in found if cell.destination == "127.0.0.1"]
    assert (cell.observed, words in (cell.cause or "")) == (observed, True)


def test_another_network_address_on_the_way_is_no_lie() -> None:
    """The prober's own address is not the one that the listener sees: both are reported, and it is reachable."""
    for cell in cells(Lying("behind-nat", each_proof(source="10.99.0.1", source_port=7)))["behind-nat"]:
        assert (cell.observed, cell.source) == ("reachable", "10.99.0.1")
        assert cell.observed_source is not None and cell.observed_source.startswith("127.")


def test_a_vantage_that_has_only_said_hello_could_not_be_used() -> None:
    """Nothing of it is believed: neither its facts, nor that there was a vantage at all (exit status 3)."""
    with Bindtest(SETTINGS, [Lying("odd", lambda lines, request: [lines[0], {"cell": True}])]) as test:
        found = list(test.cells())
    assert {(cell.observed, cell.expected) for cell in found} == {("not-tested", None)}
    assert {cell.cause for cell in found} == {
        "not what netprobe's prober says: answer: cell is not an integer from 0 to 2147483647"
    }
    assert [error.what for error in test.errors] == ["odd"]
    assert test.hellos == {}


def test_a_listener_on_an_odd_interface_has_a_name_that_can_be_said() -> None:
    with Responder("secret") as responder:
        (listening,) = responder.open([ScopedAddress.parse("fe80::1%e\x1b[31m\udcff")], ("udp",), SETTINGS.options)
    assert listening.id.isprintable()
