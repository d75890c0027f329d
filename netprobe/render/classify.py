"""``netprobe classify`` for people: a record as a line or a card, the bits, a stream's lines, counts as bars.

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
    from netprobe.address.classification import Classification
    from netprobe.address.locality import Locality
    from netprobe.address.multicast import Multicast
    from netprobe.address.ranges import Network, Range
    from netprobe.address.registry import Property, SpecialBlock
    from netprobe.bulk.filters import BadLine
    from netprobe.bulk.stream import KindCount, Progress
    from netprobe.render.card import Card
    from netprobe.render.output import Document
    from netprobe.render.progress import ProgressLine
    from netprobe.render.terminal import Terminal

__all__ = ["StreamWriter", "bit_lines", "count_line", "plain_lines", "print_classifications", "print_histogram"]

_PLAIN = ("input", "kind", "block.cidr")  # then the sentences
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PROPERTIES = (
    ("source", "source"),
    ("destination", "destination"),
    ("forwardable", "forwardable"),
    ("globally_reachable", "globally reachable"),
    ("reserved_by_protocol", "reserved by protocol"),
)


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


def print_classifications(records: Sequence[Classification], terminal: Terminal, bits: bool = False) -> None:
    """Print every record of ``netprobe classify`` as a card."""
    from netprobe.render.card import print_cards

    print_cards([_card(record, bits) for record in records], terminal)


def _card(record: Classification, bits: bool) -> Card:
    title = record.address if record.network is None else f"{record.address}/{record.network.prefix}"
    if record.network is None and record.range is not None:
        title = f"{record.range.first} - {record.range.last}"
    whole = record.range if _is_range(record) else None
    lines = list(_lines(record, title)) if whole is None else [("is", record.summary), *_range_lines(whole)]
    if bits:
        lines.append(("bits", "\n".join(bit_lines(record))))
    return title, record.kind, lines


def _is_range(record: Classification) -> bool:
    """Is the whole meant, and is there more to it than one kind?"""
    whole = record.range
    if whole is None or _whole_words(record) is not None:
        return False
    return record.network is None or len(whole.pieces) > 1


def _range_lines(whole: Range) -> Iterator[tuple[str, str]]:
    if len(whole.prefixes) <= 16:
        yield "prefixes", " ".join(whole.prefixes)
    else:
        yield "prefixes", f"{' '.join(whole.prefixes[:4])} … {len(whole.prefixes)} in all"
    yield from _pieces(whole)


def _pieces(whole: Range) -> Iterator[tuple[str, str]]:
    for piece in whole.pieces:
        named = f" ({piece.block})" if piece.block else ""
        yield "piece", f"{piece.first} - {piece.last} {piece.kind}{named}"


def _lines(record: Classification, title: str) -> Iterator[tuple[str, str]]:
    yield "is", record.summary
    if record.warning:
        yield "beware", record.warning
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
    whole = _whole_words(record)
    if whole is not None and record.range is not None:
        yield "whole", whole
        if len(record.range.pieces) > 1:
            yield from _pieces(record.range)
    yield from _inside(record)
    if record.zone:
        yield "zone", record.zone
    if record.here is not None:
        yield "here", _locality_words(record.here)
    yield "reverse", record.reverse_name
    yield "integer", str(record.integer)


def _inside(record: Classification) -> Iterator[tuple[str, str]]:
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


def _multicast(group: Multicast) -> Iterator[tuple[str, str]]:
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


def _class(found: AddressClass) -> str:
    if found.natural_prefix is None:
        return f"{found.letter} (leading bits {found.leading_bits}), no natural network"
    return (
        f"{found.letter} (leading bits {found.leading_bits}), natural network "
        f"{found.network}/{found.natural_prefix}, host number {found.host}"
    )


def _role(role: Role) -> str:
    allowed = [word for word in ("source", "destination") if getattr(role, word)]
    may = f"may be {' and '.join(allowed)}" if allowed else "may be neither source nor destination"
    ended = f"\nobsolete: {role.obsolete}" if role.obsolete else ""
    return f"{role.notation} {role.name}\n{may} ({role.rfc}){ended}"


def _block(block: SpecialBlock) -> str:
    inside = f", inside {', '.join(block.parents)}" if block.parents else ""
    return f"{block.cidr} {block.name} ({', '.join(block.rfc)}){inside}"


def _word(value: Property) -> str:
    return {True: "yes", False: "no", None: "not stated", "n/a": "n/a"}[value]


def _network(network: Network) -> str:
    text = network.network
    if network.broadcast is not None:
        text += f", broadcast {network.broadcast}"
    hosts = f"{network.hosts:,} host{'s' if network.hosts > 1 else ''}"
    text += f"\n{hosts}: {network.first_host} - {network.last_host}"
    return f"{text}; this is host {network.position:,}" if network.position is not None else text


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
    return words[here.relation]


def bit_lines(record: Classification) -> Iterator[str]:
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
            line.append("  ").append(_bar(found.count / most, room), style="cyan")
        out.print(line, soft_wrap=True)


def _bar(share: float, room: int) -> str:
    whole, eighths = divmod(round(share * room * 8), 8)
    return ("█" * whole + (_EIGHTHS[eighths] if eighths else "")) or "▏"
