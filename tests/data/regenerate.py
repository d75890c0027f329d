"""Writes the rows of ``netprobe/address/registry.py`` anew from IANA's CSV files: ``python -m tests.data.regenerate``.

Put newer copies of the two special-purpose registries into this folder first, then run it with the date of the page:
``python -m tests.data.regenerate 2026-12-01``. It says what changed; a block that netprobe has no kind for is named,
because its kind has to be chosen by a person (``netprobe/address/kinds.py``).
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from netprobe.address import kinds, registry
from netprobe.address.registry import Property, Row

HERE = Path(__file__).parent
MODULE = Path(registry.__file__)
PROPERTIES = ("Source", "Destination", "Forwardable", "Globally Reachable", "Reserved-by-Protocol")
VALUES: dict[str, Property] = {"True": True, "False": False, "N/A": "n/a", "": None}


def read_rows(version: int) -> Iterator[Row]:
    """The rows of one CSV file; footnote marks are left out, a cell with two blocks makes two rows."""
    path = HERE / f"iana-ipv{version}-special-registry-1.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rfc = tuple(f"RFC {number}" for number in re.findall(r"\[RFC(\d+)\]", row["RFC"]))
            source, destination, forwardable, reachable, reserved = (VALUES[_unmarked(row[key])] for key in PROPERTIES)
            for block in row["Address Block"].split(","):
                name = row["Name"].strip('"')
                yield (_unmarked(block), name, rfc, source, destination, forwardable, reachable, reserved)


def _unmarked(cell: str) -> str:
    return re.sub(r"\s*\[\d+\]", "", cell).strip()


def source_of(version: int, rows: list[Row]) -> str:
    """The rows as they stand in the module."""
    lines = [f"IPV{version}_ROWS: tuple[Row, ...] = ("]
    for row in rows:
        cells = ", ".join(_literal(cell) for cell in row)
        lines.append(f"    ({cells}),")
    return "\n".join([*lines, ")"])


def _literal(cell: object) -> str:
    if isinstance(cell, tuple):
        inner = ", ".join(f'"{entry}"' for entry in cell)
        return f"({inner},)" if len(cell) == 1 else f"({inner})"
    return f'"{cell}"' if isinstance(cell, str) else repr(cell)


def differences(old: tuple[Row, ...], new: list[Row]) -> Iterator[str]:
    """What is added, gone or changed, a line each."""
    before, after = {row[0]: row for row in old}, {row[0]: row for row in new}
    for cidr in after.keys() - before.keys():
        yield f"added: {cidr} {after[cidr][1]}"
    for cidr in before.keys() - after.keys():
        yield f"gone: {cidr} {before[cidr][1]}"
    for cidr in before.keys() & after.keys():
        if before[cidr] != after[cidr]:
            yield f"changed: {cidr}: {before[cidr][1:]} -> {after[cidr][1:]}"
    for cidr in after.keys() - kinds.BLOCK_KINDS.keys():
        yield f"no kind yet: {cidr} {after[cidr][1]}: choose one in kinds.py"


def regenerated(text: str, version: int, rows: list[Row]) -> str:
    """The module's text with fresh rows of one family."""
    pattern = re.compile(rf"^IPV{version}_ROWS: tuple\[Row, \.\.\.\] = \(\n.*?^\)$", re.MULTILINE | re.DOTALL)
    return pattern.sub(lambda _: source_of(version, rows), text, count=1)


def main() -> None:
    """Rewrite the module and tell what changed."""
    text = MODULE.read_text("utf-8")
    for version, old in ((4, registry.IPV4_ROWS), (6, registry.IPV6_ROWS)):
        rows = list(read_rows(version))
        for line in sorted(differences(old, rows)):
            print(line)
        text = regenerated(text, version, rows)
    if len(sys.argv) > 1:
        text = re.sub(r'PAGE_DATE = "[\d-]+"', f'PAGE_DATE = "{sys.argv[1]}"', text)
    print("nothing changed" if text == MODULE.read_text("utf-8") else f"rewritten: {MODULE.name}; now run: ruff format")
    MODULE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
