"""Expectations as a file: a matrix saved without what varies from run to run, and compared with a later run. Pure.

::

    schema = "netprobe/expect/1"
    complete = true                 # a cell that no row matches is a change, too

    [groups]
    web = ["web1", "web2"]

    [[cell]]                        # the row that is exactly the cell decides, or the first one that matches it
    bind = "0.0.0.0"
    destination = "192.0.2.*"
    vantage = "group:web"
    observed = "reachable"

TOML because people write and review these files by hand; it is read by the standard library. It is written here
rather than by a library: the file is two constants and rows of five strings, and TOML's basic strings are JSON's with
one more character to escape. A test reads back whatever a name can be. What TOML cannot hold is a lone surrogate (an
interface's name is bytes, PEP 383): such a matrix is written as JSON, whatever the file is called, and read as such.

A file that is still as it was written is read here, too, and in 0.3 s where tomllib takes 5 s for 100,000 rows. Only
because of that can tomllib be kept from files that would take it long (see :mod:`netprobe.reach.formats`): those have
been written by hand, and so many rows have not.

A name can hold ``*``: the row that is exactly the cell goes before the patterns, so that a saved matrix expects itself.
A cell is its addresses: a resolver's order, or another name for the same host, is no change, and a name that moves to
another address is one. So a saved row has the names (``bind_name``, ``destination_name``) for its reader only. A row
that is written by hand may have a name for a ``bind`` or a ``destination``, and then applies wherever that leads.

Rows are found by what they say literally: comparing each of 1,500 cells with each of 1,500 rows took 16 s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.files import LONGEST_FILE
from netprobe.reach.cells import Cell
from netprobe.reach.formats import load_json, load_toml, shown
from netprobe.verdicts import Verdict

__all__ = ["Change", "Expectations", "dump_expectations", "parse_expectations", "place_of"]

Groups = Mapping[str, Sequence[str]]

_SCHEMA: Final = "netprobe/expect/1"
_PATTERNS: Final = ("protocol", "bind", "destination", "vantage")
_KEYS: Final = (*_PATTERNS, "observed")
_NAMES: Final = ("bind_name", "destination_name")
_STRING: Final = r'"(?:[^"\\\n]++|\\.)*+"'
_GROUP: Final = "group:"
_MOST_PATTERNS: Final = 10_000  # each is compared with every cell, in 2 us
_VERDICTS: Final[Mapping[str, Verdict]] = {verdict.value: verdict for verdict in Verdict}
_TOML_ROW: Final = re.compile(r"\s*\[\[\s*cell\s*\]\]")
_JSON_ROW: Final = re.compile(r"  \{$")  # as --save writes it
_SAVED_ROW_LINES: Final = 2 + len(_KEYS)  # a blank one, [[cell]], its keys
_SAVED_HEAD: Final = re.compile(rf'schema = "{_SCHEMA}"\ncomplete = (true|false)\n')
_SAVED_ROW: Final = re.compile(
    r"\n\[\[cell\]\]\n"
    + "".join(rf"{key} = ({_STRING})\n" for key in _KEYS)
    + "".join(rf"(?:{key} = {_STRING}\n)?" for key in _NAMES)
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One ``[[cell]]``: the accepted verdicts, and patterns of the cells it applies to (none: any).

    ``line`` is where it begins in the file, from 1, where that can be known.
    """

    observed: tuple[Verdict, ...]
    protocol: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    destination: tuple[str, ...] = ()
    vantage: tuple[str, ...] = ()
    line: int | None = field(default=None, compare=False)

    @property
    def patterns(self) -> tuple[tuple[str, ...], ...]:
        """What the row says of a cell, in the order of the keys."""
        return (self.protocol, self.bind, self.destination, self.vantage)

    def __str__(self) -> str:
        patterns = zip(_PATTERNS, self.patterns, strict=True)
        return " ".join(f"{key}={'|'.join(words)}" for key, words in patterns if words) or "every cell"


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that differs from the file; no ``observed``: a row that matches no cell of this run.

    ``line`` is that of the row in the file, where it is known, ``blame`` who stopped a probe that failed, in words.
    """

    where: str
    expected: str | None
    observed: str | None
    line: int | None = None
    blame: str | None = None

    def __str__(self) -> str:
        observed = f"{self.observed}; {self.blame}" if self.observed and self.blame else self.observed
        lines = (("-", self.expected), ("+", observed))
        return "\n".join(f"{sign} {self.where}: {verdict}" for sign, verdict in lines if verdict)


@dataclass(frozen=True, slots=True)
class Expectations:
    """A file's rows and groups. ``complete``: a cell that no row matches is a change."""

    rows: tuple[Expectation, ...]
    groups: Groups
    complete: bool = False

    def changes(self, cells: Iterable[Cell], groups: Groups | None = None) -> tuple[Change, ...]:
        """What differs, in the order of the cells; rows that match nothing come last. ``groups`` add to the file's."""
        index = _Index(self.rows, {**(groups or {}), **self.groups})
        found: list[Change] = []
        used: set[int] = set()
        for cell in cells:
            where = place_of(cell)
            observed = cell.observed + (f" ({cell.cause})" if cell.cause else "")
            blame = None if cell.blame is None else str(cell.blame)
            matching = index.matching(*_readings_of(cell))
            used.update(matching)
            if not matching:
                if self.complete:
                    found.append(Change(where, None, observed, None, blame))
            elif cell.observed not in self.rows[matching[0]].observed:
                row = self.rows[matching[0]]
                found.append(Change(where, " or ".join(row.observed), observed, row.line, blame))
        rest = (row for number, row in enumerate(self.rows) if number not in used)
        return (*found, *(_unmatched(row) for row in rest))


