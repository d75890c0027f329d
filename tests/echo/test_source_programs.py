"""The three clients of the note that netprobe grew from, as plain socket programs, and our server unchanged.

One connection and one message; many connections at once in one selector loop; the application protocol by a client
that knows its four header keys and nothing else.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.echo.running import Server, exactly


@pytest.fixture
def plain() -> Iterator[Server]:
    with Server("--tcp") as server:
        yield server


@pytest.fixture
def framed() -> Iterator[Server]:
    with Server("--tcp", "--framed") as server:
        yield server


def test_one_message_over_one_connection(plain: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.connect(("127.0.0.1", plain.port))
        sock.sendall(b"Hello, world")
        assert sock.recv(1024) == b"Hello, world"


@dataclass
class Conversation:
    """What one of the many connections still has to send and to receive."""

    number: int
    unsent: list[bytes]
    expected: int
    pending: bytes = b""
    received: bytearray = field(default_factory=bytearray)


@pytest.mark.parametrize("number", [2, 200])
def test_many_connections_in_one_loop(number: int, plain: Server) -> None:
    lines = [b"Message 1 from client.", b"Message 2 from client."]
    done: dict[int, bytes] = {}
    with selectors.DefaultSelector() as selector:
        for each in range(1, number + 1):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", plain.port))
            talk = Conversation(each, list(lines), sum(map(len, lines)))
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, talk)
        while selector.get_map():
            ready = selector.select(timeout=20)
            assert ready, "nothing moves"
            for key, mask in ready:
                serve_one(selector, key, mask, done)
    assert done == dict.fromkeys(range(1, number + 1), b"".join(lines))


def serve_one(selector: selectors.BaseSelector, key: selectors.SelectorKey, mask: int, done: dict[int, bytes]) -> None:
    sock, talk = key.fileobj, key.data
    assert isinstance(sock, socket.socket)
    if mask & selectors.EVENT_READ:
        talk.received += sock.recv(1024)
        if len(talk.received) >= talk.expected:
            done[talk.number] = bytes(talk.received)
            selector.unregister(sock)
            sock.close()
            return
    if mask & selectors.EVENT_WRITE:
        if not talk.pending and talk.unsent:
            talk.pending = talk.unsent.pop(0)
        if talk.pending:
            talk.pending = talk.pending[sock.send(talk.pending) :]


def frame(content: bytes, content_type: str, encoding: str) -> bytes:
    """Two bytes of length, a JSON header with the four keys, the content."""
    header = json.dumps(
        {
            "byteorder": sys.byteorder,
            "content-type": content_type,
            "content-encoding": encoding,
            "content-length": len(content),
        },
        ensure_ascii=False,
    ).encode("utf-8")
    return struct.pack(">H", len(header)) + header + content


def read_frame(sock: socket.socket) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack(">H", exactly(sock, 2))
    header = json.loads(exactly(sock, length).decode("utf-8"))
    for key in ("byteorder", "content-length", "content-type", "content-encoding"):
        assert key in header, f"missing header key {key}"
    return header, exactly(sock, header["content-length"])


QUESTIONS = [
    (json.dumps({"action": "search", "value": "morpheus"}).encode(), "text/json", "utf-8"),
    (json.dumps({"action": "search", "value": "谁"}, ensure_ascii=False).encode("gb18030"), "text/json", "gb18030"),
    (b"binary\x00\xff" * 50_000, "binary/custom-client-binary-type", "binary"),
    (b"", "binary/custom-client-binary-type", "binary"),
]


@pytest.mark.parametrize(("content", "content_type", "encoding"), QUESTIONS)
def test_the_application_protocol_by_a_client_of_four_keys(
    content: bytes, content_type: str, encoding: str, framed: Server
) -> None:
    with socket.create_connection(("127.0.0.1", framed.port), 20) as sock:
        sock.sendall(frame(content, content_type, encoding))
        header, back = read_frame(sock)
    assert back == content
    assert (header["content-type"], header["content-encoding"]) == (content_type, encoding)
    assert header["byteorder"] == sys.byteorder
    if content_type == "text/json":
        assert json.loads(back.decode(header["content-encoding"])) == json.loads(content.decode(encoding))


def test_several_messages_over_one_connection(framed: Server) -> None:
    with socket.create_connection(("127.0.0.1", framed.port), 20) as sock:
        sock.sendall(b"".join(frame(*question) for question in QUESTIONS))
        assert [read_frame(sock)[1] for _ in QUESTIONS] == [question[0] for question in QUESTIONS]


def test_the_raw_server_gives_the_protocol_back_as_bytes(plain: Server) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), 20) as sock:
        sock.sendall(frame(*QUESTIONS[0]))
        assert read_frame(sock)[1] == QUESTIONS[0][0]
