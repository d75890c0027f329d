"""Where an address is for a host."""

from __future__ import annotations

import pytest

from netprobe.address import classify
from netprobe.address.locality import HostRoute, LinkAddress, Locality, seen_from

HELD = [
    LinkAddress("127.0.0.1", 8, "lo"),
    LinkAddress("10.9.0.5", 24, "d0"),
    LinkAddress("10.8.0.4", 31, "d1"),
    LinkAddress("fd00::5", 64, "d0"),
]


ROUTES = [HostRoute(4, "10.9.0.1", "d0"), HostRoute(6, "fd00::1", "d0")]


@pytest.mark.parametrize(
    ("text", "relation", "interface", "gateway"),
    [
        ("10.9.0.5", "own", "d0", None),
        ("127.3.2.1", "own", "lo", None),
        ("0.0.0.0", "own", None, None),
        ("::", "own", None, None),
        ("10.9.0.0", "network", "d0", None),
        ("10.9.0.255", "broadcast", "d0", None),
        ("10.9.0.1", "gateway", "d0", None),
        ("10.9.0.77", "on-link", "d0", None),
        ("10.8.0.5", "on-link", "d1", None),
        ("fd00::77", "on-link", "d0", None),
        ("255.255.255.255", "on-link", "d0", None),
        ("224.0.0.1", "on-link", "d0", None),
        ("ff02::1", "on-link", "d0", None),
        ("8.8.8.8", "routed", "d0", "10.9.0.1"),
        ("2001:4860::1", "routed", "d0", "fd00::1"),
    ],
)
def test_where_an_address_is_for_a_host(text: str, relation: str, interface: str | None, gateway: str | None) -> None:
    found = classify(text)
    here = seen_from(found.version, found.integer, HELD, ROUTES)
    assert (here.relation, here.interface, here.gateway) == (relation, interface, gateway)


@pytest.mark.parametrize("text", ["8.8.8.8", "224.0.0.1", "255.255.255.255"])
def test_a_host_without_a_default_route_reaches_nothing_outside(text: str) -> None:
    assert seen_from(4, classify(text).integer, HELD, []) == Locality("no-route", None, None, None)


@pytest.mark.parametrize(
    ("text", "route", "here"),
    [
        ("10.9.0.77", HostRoute(4, "10.9.0.9", "d0"), Locality("routed", "d0", None, "10.9.0.9")),
        ("10.9.0.77", HostRoute(4, None, "d0"), Locality("on-link", "d0", "10.9.0.0/24", None)),
        ("10.9.0.77", HostRoute(4, None, "d7"), Locality("on-link", "d7", None, None)),
        ("10.9.0.77", None, Locality("no-route", None, None, None)),
        ("10.60.0.1", None, Locality("no-route", None, None, None)),
        ("8.8.8.8", HostRoute(4, "10.8.0.5", "d1"), Locality("routed", "d1", None, "10.8.0.5")),
        ("10.77.0.1", HostRoute(4, None, "lo", own=True), Locality("own", "lo", None, None)),
        ("224.0.0.1", HostRoute(4, "10.8.0.5", "d1"), Locality("on-link", "d1", None, None)),
    ],
)
def test_the_route_that_the_host_looks_up_decides(text: str, route: HostRoute | None, here: Locality) -> None:
    assert seen_from(4, classify(text).integer, HELD, ROUTES, lambda: route) == here