def place_of(cell: Cell) -> str:
    """A cell as a :class:`Change` names it."""
    where = f"{cell.protocol} {_called(cell.bind, cell.bind_name)} at "
    return f"{where}{_called(cell.destination, cell.destination_name)} from {cell.vantage}"


def _unmatched(row: Expectation) -> Change:
    return Change(str(row), f"{' or '.join(row.observed)}, but no cell matches", None, row.line)


class _Index:
    """The rows by what they say literally, so that a cell is compared with few of them."""

    def __init__(self, rows: Sequence[Expectation], groups: Groups) -> None:
        self._rows = rows
        self._groups = {name: _Words(members) for name, members in groups.items()}
        self._exact: dict[tuple[str, ...], int] = {}
        self._literal: dict[tuple[str | None, ...], list[int]] = {}
        for number, row in enumerate(rows):
            patterns = row.patterns
            if all(len(words) == 1 for words in patterns):
                self._exact.setdefault(tuple(words[0] for words in patterns), number)
            self._literal.setdefault(tuple(map(_literal, patterns)), []).append(number)
        self._shapes = {tuple(word is not None for word in literals) for literals in self._literal}

    def matching(self, *readings: tuple[str, ...]) -> list[int]:
        """The numbers of the rows that match a cell in one of its readings; the one that decides is first."""
        found: set[int] = set()
        for cell in readings:
            for shape in self._shapes:
                literals = tuple(word if said else None for word, said in zip(cell, shape, strict=True))
                found.update(x for x in self._literal.get(literals, ()) if self._matches(cell, self._rows[x].patterns))
        exact = next((self._exact[cell] for cell in readings if cell in self._exact), None)
        return sorted(found) if exact is None else [exact, *sorted(found)]

    def _matches(self, cell: tuple[str, ...], patterns: tuple[tuple[str, ...], ...]) -> bool:
        return all(
            not words or any(self._applies(value, word) for word in words)
            for value, words in zip(cell, patterns, strict=True)
        )

    def _applies(self, value: str, word: str) -> bool:
        """``group:NAME`` is any of that group's members, or a vantage so named."""
        if word.startswith(_GROUP) and value != word:
            members = self._groups.get(word.removeprefix(_GROUP))
            return members is not None and value in members
        return _glob(value, word)


class _Words:
    """The members of a group, which may be patterns."""

    def __init__(self, words: Iterable[str]) -> None:
        words = tuple(words)
        self._literals = frozenset(words)
        self._patterns = tuple(word for word in words if "*" in word or "?" in word)

    def __contains__(self, value: str) -> bool:
        return value in self._literals or any(_glob(value, pattern) for pattern in self._patterns)


def _words_of(cell: Cell) -> tuple[str, str, str, str]:
    """What rows are compared with, in the order of the keys."""
    return (cell.protocol, cell.bind or "", cell.destination, cell.vantage)


def _readings_of(cell: Cell) -> list[tuple[str, ...]]:
    """What rows are compared with: the addresses, and then each name in the place of its address."""
    protocol, bind, destination, vantage = _words_of(cell)
    binds = [bind, *([cell.bind_name] if cell.bind_name else [])]
    destinations = [destination, *([cell.destination_name] if cell.destination_name else [])]
    return [(protocol, one, other, vantage) for one in binds for other in destinations]


