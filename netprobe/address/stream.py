"""One block of a stream of lines: labelled, filtered, counted; made to run in any process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from operator import and_
from typing import NamedTuple

from netprobe.address.bulk import Labeller, Tail, Tails, block_of, kind_of_tail
from netprobe.address.classification import Classification, classify
from netprobe.address.predicates import is_kind, matches
from netprobe.address.prefix import comes_alone
from netprobe.errors import AddressError

__all__ = ["NOTHING", "BadLine", "Block", "Outcome", "Plan", "classified", "fields_of", "handle"]


class Plan(NamedTuple):
    """What is done with every line. ``field`` counts from 1; ``delimiter`` None means runs of white space."""

    field: int | None = None
    delimiter: str | None = None
    asked: str | None = None
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    counting: bool = False
    lenient: bool = False
    nat64: tuple[str, ...] = ()
    prefix: int | None = None

    @property
    def needs_records(self) -> bool:
        """Is there a question that a kind alone does not answer?"""
        words = (*self.only, *self.excluded, *((self.asked,) if self.asked else ()))
        return self.lenient or bool(self.nat64) or self.prefix is not None or not all(map(is_kind, words))


class Block(NamedTuple):
    """Whole lines of the stream, without the last line feed, and the number of the first one."""

    data: bytes
    first_line: int


class BadLine(NamedTuple):
    """A line that is no address."""

    number: int
    error: AddressError


class Outcome(NamedTuple):
    """What a block came to. ``yes`` is False as soon as one address does not have what was asked for."""

    text: bytes
    lines: int
    counts: dict[str, int]
    bad: tuple[BadLine, ...]
    yes: bool


NOTHING = Outcome(b"", 0, {}, (), True)  # of a block without lines

_labeller = Labeller()
_records: dict[str, Classification | AddressError] = {}


def fields_of(lines: Sequence[str], plan: Plan) -> Sequence[str]:
    """The address of each line: all of it, or one field; a line without that field has an empty address."""
    if plan.field is None:
        return [line.strip() for line in lines] if any(line[-1:] == "\r" for line in lines[:64]) else lines
    at = plan.field - 1
    split = (line.split(plan.delimiter) for line in lines)
    return [parts[at].strip() if len(parts) > at else "" for parts in split]


def handle(plan: Plan, block: Block) -> Outcome:
    """Label every line of a block."""
    lines = block.data.decode("utf-8", "surrogateescape").split("\n")
    number = len(lines)
    texts = fields_of(lines, plan)
    keep: list[bool] | None
    if plan.needs_records:
        found, keep, yes = _by_records(texts, plan)
    else:
        found = _labeller.tails(texts)
        keep, yes = _by_kinds(found.each, plan)
    tails = found.each
    bad: tuple[BadLine, ...] = ()
    if not found.clean:
        bad = _bad(tails, block.first_line)
        good = [isinstance(tail, str) for tail in tails]
        keep = good if keep is None else list(map(and_, good, keep))
    if keep is not None:
        lines, tails = list(compress(lines, keep)), list(compress(tails, keep))
    counts: Counter[str] = Counter()
    for tail, times in Counter(tails).items() if plan.counting else ():
        counts[kind_of_tail(str(tail))] += times
    text = b"" if plan.counting or plan.asked else _joined(lines, tails)
    return Outcome(text, number, dict(counts), bad, yes)


def _joined(lines: Sequence[str], tails: Sequence[object]) -> bytes:
    """Every line with its tail: interleaved and joined at once, which is several times faster than adding strings."""
    both: list[object] = [None] * (2 * len(lines))
    both[::2], both[1::2] = lines, tails
    return "".join(both).encode("utf-8", "surrogateescape")  # type: ignore[arg-type]


def _by_kinds(tails: Sequence[Tail | AddressError | None], plan: Plan) -> tuple[list[bool] | None, bool]:
    """Which lines stay, and whether all are of the kind asked for: decided per distinct tail."""
    if plan.asked is None and not plan.only and not plan.excluded:
        return None, True
    distinct = {tail for tail in set(tails) if isinstance(tail, str)}
    yes = plan.asked is None or all(kind_of_tail(tail) == plan.asked for tail in distinct)
    if not plan.only and not plan.excluded:
        return None, yes
    staying = {
        tail
        for tail in distinct
        if (not plan.only or kind_of_tail(tail) in plan.only) and kind_of_tail(tail) not in plan.excluded
    }
    return list(map(staying.__contains__, tails)), yes


def _by_records(texts: Sequence[str], plan: Plan) -> tuple[Tails, list[bool], bool]:
    """The same by full records, for questions that a kind does not answer."""
    plain = _labeller.tails(texts)
    tails: list[Tail | AddressError | None] = []
    keep: list[bool] = []
    yes = True
    for text, tail in zip(texts, plain.each, strict=True):
        found = None if tail is None else _record(text, plan)
        if not isinstance(found, Classification):
            tails.append(found)
            keep.append(False)
            continue
        tails.append(f"\t{found.kind}\t{block_of(found) or '-'}\n")
        stays = not plan.only or any(matches(found, word) for word in plan.only)
        keep.append(stays and not any(matches(found, word) for word in plan.excluded))
        yes = yes and (plan.asked is None or matches(found, plan.asked))
    return Tails(tails, False), keep, yes


def classified(text: str, plan: Plan) -> Classification:
    """The full record of one line. Raises AddressError."""
    return classify(text.strip(), plan.prefix if comes_alone(text) else None, plan.nat64, plan.lenient)


def _record(text: str, plan: Plan) -> Classification | AddressError:
    found = _records.get(text)
    if found is None:
        try:
            found = classified(text, plan)
        except AddressError as error:
            found = error
        if len(_records) >= 8192:
            _records.clear()
        _records[text] = found
    return found


def _bad(tails: Sequence[Tail | AddressError | None], first_line: int) -> tuple[BadLine, ...]:
    return tuple(BadLine(first_line + at, tail) for at, tail in enumerate(tails) if isinstance(tail, AddressError))
