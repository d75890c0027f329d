"""What the prober says of names: with resolvers of the tests' own, since no name leaves this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netprobe.prober import names
from tests.prober.asking import run

Resolver = Callable[[Callable[[str], list[str]]], None]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Let a function be the resolver: from a name to the texts of its addresses."""

    def use(answer: Callable[[str], list[str]]) -> None:
        def getaddrinfo(host: bytes, *_: object) -> list[Any]:
            assert isinstance(host, bytes)  # a str would load the codec for IDNA
            rows: list[Any] = []
            for text in answer(host.decode()):
                family = socket.AF_INET6 if ":" in text else socket.AF_INET
                sockaddr = (text, 0, 0, 7) if family == socket.AF_INET6 else (text, 0)
                rows.append((family, socket.SOCK_STREAM, 6, "", sockaddr))
            return rows

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return use


@pytest.fixture
def hanging(resolver: Resolver) -> Iterator[threading.Event]:
    """A resolver that says nothing of ``slow`` before the test is over."""
    over = threading.Event()

    def answer(name: str) -> list[str]:
        if name == "slow":
            over.wait(60)
        return ["192.0.2.1"]

    resolver(answer)
    yield over
    over.set()


def look_up(*asked: str, seconds: float = 10.0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    assert names.look_up(asked, seconds, found.append)
    return found


def test_each_address_is_there_once_in_the_resolvers_order(resolver: Resolver) -> None:
    resolver(lambda name: ["::1", "192.0.2.9", "::1", "192.0.2.1"])
    (found,) = look_up("a")
    assert found == {
        "name": "a", "addresses": ["::1", "192.0.2.9", "192.0.2.1"], "left_out": 0, "error": None, "late": False,
    }  # fmt: skip


def test_more_than_sixteen_addresses_are_counted(resolver: Resolver) -> None:
    resolver(lambda name: [f"192.0.2.{number}" for number in range(40)])
    (found,) = look_up("a")
    assert (found["addresses"], found["left_out"]) == ([f"192.0.2.{number}" for number in range(16)], 24)


@pytest.mark.parametrize(
    ("text", "told"),
    [("fe80::1%eth0", "fe80::1%eth0"), ("fe80::1%e\x1b[31m", "fe80::1%7"), ("fe80::1%a b", "fe80::1%7")],
)
def test_a_zone_that_is_no_word_goes_by_its_number(resolver: Resolver, text: str, told: str) -> None:
    resolver(lambda name: [text])
    assert look_up("a")[0]["addresses"] == [told]


@pytest.mark.parametrize("word", ["EAI_NONAME", "EAI_AGAIN", "EAI_FAIL"])
def test_what_the_resolver_says_instead_is_told_by_its_name(resolver: Resolver, word: str) -> None:
    def answer(name: str) -> list[str]:
        raise socket.gaierror(getattr(socket, word), "in any language")

    resolver(answer)
    assert [(x["error"], x["addresses"], x["late"]) for x in look_up("a")] == [(word, [], False)]


def test_an_error_of_the_system_is_told_by_its_errno(resolver: Resolver) -> None:
    def answer(name: str) -> list[str]:
        raise OSError(24, "Too many open files")

    resolver(answer)
    assert look_up("a")[0]["error"] == "EMFILE"


def test_a_resolver_that_hangs_is_late_and_the_other_names_are_told_in_their_order(hanging: threading.Event) -> None:
    found = look_up("a", "slow", "b", seconds=0.3)
    assert [(x["name"], x["late"], x["addresses"]) for x in found] == [
        ("a", False, ["192.0.2.1"]),
        ("slow", True, []),
        ("b", False, ["192.0.2.1"]),
    ]


def test_a_run_that_is_stopped_does_not_wait_for_the_resolver(hanging: threading.Event) -> None:
    found: list[dict[str, Any]] = []
    assert not names.look_up(["slow"], 60.0, found.append, lambda: True)
    assert found == []


def test_names_of_a_request_come_between_the_hello_and_the_end(resolver: Resolver) -> None:
    resolver(lambda name: ["192.0.2.1"])
    lines = run([], 1.0, names=["a", "b"], resolve=5.0)
    assert [next(iter(line)) for line in lines] == ["hello", "name", "name", "done"]