def _called(address: str | None, name: str | None) -> str:
    """An address, with the name that led to it."""
    return f"{address} ({name})" if name is not None and name != address else f"{address}"


def _literal(words: tuple[str, ...]) -> str | None:
    """The only value that matches, if there is no other."""
    if len(words) != 1 or words[0].startswith(_GROUP) or "*" in words[0] or "?" in words[0]:
        return None
    return words[0]


def _glob(text: str, pattern: str) -> bool:
    """``*`` and ``?`` as in a shell, and nothing else: ``[`` stands for itself.

    A star takes as little as it can, and only the last one that was met ever takes more: a longer match of an earlier
    one leaves the rest less to match. So many stars do not multiply, and nothing is compiled, which costs 100 us.
    """
    at = after = start = 0
    star = -1
    while at < len(text):
        if after < len(pattern) and pattern[after] == "*":
            star, start = after, at
            after += 1
        elif after < len(pattern) and pattern[after] in ("?", text[at]):
            at += 1
            after += 1
        elif star >= 0:
            start += 1
            at, after = start, star + 1
        else:
            return False
    return not pattern[after:].strip("*")


def dump_expectations(cells: Iterable[Cell], *, as_json: bool = False) -> str:
    """The matrix as a file's text: sorted, without ports, times or causes. It can be read back, whatever the names."""
    rows = sorted({(*_words_of(cell), cell.observed.value, *_names_of(cell)) for cell in cells})
    if as_json or any("\ud800" <= character <= "\udfff" for row in rows for text in row for character in text):
        entries = [dict(_saved(row)) for row in rows]
        found = json.dumps({"schema": _SCHEMA, "complete": True, "cell": entries}, indent=1) + "\n"
    else:
        lines = [f'schema = "{_SCHEMA}"', "complete = true"]
        for row in rows:
            lines += ["", "[[cell]]", *(f"{key} = {_toml_string(text)}" for key, text in _saved(row))]
        found = "\n".join(lines) + "\n"
    if len(found) > LONGEST_FILE or len(found.encode()) > LONGEST_FILE:
        raise CannotRunError(
            "--save", f"the matrix takes more than {LONGEST_FILE >> 20} MiB, which --expect cannot read"
        )
    return found


def _names_of(cell: Cell) -> tuple[str, str]:
    """The names, where they say more than the address; nothing for one that does not."""
    return (cell.bind_name or "", (cell.destination_name != cell.destination and cell.destination_name) or "")


def _saved(row: tuple[str, ...]) -> list[tuple[str, str]]:
    """The keys of a row with what they say; a name that there is not has none."""
    pairs = list(zip((*_KEYS, *_NAMES), row, strict=True))
    return [(key, text) for key, text in pairs if text or key in _KEYS]


