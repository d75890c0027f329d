"""A classification as a card, for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netprobe.render.card import Card, print_cards
from netprobe.render.output import Document

__all__ = ["print_classifications"]

_PROPERTIES = (
    ("source", "source"),
    ("destination", "destination"),
    ("forwardable", "forwardable"),
    ("globally_reachable", "globally reachable"),
    ("reserved_by_protocol", "reserved by protocol"),
)


def print_classifications(document: Document) -> None:
    """Print every record of ``netprobe classify`` as a card."""
    print_cards([_card(record) for record in document.records], document.output.terminal)


def _card(record: Any) -> Card:
    title = record.address if record.network is None else f"{record.address}/{record.network.prefix}"
    return title, record.kind, list(_lines(record, title))


def _lines(record: Any, title: str) -> Iterator[tuple[str, str]]:
    yield "is", record.summary
    if record.input not in (title, record.address):
        yield "written", record.input
    if record.class_ is not None:
        yield "class", _class(record.class_)
    if record.block is not None:
        yield "block", _block(record.block)
        yield "IANA says", ", ".join(f"{name} {_word(getattr(record.block, key))}" for key, name in _PROPERTIES)
    if record.role is not None:
        yield "role", _role(record.role)
    if record.network is not None:
        yield "network", _network(record.network)
    for inside in record.embedded:
        yield "inside", f"{inside.form}: {inside.address}: {inside.inside.summary}"
    if record.zone:
        yield "zone", record.zone
    yield "reverse", record.reverse_name
    yield "integer", str(record.integer)


def _class(found: Any) -> str:
    if found.natural_prefix is None:
        return f"{found.letter} (leading bits {found.leading_bits}), no natural network"
    return (
        f"{found.letter} (leading bits {found.leading_bits}), natural network "
        f"{found.network}/{found.natural_prefix}, host number {found.host}"
    )


def _role(role: Any) -> str:
    allowed = [word for word in ("source", "destination") if getattr(role, word)]
    may = f"may be {' and '.join(allowed)}" if allowed else "may be neither source nor destination"
    return f"{role.notation} {role.name}\n{may} ({role.rfc})"


def _block(block: Any) -> str:
    inside = f", inside {', '.join(block.parents)}" if block.parents else ""
    return f"{block.cidr} {block.name} ({', '.join(block.rfc)}){inside}"


def _word(value: Any) -> str:
    return {True: "yes", False: "no", None: "not said"}.get(value, str(value))


def _network(network: Any) -> str:
    text = network.network
    if network.broadcast is not None:
        text += f", broadcast {network.broadcast}"
    text += f"\n{network.hosts:,} hosts: {network.first_host} - {network.last_host}"
    return f"{text}; this is host {network.position:,}" if network.position is not None else text
