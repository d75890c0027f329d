"""The facts of this host, from either of the two places that know them."""

from __future__ import annotations

from dataclasses import replace

from netprobe.reach.host import facts_from_interfaces, host_facts


def test_the_interface_readers_see_the_addresses_that_the_prober_sees() -> None:
    facts = host_facts()
    again = facts_from_interfaces(replace(facts, links=(), addresses=()))
    assert set(again.addresses) == set(facts.addresses)
    assert {(x.name, x.loopback) for x in again.links} == {(x.name, x.loopback) for x in facts.links}
