"""Destinations that are names: what a run makes of what each vantage's resolver says, or does not say."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from netprobe.errors import CannotRunError, NetprobeError
from netprobe.prober import engine, facts
from netprobe.reach import own_resolver
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.cells import Cell
from netprobe.reach.host_name import HostName
from netprobe.reach.messages import Request, Resolved
from netprobe.reach.own_resolver import bind_addresses, resolver_words
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.sessions.receiver import Emit, Receiver
from netprobe.reach.settings import Settings, parse_settings
from tests.reach.mutated_vantage import mutated

Line = dict[str, Any]


class There:
    """A vantage in this process with a resolver of its own: each name's addresses, or its error, or None: it hangs."""

    def __init__(self, name: str, knows: dict[str, list[str] | str | None], fails_after_names: bool = False) -> None:
        self.name = name
        self._knows = knows
        self._fails_after_names = fails_after_names

    def run(self, request: Request, emit: Emit) -> None:
        receiver = Receiver(self.name, emit)
        asked: Request | None = request
        while asked is not None:
            receiver.expect(asked)
            if asked.names:
                receiver.take({"hello": facts.hello([])})
                for name in asked.names:
                    receiver.take(self._answer(name))
                receiver.take({"done": True})
            elif self._fails_after_names:
                raise CannotRunError(self.name, "the link died")
            else:
                engine.run(asked.to_json(), receiver.take)
            asked = receiver.follow_up()

    def stop(self) -> None:
        """It does not take long."""

    def _answer(self, name: str) -> Line:
        known = self._knows[name]
        if known is None:
            return {"name": name, "addresses": [], "late": True}
        if isinstance(known, str):
            return {"name": name, "addresses": [], "error": known}
        return {"name": name, "addresses": known}


def run(
    *sessions: There, addr: Sequence[str] = ("127.0.0.1",), to: Sequence[str] = ("web.internal",)
) -> tuple[list[Cell], list[NetprobeError], list[str]]:
    """The cells that a name led to, the errors, and the remarks."""
    settings = replace(parse_settings(addr, to, udp=False), timeout=20.0, patience=0.0)
    with Bindtest(settings, sessions) as test:
        cells = list(test.cells())
        assert not any(cell.differs for cell in cells if cell.destination_name)
        remarks = [str(remark) for remark in test.name_remarks(cells)]
        return [cell for cell in cells if cell.destination_name], test.errors, remarks


def seen(cells: Sequence[Cell]) -> list[tuple[str, str, str]]:
    return [(cell.vantage, cell.destination, cell.observed) for cell in cells]


def test_each_vantage_asks_at_what_the_name_is_there_in_its_order() -> None:
    one = There("one", {"web.internal": ["127.0.0.3", "127.0.0.1"]})
    two = There("two", {"web.internal": ["127.0.0.1"]})
    cells, errors, remarks = run(one, two)
    assert seen(cells) == [
        ("one", "127.0.0.3", "refused"),
        ("one", "127.0.0.1", "reachable"),
        ("two", "127.0.0.1", "reachable"),
    ]
    assert {cell.destination_name for cell in cells} == {"web.internal"}
    assert errors == []
    assert remarks == ["web.internal at one is 127.0.0.3 first, then 127.0.0.1; you bound 127.0.0.1 only"]


def test_an_address_that_is_asked_anyhow_is_asked_once() -> None:
    settings = replace(parse_settings(["127.0.0.1"], ["web.internal"], udp=False), timeout=20.0)
    with Bindtest(settings, [There("one", {"web.internal": ["127.0.0.1"]})]) as test:
        assert [(x.destination, x.destination_name) for x in test.cells() if x.destination == "127.0.0.1"] == [
            ("127.0.0.1", "web.internal")
        ]


