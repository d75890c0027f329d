"""What is done with every line of a stream, and one block of lines carried through it; made to run in any process.

A line is written beside its label, and it comes from outside. Where inet_pton(3) took every line of a block as it
stands, there is nothing in it to be escaped. Elsewhere 32 searches of a byte tell whether there is anything in the
block: 0.2 ms, where a translation of it took 0.5 and a regular expression 40, of the 6 to 10 ms that it takes in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from operator import and_
from typing import NamedTuple

from netprobe.address.classification import Classification
from netprobe.address.classifier import classify
from netprobe.address.predicates import NO_FILTER, Filter, is_kind, matches
from netprobe.address.reader import takes_prefix
from netprobe.bulk.blocks import LONGEST_LINE, Block
from netprobe.bulk.labels import LONGEST_ADDRESS, Label, Labeller, Labels, block_of, kind_of_label, label_of
from netprobe.errors import AddressError
from netprobe.text import escape, shortened

__all__ = [
    "NOTHING",
    "BadLine",
    "BlockResult",
    "Plan",
    "bad_line",
    "classified",
    "fields_of",
    "lines_of",
    "process_block",
]

_SHOWN = 100  # characters of a bad line
_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte not in b"\t\n")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with every line. ``field`` counts from 1; ``delimiter`` None means runs of white space.

    ``asked`` is the word of ``--is``. ``counting`` adds up kinds instead of printing lines.
    """

    field: int | None = None
    delimiter: str | None = None
    asked: str | None = None
    filter: Filter = NO_FILTER
    counting: bool = False
    lenient: bool = False
    nat64: tuple[str, ...] = ()
    prefix: int | None = None

    @property
    def needs_records(self) -> bool:
        """Is there a question that a kind alone does not answer?"""
        words = (*self.filter.words, *((self.asked,) if self.asked else ()))
        return self.lenient or bool(self.nat64) or self.prefix is not None or not all(map(is_kind, words))


class BadLine(NamedTuple):
    """A line that is not an address, and why. No exception: a kept one drags its traceback along."""

    number: int
    what: str
    why: str
    hint: str | None = None


class BlockResult(NamedTuple):
    """What became of a block. ``yes`` is False as soon as one address is not what was asked for."""

    text: bytes
    lines: int
    counts: dict[str, int]
    bad: tuple[BadLine, ...]
    yes: bool


NOTHING = BlockResult(b"", 0, {}, (), True)  # of a block without lines

_labeller = Labeller()
_records: dict[str, Classification | AddressError] = {}


def lines_of(block: Block) -> tuple[list[str], list[BadLine]]:
    """A block's lines, which end in LF or CR LF; one that is too long is empty there, and a bad line."""
    data, bad = block.data, []
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").removesuffix(b"\r")
    if len(data) > LONGEST_LINE:
        lines = data.split(b"\n")
        for at, line in enumerate(lines):
            if len(line) > LONGEST_LINE:
                lines[at] = b""
                begin = line[: 2 * _SHOWN].decode("utf-8", "surrogateescape")[:_SHOWN]
                bad.append(BadLine(block.first_line + at, f"{begin} …", f"longer than {LONGEST_LINE:,} bytes"))
        data = b"\n".join(lines)
    return data.decode("utf-8", "surrogateescape").split("\n"), bad


def bad_line(number: int, error: AddressError) -> BadLine:
    """The line of ``error``; of a long one both ends are shown. Its hint would be the same for every line."""
    return BadLine(number, shortened(error.what, _SHOWN) or "''", shortened(error.why, 2 * _SHOWN))


def fields_of(lines: Sequence[str], plan: Plan) -> Sequence[str]:
    """The address of each line: all of it, or one field; a line without that field has an empty address."""
    if plan.field is None:
        return lines
    at = plan.field - 1
    split = (line.split(plan.delimiter) for line in lines)
    return [parts[at].strip() if len(parts) > at else "" for parts in split]


