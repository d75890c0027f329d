"""The record of ``netprobe classify``: all that is known of one address, and what it comes to in a sentence.

Every record of the answer stands in the module of what it describes, but for :class:`Embedded`: an address that is
embedded in another is classified itself, so each of the two types holds the other. The two sentences, ``summary``
and ``warning``, are made here and nowhere else: they are the library's as much as the command line's (``str()`` of a
record, JSON). How a record is laid out on a screen is netprobe/render/classify.py's.

What only some addresses have (a multicast group, a Teredo client, a range) lives in modules that are loaded when such
an address is met. Importing them all with every answer would take 18 ms (where ``import click`` takes 63), most of it
for their dataclasses; ``deferred_types`` is the price: code that resolves the annotations has to ask it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.address.classful import AddressClass, Role
from netprobe.address.registry import Property, SpecialBlock

if TYPE_CHECKING:
    from netprobe.address.interface_id import Teredo, UniqueLocal
    from netprobe.address.locality import Locality
    from netprobe.address.multicast import Multicast
    from netprobe.address.ranges import Network, Range
    from netprobe.address.space import Space
    from netprobe.address.spellings import Reading

__all__ = ["Classification", "Embedded", "warning_of"]


def deferred_types() -> dict[str, type]:
    """The field types that are not loaded here, by name, to resolve the annotations (CSV header)."""
    from netprobe.address.interface_id import Teredo, UniqueLocal
    from netprobe.address.locality import Locality
    from netprobe.address.multicast import Multicast
    from netprobe.address.ranges import Network, Range
    from netprobe.address.space import Space
    from netprobe.address.spellings import Reading

    return {
        found.__name__: found for found in (Locality, Multicast, Network, Range, Reading, Space, Teredo, UniqueLocal)
    }


@dataclass(frozen=True, slots=True)
class Classification:
    """What an address is.

    ``class_``, ``role`` and ``roles`` are IPv4's; ``network`` needs a prefix; ``block`` is the most specific special
    block or None; ``embedded`` what is inside. ``globally_reachable`` is IANA's property, and what follows where no
    block covers the address. ``range`` stands for a prefix or a range as a whole, ``spelling`` and ``readings`` for a
    text that was read leniently, ``here`` for the address seen from this host. ``warning`` is one line when what is
    embedded has another reach than the address itself; ``verdict`` is the key under which schema 1 had it first.

    ``integer_text``, ``hosts_text`` and ``addresses_text`` are ``integer``, ``network.hosts`` and ``range.addresses``
    in decimal digits: many readers of JSON keep numbers as doubles, which lose what is beyond 2**53 (RFC 8259
    section 6). ``service`` is what clouds have at this very address.
    """

    input: str
    address: str
    version: int
    kind: str
    class_: AddressClass | None
    block: SpecialBlock | None
    role: Role | None
    network: Network | None
    embedded: tuple[Embedded, ...]
    zone: str | None
    reverse_name: str
    integer: int
    globally_reachable: Property = None
    roles: tuple[Role, ...] = ()
    verdict: str | None = None
    range: Range | None = None
    space: Space | None = None
    multicast: Multicast | None = None
    teredo: Teredo | None = None
    unique_local: UniqueLocal | None = None
    mac: str | None = None
    solicited_node: str | None = None
    spelling: str | None = None
    readings: tuple[Reading, ...] = ()
    here: Locality | None = None
    warning: str | None = None
    integer_text: str = ""
    hosts_text: str | None = None
    addresses_text: str | None = None
    service: str | None = None

    @property
    def summary(self) -> str:
        """One sentence: ``class B, private (172.16.0.0/12, RFC 1918), a host of 172.20.0.0/16``."""
        return ", ".join(_parts(self))

    def __str__(self) -> str:
        return f"{self.input}: {self.summary}"


@dataclass(frozen=True, slots=True)
class Embedded:
    """An IPv4 address inside an IPv6 address.

    ``form`` is the kind of embedding, ``rfc`` defines it, ``inside`` is the classification of what is embedded.
    """

    form: str
    address: str
    rfc: str
    inside: Classification


# Kinds that no packet from elsewhere should reach.
_INWARD = frozenset(
    {"loopback", "private", "shared", "link-local", "this-network", "unspecified", "limited-broadcast", "reserved"}
)


def _parts(found: Classification) -> Iterator[str]:
    whole = found.range
    is_whole = whole is not None and (found.network is None or whole.first == found.address)
    if is_whole and whole is not None and len(whole.pieces) > 1:
        kinds = list(dict.fromkeys(piece.kind for piece in whole.pieces))
        yield f"{whole.addresses:,} addresses in {len(whole.pieces)} pieces: {', '.join(kinds)}"
        return
    yield f"class {found.class_.letter}" if found.class_ else f"IPv{found.version}"
    yield f"{found.kind}{_source(found)}"
    if found.network is None and whole is not None:
        yield f"{whole.addresses:,} address{'es' if whole.addresses > 1 else ''}"
        return
    place = _place(found)
    if place:
        yield place
    for inner in found.embedded:
        yield f"{inner.form} of {inner.address} ({inner.inside.kind})"


def _source(found: Classification) -> str:
    """The block or the multicast registry that the kind comes from."""
    if found.block is not None:
        return f" ({', '.join([found.block.cidr, *found.block.rfc])})"
    if found.multicast is not None:
        return f" ({found.multicast.block}, {found.multicast.scope}, {found.multicast.rfc})"
    return ""


def _place(found: Classification) -> str | None:
    """The role of the address in its network, given or natural."""
    if found.network is not None:
        return _part(found)
    role, natural = found.role, found.class_
    if role is None or natural is None:
        return None
    if natural.natural_prefix is None or natural.network in ("0.0.0.0", "127.0.0.0"):
        return None if found.kind in (role.name.replace(" ", "-"), "multicast") else role.name
    name = {"{net,host}": "a host", "{net,0}": "the network address"}.get(role.notation, "the broadcast")
    return f"{name} of {natural.network}/{natural.natural_prefix}"


def _part(found: Classification) -> str:
    assert found.network is not None
    if found.role is None:
        part = "an address" if found.network.position is not None else "the subnet-router anycast address"
        return f"{part} of {found.network.network}"
    names = {"net,0": "the network address", "subnet,0": "the network address", "-1": "the broadcast"}
    notation = found.role.notation.strip("{}")
    part = next((name for end, name in names.items() if notation.endswith(end)), "a host")
    place = f"{part} of {found.network.network}"
    natural = found.class_
    if len(found.roles) > 1 and natural is not None:
        whole = f"{natural.network}/{natural.natural_prefix}"
        also = "the all-subnets broadcast" if "-1,-1" in found.roles[1].notation else "the network address"
        return f"{place} and {also} of {whole}"
    return place


def warning_of(outer_reachable: Property, embedded: Sequence[Embedded]) -> str | None:
    """One line if what an address embeds has another reach than the address itself, else None."""
    for inner in embedded:
        inward = inner.inside.kind in _INWARD
        if outer_reachable in (True, "n/a") and inward:
            return f"globally routable {inner.form} that leads to {inner.address} ({inner.inside.kind})"
        if outer_reachable is False and inner.form == "ipv4-mapped":
            return f"an IPv6 spelling of {inner.address} ({inner.inside.kind}): a filter must look inside"
        if outer_reachable is False and not inward and inner.inside.kind == "public":
            return f"not globally routable itself, but stands for {inner.address} (public)"
        if inward:
            return f"{inner.form} that leads to {inner.address} ({inner.inside.kind})"
    return None
