"""The facts of this host, read anew each time: a few milliseconds.

They stand apart from their types (netprobe/reach/facts.py), which are pure and which reading a message needs.
"""

from __future__ import annotations

from dataclasses import replace

from netprobe.prober import facts as prober_facts
from netprobe.reach.facts import HostAddress, HostFacts, Link
from netprobe.reach.messages import parse_facts
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["facts_from_interfaces", "host_facts"]


def host_facts() -> HostFacts:
    """The facts of this host, as the prober sees them; where it has no netlink, as ``netprobe.interfaces`` does."""
    facts = parse_facts(prober_facts.hello([]))
    return facts if facts.links else facts_from_interfaces(facts)


def facts_from_interfaces(facts: HostFacts) -> HostFacts:
    """``facts`` with the addresses that the interface readers find."""
    from netprobe.interfaces import local_interfaces

    interfaces = local_interfaces(kind_of=lambda address: "")
    links = tuple(Link(x.name, x.index or 0, x.state != "down", x.kind == "loopback") for x in interfaces)
    addresses = tuple(
        HostAddress(ScopedAddress.parse(f"{y.address}%{x.name}" if y.zone else y.address), y.prefix, x.name)
        for x in interfaces
        for y in x.addresses
    )
    return replace(facts, links=links, addresses=addresses)
