"""The one place that trusts a vantage: every field of every message, with all that it must not be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.rung import Came, Rung
from netprobe.outcome.trace import TracedPacket, TraceRow
from netprobe.prober import engine
from netprobe.prober.ladder import LADDER_S
from netprobe.prober.pacing import PATIENCE_S
from netprobe.reach.facts import HostAddress, Link, RouteLookup
from netprobe.reach.listener import Protocol
from netprobe.reach.messages import (
    Answer,
    CellRequest,
    Crash,
    Done,
    Heartbeat,
    Hello,
    Ladder,
    LadderRequest,
    Looked,
    MalformedMessageError,
    Request,
    Resolved,
    ToldPacket,
    TraceMark,
    Tracing,
    parse_message,
)
from netprobe.reach.scoped_address import ScopedAddress

ICMP: dict[str, Any] = {
    "origin": "icmp6", "type": 1, "code": 4, "offender": "2001:db8::1", "errno": "ECONNREFUSED", "number": 111,
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "cell": 7, "result": "proof", "stage": "payload", "errno": "EMSGSIZE", "error": "Message too long", "icmp": ICMP,
    "elapsed_ms": 1.5, "attempts": 1, "challenge": "0123456789abcdef", "source": "fe80::1%eth0", "source_port": 40000,
    "replied_from": "192.0.2.1", "connect_ms": 0.5, "rtt_ms": 0, "listener": "t0@0.0.0.0", "observed": "192.0.2.9",
    "observed_port": 65535, "local": "192.0.2.1", "payload_size": 60000, "payload_sent": 60000,
    "payload_received": 1200, "sample": "SSH-2.0\r\n\xff", "limited": True, "limited_by": "2001:db8::1",
    "receipt": "fedcba9876543210",
}  # fmt: skip
LINK: dict[str, Any] = {"name": "eth0", "index": 2, "up": True, "loopback": False}
ADDRESS: dict[str, Any] = {"address": "fe80::1", "prefix": 64, "index": 2, "scope": 253}
ROUTE: dict[str, Any] = {"destination": "fe80::2", "zone": "eth0", "source": "fe80::1", "errno": None}
HELLO: dict[str, Any] = {
    "version": 1, "os": "Linux", "release": "6.12", "python": "3.6.15", "host": "web1", "stack": "boot net:[1]",
    "links": [LINK], "addresses": [ADDRESS], "routes": [ROUTE], "ipv6": True, "error_queue": True,
    "unusable": [],
}  # fmt: skip


def test_an_answer_is_read_whole() -> None:
    answer = parse_message(ANSWER)
    assert isinstance(answer, Answer)
    expected = {("id" if key == "cell" else key): value for key, value in ANSWER.items()}
    expected["icmp"] = QueuedError("icmp6", 1, 4, "2001:db8::1", "ECONNREFUSED", 111)
    assert {name: getattr(answer, name) for name in Answer.__slots__} == expected


def test_a_hello_becomes_the_facts_of_its_host() -> None:
    hello = parse_message({"hello": HELLO})
    assert isinstance(hello, Hello)
    facts = hello.facts
    assert (facts.system, facts.release, facts.python, facts.host) == ("linux", "6.12", "3.6.15", "web1")
    assert (facts.stack, facts.ipv6, hello.error_queue) == ("boot net:[1]", True, True)
    assert facts.links == (Link("eth0", 2, True, False),)
    assert facts.addresses == (HostAddress(ScopedAddress.parse("fe80::1%eth0"), 64, "eth0"),)
    assert facts.routes == {"fe80::2%eth0": RouteLookup("fe80::1", None)}


def test_addresses_that_no_socket_can_use_stand_apart() -> None:
    held = {"address": "2001:db8::1", "prefix": 64, "index": 2, "state": "dadfailed"}
    message = parse_message({"hello": {**HELLO, "unusable": [held]}})
    assert isinstance(message, Hello)
    (entry,) = message.facts.unusable
    assert (str(entry.address), entry.interface, entry.state) == ("2001:db8::1", "eth0", "dadfailed")
    assert not message.facts.has("2001:db8::1")


def test_what_a_resolver_says_is_its_addresses_or_its_error_or_nothing_in_time() -> None:
    addresses = (ScopedAddress.parse("::1"), ScopedAddress.parse("fe80::1%eth0"))
    assert parse_message(NAMED) == Resolved("web.internal", addresses)
    nothing: dict[str, Any] = {"name": "a", "addresses": []}
    assert parse_message({**nothing, "error": "EAI_NONAME"}) == Resolved("a", error="EAI_NONAME")
    assert parse_message({**nothing, "late": True}) == Resolved("a")
    assert parse_message({"name": "a", "addresses": MANY[:16], "left_out": 3}) == Resolved(
        "a", tuple(map(ScopedAddress.parse, MANY[:16])), 3
    )


def test_a_request_for_names_has_them_and_the_time_for_them() -> None:
    request = Request("n", 2.0, names=("a", "b"), resolve=3.0, cells_to_follow=7)
    asked = request.to_json()
    assert (asked["names"], asked["resolve"], asked["cells"]) == (["a", "b"], 3.0, [])
    assert (request.longest_s, request.most_cells) == (3.0, 7)


def test_the_short_messages() -> None:
    assert parse_message({"alive": True}) == Heartbeat()
    assert parse_message({"done": True}) == Done()
    assert parse_message({"crash": "Traceback:\n  …\nTypeError: no\n"}) == Crash("Traceback:\n  …\nTypeError: no\n")
    assert Crash("Traceback:\n  …\nTypeError: no\n").summary == "TypeError: no"


def test_what_a_vantage_tells_of_a_trace() -> None:
    assert parse_message({"tracing": {"why_not": None, "remarks": ["a"]}}) == Tracing(None, ("a",))
    assert parse_message({"tracing": {"why_not": "needs root"}}) == Tracing("needs root")
    assert parse_message({"looked": {"incomplete": True}}) == Looked(True)
    row = TraceRow("inet", "filter", "input", "rule", "drop", 14, "input", False, "tcp dport 80 drop")
    ends = (("10.0.0.2", 40000),), (("10.0.0.1", 80), ("172.17.0.2", 8080))
    flow = ("question", "tcp", "10.0.0.2", 40000, "10.0.0.1", 80)
    assert parse_message({"packet": PACKET}) == ToldPacket(3, TracedPacket(*flow, "eth0", None, (row,), *ends))


def test_a_request_of_a_trace_has_its_marks() -> None:
    marks = (TraceMark("tcp", "10.0.0.1", 80), TraceMark("udp", None, 53))
    asked = Request("", 3.0, stays=100.0, trace=marks).for_a_far_prober().to_json()
    assert asked["trace"] == [["tcp", "10.0.0.1", 80], ["udp", None, 53]]
    assert asked["life"] > 100
    assert "look" not in asked
    assert Request("", 3.0, look=True).to_json()["look"] is True


def test_this_hosts_own_prober_says_what_is_read() -> None:
    said: list[dict[str, Any]] = []
    request = Request("n", 0.2, (CellRequest(0, "tcp", "127.0.0.1", 9), CellRequest(1, "udp", "::1", 9)), patience=0.0)
    engine.run(request.to_json(), said.append)
    messages = [parse_message(json.loads(json.dumps(line))) for line in said]
    assert [type(message) for message in messages] == [Hello, Answer, Answer, Done]


Values = tuple[object, ...]

TEXT: Values = (5, None, True, [], {}, "line\nfeed", "\x1b[31m", "\u202egnp", "\ud800", "x" * 501)
NAME: Values = (5, None, True, [], {}, "x" * 65)  # a kernel's: it may have anything in it
ADDRESSES: Values = (
    5,
    True,
    [],
    "",
    "x",
    "1.2.3",
    "1.2.3.4/8",
    "1.2.3.4\n",
    "１.2.3.4",
    "::1%",
    "::1%a b",
    "1.2.3.4%eth0",
    "-",
)
NUMBER: Values = ("1", None, True, [], {}, -1, 2**31, 1.0, 10**400)
TIME: Values = ("1", True, [], {}, -0.1, float("nan"), float("inf"), 10**400)
FLAG: Values = (0, 1, None, "true", [], {})
WORD: Values = (5, None, True, [], "", "PROOF", "other", "proof ")
PORT: Values = ("80", True, 1.0, [], -1, 65536)
ERRNO: Values = (
    5, True, [], "", "ECONN REFUSED", "econnrefused", "E" * 33, "ECONNREFUSED\n", "E\u0410", "PWNED", "9" * 11,
)  # fmt: skip
OCTET: Values = ("3", None, True, 3.0, -1, 256)


def but_null(values: Values) -> Values:
    """For a field that may be null."""
    return tuple(value for value in values if value is not None)


WRONG_IN_AN_ANSWER: dict[str, Values] = {
    "cell": NUMBER,
    "result": WORD,
    "stage": WORD,
    "errno": ERRNO,
    "error": but_null(TEXT),
    "icmp": (5, True, [], "icmp", {}),
    "elapsed_ms": (None, *TIME),
    "attempts": NUMBER,
    "challenge": (5, True, [], "", "xyz", "AB", "a" * 65, "ab\n"),
    "source": ADDRESSES,
    "source_port": PORT,
    "replied_from": ADDRESSES,
    "connect_ms": TIME,
    "rtt_ms": TIME,
    "listener": TEXT,  # null as well: the answer is a proof
    "observed": (*ADDRESSES, "fe80::1%eth0"),
    "observed_port": PORT,
    "local": tuple(value for value in ADDRESSES if value != "-"),
    "payload_size": (*but_null(NUMBER), (64 << 20) + 1),
    "payload_sent": but_null(NUMBER),
    "payload_received": but_null(NUMBER),
    "sample": (5, True, [], "\u0100", "x" * 61),
    "limited": FLAG,
    "limited_by": ADDRESSES,
    "receipt": (5, True, [], "", "xyz", "a" * 65),
}
WRONG_IN_AN_ICMP_ERROR: dict[str, Values] = {
    "origin": (5, None, [], "", "ICMP", "icmp4", "1000"),
    "type": OCTET,
    "code": OCTET,
    "offender": ADDRESSES,
    "errno": (None, *ERRNO),
    "number": NUMBER,
}
WRONG_IN_A_HELLO: dict[str, Values] = {
    "version": (0, 2, True, "1", 1.0, None, []),
    "os": TEXT,
    "release": TEXT,
    "python": TEXT,
    "host": TEXT,
    "stack": but_null(TEXT),
    "links": (5, None, True, {}, "x", [5], [None], [[]], [{}]),
    "addresses": (5, None, True, {}, "x", [5], [None], [[]], [{}]),
    "routes": (5, None, True, {}, "x", [5], [None], [[]], [{}]),
    "ipv6": FLAG,
    "error_queue": FLAG,
    "unusable": (5, None, True, {}, "x", [5], [None], [[]], [{}], [{"address": "fe80::1%eth0"}]),
}
WRONG_IN_A_LINK: dict[str, Values] = {"name": NAME, "index": NUMBER, "up": FLAG, "loopback": FLAG}
WRONG_IN_AN_ADDRESS: dict[str, Values] = {
    "address": (None, *ADDRESSES, "fe80::1%eth0"),
    "prefix": ("64", True, 64.0, -1, 129),
    "index": but_null(NUMBER),
    "state": (5, True, [], "", "DADFAILED", "permanent", "x" * 100),
}
WRONG_IN_A_ROUTE: dict[str, Values] = {
    "destination": (None, *ADDRESSES, "fe80::1%eth0"),
    "zone": but_null(NAME),
    "source": (*ADDRESSES, "fe80::1%eth0"),
    "errno": ERRNO,
}


ROW: dict[str, Any] = {
    "family": "inet", "table": "filter", "chain": "input", "kind": "rule", "verdict": "drop", "handle": 14,
    "hook": "input", "is_own": False, "text": "tcp dport 80 drop", "is_iptables": False,
}  # fmt: skip
PACKET: dict[str, Any] = {
    "number": 3, "direction": "question", "protocol": "tcp", "source": "10.0.0.2", "source_port": 40000,
    "destination": "10.0.0.1", "destination_port": 80, "incoming": "eth0", "outgoing": None, "rows": [ROW],
    "sources": [["10.0.0.2", 40000]], "destinations": [["10.0.0.1", 80], ["172.17.0.2", 8080]],
}  # fmt: skip
LINE: Values = (5, True, [], {}, "line\nfeed", "\x1b[31m", "\u202egnp", "\ud800", "x" * 401)
ENDS: Values = (5, None, True, {}, "x", [5], [[]], [["10.0.0.1"]], [["x", 1]], [["10.0.0.1", 65536]], [["::1", 1]] * 9)
WRONG_IN_A_PACKET: dict[str, Values] = {
    "number": NUMBER,
    "direction": WORD,
    "protocol": (*WORD, "icmp"),
    "source": (*ADDRESSES, None),
    "source_port": (*PORT, None),
    "destination": (*ADDRESSES, None),
    "destination_port": (*PORT, None),
    "incoming": LINE,
    "outgoing": LINE,
    "rows": (5, None, True, {}, "x", [5], [None], [[]], [{}], [ROW] * 65),
    "sources": ENDS,
    "destinations": ENDS,
}
WRONG_IN_A_ROW: dict[str, Values] = {
    "family": (*WORD, "inet6"),
    "table": (*LINE, None),
    "chain": (*LINE, None),
    "kind": (*WORD, "jump"),
    "verdict": WORD,
    "handle": ("1", True, [], {}, -1, 2**64, 1.0),
    "hook": but_null(WORD),
    "is_own": FLAG,
    "text": LINE,
    "is_iptables": FLAG,
}
NAMED: dict[str, Any] = {"name": "web.internal", "addresses": ["::1", "fe80::1%eth0"], "left_out": 0, "error": None}
MANY = [f"192.0.2.{number}" for number in range(17)]
WRONG_IN_A_NAME: dict[str, Values] = {
    "name": (5, None, True, [], {}, "line\nfeed", "\x1b[31m", "x" * 256),
    "addresses": (
        *(5, None, True, {}, "::1", [5], [None], ["x"], ["::1", "::1"], ["::1%"], ["192.0.2.1%eth0"], MANY, []),
        *(["fe80::1%a/b"], ["fe80::1%\x1b[31m"], ["fe80::1%a b"], [f"fe80::1%{'x' * 65}"]),
    ),
    "left_out": ("1", None, True, -1, 1.0, 10**9, 1),  # 1: although there is room for more
    "error": (5, True, [], "EAI_", "eai_noname", "No such name", "EAI_AGAIN"),  # the last one beside addresses
    "late": (0, None, "true", True),
}
RUNG: dict[str, Any] = {"ttl": 2, "came": "icmp", "icmp": ICMP, "rtt_ms": 0.5, "mtu": 1300}
LADDER: dict[str, Any] = {
    "number": 0, "rungs": [{**RUNG, "ttl": 1}, RUNG], "control": [RUNG], "size": 1500, "errno": "EPERM",
    "elapsed_ms": 700.5,
}  # fmt: skip
WRONG_IN_A_LADDER: dict[str, Values] = {
    "number": (*NUMBER, 20),
    "rungs": (5, None, True, {}, "x", [5], [None], [[]], [{}], [RUNG, RUNG], [RUNG] * 31),
    "control": (5, None, True, {}, "x", [5], [None], [[]], [{}], [RUNG, {**RUNG, "ttl": 1}], [RUNG] * 31),
    "size": (*but_null(NUMBER), 65536),
    "errno": ERRNO,
    "elapsed_ms": (None, *TIME),
}
WRONG_IN_A_RUNG: dict[str, Values] = {
    "ttl": (*NUMBER, 0, 31),
    "came": (*WORD, None, "ICMP", "time exceeded"),
    "icmp": (5, True, [], "icmp", {}),
    "rtt_ms": TIME,
    "mtu": ("1", True, [], {}, -1, 0, 2**32, 1.0),
}
WRONG_MESSAGES: dict[str, Values] = {
    "hello": (5, None, True, [], "x", {}),
    "ladder": (5, None, True, [], "x"),
    "crash": (5, None, True, [], "\x1b", "x" * 100_001),
    "done": (1, None, False, "true"),
    "alive": (1, None, False, "true"),
    "tracing": (5, None, True, [], {"why_not": 5}, {"why_not": "x" * 201}, {"remarks": "x"}, {"remarks": ["a\nb"]}),
    "packet": (5, None, True, [], {}),
    "looked": (5, None, True, [], {}, {"incomplete": 0}),
}
NO_MESSAGES: Values = ({}, {"hallo": 1}, [], None, 5, "x")


def hello(**fields: object) -> dict[str, Any]:
    return {"hello": {**HELLO, **fields}}


def every_wrong_message() -> list[tuple[str, object]]:
    """(what is wrong with it, the message)."""
    found: list[tuple[str, object]] = []
    for name, values in WRONG_IN_AN_ANSWER.items():
        found += [(f"answer {name}", {**ANSWER, name: value}) for value in values]
    for name, values in WRONG_IN_AN_ICMP_ERROR.items():
        found += [(f"icmp {name}", {**ANSWER, "icmp": {**ICMP, name: value}}) for value in values]
    for name, values in WRONG_IN_A_HELLO.items():
        found += [(f"hello {name}", hello(**{name: value})) for value in values]
    for name, values in WRONG_IN_A_LINK.items():
        found += [(f"link {name}", hello(links=[{**LINK, name: value}])) for value in values]
    for name, values in WRONG_IN_AN_ADDRESS.items():
        found += [(f"address {name}", hello(addresses=[{**ADDRESS, name: value}])) for value in values]
    for name, values in WRONG_IN_A_ROUTE.items():
        found += [(f"route {name}", hello(routes=[{**ROUTE, name: value}])) for value in values]
    for name, values in WRONG_IN_A_NAME.items():
        found += [(f"name {name}", {**NAMED, name: value}) for value in values]
    for name, values in WRONG_IN_A_LADDER.items():
        found += [(f"ladder {name}", {"ladder": {**LADDER, name: value}}) for value in values]
    for name, values in WRONG_IN_A_RUNG.items():
        found += [(f"rung {name}", {"ladder": {**LADDER, "rungs": [{**RUNG, name: value}]}}) for value in values]
    for name, values in WRONG_IN_AN_ICMP_ERROR.items():
        rungs = [[{**RUNG, "icmp": {**ICMP, name: value}}] for value in values]
        found += [(f"rung's icmp {name}", {"ladder": {**LADDER, "control": control}}) for control in rungs]
    found += [
        (f"missing {missing}", {"ladder": {key: LADDER[key] for key in LADDER if key != missing}})
        for missing in ("number",)
    ]
    found += [
        (f"missing {missing}", {"ladder": {**LADDER, "rungs": [{key: RUNG[key] for key in RUNG if key != missing}]}})
        for missing in ("ttl", "came")
    ]
    for name, values in WRONG_IN_A_PACKET.items():
        found += [(f"packet {name}", {"packet": {**PACKET, name: value}}) for value in values]
    for name, values in WRONG_IN_A_ROW.items():
        found += [(f"row {name}", {"packet": {**PACKET, "rows": [{**ROW, name: value}]}}) for value in values]
    found += [
        (f"missing {missing}", {key: ANSWER[key] for key in ANSWER if key != missing})
        for missing in ("result", "stage")
    ]
    for name, values in WRONG_MESSAGES.items():
        found += [(name, {name: value}) for value in values]
    found += [("message", value) for value in NO_MESSAGES]
    return found


@pytest.mark.parametrize(("what", "message"), every_wrong_message())
def test_a_field_that_is_off_is_named_and_its_value_is_not_repeated(what: str, message: object) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        parse_message(message)
    assert what.split()[-1] in str(caught.value)
    assert str(caught.value).isascii() and str(caught.value).isprintable()
    assert len(str(caught.value)) < 100


def test_every_field_of_an_answer_has_its_wrong_values() -> None:
    assert WRONG_IN_AN_ANSWER.keys() == ANSWER.keys()
    assert {name if name != "id" else "cell" for name in Answer.__slots__} == ANSWER.keys()
    assert WRONG_IN_A_HELLO.keys() == HELLO.keys()
    assert WRONG_IN_A_PACKET.keys() == PACKET.keys()
    assert WRONG_IN_A_ROW.keys() == ROW.keys()


def test_every_field_of_a_ladder_has_its_wrong_values() -> None:
    assert WRONG_IN_A_LADDER.keys() == LADDER.keys() == set(Ladder.__slots__)
    assert WRONG_IN_A_RUNG.keys() == RUNG.keys() == set(Rung.__slots__)


def test_a_ladder_is_read_whole() -> None:
    error = QueuedError("icmp6", 1, 4, "2001:db8::1", "ECONNREFUSED", 111)
    rungs = (Rung(1, Came.ICMP, error, 0.5, 1300), Rung(2, Came.ICMP, error, 0.5, 1300))
    assert parse_message({"ladder": LADDER}) == Ladder(0, rungs, rungs[1:], 1500, "EPERM", 700.5)
    nothing = {"ttl": 1, "came": "silence", "icmp": None, "rtt_ms": None, "mtu": None}
    assert parse_message({"ladder": {"number": 3, "rungs": [nothing]}}) == Ladder(3, (Rung(1, Came.SILENCE),))


def test_a_request_for_ladders_has_them_and_the_time_for_them() -> None:
    plain = LadderRequest("192.0.2.1", 80, "tcp")
    full = LadderRequest("fe80::1", 80, "udp", "eth0", "fe80::2", "eth0", 1500, 22, "udp")
    request = Request("n", 2.0, ladders=(plain, full))
    assert request.to_json()["ladders"] == [
        {"address": "192.0.2.1", "port": 80, "protocol": "tcp"},
        {"address": "fe80::1", "port": 80, "protocol": "udp", "zone": "eth0", "source": "fe80::2",
         "source_zone": "eth0", "size": 1500, "control_port": 22, "control_protocol": "udp"},
    ]  # fmt: skip
    assert request.longest_s == LADDER_S
    cells = (CellRequest(0, "tcp", "192.0.2.1", 9),)
    assert Request("n", 2.0, cells, ladders=(plain,)).longest_s == Request("n", 2.0, cells).longest_s + LADDER_S


def test_ladders_keep_within_the_icmp_budget_of_their_routers() -> None:
    plain = LadderRequest("192.0.2.1", 80, "tcp")
    with pytest.raises(ValueError, match="two ladders to one destination"):
        Request("n", 2.0, ladders=(plain, replace(plain, port=81)))
    with pytest.raises(ValueError, match="more than 20"):
        Request("n", 2.0, ladders=tuple(replace(plain, address=f"192.0.2.{number}") for number in range(21)))


@pytest.mark.parametrize(("protocol", "size"), [("tcp", 1500), ("udp", 575), ("udp", 65536)])
def test_a_large_ladder_is_one_of_datagrams(protocol: Protocol, size: int) -> None:
    with pytest.raises(ValueError, match="a size"):
        LadderRequest("192.0.2.1", 80, protocol, size=size)


def test_text_of_a_system_in_another_language_is_text() -> None:
    parse_message({**ANSWER, "error": "Connexion refusée\u00a0: 接続を拒否されました"})


def test_a_request_leaves_out_what_is_not_set() -> None:
    cell = CellRequest(3, "udp", "192.0.2.1", 80)
    assert Request("n", 2.0, (cell,)).to_json() == {
        "version": 1, "nonce": "n", "timeout": 2.0, "patience": PATIENCE_S, "payload": 0,
        "cells": [{"id": 3, "protocol": "udp", "address": "192.0.2.1", "port": 80, "host": False}],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["e\x1b[31m", "e\udcff", "\x9b31m", "\u202e", ""])
def test_a_link_whose_name_is_no_text_goes_by_its_number(name: str) -> None:
    """A kernel takes nearly any bytes: neither the vantage nor, above all, this host is unusable because of it."""
    message = parse_message(hello(links=[{**LINK, "name": name}]))
    assert isinstance(message, Hello)
    assert [link.name for link in message.facts.links] == ["2"]
    assert [str(entry.address) for entry in message.facts.addresses] == ["fe80::1%2"]


@pytest.mark.parametrize("name", ["ü0", "接続", "br-0.7"])
def test_a_link_of_another_script_keeps_its_name(name: str) -> None:
    message = parse_message(hello(links=[{**LINK, "name": name}]))
    assert isinstance(message, Hello)
    assert [link.name for link in message.facts.links] == [name]


@pytest.mark.parametrize("errno", ["ECONNREFUSED", "WSAECONNRESET", "WSANOTINITIALISED", "526"])
def test_an_errno_of_any_system_is_one(errno: str) -> None:
    parse_message({**ANSWER, "errno": errno})
    parse_message(hello(routes=[{**ROUTE, "errno": errno}]))


def test_a_message_is_of_one_kind() -> None:
    kinds: list[dict[str, Any]] = [
        {"hello": HELLO},
        ANSWER,
        {"ladder": LADDER},
        {"crash": "x"},
        {"done": True},
        {"alive": True},
    ]
    for one in kinds:
        for other in kinds:
            if one is not other:
                with pytest.raises(MalformedMessageError, match="two kinds"):
                    parse_message({**one, **other})


def test_the_summary_of_a_crash_is_short() -> None:
    assert len(Crash("Traceback:\n" + "x" * 90_000).summary) <= 300
