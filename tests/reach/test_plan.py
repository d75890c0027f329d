"""Which cells are asked, and in which order."""

from __future__ import annotations

import pytest

from netprobe.errors import InvalidInputError
from netprobe.reach import plan
from netprobe.reach.facts import HostAddress, HostFacts
from netprobe.reach.host_name import HostName
from netprobe.reach.listener import Listener
from netprobe.reach.plan import NamedQuestion, Plan, Question, default_binds, destinations_of
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
    plan = Plan([listener("127.0.0.1"), listener("::1")], ["local", "web1"], HOST)
    questions = [question for vantage in plan.vantages for question in plan.questions(vantage)]
    assert [x.id for x in questions if isinstance(x, Question)] == list(range(len(questions)))
    assert [str(x.listener.bind) for x in questions[: plan.most_cells]] == ["127.0.0.1"] * 3 + ["::1"] * 3


def test_more_cells_than_anybody_could_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MOST_CELLS", 5)
    with pytest.raises(InvalidInputError, match="more than 5 cells"):
        list(Plan([listener("::")], ["local"], HOST).questions("local"))


NAME = HostName("web.internal", "web.internal")


def test_the_addresses_of_a_name_are_together_in_its_resolvers_order_and_each_has_one_cell() -> None:
    plan = Plan([listener("127.0.0.1")], ["local"], HOST, [NAME, *addresses("192.0.2.9")])
    found = list(plan.questions("local", {"web.internal": addresses("192.0.2.7", "127.0.0.1")}))
    assert [(str(x.destination), x.name) for x in found] == [
        ("192.0.2.1", None),
        ("0.0.0.0", None),
        ("192.0.2.9", None),
        ("192.0.2.7", "web.internal"),
        ("127.0.0.1", "web.internal"),
    ]


def test_a_name_without_an_address_has_one_cell_that_cannot_be_asked() -> None:
    plan = Plan([listener("127.0.0.1")], ["local"], HOST, [NAME])
    assert list(plan.questions("local"))[-1] == NamedQuestion(plan.listeners[0], NAME, "local")
    assert all(isinstance(x, Question) for x in list(plan.questions("local"))[:-1])


def test_an_address_of_two_names_has_one_cell_with_the_first_of_them() -> None:
    other = HostName("b.internal", "b.internal")
    plan = Plan([listener("127.0.0.1")], ["local"], HOST, [NAME, other, NAME])
    assert plan.names == (NAME, other)
    same = {name.ascii: addresses("192.0.2.7") for name in plan.names}
    assert [x.name for x in plan.questions("local", same)] == [None, None, None, "web.internal"]


def test_no_two_vantages_have_a_number_in_common_whatever_their_resolvers_say() -> None:
    plan = Plan([listener("0.0.0.0"), listener("::")], ["local", "web1", "web2"], HOST, [NAME])
    there = {"web.internal": addresses(*(f"198.51.100.{x}" for x in range(16)))}
    for ours, theirs in ((None, there), (there, there), (there, None)):
        numbers = [
            x.id
            for v, y in zip(plan.vantages, (ours, theirs, ours), strict=True)
            for x in plan.questions(v, y)
            if isinstance(x, Question)
        ]
        assert len(set(numbers)) == len(numbers)


def test_a_name_counts_as_all_the_addresses_that_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MOST_CELLS", 18)
    with pytest.raises(InvalidInputError, match="more than 18 cells"):
        list(Plan([listener("127.0.0.1")], ["local"], HOST, [NAME]).questions("local"))


def test_a_run_that_asks_nothing_may_have_any_number_of_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MOST_CELLS", 5)
    assert Plan([listener("::")], [], HOST).most_cells == 0
