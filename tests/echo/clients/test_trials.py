"""A name with several addresses: each is tried in its turn, and what was passed over is told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from netprobe.cli import run
from netprobe.echo.clients import connection
from netprobe.echo.clients.peer_error import PeerError
from netprobe.echo.clients.trials import PeerAddress, Trials
from netprobe.verdicts import Verdict
from tests.echo.running import Server

FIRST = "127.0.0.3"  # nobody listens there


def peer(address: str) -> PeerAddress:
    return PeerAddress(socket.AF_INET, socket.SOCK_STREAM, 6, address, 9, (address, 9))


def failing(**verdicts: Verdict) -> Callable[[PeerAddress], str]:
    def attempt(peer: PeerAddress) -> str:
        verdict = verdicts.get(peer.address)
        if verdict is not None:
            raise PeerError(peer.address, verdict, "as the test says")
        return peer.address

    return attempt


PEERS = [peer("a"), peer("b"), peer("c")]


def test_what_was_passed_over_is_told_with_what_answered() -> None:
    trials = Trials()
    assert trials.first(PEERS, failing(a=Verdict.REFUSED, b=Verdict.NO_ANSWER)) == "c"
    assert trials.remark == "a refused, b did not answer, c answered"


def test_there_is_nothing_to_tell_where_the_first_one_answers_or_none_does() -> None:
    trials = Trials()
    assert trials.first(PEERS, failing()) == "a"
    assert trials.remark is None
    with pytest.raises(PeerError, match="c: refused"):
        trials.first(PEERS, failing(a=Verdict.REFUSED, b=Verdict.REFUSED, c=Verdict.REFUSED))
    assert trials.remark is None


def test_a_final_verdict_is_raised_at_once() -> None:
    trials = Trials()
    with pytest.raises(PeerError, match="b: no-answer"):
        trials.first(PEERS, failing(a=Verdict.REFUSED, b=Verdict.NO_ANSWER), [Verdict.NO_ANSWER])
    assert trials.remark is None


def test_the_one_that_answered_is_asked_again_without_forgetting_the_others() -> None:
    trials = Trials()
    trials.first(PEERS[:2], failing(a=Verdict.REJECTED))
    trials.first(PEERS[1:2], failing())
    assert trials.remark == "a rejected, b answered"


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name whose second address is 127.0.0.1; no resolver is asked for it."""

    def getaddrinfo(host: str, port: int, family: int = 0, kind: int = 0, *more: Any, **flags: Any) -> list[Any]:
        assert host == "two.internal"
        return [(socket.AF_INET, kind, 0, "", (address, port)) for address in (FIRST, "127.0.0.1")]

    asks = SimpleNamespace(**{**vars(socket), "getaddrinfo": getaddrinfo})
    monkeypatch.setattr(connection, "socket", asks)
    yield "two.internal"


@pytest.mark.parametrize(
    "command",
    [
        ("ping", "--count", "2", "--interval", "0"),
        ("ping", "--count", "1", "--udp"),
        ("ping", "--count", "2", "--interval", "0", "--connect-only"),
        ("ping", "--count", "2", "--interval", "0", "--framed"),
        ("send", "hello", "--to"),
        ("load", "--count", "3", "--connections", "1"),
    ],
)
def test_a_client_tells_which_address_answered_once(
    name: str, capfd: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    with Server(*(["--framed", "--tcp"] if "--framed" in command else [])) as server:
        status = run(["echo", *command, f"{name}:{server.port}"])
    told = capfd.readouterr().err.splitlines()
    assert (status, told) == (0, [f"netprobe: two.internal: {FIRST} refused, 127.0.0.1 answered"])
