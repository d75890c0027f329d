"""JSON, TOML and YAML of files, read in time and memory that do not depend on who wrote the file. Pure.

None of the three parsers can be given whatever there is. With 16 MiB, which is all that is ever read of a file:

* ``tomllib`` takes 40 s and more for one key of many parts (each part is looked up from the start), 2 GB for one number
  (the regular expression keeps a state for each digit), and 5 s for 100,000 tables of five keys (8 us a line);
* ``json`` takes 0.2 s, but 430 MB for ``[[],[],[],…``;
* PyYAML's loader makes of nine anchors that refer to each other what takes all memory to walk through, calls
  constructors that raise what they like (a date of month 13), and takes a second for 100 KB where it was built
  without libyaml.

So the text is measured first, by counting characters, which takes milliseconds: how many values there can be, how many
parts in a key, how long a number. The limits are far above what a file for netprobe needs, and the refusal of a file
names the limit. Depth is not measured: the parsers of JSON and TOML recurse, and say so when it is too deep.

YAML is read from the parser's events instead, one after the other, so that they can be counted while they come, and
nothing is constructed: a scalar is the text that was written (``2222``, ``yes``, ``2024-13-01``), which is what a
connection variable is, too. An alias is the same object again, never a copy; whoever walks through must count.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from netprobe.errors import CannotRunError, InvalidInputError

__all__ = ["ExcessError", "load_json", "load_toml", "load_yaml", "shown"]

_MOST_DIGITS: Final = 4300  # what int() takes, unless the environment says otherwise (sys.int_info)
_MOST_DEPTH: Final = 64  # of YAML
_MOST_EVENTS: Final = 400_000  # of YAML: 28,000 hosts with two variables each; a second
_LONGEST_SLOW_YAML: Final = 256 << 10  # without libyaml: three seconds

# What is counted, and how much of it there can be; the slowest file that is within all limits takes about a second.
_MOST_OBJECTS: Final = 250_000  # of JSON
_MOST_COMMAS: Final = 300_000  # of JSON, besides those that its objects are given
_LONGEST_TOML: Final = 4 << 20  # tomllib looks at each character of a string: 0.2 us
_TOML_LIMITS: Final = (
    ("[{=,", 150_000, "values"),  # 21,000 rows of five keys
    ("\n", 500_000, "lines"),
    ("\"'", 500_000, "quotes"),
    ("\\", 200_000, "escapes"),
)
_MOST_DOTS: Final = 10_000
_LONGEST_WORD: Final = 255
# Comments and the four kinds of strings. What is left without them is what takes tomllib its time.
_TOML_TEXTS: Final = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"""'
    r"|'''(?:[^']++|'(?!''))*+'''"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|#[^\n]*+",
    re.DOTALL,
)
_LONG_KEY: Final = re.compile(r"(?:\.[^.,\n=]*+){4}")
_LONG_WORD: Final = re.compile(rf"(?<![\w.+:-])[\w.+:-]{{{_LONGEST_WORD + 1}}}")

_YAML_NULLS: Final = ("", "~", "null", "Null", "NULL")  # YAML 1.1, https://yaml.org/type/null.html
# The types that are no more than texts, lists and mappings, and Ansible's two: its values are texts, too.
_YAML_TAGS: Final = {
    *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp")),
    *("!", "!unsafe", "!vault", "!vault-encrypted"),
}


class ExcessError(InvalidInputError):
    """There is more of something than is read, here or by another program that the file would be given to."""