@pytest.mark.parametrize(
    ("answer", "errno", "cause"),
    [
        ("EAI_NONAME", "EAI_NONAME", "the name does not resolve (EAI_NONAME)"),
        ("EAI_AGAIN", "EAI_AGAIN", "the name could not be resolved at this time (EAI_AGAIN)"),
        ("11003", "11003", "the name could not be resolved (11003)"),
        (None, None, "the resolver gave no answer within 12 s"),
    ],
)
def test_a_name_without_an_address_there_is_not_tested_with_what_the_resolver_said(
    answer: str | None, errno: str | None, cause: str
) -> None:
    there = There("there", {"web.internal": ["127.0.0.1"]})
    cells, errors, _ = run(There("one", {"web.internal": answer}), there)
    assert seen(cells) == [("one", "web.internal", "not-tested"), ("there", "127.0.0.1", "reachable")]
    assert (cells[0].expected, cells[0].errno, cells[0].cause) == (None, errno, cause)
    assert [str(error) for error in errors] == [f"web.internal at one: {cause}"]


def test_a_vantage_that_dies_between_its_names_and_its_answers_has_all_of_its_cells() -> None:
    cells, errors, _ = run(There("one", {"web.internal": ["127.0.0.3", "127.0.0.1"]}, fails_after_names=True))
    assert seen(cells) == [("one", "127.0.0.3", "not-tested"), ("one", "127.0.0.1", "not-tested")]
    assert {cell.cause for cell in cells} == {"the link died"}
    assert [str(error) for error in errors] == ["one: the link died"]


def test_a_name_of_a_listener_that_is_not_open_is_not_bindable() -> None:
    cells, _, _ = run(There("one", {"web.internal": "EAI_NONAME"}), addr=["198.51.100.77"])
    assert seen(cells) == [("one", "web.internal", "not-bindable")]


def test_two_vantages_that_say_the_same_have_one_remark() -> None:
    knows: dict[str, list[str] | str | None] = {"web.internal": ["127.0.0.2", "127.0.0.1"]}
    _, _, remarks = run(*(There(f"v{number}", knows) for number in range(7)), addr=["0.0.0.0"])
    assert remarks == []
    _, _, remarks = run(*(There(f"v{number}", knows) for number in range(7)), addr=["127.0.0.1", "127.0.0.9"])
    (remark,) = remarks
    assert remark.startswith("web.internal at v0, v1, v2, v3 and 3 more is 127.0.0.2 first")
    assert remark.endswith("reached at 127.0.0.1 only")


class Odd(There):
    """A vantage whose answer on names is mutated; it then refuses whatever it is asked, and sends nothing anywhere."""

    def __init__(self, seed: int) -> None:
        super().__init__("odd", {"web.internal": ["127.0.0.3", "fe80::1%e0"], "b.internal": "EAI_NONAME"})
        self._dice = random.Random(seed)

    def run(self, request: Request, emit: Emit) -> None:
        receiver = Receiver(self.name, emit)
        receiver.expect(request)
        told = [{"hello": facts.hello([])}, *(self._answer(name) for name in request.names), {"done": True}]
        receiver.feed(mutated(told, self._dice))
        asked = receiver.follow_up()
        if asked is None:
            raise CannotRunError(self.name, "it ended early")
        receiver.expect(asked)
        receiver.take({"hello": facts.hello([])})
        for cell in asked.cells:
            receiver.take({"cell": cell.id, "result": "error", "stage": "connect", "errno": "ECONNREFUSED"})
        receiver.take({"done": True})


def test_whatever_a_vantage_says_of_names_each_of_its_cells_is_there_and_is_one_that_was_asked() -> None:
    survived = 0
    for seed in range(150):
        settings = replace(parse_settings(["127.0.0.1"], ["web.internal", "b.internal"], udp=False), timeout=20.0)
        with Bindtest(settings, [Odd(seed)]) as test:
            found = list(test.cells())
            assert not any("internal error" in str(error) for error in test.errors), seed
            survived += "odd" not in {error.what for error in test.errors}
            remarks = [*test.name_remarks(found), *test.name_details()]
        assert all(str(remark).isprintable() for remark in remarks), seed
        keys = [(cell.bind, cell.destination, cell.protocol) for cell in found]
        assert len(set(keys)) == len(keys), seed
        for name in ("web.internal", "b.internal"):
            cells = [cell for cell in found if cell.destination_name == name]
            assert len(cells) <= 16, seed
            for cell in cells:
                if cell.destination == name:
                    assert cell.observed == "not-tested", seed
                else:
                    assert str(ScopedAddress.parse(cell.destination)) == cell.destination, seed
        assert {cell.destination_name for cell in found} >= {"web.internal"}, seed
    assert survived


