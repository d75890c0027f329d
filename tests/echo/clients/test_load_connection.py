"""One connection of a load: its payload, and what it knows when it fails."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.echo.clients.connection import resolve
from netprobe.echo.clients.load_connection import CHUNK, PERIOD, LoadConnection, Payload
from netprobe.echo.clients.peer_error import Attempt, ExchangeError, peer_error
from tests.echo.clients.test_peer_error import closing, resetting
from tests.echo.conftest import Serve


@given(st.integers(0, 50_000), st.integers(0, 1 << 40), st.integers(1, CHUNK))
def test_a_payload_is_computable_at_any_offset(number: int, offset: int, size: int) -> None:
    payload = Payload(number)
    piece = bytes(payload.piece(offset, size))
    assert len(piece) == size
    assert payload.matches(offset, piece)
    half = size // 2
    assert piece == bytes(payload.piece(offset, half)) + bytes(payload.piece(offset + half, size - half))
    if size > 8:
        assert not payload.matches(offset + 1, piece)
        assert not Payload(number + 1 + random.Random(size).randrange(PERIOD - 2)).matches(offset, piece)


@pytest.mark.parametrize(
    ("behave", "cause"), [(closing, "closed after 192 bytes"), (resetting, "reset after 192 bytes")]
)
def test_a_connection_says_what_had_come_back(behave: object, cause: str, serve: Serve) -> None:
    port = serve(behave)  # type: ignore[arg-type]
    connection = LoadConnection(0, resolve("127.0.0.1", port)[0], 64)
    connection.sock.setblocking(True)
    with pytest.raises(ExchangeError) as ended:
        for _ in range(4):
            connection.begin(0)
            connection.send()
            while connection.in_flight:
                connection.receive()
    failure = peer_error(ended.value, Attempt("127.0.0.1", port, "answer", 1), connection.sock)
    connection.close()
    assert failure.verdict == "no-answer"
    assert cause in failure.why


def test_a_connection_knows_when_it_began(serve: Serve) -> None:
    before = time.perf_counter_ns()
    connection = LoadConnection(0, resolve("127.0.0.1", serve(closing))[0], 64)
    assert before <= connection.opened_ns <= time.perf_counter_ns()
    connection.close()
