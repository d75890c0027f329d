"""``netprobe classify`` for people: a record as a line, several as a table, one as a card; a stream, counts as bars.

The two sentences of a record (``summary``, ``warning``) come with it, because the library and JSON have them, too
(netprobe/address/classification.py). All other words that ``classify`` writes about a record are found here.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from netprobe.errors import InvalidInputError
from netprobe.render.fields import plain_line

if TYPE_CHECKING:
    from netprobe.address.classful import AddressClass, Role
    from netprobe.address.classification import Classification, Embedded
    from netprobe.address.locality import Locality
    from netprobe.address.multicast import Multicast
    from netprobe.address.ranges import Network, Range
    from netprobe.address.registry import Property, SpecialBlock
    from netprobe.bulk.filters import BadLine
    from netprobe.bulk.stream import KindCount, Progress
    from netprobe.render.card import Card, Row
    from netprobe.render.output import Document
    from netprobe.render.progress import ProgressLine
    from netprobe.render.terminal import Terminal

__all__ = [
    "MEANINGS",
    "StreamWriter",
    "bit_lines",
    "count_line",
    "plain_lines",
    "print_classifications",
    "print_histogram",
]

_PLAIN = ("input", "kind", "block.cidr")  # then the sentences
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PROPERTIES = (
    ("source", "source"),
    ("destination", "destination"),
    ("forwardable", "forwardable"),
    ("globally_reachable", "global"),
)
# Kinds of addresses that hosts have in a network: with a prefix there is more to tell.
_IN_NETWORKS = frozenset(
    {"public", "private", "shared", "unique-local", "site-local", "documentation", "benchmarking", "segment-routing"}
)

# What a kind comes to for whoever meets such an address; KINDS (netprobe/address/kinds.py) defines the words.
MEANINGS = {
    "public": "for use on the Internet: globally unique and routable",
    "private": "for use inside a network; not routed on the Internet",
    "shared": "between a provider and its customers (carrier-grade NAT); not routed on the Internet",
    "unique-local": "for use inside a network, as IPv4's private addresses; not routed on the Internet",
    "loopback": "this host itself; never on a wire",
    "link-local": "for use on one link; never forwarded by a router",
    "site-local": "for use inside a network, deprecated in 2004; not routed on the Internet",
    "unspecified": "no address yet; as a bind address: every address of the host",
    "this-network": "a host on this network, as a source only; not forwarded",
    "limited-broadcast": "every host on this link; never forwarded by a router",
    "multicast": "a group of hosts; never a source",
    "documentation": "for examples in documentation; not routed on the Internet",
    "benchmarking": "for tests of network devices; not routed on the Internet",
    "protocol-assignment": "assigned to one IETF protocol; for nothing else",
    "anycast": "a service, at the nearest of several hosts",
    "ipv4-mapped": "an IPv4 address as IPv6 sockets show it; within a host only",
    "ipv4-compatible": "an IPv4 address behind 96 zero bits; deprecated",
    "nat64": "an IPv4 address behind a translator",
    "6to4": "a network behind an IPv4 address, through a tunnel",
    "teredo": "a host behind a NAT, through a tunnel",
    "orchid": "a cryptographic identifier, not a location",
    "segment-routing": "a segment identifier (SRv6); not routed on the Internet",
    "discard": "for traffic that is to be dropped",
    "reserved": "reserved by the IETF; not in use",
    "mixed": "of more than one kind",
}


def plain_lines(record: Classification) -> str:
    """``input kind block sentences``, and a line for each piece of a range that has several."""
    beware = f"beware: {record.warning}" if record.warning else None
    sentences = "; ".join(filter(None, (record.summary, _whole_words(record), beware)))
    lines = [f"{plain_line(record, _PLAIN)}\t{sentences}"]
    if record.here is not None:
        lines[0] += f"\t{_locality_words(record.here)}"
    if record.range is not None and len(record.range.pieces) > 1:
        lines += [f"{piece.first}-{piece.last}\t{piece.kind}\t{piece.block or '-'}" for piece in record.range.pieces]
    return "\n".join(lines)


def print_classifications(
    records: Sequence[Classification], terminal: Terminal, bits: bool = False, card: bool = False
) -> None:
    """One record as a card, several as a table; ``card`` makes a card of each, and so do ``bits``, which need one."""
    if len(records) > 1 and not (card or bits):
        _print_grid(records, terminal)
        return
    from netprobe.render.card import print_cards

    cards = [_card(record, bits) for record in records]
    if len(cards) > 1:
        cards = [card._replace(commands=()) for card in cards]
    print_cards(cards, terminal)


def _print_grid(records: Sequence[Classification], terminal: Terminal) -> None:
    from collections import Counter

    from rich.text import Text

    from netprobe.render.grid import GridColumn, grid_lines, prose
    from netprobe.render.palette import LABEL, style_of_kind
    from netprobe.render.table import print_lines

    columns = (GridColumn("address"), GridColumn("kind"), GridColumn("block", 1), GridColumn("what else", below=True))
    rows = [
        (
            Text(_title(record)),
            Text(record.kind, style=style_of_kind(record.kind)),
            Text(record.block.cidr if record.block else "-"),
            Text("; ".join(_what_else(record))),
        )
        for record in records
    ]
    tally = ", ".join(f"{count:,}\xa0{kind}" for kind, count in Counter(r.kind for r in records).most_common())
    width = terminal.width
    print_lines((*grid_lines(columns, rows, width), *prose(Text(tally, style=LABEL), width, "  ")), terminal)


def _what_else(record: Classification) -> Iterator[str]:
    """What is not to be seen from the address: where it leads, what is there, what it lacks."""
    if _is_range(record) and record.range is not None:
        yield _pieces_words(record.range)
        return
    yield from (_leads(inner) for inner in record.embedded)
    if record.service:
        yield record.service
    if _lacks_zone(record):
        yield f"needs a zone: {_zoned(record)}"
    if record.spelling is not None:
        yield f"written {record.input}"
    if record.mac is not None:
        yield f"made from MAC {record.mac}"
    if record.multicast is not None:
        yield record.multicast.block
    if record.network is not None and record.roles and record.roles[0].notation.endswith(",-1}"):
        yield f"broadcast of {record.network.network}"
    if record.here is not None:
        yield _locality_words(record.here)


def _leads(inner: Embedded) -> str:
    """Where an address leads that embeds another one. A mapped one is the other itself, on no wire."""
    words = {
        "ipv4-mapped": "stands for",
        "ipv4-compatible": "stands for",
        "teredo-server": "Teredo server",
        "teredo-client": "Teredo client",
    }
    return f"{words.get(inner.form, 'leads to')} {inner.address}, {inner.inside.kind}"


def _lacks_zone(record: Classification) -> bool:
    """A link-local address of IPv6 means another host on each link (RFC 4007 section 6)."""
    alone = record.range is None or record.network is not None
    return record.version == 6 and record.kind == "link-local" and record.zone is None and alone


def _zoned(record: Classification) -> str:
    return f"{record.address}%eth0"


def _title(record: Classification) -> str:
    if record.network is not None:
        return f"{record.address}/{record.network.prefix}"
    return record.address if record.range is None else f"{record.range.first} - {record.range.last}"


def _card(record: Classification, bits: bool) -> Card:
    from netprobe.render.card import Card, Row
    from netprobe.render.palette import style_of_kind

    rows = list(_rows(record))
    if bits:
        rows.append(Row("bits", tuple(bit_lines(record))))
    return Card(
        _title(record),
        record.kind,
        rows,
        answers=(_answer(record),),
        findings=tuple(_findings(record)),
        word_style=style_of_kind(record.kind),
        commands=tuple(_next_commands(record)),
    )


def _answer(record: Classification) -> str:
    """What it comes to today. Of a prefix or a range that is more than one kind: how much of what."""
    whole = record.range if _is_range(record) else None
    if whole is None:
        return MEANINGS[record.kind]
    return _pieces_words(whole) if len(whole.pieces) > 1 else f"{_count(whole)}: {MEANINGS[record.kind]}"


def _pieces_words(whole: Range) -> str:
    kinds = list(dict.fromkeys(piece.kind for piece in whole.pieces))
    in_pieces = f" in {len(whole.pieces)} pieces" if len(whole.pieces) > 1 else ""
    return f"{_count(whole)}{in_pieces}: {', '.join(kinds)}"


def _count(whole: Range) -> str:
    return f"{whole.addresses:,} address{'es' if whole.addresses > 1 else ''}"


def _findings(record: Classification) -> Iterator[str]:
    """What to know before the address is used or filtered."""
    if record.warning:
        yield record.warning
    if record.service:
        yield record.service
    if record.spelling is not None:
        yield f"{record.input} is a legacy spelling: parsers read it differently, or refuse it"


def _is_range(record: Classification) -> bool:
    """Is the whole meant, and is there more to it than one kind?"""
    whole = record.range
    if whole is None or _whole_words(record) is not None:
        return False
    return record.network is None or len(whole.pieces) > 1


def _rows(record: Classification) -> Iterator[Row]:
    from netprobe.render.card import Row

    if _is_range(record) and record.range is not None:
        yield from _range_rows(record.range)
        return
    if record.input not in (_title(record), record.address):
        yield Row("written", (record.input,))
    if record.readings:
        yield Row("read by", tuple(f"{reading.parser}: {reading.address or 'refused'}" for reading in record.readings))
    yield from _registry_rows(record)
    yield from _network_rows(record)
    yield from _inside(record)
    if record.zone:
        yield Row("zone", (record.zone,))
    elif _lacks_zone(record):
        yield Row("zone", (f"needed to send to it: {_zoned(record)}",))
    if record.here is not None:
        yield Row("here", (_locality_words(record.here),))
    yield Row("reverse", (record.reverse_name,))
    yield Row("integer", (str(record.integer),))
    if record.class_ is not None:
        yield Row("history", (_history(record, record.class_),))


def _registry_rows(record: Classification) -> Iterator[Row]:
    from netprobe.render.card import Row
    from netprobe.render.links import registry_of

    if record.block is not None:
        yield Row("block", (_block(record.block),))
        words = [f"{name} {_word(getattr(record.block, key))}" for key, name in _PROPERTIES]
        if record.block.reserved_by_protocol is True:
            words.append("reserved by protocol yes")
        yield Row("IANA", (", ".join(words),), registry_of(record.version))
    elif record.space is not None:
        yield Row("block", ("no special block of IANA's",))
        yield Row("space", (f"{record.space.cidr}  {record.space.name}, {', '.join(record.space.rfc)}",))
    else:
        yield Row("block", ("no special block of IANA's",))


def _network_rows(record: Classification) -> Iterator[Row]:
    """Its network, if a prefix was given, and its role there. Without one only roles that no prefix decides."""
    from netprobe.render.card import Row

    if record.network is not None:
        yield Row("network", _network(record.network))
    elif record.kind in _IN_NETWORKS and record.range is None:
        yield Row("network", ("no prefix given",))
    for role in record.roles:
        if record.network is not None or not role.notation.startswith("{net,"):
            yield Row("role", _role(role))
    whole = _whole_words(record)
    if whole is not None and record.range is not None:
        yield Row("whole", (whole,))
        if len(record.range.pieces) > 1:
            yield _pieces(record.range)


def _range_rows(whole: Range) -> Iterator[Row]:
    from netprobe.render.card import Row

    prefixes = " ".join(whole.prefixes)
    if len(whole.prefixes) > 16:
        prefixes = f"{' '.join(whole.prefixes[:4])} and more, {len(whole.prefixes)} in all"
    yield Row("prefixes", (prefixes,))
    yield _pieces(whole)


def _pieces(whole: Range) -> Row:
    from netprobe.render.card import Row

    named = ((piece, f", {piece.block}" if piece.block else "") for piece in whole.pieces)
    return Row("pieces", tuple(f"{piece.first} - {piece.last}  {piece.kind}{block}" for piece, block in named))


def _inside(record: Classification) -> Iterator[Row]:
    """What the address carries and what it is made from."""
    from netprobe.render.card import Row

    for inner in record.embedded:
        block = f", {inner.inside.block.cidr}" if inner.inside.block else ""
        yield Row("inside", (f"{inner.address}  {inner.inside.kind}{block}; {inner.form}, {inner.rfc}",))
    if record.teredo is not None:
        kind = "cone" if record.teredo.cone else "restricted"
        yield Row("teredo", (f"client port {record.teredo.port}, flags {record.teredo.flags:#06x} ({kind} NAT)",))
    if record.unique_local is not None:
        yield Row("ULA", (f"global ID {record.unique_local.global_id}, subnet {record.unique_local.subnet_id}",))
    if record.mac is not None:
        yield Row("EUI-64", (f"made from MAC {record.mac}",))
    if record.multicast is not None:
        yield from _multicast(record.multicast)
    if record.solicited_node is not None:
        yield Row("ND group", (record.solicited_node,))


def _multicast(group: Multicast) -> Iterator[Row]:
    from netprobe.render.card import Row

    yield Row("group", (f"{group.block}, {group.scope}, {group.rfc}",))
    if group.flags:
        yield Row("flags", group.flags)
    yield Row("MAC", (group.mac,))
    if group.asn is not None:
        yield Row("GLOP", (f"AS{group.asn}",))
    if group.unicast_prefix is not None:
        yield Row("from", (group.unicast_prefix,))
    if group.rendezvous_point is not None:
        yield Row("RP", (group.rendezvous_point,))
    if group.solicited is not None:
        yield Row("solicits", (f"unicast addresses that end in {group.solicited}",))


def _history(record: Classification, found: AddressClass) -> str:
    """The class, and what it meant while routing looked at it (until RFC 1519). Today a prefix says that."""
    letter = f"class {found.letter}"
    if found.natural_prefix is None:
        return f"{letter}, no network of its own"
    meant = f"{letter}; before CIDR (1993) that meant {found.network}/{found.natural_prefix}"
    role = record.role.notation if record.role is not None and record.network is None else ""
    end = {"{net,-1}": ", and this was its broadcast", "{net,0}": " itself"}
    return meant + end.get(role, "")


def _role(role: Role) -> tuple[str, ...]:
    allowed = [word for word in ("source", "destination") if getattr(role, word)]
    may = f"may be {' and '.join(allowed)}" if allowed else "may be neither source nor destination"
    ended = (f"obsolete: {role.obsolete}",) if role.obsolete else ()
    return (f"{role.notation} {role.name}; {may}, {role.rfc}", *ended)


def _block(block: SpecialBlock) -> str:
    inside = f"; inside {', '.join(block.parents)}" if block.parents else ""
    return f"{block.cidr}  {', '.join([block.name, *block.rfc])}{inside}"


def _word(value: Property) -> str:
    return {True: "yes", False: "no", None: "not stated", "n/a": "n/a"}[value]


def _network(network: Network) -> tuple[str, ...]:
    end = f", broadcast {network.broadcast}" if network.broadcast is not None else ""
    hosts = f"{network.hosts:,} host{'s' if network.hosts > 1 else ''}"
    text = f"{hosts}: {network.first_host} - {network.last_host}"
    if network.position is not None:
        text += f"; this is host {network.position:,}"
    return (f"{network.network}{end}", text)


def _next_commands(record: Classification) -> Iterator[str]:
    """What else netprobe can tell of it."""
    if record.range is None or record.network is not None:
        for inner in record.embedded:
            yield f"netprobe classify {inner.address}"
        if record.network is None and record.kind in _IN_NETWORKS and record.zone is None:
            yield f"netprobe classify {record.address}/{24 if record.version == 4 else 64}"
        if record.here is None:
            yield f"netprobe classify {record.address} --here"


def _whole_words(record: Classification) -> str | None:
    """The other reading of an address with a prefix: the prefix as a whole. None where that is what was meant."""
    if record.range is None or record.network is None or record.range.first == record.address:
        return None
    return f"{record.network.network} as a whole is {record.range.kind}"


def _locality_words(here: Locality) -> str:
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
    state = {
        "tentative": ", but tentative: duplicate address detection has not ended",
        "dadfailed": ", but unusable: duplicate address detection has failed, another host has it",
    }
    return words[here.relation] + state.get(here.state or "", "")


def bit_lines(record: Classification) -> Iterator[str]:
    """The octets or groups in binary; with a prefix a bar stands between network and host, and letters name the two."""
    bits, group = (32, 8) if record.version == 4 else (128, 16)
    prefix = record.network.prefix if record.network else None
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


class StreamWriter:
    """Writes what :mod:`netprobe.bulk` makes of a stream: text to stdout, bad lines and progress to stderr."""

    def __init__(
        self, document: Document[Classification] | Document[KindCount], progress: ProgressLine, terminal: Terminal
    ) -> None:
        self._document = document
        self._progress = progress
        self._stdout_tty = terminal.stdout_tty
        self._utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
        self._began = monotonic()
        sys.stdout.flush()

    @property
    def descriptor(self) -> int | None:
        """Stdout for workers to write to; not beside a progress line on the same terminal, nor in another code."""
        return sys.stdout.fileno() if self._utf8 and not self._stdout_tty else None

    def text(self, data: bytes) -> None:
        """Write whole lines. In another encoding than UTF-8 some bytes of it may be control characters."""
        self._progress.clear()
        if self._utf8 or data.isascii():
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            sys.stdout.write(data.decode())
            sys.stdout.flush()

    def bad_line(self, line: BadLine) -> None:
        """One line on stderr."""
        self._document.error(InvalidInputError(f"line {line.number}: {line.what}", line.why, line.hint))

    def progress(self, progress: Progress) -> None:
        """Lines so far, lines a second, and the share of a file."""
        rate = progress.lines / max(monotonic() - self._began, 1e-9)
        share = f", {100 * progress.done / progress.size:.0f}%" if progress.size else ""
        self._progress.show(f"{progress.lines:,} lines, {rate:,.0f} lines/s{share}")


def count_line(found: KindCount) -> str:
    """``kind count percent``."""
    return f"{found.kind}\t{found.count}\t{found.percent:g}%"


def print_histogram(counts: Sequence[KindCount], terminal: Terminal) -> None:
    """Kind, count, percent and a bar a line; the bars take what is left of the width, 40 columns at most."""
    if not counts:
        return
    from rich.text import Text

    from netprobe.render.table import console

    kind_width = max(len(found.kind) for found in counts)
    count_width = max(len(f"{found.count:,}") for found in counts)
    room = min(terminal.width - kind_width - count_width - 11, 40)
    most = max(found.count for found in counts)
    out = console(terminal)
    for found in counts:
        line = Text(f"{found.kind:{kind_width}}  {found.count:>{count_width},} {found.percent:6.2f}%")
        if room > 4:
            line.append("  ").append(_bar(found.count / most, room, terminal.unicode))
        out.print(line, soft_wrap=True)


def _bar(share: float, room: int, unicode: bool) -> str:
    if not unicode:
        return "#" * max(round(share * room), 1)
    whole, eighths = divmod(round(share * room * 8), 8)
    return ("█" * whole + (_EIGHTHS[eighths] if eighths else "")) or "▏"
