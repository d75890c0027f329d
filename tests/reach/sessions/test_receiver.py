"""Bytes of one vantage: cut anywhere, bounded, and only messages in their order come out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from netprobe.reach.messages import (
    MOST_LINKS,
    Answer,
    CellRequest,
    Done,
    Hello,
    Ladder,
    LadderRequest,
    Message,
    Request,
    Resolved,
)
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.sessions.receiver import CELL_BYTES, HELLO_BYTES, LADDER_BYTES, NOISE_LINES, ROUTE_BYTES, Receiver
from netprobe.reach.vantage_errors import VantageError

HELLO: dict[str, Any] = {"hello": {"version": 1}}
ANSWER: dict[str, Any] = {"cell": 1, "result": "timeout", "stage": "answer"}
REQUEST = Request("n", 1.0, cells=(CellRequest(1, "tcp", "127.0.0.1", 9),))
LONGEST_LINE = HELLO_BYTES + ROUTE_BYTES


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def receive(*pieces: bytes, noise: list[str] | None = None) -> list[Message]:
    messages: list[Message] = []
    receiver = Receiver("v", messages.append, ([] if noise is None else noise).append)
    receiver.expect(REQUEST)
    for piece in pieces:
        receiver.feed(piece)
    return messages


def listing(key: str, count: int, entry: object) -> dict[str, Any]:
    """A hello that lists so many."""
    return {"hello": {"version": 1, key: [entry] * count}}


WHOLE = lines(HELLO, {"alive": True}, ANSWER, {"done": True})
MESSAGES = [Hello, Answer, Done]


@pytest.mark.parametrize("size", [1, 2, 7, len(WHOLE)])
def test_messages_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    pieces = [WHOLE[i : i + size] for i in range(0, len(WHOLE), size)]
    assert [type(message) for message in receive(*pieces)] == MESSAGES


def test_nothing_is_read_after_the_end() -> None:
    assert [type(message) for message in receive(WHOLE + b"{]\n" + WHOLE)] == MESSAGES


def test_noise_after_the_hello_is_noise_still() -> None:
    noise: list[str] = []
    receive(lines(HELLO) + b"Broadcast message from root\n\n", noise=noise)
    assert noise == ["Broadcast message from root"]


def test_endless_noise_is_counted_not_passed_on() -> None:
    noise: list[str] = []
    receive(b"motd\n" * 10 * NOISE_LINES, noise=noise)
    assert len(noise) == NOISE_LINES


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (lines(HELLO, HELLO), "hello twice"),
        (lines(HELLO, {**ANSWER, "cell": 2}), "answered a cell that was not requested"),
        (lines(HELLO, ANSWER, ANSWER), "answered a cell that was not requested"),
        (lines(HELLO, {"greeting": 1}), "unknown kind"),
        (lines(HELLO) + b"{]\n", "not valid JSON"),
        (lines(HELLO) + b'{"cell":' + b"[" * 100_000 + b"\n", "not valid JSON"),
        (lines(HELLO) + b'{"cell": 1, "cell": 1, "result": "timeout", "stage": "answer"}\n', "not valid JSON"),
        (lines({"hello": {"version": 9}}), "version is not 1"),
        (b"x" * (LONGEST_LINE + 1), "more than any prober would"),
        (b"x\n" * (LONGEST_LINE + CELL_BYTES), "more than any prober would"),
        (lines(HELLO, {"done": True}), "done before it had answered"),
        (lines(HELLO, {**ANSWER, "elapsed_ms": 60_000}), "longer than it can have taken"),
        (lines(HELLO, {**ANSWER, "errno": "ECONNREFUSED"}), "errno belongs to an error only"),
        (lines({**HELLO, "done": True}), "two kinds at once"),
        (lines(listing("addresses", MOST_LINKS + 1, {"address": "192.0.2.1"})), f"at most {MOST_LINKS}"),
        (lines(listing("links", MOST_LINKS + 1, {})), f"at most {MOST_LINKS}"),
        (lines(HELLO, {**ANSWER, "alive": True}), "two kinds at once"),
    ],
)  # fmt: skip
def test_what_is_out_of_place_ends_the_vantage(said: bytes, words: str) -> None:
    with pytest.raises(VantageError, match=words) as caught:
        receive(said, b"x" * LONGEST_LINE)
    assert caught.value.what == "v"


def test_a_further_request_makes_room_for_its_own_answers() -> None:
    messages: list[Message] = []
    receiver = Receiver("v", messages.append)
    receiver.expect(REQUEST)
    receiver.feed(WHOLE)
    receiver.take({"cell": 7})  # after the end of one request, and before the next: not read
    receiver.expect(Request("n", 1.0, cells=(CellRequest(2, "udp", "127.0.0.1", 9),)))
    receiver.feed(lines(HELLO, {**ANSWER, "cell": 2}, {"done": True}))
    assert [type(message) for message in messages] == [*MESSAGES, *MESSAGES]


def test_what_takes_long_may_take_long() -> None:
    """A process that was stopped, or a slow machine: as long as no more is said than has passed."""
    now = 0.0
    receiver = Receiver("v", lambda message: None, clock=lambda: now)
    receiver.expect(REQUEST)
    receiver.feed(lines(HELLO))
    now = 3600.0
    receiver.feed(lines({**ANSWER, "elapsed_ms": 3_600_000.0}))


def test_a_hello_has_room_for_a_route_to_every_cell() -> None:
    """A line of several megabytes is no fault of a vantage that was asked for as much."""
    cells = tuple(
        CellRequest(n, "tcp", f"2001:db8:aaaa:bbbb:cccc:dddd:{n // 4096 + 4096:x}:{n % 4096 + 4096:x}", 9)
        for n in range(40_000)
    )
    routes = [{"source": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "errno": None, "destination": cell.address,
               "zone": None} for cell in cells]  # fmt: skip
    messages: list[Message] = []
    receiver = Receiver("v", messages.append)
    receiver.expect(Request("n", 1.0, cells=cells))
    said = lines({"hello": {"version": 1, "routes": routes}})
    assert len(said) > 2 * HELLO_BYTES
    for begin in range(0, len(said), 65536):
        receiver.feed(said[begin : begin + 65536])
    assert [type(message) for message in messages] == [Hello]


def test_a_hello_may_list_what_a_node_of_a_large_cluster_has() -> None:
    text = {"address": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "prefix": 128, "index": 12345, "scope": 0}
    assert [type(message) for message in receive(lines(listing("addresses", MOST_LINKS, text)))] == [Hello]


def test_a_line_that_comes_byte_by_byte_is_not_copied_for_each() -> None:
    """Copied each time, these would be 10^11 bytes: minutes instead of a second."""
    receiver = Receiver("v", lambda message: None)
    receiver.expect(REQUEST)
    for _ in range(500_000):
        receiver.feed(b"x")


NAMES = Request("n", 1.0, names=("a", "b"), sockets=5, follow_up=lambda x: replace(REQUEST, nonce=str(x.resolved)))
A: dict[str, Any] = {"name": "a", "addresses": ["192.0.2.1"]}
B: dict[str, Any] = {"name": "b", "addresses": [], "error": "EAI_NONAME"}


def asked_for_names(*said: object) -> Receiver:
    receiver = Receiver("v", lambda message: None)
    receiver.expect(NAMES)
    receiver.feed(lines(*said))
    return receiver


def test_once_every_name_is_told_the_next_request_is_made_of_them() -> None:
    receiver = asked_for_names(HELLO, B, {"alive": True}, A, {"done": True})
    following = receiver.follow_up()
    told = (Resolved("b", error="EAI_NONAME"), Resolved("a", (ScopedAddress.parse("192.0.2.1"),)))
    assert following == replace(REQUEST, nonce=str(told), sockets=5)
    receiver.expect(following)
    receiver.feed(lines(HELLO, ANSWER, {"done": True}))
    assert receiver.has_ended
    assert receiver.follow_up() is None


@pytest.mark.parametrize("said", [(HELLO,), (HELLO, A), (HELLO, A, B), (HELLO, A, {"crash": "Traceback"})])
def test_nothing_follows_before_the_end_or_after_a_crash(said: tuple[object, ...]) -> None:
    assert asked_for_names(*said).follow_up() is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((HELLO, {**A, "name": "c"}), "resolved a name that was not requested"),
        ((HELLO, A, A), "resolved a name that was not requested"),
        ((HELLO, A, {"done": True}), "done before it had answered"),
        ((HELLO, A, B, ANSWER), "answered a cell that was not requested"),
        ((HELLO, ANSWER), "answered a cell that was not requested"),
        ((HELLO, {**A, "addresses": ["\x1b[31m"]}), "addresses is not an IP address"),
    ],
)
def test_what_is_told_of_names_that_nobody_asked_about_ends_the_vantage(said: tuple[object, ...], words: str) -> None:
    with pytest.raises(VantageError, match=words):
        asked_for_names(*said)


def test_a_vantage_that_is_asked_for_cells_resolves_no_names() -> None:
    with pytest.raises(VantageError, match="resolved a name that was not requested"):
        receive(lines(HELLO, A))


def test_a_name_before_the_hello_is_noise() -> None:
    noise: list[str] = []
    receive(lines(A), noise=noise)
    assert len(noise) == 1


LADDERS = Request("n", 1.0, ladders=(LadderRequest("192.0.2.1", 80, "tcp"), LadderRequest("192.0.2.2", 80, "udp")))
SILENT = [{"ttl": ttl, "came": "silence"} for ttl in range(1, 31)]
LADDER: dict[str, Any] = {"ladder": {"number": 0, "rungs": SILENT}}
OTHER: dict[str, Any] = {"ladder": {"number": 1, "rungs": [], "errno": "EPERM"}}


def asked_for_ladders(*said: object) -> list[Message]:
    messages: list[Message] = []
    receiver = Receiver("v", messages.append)
    receiver.expect(LADDERS)
    receiver.feed(lines(*said))
    return messages


def test_every_ladder_is_told_once() -> None:
    told = asked_for_ladders(HELLO, OTHER, {"alive": True}, LADDER, {"done": True})
    assert [type(message) for message in told] == [Hello, Ladder, Ladder, Done]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((HELLO, LADDER, LADDER), "climbed a ladder that was not requested"),
        ((HELLO, {"ladder": {**LADDER["ladder"], "number": 2}}), "climbed a ladder that was not requested"),
        ((HELLO, LADDER, {"done": True}), "done before it had answered"),
        ((HELLO, {"ladder": {"number": 0, "rungs": []}}), "neither rungs nor an errno"),
        ((HELLO, {"ladder": {**LADDER["ladder"], "control": SILENT}}), "no control was asked for"),
        ((HELLO, {"ladder": {**LADDER["ladder"], "errno": "\x1b[31m"}}), "errno is not the name"),
        ((HELLO, {"ladder": {"number": 0, "rungs": SILENT * 1000}}), "not a list of at most 30"),
        ((HELLO, ANSWER), "answered a cell that was not requested"),
    ],
)
def test_what_is_told_of_ladders_that_nobody_asked_for_ends_the_vantage(said: tuple[object, ...], words: str) -> None:
    with pytest.raises(VantageError, match=words):
        asked_for_ladders(*said)


def test_a_vantage_that_is_asked_for_cells_climbs_no_ladders() -> None:
    with pytest.raises(VantageError, match="climbed a ladder that was not requested"):
        receive(lines(HELLO, LADDER))


def test_there_is_room_for_the_largest_ladder() -> None:
    icmp = {"origin": "icmp6", "type": 3, "code": 0, "offender": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
            "errno": "EHOSTUNREACH", "number": 113}  # fmt: skip
    rungs = [{"ttl": ttl, "came": "icmp", "icmp": icmp, "rtt_ms": 1234.567, "mtu": 4294967295} for ttl in range(1, 31)]
    ladder = {"number": 0, "rungs": rungs, "control": rungs, "size": 65535, "errno": None, "elapsed_ms": 1234567.891}
    assert len(lines({"ladder": ladder})) < LADDER_BYTES
