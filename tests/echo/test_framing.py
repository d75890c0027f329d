from __future__ import annotations

import codecs
import encodings.aliases
import gc
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.echo import framing
from netprobe.echo.framing import (
    Closed,
    Connection,
    Endpoint,
    Event,
    Header,
    LocalProtocolError,
    Message,
    RemoteProtocolError,
    Replies,
)
from netprobe.echo.messages import TEXT_ENCODINGS, Json, ReplyInfo, read_json, text_codec
from tests.conftest import run_process

FOUR = {"byteorder": "little", "content-type": "text/json", "content-encoding": "utf-8", "content-length": 2}


def frame(header: Any, content: bytes = b"{}") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(2, "big") + raw + content


def parsed(chunks: Iterable[bytes], max_content: int = 1000) -> tuple[list[Event], str | None]:
    """Every event of a connection that receives ``chunks`` and then its end, and the fault that ended it."""
    connection = Connection(max_content)
    events: list[Event] = []
    try:
        for chunk in [*(c for c in chunks if c), b""]:
            for event in connection.receive(chunk):
                events.append(event)  # one by one: what was parsed before a fault is not lost
    except RemoteProtocolError as error:
        return events, error.fault
    return events, None


READ = Message(Header(2, "text/json", "utf-8", "little"), b"{}")  # FOUR and its content

WHOLE: Sequence[tuple[list[Event], bytes]] = [
    ([], b""),
    ([READ], frame(FOUR)),
    ([READ], frame({**FOUR, "x-more": [1, {"a": None}]})),  # unknown keys are ignored
    ([READ] * 3, frame(FOUR) * 3),
    ([Message(Header(0, "a/b", "binary", "big"), b"")], Connection().send(Message.of_bytes(b"", "a/b"))),
]


BROKEN: Sequence[tuple[str, bytes]] = [
    ("header-empty", b"\x00\x00"),
    ("header-not-utf-8", frame(b"\xff\xfe{}")),
    ("header-not-json", frame(b"{'a': 1}")),
    ("header-not-json", frame(b"\xef\xbb\xbf{}")),
    ("header-not-json", frame(b"[" * 65535)),
    ("header-not-json", frame(b'{"content-length": ' + b"9" * 5000 + b"}")),
    ("header-not-object", frame(b"[1]")),
    ("header-key-missing", frame({k: v for k, v in FOUR.items() if k != "content-length"})),
    ("header-key-missing", frame({k: v for k, v in FOUR.items() if k != "byteorder"})),
    ("header-key-mistyped", frame({**FOUR, "content-length": "2"})),
    ("header-key-mistyped", frame({**FOUR, "content-length": True})),
    ("header-key-mistyped", frame({**FOUR, "content-length": 2.0})),
    ("header-not-json", frame(json.dumps(FOUR).replace("2", "NaN").encode())),  # RFC 8259 section 6
    ("header-not-json", frame(json.dumps(FOUR).replace("2", "1e999").encode())),
    ("header-not-json", frame(json.dumps({**FOUR, "netprobe": {}}).replace("{}", '{"x": -Infinity}').encode())),
    ("header-not-json", frame(json.dumps(FOUR)[:-1].encode() + b', "x": ' + b"[" * 700 + b"]" * 700 + b"}")),
    ("header-key-mistyped", frame({**FOUR, "content-type": None})),
    ("header-value-unknown", frame({**FOUR, "byteorder": "middle"})),
    ("header-value-too-long", frame({**FOUR, "content-type": "x" * 1025})),
    ("content-length-negative", frame({**FOUR, "content-length": -1})),
    ("content-too-long", frame({**FOUR, "content-length": 1001})),
    ("content-too-long", frame({**FOUR, "content-length": 10**4000})),
    ("truncated", frame(FOUR)[:-1]),
    ("truncated", b"\x00"),
]


@pytest.mark.parametrize(("events", "data"), WHOLE)
def test_whole_frames_are_read_however_they_are_split(events: list[Event], data: bytes) -> None:
    assert parsed([data]) == ([*events, Closed()], None)
    assert parsed(single_bytes(data)) == ([*events, Closed()], None)
    assert parsed([data, frame(FOUR)[:-1]]) == (events, "truncated")
    assert parsed([data, b"\x00\x00", data]) == (events, "header-empty")


@pytest.mark.parametrize(("fault", "data"), BROKEN)
def test_a_broken_frame_is_named_however_it_is_split(fault: str, data: bytes) -> None:
    assert fault in framing.FAULTS
    assert parsed([data]) == ([], fault)
    assert parsed([frame(FOUR) + data]) == ([READ], fault)
    if len(data) < 2000:
        assert parsed(single_bytes(data)) == ([], fault)
    if fault != "truncated":
        assert parsed([data + frame(FOUR)]) == ([], fault)