def _toml_string(text: str) -> str:
    """A basic string (TOML 1.0): JSON's escapes, and DEL, which JSON may leave bare."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def parse_expectations(text: str, name: str) -> Expectations:
    """Read a file of either form; what is wrong with it is an :class:`InvalidInputError` that names the row."""
    saved = _as_saved(text)
    if saved is not None:
        return saved
    is_json = text[:4096].lstrip().startswith("{")
    found = _as_written(load_json(text, name) if is_json else load_toml(text, name), name)
    lines = _lines_of_rows(text, _JSON_ROW if is_json else _TOML_ROW)
    if len(lines) != len(found.rows):  # written in another way: inline tables, all on one line …
        return found
    rows = (replace(row, line=line) for row, line in zip(found.rows, lines, strict=True))
    return replace(found, rows=tuple(rows))


def _lines_of_rows(text: str, begins: re.Pattern[str]) -> list[int]:
    """The lines, from 1, at which the rows of a file begin that has each on lines of its own."""
    return [number for number, line in enumerate(text.split("\n"), 1) if begins.match(line)]


def _as_saved(text: str) -> Expectations | None:
    """The rows of a file that is as :func:`dump_expectations` writes TOML; None for any other."""
    head = _SAVED_HEAD.match(text)
    if head is None:
        return None
    rows: list[Expectation] = []
    known: dict[str, tuple[str, ...]] = {}  # names come again and again
    verdicts = {f'"{verdict.value}"': (verdict,) for verdict in Verdict}
    at = head.end()
    while row := _SAVED_ROW.match(text, at):
        at = row.end()
        *patterns, observed = row.groups()
        for literal in patterns:
            if literal not in known:
                try:
                    known[literal] = (json.loads(literal),)
                except ValueError:  # TOML's escapes are more than JSON's
                    return None
        row_patterns = [known[literal] for literal in patterns]
        if observed not in verdicts or row_patterns[-1] == (_GROUP,) or _literal(row_patterns[1]) is None:
            return None  # a bound address is never a pattern
        line = 4 + _SAVED_ROW_LINES * len(rows)  # the head has two
        rows.append(
            Expectation(verdicts[observed], row_patterns[0], row_patterns[1], row_patterns[2], row_patterns[3], line)
        )
    return Expectations(tuple(rows), {}, head[1] == "true") if rows and at == len(text) else None


def _as_written(data: object, name: str) -> Expectations:
    """What a person may have written, with what is wrong with it."""
    if not isinstance(data, dict):
        raise InvalidInputError(name, "not an object")
    schema = data.get("schema", _SCHEMA)
    if schema != _SCHEMA:
        found = shown(schema) if isinstance(schema, str) else "of no string"
        raise InvalidInputError(name, f"schema {found} is not {_SCHEMA!r}")
    unknown = min(data.keys() - {"schema", "complete", "groups", "cell"}, default=None)
    if unknown is not None:
        raise InvalidInputError(name, f"unknown key {shown(unknown)}", "keys: schema, complete, groups, cell")
    complete = data.get("complete", False)
    if not isinstance(complete, bool):
        raise InvalidInputError(name, "complete must be true or false")
    cells = data.get("cell", [])
    if not isinstance(cells, list) or not cells:
        raise InvalidInputError(name, "has no [[cell]]", "netprobe bindtest --save FILE writes one")
    rows: list[Expectation] = []
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    patterns = 0
    for entry in cells:
        try:
            row = _expectation(entry, known)
        except InvalidInputError as error:
            raise InvalidInputError(f"{name}: cell {len(rows) + 1}{error.what}", error.why, error.hint) from None
        patterns += not any(map(_literal, row.patterns[1:]))
        if patterns > _MOST_PATTERNS:
            raise InvalidInputError(name, f"more than {_MOST_PATTERNS:,} cells name no address or vantage literally")
        rows.append(row)
    return Expectations(tuple(rows), _groups(data.get("groups", {}), name), complete)


def _groups(groups: object, name: str) -> Groups:
    """The lists of vantages."""
    if not isinstance(groups, dict) or not all(
        isinstance(members, list) and all(isinstance(member, str) for member in members) for members in groups.values()
    ):
        raise InvalidInputError(name, "groups must be lists of vantages")
    return {group: tuple(members) for group, members in groups.items()}


def _expectation(entry: object, known: dict[tuple[str, ...], tuple[str, ...]]) -> Expectation:
    """One entry, checked. What is wrong with it is told with where in the row it is. ``known`` keeps words once."""
    if not isinstance(entry, dict):
        raise InvalidInputError("", "not a table")
    unknown = min(entry.keys() - {*_KEYS, *_NAMES}, default=None)
    if unknown is not None:
        raise InvalidInputError("", f"unknown key {shown(unknown)}", f"keys: {', '.join((*_KEYS, *_NAMES))}")
    for key in _NAMES:
        if not isinstance(entry.get(key, ""), str):
            raise InvalidInputError(f": {key}", "must be a string")
    observed = _words(entry, "observed", known)
    wrong = next((word for word in observed if word not in _VERDICTS), None)
    if wrong is not None:
        raise InvalidInputError("", f"{shown(wrong)} is not a verdict", f"verdicts: {', '.join(sorted(_VERDICTS))}")
    patterns = [_words(entry, key, known) if key in entry else () for key in _PATTERNS]
    if _GROUP in patterns[-1]:
        raise InvalidInputError("", "a group without a name")
    protocol, bind, destination, vantage = patterns
    return Expectation(tuple(_VERDICTS[word] for word in observed), protocol, bind, destination, vantage)


def _words(entry: dict[str, object], key: str, known: dict[tuple[str, ...], tuple[str, ...]]) -> tuple[str, ...]:
    """A string, or a list of them."""
    value = entry.get(key)
    if isinstance(value, str):
        return known.setdefault((value,), (value,))
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
        raise InvalidInputError(f": {key}", "must be a string or a list of strings")
    return tuple(value)
