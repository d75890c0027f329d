"""Expectations as a file: a matrix saved without what changes by itself, read back, and compared with a run. Pure.

::

    schema = "netprobe/expect/1"
    complete = true                 # cells that no row speaks of are changes, too

    [groups]
    web = ["web1", "web2"]

    [[cell]]                        # the first row that fits a cell decides
    bind = "0.0.0.0"
    destination = "192.0.2.*"
    vantage = "group:web"
    observed = "reachable"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from netprobe.errors import InvalidInputError
from netprobe.reach.records import Cell
from netprobe.verdicts import Verdict

__all__ = ["Change", "Expectations", "read", "save"]

SCHEMA = "netprobe/expect/1"
KEYS = ("protocol", "bind", "destination", "vantage")
GROUP = "group:"


@dataclass(frozen=True, slots=True)
class Row:
    """One ``[[cell]]``: patterns for the keys of a cell, and the verdicts that are right."""

    patterns: Mapping[str, tuple[str, ...]]
    observed: tuple[str, ...]

    def fits(self, cell: Cell, groups: Mapping[str, Sequence[str]]) -> bool:
        """Does the row speak of this cell?"""
        return all(
            any(matches(str(getattr(cell, key) or ""), pattern, groups) for pattern in patterns)
            for key, patterns in self.patterns.items()
        )

    def __str__(self) -> str:
        return " ".join(f"{key}={'|'.join(self.patterns[key])}" for key in KEYS if key in self.patterns) or "every cell"


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that is not as the file has it; no ``observed``: a row that fits no cell of this run."""

    where: str
    expected: str | None
    observed: str | None

    def __str__(self) -> str:
        lines = f"- {self.where}: {self.expected}" if self.expected else ""
        if self.observed:
            lines += ("\n" if lines else "") + f"+ {self.where}: {self.observed}"
        return lines


@dataclass(frozen=True, slots=True)
class Expectations:
    """A file's rows and groups."""

    rows: tuple[Row, ...]
    groups: Mapping[str, Sequence[str]]
    complete: bool = False

    def changes(self, cells: Iterable[Cell], groups: Mapping[str, Sequence[str]] | None = None) -> tuple[Change, ...]:
        """What differs, in the order of the cells; rows that fit nothing come last. ``groups`` add to the file's."""
        known = {**(groups or {}), **self.groups}
        found: list[Change] = []
        used: set[int] = set()
        for cell in cells:
            where = f"{cell.protocol} {cell.bind} at {cell.destination} from {cell.vantage}"
            said = cell.observed + (f" ({cell.cause})" if cell.cause else "")
            fitting = [number for number, row in enumerate(self.rows) if row.fits(cell, known)]
            used.update(fitting)
            if not fitting:
                if self.complete:
                    found.append(Change(where, None, said))
            elif cell.observed not in self.rows[fitting[0]].observed:
                found.append(Change(where, " or ".join(self.rows[fitting[0]].observed), said))
        idle = (row for number, row in enumerate(self.rows) if number not in used)
        return (*found, *(Change(str(row), f"{' or '.join(row.observed)}, and no cell fits", None) for row in idle))


def matches(value: str, pattern: str, groups: Mapping[str, Sequence[str]]) -> bool:
    """``*`` and ``?`` as in a shell; ``group:NAME`` is any of that group's members, or one named like it."""
    if pattern.startswith(GROUP) and value != pattern:
        return any(fnmatchcase(value, member) for member in groups.get(pattern.removeprefix(GROUP), ()))
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def save(cells: Iterable[Cell], *, as_json: bool = False) -> str:
    """The matrix as a file: sorted, without ports, times or causes."""
    rows = sorted({(*(str(getattr(cell, key) or "") for key in KEYS), cell.observed) for cell in cells})
    if as_json:
        named = [dict(zip((*KEYS, "observed"), row, strict=True)) for row in rows]
        return json.dumps({"schema": SCHEMA, "complete": True, "cell": named}, indent=1) + "\n"
    text = [f'schema = "{SCHEMA}"', "complete = true"]
    for row in rows:
        text += ["", "[[cell]]"]
        text += [
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in zip((*KEYS, "observed"), row, strict=True)
        ]
    return "\n".join(text) + "\n"


def read(text: str, name: str) -> Expectations:
    """Read a file of either form; what is wrong with it is an :class:`InvalidInputError` that names the row."""
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except ValueError as error:
        raise InvalidInputError(name, f"neither TOML nor JSON: {error}") from None
    if data.get("schema", SCHEMA) != SCHEMA:
        raise InvalidInputError(name, f"schema {data['schema']!r} is not {SCHEMA!r}")
    unknown = set(data) - {"schema", "complete", "groups", "cell"}
    if unknown:
        raise InvalidInputError(name, f"unknown key {sorted(unknown)[0]!r}", "keys: schema, complete, groups, cell")
    groups = data.get("groups", {})
    if not isinstance(groups, dict) or not all(isinstance(x, list) for x in groups.values()):
        raise InvalidInputError(name, "groups must be lists of vantages")
    cells = data.get("cell", [])
    if not isinstance(cells, list) or not cells:
        raise InvalidInputError(name, "no [[cell]] in it", "netprobe bindtest --save FILE writes one")
    rows = tuple(row_of(entry, f"{name}: cell {number}") for number, entry in enumerate(cells, 1))
    for row in rows:
        for pattern in row.patterns.get("vantage", ()):
            group = pattern.removeprefix(GROUP)
            if group != pattern and not group:
                raise InvalidInputError(name, "a group without a name")
    return Expectations(rows, {str(k): [str(v) for v in x] for k, x in groups.items()}, bool(data.get("complete")))


def row_of(entry: Any, name: str) -> Row:
    """One entry, checked."""
    if not isinstance(entry, dict):
        raise InvalidInputError(name, "not a table")
    unknown = set(entry) - {*KEYS, "observed"}
    if unknown:
        raise InvalidInputError(name, f"unknown key {sorted(unknown)[0]!r}", f"keys: {', '.join(KEYS)}, observed")
    observed = words(entry.get("observed"), f"{name}: observed")
    wrong = next((word for word in observed if word not in set(Verdict)), None)
    if wrong is not None:
        raise InvalidInputError(name, f"{wrong!r} is no verdict", f"verdicts: {', '.join(sorted(Verdict))}")
    return Row({key: words(entry[key], f"{name}: {key}") for key in KEYS if key in entry}, observed)


def words(value: Any, name: str) -> tuple[str, ...]:
    """A text, or a list of them."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(word, str) for word in found):
        raise InvalidInputError(name, "must be a text, or a list of texts")
    return tuple(found)