def single_bytes(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


def test_what_is_sent_is_received() -> None:
    message = Message.of_json({"naïve": "日本"}, encoding="utf-16", byteorder="little")
    (received,) = Connection().receive(Connection().send(message))
    assert isinstance(received, Message)
    assert received == message
    assert received.json() == {"naïve": "日本"}


def test_the_layout_is_that_of_the_original_description() -> None:
    sent = Connection().send(Message.of_json({"a": 1}, byteorder="little"))
    length = int.from_bytes(sent[:2], "big")
    assert list(json.loads(sent[2 : 2 + length])) == [
        "byteorder",
        "content-type",
        "content-encoding",
        "content-length",
    ]
    assert sent[2 + length :] == b'{"a": 1}'


def test_messages_before_a_broken_frame_are_not_lost_and_the_connection_stays_broken() -> None:
    connection = Connection()
    events = connection.receive(frame(FOUR) + b"\x00\x00")
    assert isinstance(next(events), Message)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="two bytes"):
            list(connection.receive(frame(FOUR)))


def test_an_error_message_can_be_read_by_a_client_that_knows_four_keys() -> None:
    _, fault = parsed([b"\x00\x00"])
    assert fault is not None
    (reply,) = Connection().receive(Connection().send(framing.error_message(RemoteProtocolError("it is empty", fault))))
    assert isinstance(reply, Message)
    assert reply.json() == {"error": {"fault": "header-empty", "why": "it is empty"}}
    assert reply.header.netprobe == reply.json()


def test_a_reply_repeats_the_message_and_adds_what_the_server_saw() -> None:
    peer, local = Endpoint("192.0.2.1", 5), Endpoint("192.0.2.2", 7)
    replies = Replies(peer, local, "netprobe 0")
    message = Message.of_bytes(b"\x00\xff", "a/b", content_encoding="binary", byteorder="little")
    for sequence in (1, 2):
        (reply,) = Connection().receive(replies.reply(message.header, message.content, 100, lambda: 200))
        assert isinstance(reply, Message)
        assert reply.content == message.content
        assert (reply.header.content_type, reply.header.byteorder) == ("a/b", "little")
        assert reply.header.netprobe == {
            "observed_peer": {"address": "192.0.2.1", "port": 5},
            "local": {"address": "192.0.2.2", "port": 7},
            "server": "netprobe 0",
            "sequence": sequence,
            "received_ns": 100,
            "transmitted_ns": 200,
        }


@pytest.mark.parametrize(
    ("extra", "info"),
    [
        ({}, ReplyInfo(None, None, None, None)),
        (
            {"observed_peer": {"address": "::1", "port": 7}, "received_ns": 1, "transmitted_ns": 2},
            ReplyInfo(Endpoint("::1", 7), 1, 2, None),
        ),
        ({"observed_peer": {"address": "/run/x"}}, ReplyInfo(Endpoint("/run/x", None), None, None, None)),
        ({"observed_peer": {"address": 1, "port": 7}, "received_ns": True}, ReplyInfo(None, None, None, None)),
        ({"observed_peer": {"address": "::1", "port": 65536}}, ReplyInfo(None, None, None, None)),
        ({"observed_peer": {"address": "::1", "port": False}}, ReplyInfo(None, None, None, None)),
        ({"error": {"why": "too long"}}, ReplyInfo(None, None, None, "too long")),
        ({"error": "too long"}, ReplyInfo(None, None, None, None)),
    ],
)
def test_what_a_reply_says_is_checked_key_by_key(extra: dict[str, Any], info: ReplyInfo) -> None:
    (reply,) = Connection().receive(frame({**FOUR, "netprobe": extra}))
    assert isinstance(reply, Message)
    assert reply.header.reply_info == info


def test_the_longest_header_that_is_accepted_can_be_answered() -> None:
    text = "\U0001f600" * 1024  # the worst escaping: 12 bytes a character
    (message,) = Connection().receive(
        frame(json.dumps({**FOUR, "content-type": text, "content-encoding": text}, ensure_ascii=False).encode())
    )
    assert isinstance(message, Message)
    endpoint = Endpoint("f" * 100, 65535)
    answer = Replies(endpoint, endpoint, "s").reply(message.header, message.content, 1 << 63, lambda: 1 << 63)
    (reply,) = Connection().receive(answer)
    assert isinstance(reply, Message)
    assert reply.header.content_type == text