def shown(text: str) -> str:
    """``text`` quoted for a message, which is a line and stays one however long the text is."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def load_json(text: str, name: str, *, values: int = 8) -> object:
    """The value; a key twice in one object is an error, since one of the two would silently not count.

    An object is thought to have that many ``values``: it is the values of all objects together that are limited, and
    300,000 more are allowed.
    """
    objects = text.count("{")
    if objects + text.count("[") > _MOST_OBJECTS or text.count(",") > _MOST_COMMAS + values * objects:
        raise ExcessError(name, "has too many values")
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, name), parse_int=_integer)
    except ValueError as error:
        raise InvalidInputError(name, f"not JSON: {_one_line(error)}") from None
    except RecursionError:
        raise InvalidInputError(name, "nested too deeply") from None


def _object(pairs: list[tuple[str, object]], name: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidInputError(name, f"has the key {shown(key)} twice in one object")
        found[key] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number is too long")
    return int(digits)


def load_toml(text: str, name: str) -> dict[str, object]:
    """The tables of a TOML document."""
    hint = "more is read in the form that --save writes, as TOML or JSON"
    if len(text) > _LONGEST_TOML:
        raise ExcessError(name, f"larger than {_LONGEST_TOML >> 20} MiB", hint)
    for characters, most, what in _TOML_LIMITS:
        if sum(map(text.count, characters)) > most:
            raise ExcessError(name, f"has more than {most:,} {what}", hint)
    bare = _TOML_TEXTS.sub("", text)
    if bare.count(".") > _MOST_DOTS or _LONG_KEY.search(bare):
        raise ExcessError(name, "has keys of too many parts")
    if _LONG_WORD.search(bare):
        raise ExcessError(name, "has a number or bare key that is too long")
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise InvalidInputError(name, f"not TOML: {_one_line(error)}") from None
    except RecursionError:
        raise InvalidInputError(name, "nested too deeply") from None


def load_yaml(text: str, name: str) -> object:
    """Texts, lists, mappings of texts, and None, as they stand in the only document of a YAML file."""
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        hint = "pip install 'netprobe-cli[yaml]', or install Ansible, or write it as INI"
        raise CannotRunError(name, "a YAML inventory needs PyYAML", hint) from None
    loader = getattr(yaml, "CSafeLoader", None)
    if loader is None and len(text) > _LONGEST_SLOW_YAML:
        raise CannotRunError(
            name, f"larger than {_LONGEST_SLOW_YAML >> 10} KiB", "install PyYAML with libyaml, which reads 16 MiB"
        )
    if re.search("^%", text, re.MULTILINE):  # libyaml compares each %TAG with all before it: 30,000 take 2 s
        raise ExcessError(name, "YAML directives (%) are not read")
    try:
        return _YamlReader(yaml.parse(text, Loader=loader or yaml.SafeLoader), name).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        why = getattr(error, "problem", None) or _one_line(error)
        raise InvalidInputError(name, f"not YAML: {where}{why}") from None


class _YamlReader:
    """Makes values of the parser's events."""

    def __init__(self, events: Iterator[Any], name: str) -> None:
        self._events = events
        self._name = name
        self._left = _MOST_EVENTS
        self._anchors: dict[str, object] = {}

    def document(self) -> object:
        found: object = None
        documents = 0
        while True:
            event = self._next()
            match type(event).__name__:
                case "DocumentStartEvent":
                    documents += 1
                    if documents > 1:
                        raise self._refusal(event, "a second document")
                    found = self._value(self._next(), 0)
                case "StreamEndEvent":
                    return found

    def _next(self) -> Any:
        event = next(self._events)
        self._spend(1)
        return event

    def _spend(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise ExcessError(self._name, f"has more than {_MOST_EVENTS:,} values")

    def _refusal(self, event: Any, why: str, kind: type[InvalidInputError] = InvalidInputError) -> InvalidInputError:
        return kind(self._name, f"line {event.start_mark.line + 1}: {why}")

    def _value(self, event: Any, depth: int) -> object:
        """The value that begins with ``event``. It has a name only when it is complete, so nothing contains itself."""
        kind = type(event).__name__
        if kind == "AliasEvent":
            if event.anchor not in self._anchors:
                why = f"*{shown(event.anchor)[1:-1]} stands for nothing that is complete before it"
                raise self._refusal(event, why, ExcessError)
            return self._anchors[event.anchor]
        if event.tag is not None and event.tag not in _YAML_TAGS:
            raise self._refusal(event, f"a value of type {shown(event.tag)} is not read here")
        if depth > _MOST_DEPTH:
            raise self._refusal(event, "nested too deeply", ExcessError)
        found: object
        if kind == "ScalarEvent":
            found = None if event.implicit[0] and event.value in _YAML_NULLS else event.value
        elif kind == "SequenceStartEvent":
            found = self._list(depth)
        else:
            found = self._mapping(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = found
        return found

    def _list(self, depth: int) -> list[object]:
        found: list[object] = []
        while type(event := self._next()).__name__ != "SequenceEndEvent":
            found.append(self._value(event, depth + 1))
        return found

    def _mapping(self, depth: int) -> dict[str, object]:
        """Keys are texts. A key ``<<`` brings the pairs of one or more mappings, for keys that are not written here."""
        found: dict[str, object] = {}
        merged: list[object] = []
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key = self._value(event, depth + 1)
            if not isinstance(key, str | None):
                raise self._refusal(event, "a key is a list or a mapping")
            value = self._value(self._next(), depth + 1)
            if key == "<<" and getattr(event, "implicit", (False,))[0]:
                others = value if isinstance(value, list) else [value]
                self._spend(len(others))
                merged += others
                continue
            key = "null" if key is None else key
            if key in found:
                raise self._refusal(event, f"the key {shown(key)} twice")
            found[key] = value
        for other in merged:
            if not isinstance(other, Mapping):
                raise InvalidInputError(self._name, "<< needs a mapping")
            self._spend(len(other))
            for key, value in other.items():
                found.setdefault(key, value)
        return found


def _one_line(error: Exception) -> str:
    """What a parser says, without line breaks and not at length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:200] + "…"
