"""A record's fields, read the same way by every renderer: declared order, dotted leaves, plain values."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Union, get_args, get_origin, get_type_hints

__all__ = ["as_json", "cell_text", "key_of", "leaf_names", "read"]


def key_of(field_name: str) -> str:
    """The public key of a field: ``class_`` (Python's keyword) is ``class`` in JSON, CSV and tables."""
    return field_name.rstrip("_")


def as_json(value: Any) -> Any:
    """``value`` as what the json module prints: dataclasses as objects, tuples as lists, enums as their value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {key_of(f.name): as_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(v) for v in value]
    return str(value)


@cache
def leaf_names(record_type: type) -> tuple[str, ...]:
    """The dotted names of a record type's leaves in declared order: the CSV header.

    A nested record (also an optional one) is opened, a list of records is one leaf.
    """
    return tuple(_leaves(record_type))


def _leaves(record_type: type) -> Iterator[str]:
    hints = get_type_hints(record_type, localns=_Names(sys.modules[record_type.__module__]))
    for field in fields(record_type):
        nested = _record_in(hints[field.name])
        if nested is None:
            yield key_of(field.name)
        else:
            yield from (f"{key_of(field.name)}.{leaf}" for leaf in leaf_names(nested))


class _Names(dict[str, Any]):
    """A module's names, and those that its ``__lazy_types__`` says are elsewhere, which are loaded when asked for."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(vars(module))
        self._elsewhere: dict[str, str] = getattr(module, "__lazy_types__", {})

    def __missing__(self, name: str) -> Any:
        return getattr(import_module(self._elsewhere[name]), name)


def _record_in(hint: Any) -> type | None:
    """The record type in ``R`` or ``R | None``; None for anything else."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        records = [a for a in get_args(hint) if isinstance(a, type) and is_dataclass(a)]
        return records[0] if len(records) == 1 else None
    return None


def read(record: Any, dotted: str) -> Any:
    """The value at ``dotted``; None as soon as something on the way is None."""
    value = record
    for key in dotted.split("."):
        if value is None:
            return None
        value = value.get(key) if isinstance(value, dict) else _attribute(value, key)
    return value


def _attribute(record: Any, key: str) -> Any:
    try:
        return getattr(record, key)
    except AttributeError:
        return getattr(record, f"{key}_")  # class_


def cell_text(value: Any, absent: str = "") -> str:
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