def test_what_may_not_be_sent_is_refused() -> None:
    connection = Connection()
    with pytest.raises(LocalProtocolError, match="content-length"):
        connection.send(Message(Header(3), b"ab"))
    with pytest.raises(LocalProtocolError, match="byteorder"):
        Header(3, byteorder="middle")
    with pytest.raises(LocalProtocolError, match="below 0"):
        Header(-1)
    with pytest.raises(LocalProtocolError, match="65,535"):
        connection.send(Message.of_bytes(b"", netprobe={"a": "b" * 70_000}))
    with pytest.raises(LocalProtocolError, match="JSON"):
        Message.of_json({"a": cast("Json", object())})
    assert connection.send(Closed()) == b""
    with pytest.raises(LocalProtocolError, match="end"):
        connection.send(Closed())


def test_content_that_is_not_json_is_the_peers_fault() -> None:
    for encoding in ("utf-8", "no-such", "binary", "hex"):
        with pytest.raises(RemoteProtocolError):
            Message(Header(2, "text/json", encoding), b"\xff\xff").json()


def test_only_encodings_of_text_that_take_linear_time_are_decoded() -> None:
    known = {codecs.lookup(codec).name for codec in TEXT_ENCODINGS.values()}
    assert known == {
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *("ascii", "iso8859-1", "iso8859-15", "cp1252"),
    }
    others = ["punycode", "PunyCode", "idna", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined", "rot13"]
    others += ["zlib", "hex", "bz2", "base64", "uu", "quopri", "mbcs", "oem", "", "\0", "utf-8\0", "../utf_8", "binary"]
    assert [name for name in others if text_codec(name) is not None] == []
    names = {*encodings.aliases.aliases, *encodings.aliases.aliases.values()}
    for name in names:
        codec = text_codec(name)
        assert codec is None or codecs.lookup(codec).name == codecs.lookup(name).name
    for name in ("UTF-8", "utf_8", "Latin-1", "iso_8859-1", "US-ASCII", "UTF-16LE"):
        assert text_codec(name) is not None


def test_an_encoding_that_a_peer_names_is_not_looked_up() -> None:
    asked: list[str] = []
    codecs.register(search := lambda name: asked.append(name))
    try:
        with pytest.raises(RemoteProtocolError, match="not in an encoding of text"):
            Message(Header(1, "text/json", "of-the-peer"), b"1").json()
    finally:
        codecs.unregister(search)
    assert asked == []


def test_a_header_that_trickles_in_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times = 0

    def counted(text: str) -> Json:
        nonlocal times
        times += 1
        return read_json(text)

    monkeypatch.setattr(framing, "read_json", counted)
    data = frame({**FOUR, "content-length": 2, "padding": "x" * 60_000})
    connection = Connection()
    events = [event for byte in data for event in connection.receive(bytes([byte]))]
    assert (len(events), times) == (1, 1)


def test_a_number_has_a_bounded_length_whatever_the_environment_says() -> None:
    program = (
        "import sys; from netprobe.echo.messages import read_json\n"
        "assert sys.get_int_max_str_digits() == 0\n"
        "assert read_json('9' * 4300) == 10 ** 4300 - 1\n"
        "read_json('9' * 4301)\n"
    )
    ran = run_process([sys.executable, "-c", program], env={"PYTHONINTMAXSTRDIGITS": "0"})
    assert "ValueError: a number has 4,301 digits" in ran.stderr


@pytest.mark.parametrize("text", ["1" * 400 + ".0", "1e999"])
def test_what_was_wrong_is_said_without_the_peers_text(text: str) -> None:
    with pytest.raises(ValueError, match="a number exceeds the range of a double") as raised:
        read_json(text)
    assert len(str(raised.value)) < 100


def test_a_servers_reason_is_shown_to_a_length() -> None:
    (reply,) = Connection().receive(frame({**FOUR, "netprobe": {"error": {"why": "x" * 30_000}}}))
    assert isinstance(reply, Message)
    assert reply.header.reply_info is not None
    assert reply.header.reply_info.error == "x" * 200


good_frames = st.builds(
    lambda content, kind, order: Connection().send(
        Message.of_bytes(content, kind, byteorder=order, netprobe={"n": len(content)} if content else None)
    ),
    st.binary(max_size=60),
    st.text(max_size=20),
    st.sampled_from(["little", "big"]),
)
nearly = st.one_of(
    good_frames, st.binary(max_size=30), st.sampled_from([data for _, data in BROKEN if len(data) < 9999])
)


@given(st.lists(nearly, max_size=4).map(b"".join), st.data())
def test_any_split_of_any_bytes_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = parsed([stream])
    assert parsed(pieces) == whole
    assert parsed([bytes([byte]) for byte in stream[:2000]]) == parsed([stream[:2000]])


@given(st.lists(st.sampled_from(["a", "b", "a" * 300]), max_size=6), st.data())
def test_the_fast_path_gives_what_receive_gives(kinds: list[str], data: st.DataObject) -> None:
    connection, pieces = Connection(), []
    for kind in kinds:
        whole = Connection().send(Message.of_bytes(data.draw(st.binary(min_size=1, max_size=2)), kind))
        cut = data.draw(st.sampled_from([0, 1, 2, len(whole) - 1, len(whole)]))
        pieces += [piece for piece in (whole[:cut], whole[cut:]) if piece]
    events: list[Event] = []
    for piece in pieces:
        repeated = connection.repeated(memoryview(piece))
        if repeated is not None:
            events.append(Message(*repeated))
        else:
            events += connection.receive(piece)
    assert [*events, Closed()] == parsed(pieces)[0]


def test_only_a_whole_frame_with_the_same_header_takes_the_fast_path() -> None:
    first, other = frame(FOUR), frame({**FOUR, "byteorder": "big"})
    connection = Connection()

    def takes(data: bytes) -> bool:
        return connection.repeated(memoryview(data)) is not None

    assert not takes(first)  # a header that has not been parsed yet
    assert len(list(connection.receive(first))) == 1
    assert takes(first)
    assert connection.repeated(memoryview(frame(FOUR, b"[]"))) == (Header(2, "text/json", "utf-8", "little"), b"[]")
    assert not takes(other)
    assert not takes(first[:-1])
    assert not takes(first + first)
    assert not takes(first[:-2].replace(b"little", b"Little") + b"{}")  # as long, and something else
    list(connection.receive(first[:20]))
    assert not takes(first)
    list(connection.receive(first[20:-1]))
    assert not takes(first)
    list(connection.receive(first[-1:]))
    assert takes(first)
    list(connection.receive(first[:-2]))  # its content may look like a frame
    assert not takes(first)
    connection.receive(b"{}" + first)  # the events are not consumed until the end
    assert len(list(connection.receive(b""))) == 3
    assert not takes(first)


def test_a_broken_connection_stays_broken_on_the_fast_path() -> None:
    connection = Connection()
    list(connection.receive(frame(FOUR)))
    with pytest.raises(RemoteProtocolError):
        list(connection.receive(b"\0\0"))
    assert connection.repeated(memoryview(frame(FOUR))) is None


def test_the_content_limit_is_that_of_each_connection() -> None:
    long = frame({**FOUR, "content-length": 50}, b"x" * 50)
    assert parsed([long], 50)[1] is None
    assert parsed([long], 49)[1] == "content-too-long"


@pytest.mark.parametrize("more", [{}, {"netprobe": {"a": 1}}, {"x-more": "y" * 300}])
def test_each_reply_repeats_the_header_of_its_message(more: dict[str, Any]) -> None:
    replies, connection = Replies(Endpoint("a", 1), Endpoint("b", 2), "s"), Connection()
    for order in ("little", "little", "big", "little"):
        for message in connection.receive(frame({**FOUR, "byteorder": order, **more})):
            assert isinstance(message, Message)
            (reply,) = Connection().receive(replies.reply(message.header, message.content, 1, lambda: 2))
            assert isinstance(reply, Message)
            assert reply.header.byteorder == order
    assert replies.sequence == 4


@given(st.binary(max_size=200))
def test_nothing_but_its_two_errors_comes_out_of_a_header(raw: bytes) -> None:
    parsed([frame(raw)])
    parsed([raw])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FOUR, json_values)), st.binary(max_size=9))
def test_headers_of_any_values_are_read_or_named(header: dict[str, Any], content: bytes) -> None:
    events, fault = parsed([frame(header, content)])
    assert fault in framing.FAULTS or isinstance(events[0], Message)


def test_a_broken_connection_leaves_nothing_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for broken in (b"\x00\x02[]", b"\x00\x01\xff", b"\x00\x02{x", b"\x00\x00"):
            connection = Connection()
            try:
                list(connection.receive(broken))
            except RemoteProtocolError:
                pass
            else:
                raise AssertionError("it was accepted")
            del connection
        assert gc.collect() == 0  # what an exception passed through, up to 64 KiB of header, would stay until then
    finally:
        gc.enable()
