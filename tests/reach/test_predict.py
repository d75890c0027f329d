"""The prediction, rule by rule: pure, so every operating system is predicted on any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from netprobe.diagnosis.attribute import RouteBack, StrictFilter
from netprobe.reach import rules
from netprobe.reach.facts import HostAddress, HostFacts, Link, RouteLookup
from netprobe.reach.listener import Listener, ListenerOptions
from netprobe.reach.predict import Prediction, Situation, predict
from netprobe.reach.rules import RULES, Rule
from netprobe.reach.scoped_address import ScopedAddress

YES, NO, SILENT, NEVER = "reachable", "refused", "no-answer", "unreachable"


def facts(*addresses: str, **more: Any) -> HostFacts:
    """A host from ``interface address/prefix`` texts."""
    entries = []
    for text in addresses:
        interface, _, rest = text.partition(" ")
        address, _, prefix = rest.partition("/")
        zone = f"%{interface}" if address.startswith("fe80") else ""
        entries.append(HostAddress(ScopedAddress.parse(address + zone), int(prefix), interface))
    names = dict.fromkeys(["lo", *(entry.interface or "" for entry in entries)])
    links = tuple(Link(name, number, True, name == "lo") for number, name in enumerate(names, 1))
    return HostFacts(**{"addresses": tuple(entries), "links": links, **more})


def down(host: HostFacts, name: str) -> HostFacts:
    """The host with this link down."""
    return replace(host, links=tuple(replace(link, up=link.name != name) for link in host.links))


PC1 = facts(
    "lo 127.0.0.1/8", "e0 192.168.0.1/24", "e1 10.10.152.8/24", "lo ::1/128", "e0 fd00:a::1/64", "e0 fe80::a/64",
    "e1 fe80::b/64",
)  # fmt: skip
PC2 = facts(
    "lo 127.0.0.1/8", "n0 192.168.0.2/24", "n1 10.10.152.9/24", "lo ::1/128", "n0 fd00:a::2/64", "n0 fe80::c/64"
)


def expect(
    bind: str,
    destination: str,
    *,
    vantage: HostFacts | None = None,
    protocol: str = "tcp",
    v6only: bool | None = None,
    errno: str | None = None,
    system: str = "linux",
    release: str = "",
    host: HostFacts = PC1,
    **more: Any,
) -> Prediction:
    """The prediction for a destination asked from the host itself, or from ``vantage``."""
    address = ScopedAddress.parse(bind)
    if address.version == 6 and v6only is None:
        v6only = False
    listener = Listener("t0", address, "udp" if protocol == "udp" else "tcp", 4000, v6only=v6only, errno=errno)
    host = replace(host, system=system, release=release)
    there = host if vantage is None else replace(vantage, system=system)
    known: dict[str, Any] = {"listeners": (listener,), "same_host": vantage is None, **more}
    prediction = predict(Situation(listener, ScopedAddress.parse(destination), host, there, **known))
    assert prediction.because
    return prediction


def named(prediction: Prediction) -> set[str]:
    """The ids of the rules that had a say."""
    return {rule.id for rule in prediction.rules}


PC1_COLUMNS = ("127.0.0.1", "192.168.0.1", "10.10.152.8", "0.0.0.0")
TABLE = {
    "127.0.0.1": (YES, NO, NO, YES, NO, NO),
    "192.168.0.1": (NO, YES, NO, NO, YES, NO),
    "10.10.152.8": (NO, NO, YES, NO, NO, YES),
    "0.0.0.0": (YES, YES, YES, YES, YES, YES),
    "127.0.0.2": (NO, NO, NO, NO, NO, NO),
}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("bind", TABLE)
def test_the_table_of_pc1_and_pc2(bind: str, protocol: str) -> None:
    local = [expect(bind, there, protocol=protocol).verdict for there in PC1_COLUMNS]
    remote = [expect(bind, there, protocol=protocol, vantage=PC2).verdict for there in PC1_COLUMNS[1:3]]
    assert (*local, *remote) == TABLE[bind]


def test_from_elsewhere_loopback_and_wildcard_are_that_place_itself() -> None:
    for destination in ("127.0.0.1", "0.0.0.0", "127.0.0.2"):
        assert expect("0.0.0.0", destination, vantage=PC2).verdict == NO
    for destination in ("::1", "::"):
        assert expect("::", destination, vantage=PC2).verdict == NO
    same = facts("lo 127.0.0.1/8", "n0 10.10.152.8/24")
    assert "to-own-elsewhere" in named(expect("0.0.0.0", "10.10.152.8", vantage=same))


def test_another_loopback_address_answers_at_itself() -> None:
    assert expect("127.0.0.2", "127.0.0.2").verdict == YES
    assert expect("0.0.0.0", "127.0.0.2").verdict == YES


# What 0.0.0.0 and :: mean as a destination.


def test_the_two_cells_in_which_the_tutorials_are_wrong() -> None:
    wrong = expect("192.168.0.1", "0.0.0.0")
    assert wrong.verdict == NO
    assert "to-any4-loopback" in named(wrong)
    assert "127.0.0.1" in wrong.because


def test_they_hold_when_the_client_bound_its_source() -> None:
    prediction = expect("192.168.0.1", "0.0.0.0", source=ScopedAddress.parse("192.168.0.1"))
    assert prediction.verdict == YES
    assert "to-any-source" in named(prediction)


def test_the_ipv6_wildcard_means_loopback() -> None:
    assert expect("::1", "::").verdict == YES
    assert expect("fd00:a::1", "::").verdict == NO


@pytest.mark.parametrize(
    ("system", "release", "verdict", "rule"),
    [
        ("linux", "6.18", YES, "to-any4-loopback"),
        ("macos", "24.1", YES, "to-any-first"),
        ("freebsd", "14.1-RELEASE", YES, "to-any-first"),
        ("freebsd", "15.0-RELEASE", NEVER, "to-any-off"),
        ("windows", "10", NEVER, "to-any-refused"),
    ],
)
def test_each_system_has_its_own_idea_of_the_wildcard(system: str, release: str, verdict: str, rule: str) -> None:
    prediction = expect("127.0.0.1", "0.0.0.0", system=system, release=release)
    assert prediction.verdict == verdict
    assert rule in named(prediction)


# IPv6.


def test_a_dual_stack_wildcard_serves_ipv4_and_an_ipv6_only_one_does_not() -> None:
    assert expect("::", "192.168.0.1").verdict == YES
    assert expect("::", "192.168.0.1", v6only=True).verdict == NO
    assert expect("::", "fd00:a::1", v6only=True).verdict == YES
    assert "bind-v6only-always" in named(expect("::", "192.168.0.1", system="openbsd"))
    assert expect("0.0.0.0", "fd00:a::1").verdict == NO


def test_a_mapped_address_serves_ipv4_only() -> None:
    assert expect("::ffff:192.168.0.1", "192.168.0.1").verdict == YES
    assert expect("::ffff:192.168.0.1", "10.10.152.8").verdict == NO
    assert expect("::ffff:192.168.0.1", "fd00:a::1").verdict == NO
    assert expect("192.168.0.1", "::ffff:192.168.0.1").verdict == YES
    assert expect("192.168.0.1", "fd00:a::1").verdict == NO


def test_a_link_local_address_needs_its_zone() -> None:
    assert expect("fe80::a", "::1").verdict == "not-bindable"
    assert expect("fe80::a%e1", "::1").verdict == "not-bindable"
    assert expect("::", "fe80::a").verdict == NEVER
    assert expect("fe80::a%e0", "fe80::a%e0").verdict == YES
    assert expect("fe80::a%e0", "fe80::b%e1").verdict == NO


def test_a_link_local_address_is_reached_from_its_own_link() -> None:
    assert expect("::", "fe80::a%e0", vantage=PC2).verdict == YES
    apart = facts("lo 127.0.0.1/8", "x 203.0.113.7/24", "x fe80::9/64")
    assert expect("::", "fe80::a%e0", vantage=apart).verdict is None


def test_in_another_zone_an_own_link_local_address_is_nobody_s() -> None:
    assert expect("::", "fe80::a%e1").verdict == SILENT
    assert expect("::", "fe80::a%e1", protocol="udp", timeout=4.0).verdict == NEVER
    assert expect("::", "fe80::a%e1", protocol="udp", timeout=2.0).verdict == SILENT
    assert expect("::", "fe80::77%e1").verdict is None


def test_without_ipv6_nothing_of_it_works() -> None:
    none = replace(PC2, ipv6=False)
    assert expect("::", "fd00:a::1", vantage=none).verdict == NEVER
    assert expect("::1", "::1", host=replace(PC1, ipv6=False)).verdict == "not-bindable"


# Bind options.


def test_an_address_that_no_interface_has() -> None:
    assert expect("192.168.0.77", "127.0.0.1").verdict == "not-bindable"
    free = ListenerOptions(freebind=True)
    assert expect("192.168.0.77", "127.0.0.1", options=free).verdict == NO
    assert expect("192.168.0.77", "192.168.0.77", options=free).verdict == SILENT
    assert expect("192.168.0.77", "192.168.0.77", options=free, timeout=5.0).verdict == NEVER
    assert expect("192.168.0.77", "192.168.0.77", options=free, vantage=PC2).verdict == SILENT


def test_elsewhere_than_on_linux_127_0_0_2_has_to_be_configured() -> None:
    prediction = expect("127.0.0.2", "127.0.0.2", system="macos")
    assert prediction.verdict == "not-bindable"
    assert "bind-loopback-one" in named(prediction)
    assert expect("127.0.0.2", "127.0.0.2", system="windows").verdict == YES


def test_a_device_narrows_a_listener() -> None:
    e0 = ListenerOptions(device="e0")
    assert expect("0.0.0.0", "192.168.0.1", options=e0).verdict == YES
    assert expect("0.0.0.0", "127.0.0.1", options=e0).verdict == NO
    assert expect("0.0.0.0", "10.10.152.8", options=e0).verdict == NO
    through_e0 = replace(PC2, routes={"10.10.152.8": RouteLookup("192.168.0.2", None)})
    assert expect("0.0.0.0", "10.10.152.8", options=e0, vantage=through_e0).verdict == YES
    assert expect("::1", "::1", options=e0).verdict == "not-bindable"
    assert expect("fe80::b%e1", "fe80::b%e1", options=e0).verdict == YES


def test_of_listeners_on_one_port_the_most_specific_one_answers() -> None:
    options = ListenerOptions(port=4000, reuse_port=True)
    rows = [
        Listener("0", ScopedAddress.parse("0.0.0.0"), "tcp", 4000),
        Listener("1", ScopedAddress.parse("192.168.0.1"), "tcp", 4000),
        Listener("2", ScopedAddress.parse("::"), "tcp", 4000, v6only=False),
    ]

    def verdict(number: int, destination: str) -> str | None:
        situation = Situation(rows[number], ScopedAddress.parse(destination), PC1, PC1, options=options, listeners=rows)
        return predict(situation).verdict

    assert verdict(0, "192.168.0.1") == "wrong-responder"
    assert verdict(0, "10.10.152.8") == YES
    assert verdict(1, "192.168.0.1") == YES
    assert verdict(1, "10.10.152.8") == "wrong-responder"
    assert verdict(2, "10.10.152.8") == "wrong-responder"
    assert verdict(2, "fd00:a::1") == YES


def test_a_wildcard_and_a_specific_address_cannot_share_a_port() -> None:
    rows = [
        Listener("0", ScopedAddress.parse("0.0.0.0"), "tcp", 4000),
        Listener("1", ScopedAddress.parse("192.168.0.1"), "tcp", 4000, errno="EADDRINUSE"),
        Listener("2", ScopedAddress.parse("::"), "tcp", 4000, errno="EADDRINUSE"),
        Listener("3", ScopedAddress.parse("fd00:a::1"), "tcp", 4000),
    ]
    for number, verdict in ((0, YES), (1, "not-bindable"), (2, "not-bindable")):
        options = ListenerOptions(port=4000)
        at = Situation(rows[number], ScopedAddress.parse("127.0.0.1"), PC1, PC1, options=options, listeners=rows)
        assert predict(at).verdict == verdict


# Broadcast and multicast.


def test_tcp_has_no_groups() -> None:
    for group in ("192.168.0.255", "255.255.255.255", "224.0.0.5", "ff02::5%e0"):
        assert expect("0.0.0.0", group).verdict == NEVER
    assert "bind-group-tcp" in named(expect("192.168.0.255", "192.168.0.255"))
    assert expect("192.168.0.255", "192.168.0.1").verdict == NO


def test_a_broadcast_reaches_the_wildcard_and_its_own_address() -> None:
    for vantage in (None, PC2):
        assert expect("0.0.0.0", "192.168.0.255", protocol="udp", vantage=vantage).verdict == YES
        assert expect("::", "192.168.0.255", protocol="udp", vantage=vantage).verdict == YES
        assert expect("192.168.0.255", "192.168.0.255", protocol="udp", vantage=vantage).verdict == YES
        assert expect("192.168.0.1", "192.168.0.255", protocol="udp", vantage=vantage).verdict == SILENT
        assert expect("192.168.0.255", "192.168.0.1", protocol="udp", vantage=vantage).verdict == NO


def test_only_joined_groups_are_heard() -> None:
    assert expect("0.0.0.0", "224.0.0.5", protocol="udp").verdict == SILENT
    assert expect("0.0.0.0", "224.0.0.1", protocol="udp").verdict == YES
    assert expect("::", "ff02::1%e0", protocol="udp").verdict == YES
    assert expect("192.168.0.1", "224.0.0.1", protocol="udp").verdict == SILENT


# The way.


def test_no_route_is_unreachable_whatever_listens() -> None:
    lost = replace(PC2, routes={"10.10.152.8": RouteLookup(None, "ENETUNREACH")})
    prediction = expect("0.0.0.0", "10.10.152.8", vantage=lost)
    assert prediction.verdict == NEVER
    assert named(prediction) == {"route-missing"}


def test_weak_and_strong_host() -> None:
    through_e0 = replace(PC2, routes={"10.10.152.8": RouteLookup("192.168.0.2", None)})
    weak = expect("0.0.0.0", "10.10.152.8", vantage=through_e0)
    assert weak.verdict == YES
    assert "route-weak-host" in named(weak)
    strong = expect("0.0.0.0", "10.10.152.8", vantage=through_e0, system="windows")
    assert strong.verdict == SILENT
    assert "route-strong-host" in named(strong)


def test_with_lo_down_own_addresses_are_silent() -> None:
    assert expect("0.0.0.0", "192.168.0.1", host=down(PC1, "lo")).verdict == SILENT


def test_an_address_on_a_link_that_is_down() -> None:
    host = down(PC1, "e1")
    assert expect("0.0.0.0", "10.10.152.8", host=host).verdict == YES
    assert expect("0.0.0.0", "10.10.152.8", host=host, vantage=PC2).verdict == SILENT
    through_e0 = replace(PC2, routes={"10.10.152.8": RouteLookup("192.168.0.2", None)})
    assert expect("0.0.0.0", "10.10.152.8", host=host, vantage=through_e0).verdict == YES


def test_what_neither_side_has_is_not_guessed() -> None:
    assert expect("0.0.0.0", "203.0.113.9", vantage=PC2).verdict is None


@pytest.mark.parametrize("release", ["\xb2.0", "\u0661\u0665", "9" * 200, "", "-15"])
def test_a_release_that_is_no_number_is_none(release: str) -> None:
    """A vantage may say anything."""
    there = replace(facts("lo0 127.0.0.1/8", system="freebsd"), release=release)
    assert expect("0.0.0.0", "0.0.0.0", vantage=there, same_host=False).verdict is not None


def test_a_wildcard_udp_listener_may_answer_from_elsewhere() -> None:
    assert "answer-udp-source" in named(expect("0.0.0.0", "127.0.0.2", protocol="udp"))
    assert "answer-udp-source" not in named(expect("0.0.0.0", "127.0.0.2"))


# The rows.


FREE, ON_E0 = ListenerOptions(freebind=True), ListenerOptions(device="e0")
THROUGH_E0 = replace(PC2, routes={"10.10.152.8": RouteLookup("192.168.0.2", None)})
ONE_PORT = {
    "options": ListenerOptions(port=4000),
    "listeners": [Listener(bind, ScopedAddress.parse(bind), "tcp", 4000) for bind in ("0.0.0.0", "192.168.0.1")],
}
# A bind address and a destination for which the rule is one of the reasons, and what else it takes.
EXAMPLES: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "bind-exact": ("192.168.0.1", "192.168.0.1", {}),
    "bind-any4": ("0.0.0.0", "192.168.0.1", {}),
    "bind-any6": ("::", "fd00:a::1", {"v6only": True}),
    "bind-dual": ("::", "192.168.0.1", {}),
    "bind-v6only": ("::", "192.168.0.1", {"v6only": True}),
    "bind-v6only-always": ("::", "192.168.0.1", {"system": "openbsd"}),
    "bind-mapped": ("::ffff:192.168.0.1", "192.168.0.1", {}),
    "bind-families": ("0.0.0.0", "fd00:a::1", {}),
    "bind-group-tcp": ("192.168.0.255", "192.168.0.255", {}),
    "bind-broadcast-udp": ("192.168.0.255", "192.168.0.1", {"protocol": "udp"}),
    "bind-multicast-udp": ("0.0.0.0", "224.0.0.5", {"protocol": "udp"}),
    "route-reverse-path": (
        "0.0.0.0",
        "10.10.152.8",
        {"vantage": THROUGH_E0, "strict_filters": (StrictFilter("e1", "e0"),)},
    ),
    "answer-no-route": ("0.0.0.0", "10.10.152.8", {"vantage": THROUGH_E0, "back": RouteBack("ENETUNREACH")}),
    "bind-nonlocal": ("192.168.0.77", "127.0.0.1", {"nonlocal_bind": True}),
    "bind-foreign": ("192.168.0.77", "127.0.0.1", {}),
    "bind-loopback-net": ("127.0.0.2", "127.0.0.2", {}),
    "bind-loopback-one": ("127.0.0.2", "127.0.0.2", {"system": "macos"}),
    "bind-freebind": ("192.168.0.77", "127.0.0.1", {"options": FREE}),
    "bind-zone": ("fe80::a", "::1", {}),
    "bind-wrong-zone": ("fe80::a%e1", "::1", {}),
    "bind-conflict": ("192.168.0.1", "127.0.0.1", {**ONE_PORT, "errno": "EADDRINUSE"}),
    "bind-most-specific": ("0.0.0.0", "192.168.0.1", ONE_PORT),
    "bind-device": ("0.0.0.0", "192.168.0.1", {"options": ON_E0}),
    "bind-device-6": ("::1", "::1", {"options": ON_E0}),
    "to-any4-loopback": ("192.168.0.1", "0.0.0.0", {}),
    "to-any6-loopback": ("::1", "::", {}),
    "to-any-source": ("192.168.0.1", "0.0.0.0", {"source": ScopedAddress.parse("192.168.0.1")}),
    "to-any-first": ("127.0.0.1", "0.0.0.0", {"system": "macos"}),
    "to-any-off": ("127.0.0.1", "0.0.0.0", {"system": "freebsd", "release": "15.0-RELEASE"}),
    "to-any-refused": ("127.0.0.1", "0.0.0.0", {"system": "windows"}),
    "to-loopback": ("127.0.0.2", "127.0.0.2", {}),
    "to-own": ("::", "192.168.0.1", {}),
    "to-own-elsewhere": ("0.0.0.0", "10.10.152.8", {"vantage": facts("lo 127.0.0.1/8", "n0 10.10.152.8/24")}),
    "to-group-tcp": ("0.0.0.0", "192.168.0.255", {}),
    "to-broadcast-udp": ("0.0.0.0", "192.168.0.255", {"protocol": "udp"}),
    "to-all-hosts-udp": ("0.0.0.0", "224.0.0.1", {"protocol": "udp"}),
    "to-family": ("::", "fd00:a::1", {"vantage": replace(PC2, ipv6=False)}),
    "to-link-local": ("::", "fe80::a%e0", {"vantage": PC2}),
    "to-wrong-zone": ("::", "fe80::a%e1", {}),
    "to-unknown": ("::", "fe80::77%e1", {}),
    "route-missing": (
        "0.0.0.0",
        "192.0.2.1",
        {"vantage": replace(PC2, routes={"192.0.2.1": RouteLookup(None, "ENETUNREACH")})},
    ),
    "route-lo-down": ("0.0.0.0", "192.168.0.1", {"host": down(PC1, "lo")}),
    "route-weak-host": ("0.0.0.0", "10.10.152.8", {"vantage": THROUGH_E0}),
    "route-strong-host": ("0.0.0.0", "10.10.152.8", {"vantage": THROUGH_E0, "system": "windows"}),
    "route-down-link": ("0.0.0.0", "10.10.152.8", {"host": down(PC1, "e1")}),
    "route-no-neighbour": ("192.168.0.77", "192.168.0.77", {"options": FREE}),
    "answer-udp-source": ("0.0.0.0", "127.0.0.2", {"protocol": "udp"}),
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_applies_in_its_example(name: str) -> None:
    bind, destination, more = EXAMPLES[name]
    assert name in named(expect(bind, destination, **more))


SYSTEMS = ("linux", "macos", "freebsd", "openbsd", "windows", "sunos")
BINDS = [
    *("127.0.0.2", "192.168.0.1", "192.168.0.77", "192.168.0.255", "224.0.0.5", "0.0.0.0", "::", "::1"),
    *("::ffff:192.168.0.1", "fe80::a", "fe80::a%e0", "fe80::a%e1"),
]
DESTINATIONS = [
    *("127.0.0.1", "127.0.0.2", "192.168.0.1", "192.168.0.77", "10.10.152.8", "0.0.0.0", "192.168.0.255", "224.0.0.1"),
    *("224.0.0.5", "203.0.113.9", "::", "::1", "fd00:a::1", "fe80::a%e0", "fe80::a%e1"),
]
NO_ROUTE = replace(PC2, routes={"10.10.152.8": RouteLookup(None, "ENETUNREACH")})
PLACES: tuple[tuple[HostFacts, HostFacts | None, dict[str, Any]], ...] = (
    (PC1, None, {}),
    (PC1, PC1, {}),
    (PC1, PC2, {}),
    (PC1, NO_ROUTE, {}),
    (PC1, THROUGH_E0, {}),
    (PC1, replace(PC2, ipv6=False), {}),
    (down(PC1, "lo"), None, {}),
    (down(PC1, "e1"), PC2, {}),
    (PC1, None, {"source": ScopedAddress.parse("192.168.0.1")}),
    (PC1, None, {"options": FREE}),
    (PC1, None, {"options": ON_E0}),
)


@cache
def rules_applied_on(system: str) -> frozenset[Rule]:
    """All rules that have a say, whatever is bound and asked, on one system."""
    applied: set[Rule] = set()
    for host, vantage, more in PLACES:
        here = replace(host, system=system, release="15.0")
        there = here if vantage is None else replace(vantage, system=system, release="15.0")
        for bind, destination, protocol in product(BINDS, DESTINATIONS, ("tcp", "udp")):
            listener = Listener(
                "t0", ScopedAddress.parse(bind), "udp" if protocol == "udp" else "tcp", 4000, v6only=False
            )
            situation = Situation(
                listener, ScopedAddress.parse(destination), here, there, same_host=vantage is None, **more
            )
            applied.update(predict(situation).rules)
            if bind == "::":
                applied.update(predict(replace(situation, listener=replace(listener, v6only=True))).rules)
    return frozenset(applied)


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_rule_is_applied_where_it_does_not_hold(system: str) -> None:
    assert [rule.id for rule in rules_applied_on(system) if not rule.holds_for(system)] == []


def test_a_rule_about_another_system_cannot_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "BIND_EXACT", rules.ROUTE_STRONG_HOST)
    with pytest.raises(AssertionError, match="route-strong-host"):
        expect("192.168.0.1", "192.168.0.1")


def test_what_no_rule_knows_of_a_system_is_not_guessed() -> None:
    assert expect("0.0.0.0", "0.0.0.0", system="sunos").verdict is None
    assert expect("0.0.0.0", "10.10.152.8", vantage=THROUGH_E0, system="openbsd").verdict is None
    assert expect("192.168.0.255", "192.168.0.1", system="macos").verdict == NO


def test_every_rule_has_a_source() -> None:
    for rule in RULES.values():
        assert rule.text.endswith(".")
        assert rule.source


def test_a_filter_counts_where_the_packet_comes_in() -> None:
    strict = (StrictFilter("e0", "e1"),)
    by_router = replace(PC2, routes={"10.10.152.8": RouteLookup("192.168.0.2", None, "10.10.152.1")})
    by_the_host = replace(PC2, routes={"10.10.152.8": RouteLookup("192.168.0.2", None, "192.168.0.1")})
    for vantage, verdict in ((by_router, YES), (by_the_host, SILENT)):
        assert expect("0.0.0.0", "10.10.152.8", vantage=vantage, strict_filters=strict).verdict == verdict


def test_without_a_way_back_a_closed_port_is_silent_too() -> None:
    back = RouteBack("ENETUNREACH")
    for bind in ("10.10.152.8", "127.0.0.1"):
        assert expect(bind, "10.10.152.8", vantage=PC2, back=back).verdict == SILENT
    assert expect("10.10.152.8", "10.10.152.8", back=back).verdict == YES  # it stays on the host
