"""Whose ICMP errors a run has seen, and which silent cells one of them may be missing for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from netprobe.kernel.error_queue import QueuedError
from netprobe.prober.pacing import Pacing

HOST, OTHER_OF_HOST, ROUTER, OWN, ELSEWHERE = "192.168.0.1", "10.0.0.1", "192.168.0.254", "192.168.0.2", "203.0.113.9"


def cell(address: str, protocol: str = "udp", zone: str | None = None) -> dict[str, Any]:
    return {"address": address, "protocol": protocol, "zone": zone, "host": address in (HOST, OTHER_OF_HOST)}


CELLS = [cell(HOST), cell(OTHER_OF_HOST), cell(ELSEWHERE)]


def after(asked: dict[str, Any], offender: str | None, errno: str = "ECONNREFUSED", origin: str = "icmp") -> Pacing:
    """What is known after one question was ended by an error of ``offender``."""
    pacing = Pacing(5.0, {OWN, "127.0.0.1"}, CELLS)
    probe: Any = SimpleNamespace(cell=asked, icmp=QueuedError(origin, 3, 3, offender, errno, 111))
    pacing.heard_from(probe)
    return pacing


def test_a_host_limits_the_errors_of_all_its_addresses() -> None:
    pacing = after(cell(HOST), HOST)
    assert pacing.limiter(cell(HOST)) == HOST
    assert pacing.limiter(cell(OTHER_OF_HOST)) == HOST
    assert pacing.limiter(cell(ELSEWHERE)) is None


@pytest.mark.parametrize("asked", [HOST, ELSEWHERE])
def test_an_error_of_a_router_is_about_the_address_that_was_asked_and_no_other(asked: str) -> None:
    pacing = after(cell(asked), ROUTER)
    assert [pacing.limiter(cell(x)) for x in (HOST, OTHER_OF_HOST, ELSEWHERE)] == [
        ROUTER if x == asked else None for x in (HOST, OTHER_OF_HOST, ELSEWHERE)
    ]
    assert pacing.limiter_between(cell(asked)) == ROUTER
    assert after(cell(HOST), HOST).limiter_between(cell(OTHER_OF_HOST)) is None


def test_a_closed_udp_port_tells_nothing_of_tcp_and_a_rejected_tcp_port_of_both() -> None:
    assert after(cell(HOST, "udp"), HOST).limiter(cell(HOST, "tcp")) is None
    for protocol in ("tcp", "udp"):
        assert after(cell(HOST, "tcp"), HOST).limiter(cell(OTHER_OF_HOST, protocol)) == HOST


def test_our_own_errors_and_those_that_end_nothing_do_not_count() -> None:
    assert after(cell(HOST), OWN).limiter(cell(HOST)) is None
    assert after(cell(HOST), ROUTER, "EMSGSIZE").limiter(cell(HOST)) is None
    assert after(cell(HOST), None, origin="local").limiter(cell(HOST)) is None


def test_a_link_local_address_is_another_host_on_another_link() -> None:
    pacing = after(cell("fe80::1", zone="e0"), "fe80::1", origin="icmp6")
    assert pacing.limiter(cell("fe80::1", zone="e0")) == "fe80::1"
    assert pacing.limiter(cell("fe80::1", zone="e1")) is None


def test_an_ipv4_mapped_spelling_is_the_same_host() -> None:
    pacing = after({**cell(HOST), "address": f"::ffff:{HOST}", "host": True}, f"::ffff:{HOST}")
    assert pacing.limiter(cell(OTHER_OF_HOST)) == f"::ffff:{HOST}"
