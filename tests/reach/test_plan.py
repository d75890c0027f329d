"""Which cells are asked, and in which order."""

from __future__ import annotations

import pytest

from netprobe.errors import InvalidInputError
from netprobe.reach import plan
from netprobe.reach.facts import HostAddress, HostFacts
from netprobe.reach.listener import Listener
from netprobe.reach.plan import default_binds, destinations_of, questions_of
from netprobe.reach.scoped_address import ScopedAddress


def addresses(*texts: str) -> tuple[ScopedAddress, ...]:
    return tuple(ScopedAddress.parse(text) for text in texts)


def listener(bind: str) -> Listener:
    return Listener(bind, ScopedAddress.parse(bind), "tcp", 4000)


HOST = HostFacts(addresses=tuple(HostAddress(x) for x in addresses("127.0.0.1", "192.0.2.1", "::1", "fe80::1%e0")))


def test_by_default_every_address_and_both_wildcards_are_bound() -> None:
    assert default_binds(HOST) == addresses("127.0.0.1", "192.0.2.1", "0.0.0.0", "::1", "fe80::1%e0", "::")


def test_without_ipv6_there_is_no_ipv6_wildcard() -> None:
    host = HostFacts(addresses=(HostAddress(ScopedAddress.parse("127.0.0.1")),), ipv6=False)
    assert default_binds(host) == addresses("127.0.0.1", "0.0.0.0")


@pytest.mark.parametrize(
    ("bind", "destinations"),
    [
        ("0.0.0.0", ["127.0.0.1", "192.0.2.1", "0.0.0.0"]),
        ("192.0.2.9", ["127.0.0.1", "192.0.2.1", "192.0.2.9", "0.0.0.0"]),
        ("::1", ["::1", "fe80::1%e0", "::"]),
        ("::ffff:192.0.2.1", ["127.0.0.1", "192.0.2.1", "0.0.0.0"]),
        ("::", ["127.0.0.1", "192.0.2.1", "0.0.0.0", "::1", "fe80::1%e0", "::"]),
    ],
)
def test_a_listener_is_asked_at_every_address_of_the_families_that_it_could_serve(
    bind: str, destinations: list[str]
) -> None:
    assert [str(x) for x in destinations_of(listener(bind), HOST)] == destinations


def test_what_is_added_comes_last_and_once() -> None:
    found = destinations_of(listener("0.0.0.0"), HOST, addresses("192.0.2.1", "198.51.100.7"))
    assert [str(x) for x in found] == ["127.0.0.1", "192.0.2.1", "0.0.0.0", "198.51.100.7"]


def test_questions_are_numbered_in_the_order_of_vantage_listener_destination() -> None:
    questions = list(questions_of([listener("127.0.0.1"), listener("::1")], ["local", "web1"], HOST))
    assert [question.id for question in questions] == list(range(len(questions)))
    assert [question.vantage for question in questions] == sorted(question.vantage for question in questions)


def test_more_cells_than_anybody_could_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MOST_CELLS", 5)
    with pytest.raises(InvalidInputError, match="more than 5 cells"):
        list(questions_of([listener("::")], ["local"], HOST))
