"""A classification as a card, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netprobe.address.classification import Classification
    from netprobe.render.card import Card
    from netprobe.render.terminal import Terminal

__all__ = ["bit_lines", "here_words", "print_classifications", "whole_words"]

_PROPERTIES = (
    ("source", "source"),
    ("destination", "destination"),
    ("forwardable", "forwardable"),
    ("globally_reachable", "globally reachable"),
    ("reserved_by_protocol", "reserved by protocol"),
)


def print_classifications(records: Sequence[Classification], terminal: Terminal, bits: bool = False) -> None:
    """Print every record of ``netprobe classify`` as a card."""
    from netprobe.render.card import print_cards

    print_cards([_card(record, bits) for record in records], terminal)


def _card(record: Any, bits: bool) -> Card:
    title = record.address if record.network is None else f"{record.address}/{record.network.prefix}"
    if record.network is None and record.range is not None:
        title = f"{record.range.first} - {record.range.last}"
    lines = list(_range_lines(record)) if _is_range(record) else list(_lines(record, title))
    if bits:
        lines.append(("bits", "\n".join(bit_lines(record))))
    return title, record.kind, lines


def _is_range(record: Any) -> bool:
    """Is the whole meant, and is there more to it than one kind?"""
    whole = record.range
    if whole is None or whole_words(record) is not None:
        return False
    return record.network is None or len(whole.pieces) > 1


def _range_lines(record: Any) -> Iterator[tuple[str, str]]:
    whole = record.range
    yield "is", record.summary
    if len(whole.prefixes) <= 16:
        yield "prefixes", " ".join(whole.prefixes)
    else:
        yield "prefixes", f"{' '.join(whole.prefixes[:4])} … {len(whole.prefixes)} in all"
    yield from _pieces(whole)


def _pieces(whole: Any) -> Iterator[tuple[str, str]]:
    for piece in whole.pieces:
        named = f" ({piece.block})" if piece.block else ""
        yield "piece", f"{piece.first} - {piece.last} {piece.kind}{named}"


def _lines(record: Any, title: str) -> Iterator[tuple[str, str]]:
    yield "is", record.summary
    if record.verdict:
        yield "beware", record.verdict
    if record.input not in (title, record.address):
        yield "written", record.input
    for reading in record.readings:
        yield "read by", f"{reading.parser}: {reading.address or 'refused'}"
    if record.class_ is not None:
        yield "class", _class(record.class_)
    if record.block is not None:
        yield "block", _block(record.block)
        yield "IANA says", ", ".join(f"{name} {_word(getattr(record.block, key))}" for key, name in _PROPERTIES)
    elif record.space is not None:
        yield "space", f"{record.space.cidr} {record.space.name} ({', '.join(record.space.rfc)})"
    for role in record.roles:
        yield "role", _role(role)
    if record.network is not None:
        yield "network", _network(record.network)
    whole = whole_words(record)
    if whole is not None:
        yield "whole", whole
        if len(record.range.pieces) > 1:
            yield from _pieces(record.range)
    yield from _inside(record)
    if record.zone:
        yield "zone", record.zone
    if record.here is not None:
        yield "here", here_words(record.here)
    yield "reverse", record.reverse_name
    yield "integer", str(record.integer)


def _inside(record: Any) -> Iterator[tuple[str, str]]:
    """What the address carries and what it is made from."""
    for inner in record.embedded:
        yield "inside", f"{inner.form}: {inner.address}: {inner.inside.summary} ({inner.rfc})"
    if record.teredo is not None:
        kind = "cone" if record.teredo.cone else "restricted"
        yield "teredo", f"client port {record.teredo.port}, flags {record.teredo.flags:#06x} ({kind} NAT)"
    if record.unique_local is not None:
        yield "ULA", f"global ID {record.unique_local.global_id}, subnet {record.unique_local.subnet_id}"
    if record.mac is not None:
        yield "EUI-64", f"made from MAC {record.mac}"
    if record.multicast is not None:
        yield from _multicast(record.multicast)
    if record.solicited_node is not None:
        yield "solicited", record.solicited_node


def _multicast(group: Any) -> Iterator[tuple[str, str]]:
    yield "group", f"{group.block}, {group.scope} ({group.rfc})"
    for flag in group.flags:
        yield "flag", flag
    yield "MAC", group.mac
    if group.asn is not None:
        yield "GLOP", f"AS{group.asn}"
    if group.unicast_prefix is not None:
        yield "made from", group.unicast_prefix
    if group.rendezvous_point is not None:
        yield "RP", group.rendezvous_point
    if group.solicited is not None:
        yield "solicits", f"unicast addresses that end in {group.solicited}"


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
    ended = f"\nobsolete: {role.obsolete}" if role.obsolete else ""
    return f"{role.notation} {role.name}\n{may} ({role.rfc}){ended}"


def _block(block: Any) -> str:
    inside = f", inside {', '.join(block.parents)}" if block.parents else ""
    return f"{block.cidr} {block.name} ({', '.join(block.rfc)}){inside}"


def _word(value: Any) -> str:
    return {True: "yes", False: "no", None: "not said"}.get(value, str(value))


def _network(network: Any) -> str:
    text = network.network
    if network.broadcast is not None:
        text += f", broadcast {network.broadcast}"
    hosts = f"{network.hosts:,} host{'s' if network.hosts > 1 else ''}"
    text += f"\n{hosts}: {network.first_host} - {network.last_host}"
    return f"{text}; this is host {network.position:,}" if network.position is not None else text


def whole_words(record: Any) -> str | None:
    """The other reading of an address with a prefix: the prefix as a whole. None where that is what was meant."""
    if record.range is None or record.network is None or record.range.first == record.address:
        return None
    return f"{record.network.network} as a whole is {record.range.kind}"


def here_words(here: Any) -> str:
    """Where an address is for this host, in words."""
    subnet = f" of {here.subnet}" if here.subnet else ""
    words = {
        "own": f"this host's own, on {here.interface}" if here.interface else "this host itself",
        "network": f"the network address{subnet} on {here.interface}",
        "broadcast": f"the broadcast{subnet} on {here.interface}",
        "gateway": f"the gateway, on-link through {here.interface}",
        "on-link": f"on-link through {here.interface}{f', in {here.subnet}' if here.subnet else ''}",
        "routed": f"routed through {here.gateway} on {here.interface}",
        "no-route": "no route from here",
    }
    return words[here.relation]


def bit_lines(record: Any) -> Iterator[str]:
    """The octets or groups in binary; a bar stands between network and host, a line of letters names the two."""
    bits, group = (32, 8) if record.version == 4 else (128, 16)
    prefix = record.network.prefix if record.network else (record.class_.natural_prefix if record.class_ else None)
    digits = f"{record.integer:0{bits}b}"
    per_line = 32 if record.version == 4 else 64
    for start in range(0, bits, per_line):
        yield _grouped(digits, start, start + per_line, group, prefix, "." if record.version == 4 else ":")
        if prefix is not None:
            letters = "n" * prefix + "h" * (bits - prefix)
            yield _grouped(letters, start, start + per_line, group, prefix, " ")


def _grouped(digits: str, start: int, end: int, group: int, prefix: int | None, mark: str) -> str:
    text = ""
    for at in range(start, end):
        if at > start:
            text += "|" if at == prefix else (mark if at % group == 0 else "")
        text += digits[at]
    return text