# Names to bind.


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """This host's resolver."""

    def knows(**names: list[str] | str) -> None:
        def look_up(asked: Sequence[str], seconds: float, found: Callable[[Line], None]) -> bool:
            for name in asked:
                known = names[name]
                failed = isinstance(known, str)
                found({"name": name, "addresses": [] if failed else known, "error": known if failed else None})
            return True

        monkeypatch.setattr(own_resolver, "look_up", look_up)

    return knows


def bound(*texts: str) -> dict[str, str | None]:
    return {str(address): name for address, name in bind_addresses(parse_settings(texts).binds).items()}


def test_a_name_is_bound_at_each_of_its_addresses_in_the_resolvers_order(here: Callable[..., None]) -> None:
    here(localhost=["::1", "127.0.0.1"])
    assert list(bound("localhost").items()) == [("::1", "localhost"), ("127.0.0.1", "localhost")]


def test_what_is_bound_by_its_address_too_is_bound_once_and_keeps_its_name(here: Callable[..., None]) -> None:
    here(localhost=["::1", "127.0.0.1"], other=["::1"])
    assert bound("127.0.0.1", "localhost", "other", "0.0.0.0") == {
        "127.0.0.1": "localhost", "::1": "localhost", "0.0.0.0": None,
    }  # fmt: skip


@pytest.mark.parametrize("error", ["EAI_NONAME", "EAI_AGAIN"])
def test_a_name_that_cannot_be_bound_ends_the_run(here: Callable[..., None], error: str) -> None:
    here(other=["127.0.0.1"], nowhere=error)
    with pytest.raises(CannotRunError, match=rf"nowhere: .*\({error}\), says this host's resolver"):
        bound("other", "nowhere")


def test_a_cell_says_which_name_was_bound(here: Callable[..., None]) -> None:
    here(localhost=["127.0.0.2", "127.0.0.1"])
    settings = replace(parse_settings(["localhost", "127.0.0.3"], udp=False), timeout=20.0)
    with Bindtest(settings) as test:
        found = dict.fromkeys((cell.bind, cell.bind_name) for cell in test.cells())
    assert list(found) == [("127.0.0.2", "localhost"), ("127.0.0.1", "localhost"), ("127.0.0.3", None)]


def test_settings_keep_addresses_and_names_in_their_order() -> None:
    settings = parse_settings(["localhost", "127.0.0.1", "localhost"], ["web.internal"])
    assert settings.binds == (HostName("localhost", "localhost"), ScopedAddress.parse("127.0.0.1"))
    assert settings.to == (HostName("web.internal", "web.internal"),)
    assert Settings().to == ()


def test_what_is_left_out_of_a_name_is_said() -> None:
    name = HostName("a", "a")
    told = Resolved("a", tuple(ScopedAddress.parse(f"192.0.2.{number}") for number in range(16)), 24)
    from netprobe.reach.name_remarks import name_details, name_remarks

    (remark,) = name_remarks([name], {"local": [told]}, [], [])
    assert str(remark) == "a at this host has 40 addresses; the first 16 were asked"
    (detail,) = name_details([name], {"local": [replace(told, addresses=told.addresses[:2])]})
    assert str(detail) == "a at this host is 192.0.2.0 first, then 192.0.2.1"


def test_with_a_version_a_name_is_its_addresses_of_that_family() -> None:
    both = Resolved("localhost", (ScopedAddress.parse("::1"), ScopedAddress.parse("127.0.0.1")))
    assert [str(address) for address in both.of_version(4).addresses] == ["127.0.0.1"]
    assert [str(address) for address in both.of_version(6).addresses] == ["::1"]
    assert both.of_version(None) is both
    none = Resolved("four", (ScopedAddress.parse("127.0.0.1"),)).of_version(6)
    assert (none.addresses, none.error) == ((), "EAI_ADDRFAMILY")
    assert resolver_words(none) == "the name has no address of the family asked for (EAI_ADDRFAMILY)"
    failed = Resolved("nobody", error="EAI_NONAME")
    assert failed.of_version(4) is failed  # it says why already
