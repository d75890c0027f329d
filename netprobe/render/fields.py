"""A record's fields as every writer reads them: declared order, dotted leaves, text of one cell."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from netprobe.text import escape

__all__ = ["Json", "as_json", "cell_text", "escaped", "key_of", "leaf_names", "plain_line", "read"]

T = TypeVar("T")
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def key_of(field_name: str) -> str:
    """The public key of a field: ``class_`` (Python's keyword) is ``class`` in JSON, CSV and tables."""
    return field_name.rstrip("_")


def as_json(value: object) -> Json:
    """``value`` as what the json module prints: dataclasses as objects, tuples as lists, enums as their value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {key: as_json(getattr(value, name)) for key, name in _keys(type(value))}
    if isinstance(value, dict):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(v) for v in value]
    return str(value)


def escaped(value: T) -> T:
    """``value`` with every text in it escaped, however deep: what a human or line format may show of a record.

    A view builds its lines from fields and puts line feeds and tabs between them. It is handed this copy, so that no
    field brings line feeds, tabs or terminal sequences of its own. A value without anything to escape, which is
    nearly every one, is returned as it is.
    """
    clean: Any = value
    if isinstance(value, str):
        clean = escape(value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        entries = [escaped(entry) for entry in value]
        if any(new is not old for new, old in zip(entries, value, strict=True)):
            named = isinstance(value, tuple) and hasattr(value, "_fields")
            clean = type(value)(*entries) if named else type(value)(entries)
    elif isinstance(value, dict):
        pairs = [(escaped(k), escaped(v)) for k, v in value.items()]
        if any(k is not old or v is not value[old] for (k, v), old in zip(pairs, value, strict=True)):
            clean = dict(pairs)
    elif is_dataclass(value) and not isinstance(value, type):
        clean = _escaped_record(value)
    return clean  # type: ignore[no-any-return]


def _escaped_record(record: object) -> object:
    copy: object | None = None
    record_type: type = type(record)
    for name in _field_names(record_type):
        old = getattr(record, name)
        if old.isprintable() if old.__class__ is str else not old or isinstance(old, (int, float)):
            continue  # nearly every field of nearly every record: 1,000 interfaces have 8,000 of them
        new = escaped(old)
        if new is not old:
            copy = _shallow_copy(record) if copy is None else copy
            object.__setattr__(copy, name, new)  # nothing else holds the copy yet
    return record if copy is None else copy


def _shallow_copy(record: object) -> object:
    """A new instance with the same fields, made without ``__init__``, which may check what it is given."""
    record_type: type = type(record)
    copy: object = object.__new__(record_type)
    for name in _field_names(record_type):
        object.__setattr__(copy, name, getattr(record, name))
    return copy


@cache
def _keys(record_type: type) -> tuple[tuple[str, str], ...]:
    return tuple((key_of(name), name) for name in _field_names(record_type))


@cache
def _field_names(record_type: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(record_type))


@cache
def leaf_names(*record_types: type) -> tuple[str, ...]:
    """The dotted names of the leaves of record types in declared order, each once: the CSV header.

    A nested record (also an optional one) is opened, a list of records is one leaf.
    """
    return tuple(dict.fromkeys(name for record_type in record_types for name in _leaves(record_type)))


def _leaves(record_type: type) -> Iterator[str]:
    deferred = getattr(sys.modules[record_type.__module__], "deferred_types", dict)
    hints = get_type_hints(record_type, localns=deferred())
    for field in fields(record_type):
        nested = _record_in(hints[field.name])
        if nested is None:
            yield key_of(field.name)
        else:
            yield from (f"{key_of(field.name)}.{leaf}" for leaf in leaf_names(nested))


def _record_in(hint: object) -> type | None:
    """The record type in ``R`` or ``R | None``; None for anything else."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        records = [a for a in get_args(hint) if isinstance(a, type) and is_dataclass(a)]
        return records[0] if len(records) == 1 else None
    return None


def read(record: object, dotted: str) -> object:
    """The value at ``dotted``; None where a record on the path is None or of a type without that field."""
    value: object = record
    for key in dotted.split("."):
        if value is None:
            return None
        value = value.get(key) if isinstance(value, dict) else _attribute(value, key)
    return value


def _attribute(record: object, key: str) -> object:
    try:
        return getattr(record, key)
    except AttributeError:
        return getattr(record, f"{key}_", None)  # class_; None: a record of another type than has this column


def plain_line(record: object, names: Sequence[str]) -> str:
    """The fields ``names`` of ``record``, separated by tabs, absent ones as ``-``: easy for cut and awk."""
    return "\t".join(cell_text(read(record, name), absent="-") for name in names)


def cell_text(value: object, absent: str = "") -> str:
    """A value as one cell of text: absent as ``absent``, booleans as yes/no, lists joined by commas."""
    if value is None or value == "":
        return absent
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1 else f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell_text(v) for v in value) or absent
    if isinstance(value, dict) or is_dataclass(value):
        import json

        return json.dumps(as_json(value), ensure_ascii=False)
    return str(value)
