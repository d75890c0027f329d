"""A classification in one sentence, and the one line that says when the inside disagrees with the outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netprobe.address.classification import Classification
    from netprobe.address.embedded import Embedded

__all__ = ["disagreement", "sentence"]

# Kinds that a packet from elsewhere has no business to reach.
_INWARD = frozenset(
    {"loopback", "private", "shared", "link-local", "this-network", "unspecified", "limited-broadcast", "reserved"}
)


def sentence(found: Classification) -> str:
    """``class B, private (172.16.0.0/12, RFC 1918), a host of 172.20.0.0/16``."""
    return ", ".join(_parts(found))


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
    """Which table says so."""
    if found.block is not None:
        return f" ({', '.join([found.block.cidr, *found.block.rfc])})"
    if found.multicast is not None:
        return f" ({found.multicast.block}, {found.multicast.scope}, {found.multicast.rfc})"
    return ""


def _place(found: Classification) -> str | None:
    """Which part the address plays in its network."""
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


def disagreement(outer_reachable: Any, embedded: Sequence[Embedded]) -> str | None:
    """When what is inside an address is of another reach than the address itself: one line, else None."""
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
