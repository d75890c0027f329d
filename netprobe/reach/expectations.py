"""Expectations as a file: a matrix saved without what varies from run to run, and compared with a later run. Pure.

::

    schema = "netprobe/expect/1"
    complete = true                 # a cell that no row matches is a change, too

    [groups]
    web = ["web1", "web2"]

    [[cell]]                        # the first row that matches a cell decides
    bind = "0.0.0.0"
    destination = "192.0.2.*"
    vantage = "group:web"
    observed = "reachable"

TOML because people write and review these files by hand; it is read by the standard library. It is written here
rather than by a library: the file is two constants and rows of five strings, and TOML's basic strings are JSON's with
one more character to escape. A test reads back whatever a name can be.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from netprobe.errors import InvalidInputError
from netprobe.reach.cells import Cell
from netprobe.verdicts import Verdict

__all__ = ["Change", "Expectation", "Expectations", "dump_expectations", "parse_expectations"]

Groups = Mapping[str, Sequence[str]]

_SCHEMA: Final = "netprobe/expect/1"
_PATTERNS: Final = ("protocol", "bind", "destination", "vantage")
_GROUP: Final = "group:"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One ``[[cell]]``: the accepted verdicts, and patterns of the cells it applies to (none: any)."""

    observed: tuple[Verdict, ...]
    protocol: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    destination: tuple[str, ...] = ()
    vantage: tuple[str, ...] = ()

    def matches(self, cell: Cell, groups: Groups) -> bool:
        """Does the row apply to this cell?"""
        return (
            _matches(cell.protocol, self.protocol, groups)
            and _matches(cell.bind or "", self.bind, groups)
            and _matches(cell.destination, self.destination, groups)
            and _matches(cell.vantage, self.vantage, groups)
        )

    def __str__(self) -> str:
        patterns = zip(_PATTERNS, (self.protocol, self.bind, self.destination, self.vantage), strict=True)
        return " ".join(f"{key}={'|'.join(words)}" for key, words in patterns if words) or "every cell"


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that differs from the file; no ``observed``: a row that matches no cell of this run."""

    where: str
    expected: str | None
    observed: str | None

    def __str__(self) -> str:
        lines = (("-", self.expected), ("+", self.observed))
        return "\n".join(f"{sign} {self.where}: {verdict}" for sign, verdict in lines if verdict)


@dataclass(frozen=True, slots=True)
class Expectations:
    """A file's rows and groups. ``complete``: a cell that no row matches is a change."""

    rows: tuple[Expectation, ...]
    groups: Groups
    complete: bool = False

    def changes(self, cells: Iterable[Cell], groups: Groups | None = None) -> tuple[Change, ...]:
        """What differs, in the order of the cells; rows that match nothing come last. ``groups`` add to the file's."""
        known = {**(groups or {}), **self.groups}
        found: list[Change] = []
        used: set[int] = set()
        for cell in cells:
            where = f"{cell.protocol} {cell.bind} at {cell.destination} from {cell.vantage}"
            observed = cell.observed + (f" ({cell.cause})" if cell.cause else "")
            matching = [number for number, row in enumerate(self.rows) if row.matches(cell, known)]
            used.update(matching)
            if not matching:
                if self.complete:
                    found.append(Change(where, None, observed))
            elif cell.observed not in self.rows[matching[0]].observed:
                found.append(Change(where, " or ".join(self.rows[matching[0]].observed), observed))
        rest = (row for number, row in enumerate(self.rows) if number not in used)
        return (*found, *(Change(str(row), f"{' or '.join(row.observed)}, but no cell matches", None) for row in rest))


def _matches(value: str, patterns: Sequence[str], groups: Groups) -> bool:
    """``*`` and ``?`` as in a shell; ``group:NAME`` is any of that group's members, or a vantage so named."""
    return not patterns or any(
        any(fnmatchcase(value, member) for member in groups.get(pattern.removeprefix(_GROUP), ()))
        if pattern.startswith(_GROUP) and value != pattern
        else fnmatchcase(value, pattern.replace("[", "[[]"))
        for pattern in patterns
    )


def dump_expectations(cells: Iterable[Cell], *, as_json: bool = False) -> str:
    """The matrix as a file's text: sorted, without ports, times or causes."""
    keys = (*_PATTERNS, "observed")
    rows = sorted({(x.protocol, x.bind or "", x.destination, x.vantage, x.observed.value) for x in cells})
    if as_json:
        entries = [dict(zip(keys, row, strict=True)) for row in rows]
        return json.dumps({"schema": _SCHEMA, "complete": True, "cell": entries}, indent=1) + "\n"
    lines = [f'schema = "{_SCHEMA}"', "complete = true"]
    for row in rows:
        lines += ["", "[[cell]]", *(f"{key} = {_toml_string(text)}" for key, text in zip(keys, row, strict=True))]
    return "\n".join(lines) + "\n"


def _toml_string(text: str) -> str:
    """A basic string (TOML 1.0): JSON's escapes, and DEL, which JSON may leave bare."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def parse_expectations(text: str, name: str) -> Expectations:
    """Read a file of either form; what is wrong with it is an :class:`InvalidInputError` that names the row."""
    try:
        data: dict[str, object] = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(name, f"neither TOML nor JSON: {error}") from None
    schema = data.get("schema", _SCHEMA)
    if schema != _SCHEMA:
        raise InvalidInputError(name, f"schema {schema!r} is not {_SCHEMA!r}")
    unknown = sorted(set(data) - {"schema", "complete", "groups", "cell"})
    if unknown:
        raise InvalidInputError(name, f"unknown key {unknown[0]!r}", "keys: schema, complete, groups, cell")
    groups = data.get("groups", {})
    if not isinstance(groups, dict) or not all(isinstance(members, list) for members in groups.values()):
        raise InvalidInputError(name, "groups must be lists of vantages")
    cells = data.get("cell", [])
    if not isinstance(cells, list) or not cells:
        raise InvalidInputError(name, "has no [[cell]]", "netprobe bindtest --save FILE writes one")
    rows = tuple(_expectation(entry, f"{name}: cell {number}") for number, entry in enumerate(cells, 1))
    if any(_GROUP in row.vantage for row in rows):
        raise InvalidInputError(name, "a group without a name")
    members = {str(group): tuple(str(member) for member in listed) for group, listed in groups.items()}
    return Expectations(rows, members, bool(data.get("complete")))


def _expectation(entry: object, name: str) -> Expectation:
    """One entry, checked."""
    if not isinstance(entry, dict):
        raise InvalidInputError(name, "not a table")
    unknown = sorted(set(entry) - {*_PATTERNS, "observed"})
    if unknown:
        raise InvalidInputError(name, f"unknown key {unknown[0]!r}", f"keys: {', '.join(_PATTERNS)}, observed")
    observed = _words(entry.get("observed"), f"{name}: observed")
    wrong = next((word for word in observed if word not in set(Verdict)), None)
    if wrong is not None:
        raise InvalidInputError(name, f"{wrong!r} is not a verdict", f"verdicts: {', '.join(sorted(Verdict))}")
    patterns = {key: _words(entry[key], f"{name}: {key}") for key in _PATTERNS if key in entry}
    return Expectation(tuple(Verdict(word) for word in observed), **patterns)


def _words(value: object, name: str) -> tuple[str, ...]:
    """A string, or a list of them."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(word, str) for word in found):
        raise InvalidInputError(name, "must be a string or a list of strings")
    return tuple(found)