def process_block(plan: Plan, block: Block) -> BlockResult:
    """Label every line of a block."""
    lines, too_long = lines_of(block)
    number = len(lines)
    texts = fields_of(lines, plan)
    keep: list[bool] | None
    if plan.needs_records:
        found, keep, yes = _by_records(texts, plan)
    else:
        found = _labeller.labels(texts)
        keep, yes = _by_kinds(found.each, plan)
    labels = found.each
    bad = too_long
    if not found.clean:
        bad = sorted(_bad(labels, block.first_line) + too_long)
        good = [isinstance(label, str) for label in labels]
        keep = good if keep is None else list(map(and_, good, keep))
    if keep is not None:
        lines, labels = list(compress(lines, keep)), list(compress(labels, keep))
    counts: Counter[str] = Counter()
    for label, times in Counter(labels).items() if plan.counting else ():
        counts[kind_of_label(str(label))] += times
    text = b""
    if not (plan.counting or plan.asked):
        text = _joined(lines if plan.field is None and found.bare else _harmless(lines, block.data), labels)
    return BlockResult(text, number, dict(counts), tuple(bad), yes)


def _harmless(lines: list[str], data: bytes) -> list[str]:
    """The lines of ``data`` escaped, but for the tabs that separate their fields."""
    if data.isascii() and not any(map(data.__contains__, _CONTROLS)):
        return lines
    return [line if line.isprintable() else escape(line, keep="\t") for line in lines]


def _joined(lines: Sequence[str], labels: Sequence[object]) -> bytes:
    """Every line with its label: interleaved and joined at once, several times faster than adding strings."""
    both: list[object] = [None] * (2 * len(lines))
    both[::2], both[1::2] = lines, labels
    return "".join(both).encode()  # type: ignore[arg-type]


def _by_kinds(labels: Sequence[Label | AddressError | None], plan: Plan) -> tuple[list[bool] | None, bool]:
    """Which lines stay, and whether all are of the kind asked for: decided per distinct label."""
    if plan.asked is None and not plan.filter:
        return None, True
    distinct = {label for label in set(labels) if isinstance(label, str)}
    yes = plan.asked is None or all(kind_of_label(label) == plan.asked for label in distinct)
    if not plan.filter:
        return None, yes
    kept = {label for label in distinct if plan.filter.keeps_kind(kind_of_label(label))}
    return list(map(kept.__contains__, labels)), yes


def _by_records(texts: Sequence[str], plan: Plan) -> tuple[Labels, list[bool], bool]:
    """The same by full records, for questions that a kind does not answer."""
    plain = _labeller.labels(texts)
    labels: list[Label | AddressError | None] = []
    keep: list[bool] = []
    yes = True
    for text, label in zip(texts, plain.each, strict=True):
        found = None if label is None else _record(text, plan)
        if not isinstance(found, Classification):
            labels.append(found)
            keep.append(False)
            continue
        labels.append(label_of(found.kind, block_of(found)))
        keep.append(plan.filter.keeps(found))
        yes = yes and (plan.asked is None or matches(found, plan.asked))
    return Labels(labels, False, False), keep, yes


def classified(text: str, plan: Plan) -> Classification:
    """The full record of one line. Raises AddressError."""
    if len(text) > LONGEST_ADDRESS:
        raise AddressError(text, "not an address")
    return classify(text.strip(), plan.prefix if takes_prefix(text) else None, plan.nat64, plan.lenient)


def _record(text: str, plan: Plan) -> Classification | AddressError:
    found = _records.get(text)
    if found is None:
        try:
            found = classified(text, plan)
        except AddressError as error:
            found = error.with_traceback(None)
        if len(text) > LONGEST_ADDRESS:
            return found
        if len(_records) >= 8192:
            _records.clear()
        _records[text] = found
    return found


def _bad(labels: Sequence[Label | AddressError | None], first_line: int) -> list[BadLine]:
    return [bad_line(first_line + at, label) for at, label in enumerate(labels) if isinstance(label, AddressError)]
