"""Records as delimited lines: CSV (RFC 4180) with every field, and plain tab-separated text for pipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from netprobe.render.fields import as_json, cell_text, leaf_names, read

__all__ = ["CsvLines", "plain_line"]


class CsvLines:
    """Writes a header when made, then a row a record; lists and records inside a cell are JSON."""

    def __init__(self, record_type: type, out: TextIO) -> None:
        import csv

        self._names = leaf_names(record_type)
        self._writer = csv.writer(out, lineterminator="\n")
        self._writer.writerow(self._names)

    def write(self, record: Any) -> None:
        """One record as one row."""
        self._writer.writerow([_csv_value(read(record, name)) for name in self._names])


def _csv_value(value: Any) -> Any:
    if value is None or (isinstance(value, (int, float, str)) and not isinstance(value, bool)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)) and all(isinstance(v, str) for v in value):
        return " ".join(value)
    import json

    return json.dumps(as_json(value), ensure_ascii=False)


def plain_line(record: Any, names: Sequence[str]) -> str:
    """The fields ``names`` of ``record``, separated by tabs, absent ones as ``-``: easy for cut and awk."""
    return "\t".join(cell_text(read(record, name), absent="-") for name in names)
