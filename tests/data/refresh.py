"""Brings netprobe's own copy of IANA's tables up to date: ``python -m tests.data.refresh FOLDER DATE``.

FOLDER holds newer CSV files under the names they have here, DATE is the "Last Updated" of the special-purpose pages.
Says what changed, rewrites the rows in ``netprobe/address/registry.py``, copies the files here, and tells what is
left to a person: the kind of a new block, and the three smaller tables, where they differ. Exit status 1 while
something is.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from netprobe.address import kinds, multicast, registry, space

__all__ = ["changes", "differences", "missing_kinds", "module_with", "special_rows"]

HERE = Path(__file__).parent
MODULE = Path(registry.__file__)
SPECIAL = {4: "iana-ipv4-special-registry-1.csv", 6: "iana-ipv6-special-registry-1.csv"}
OTHERS = ("ipv4-multicast-blocks.csv", "ipv6-address-space-1.csv", "ipv6-scope.csv")
PROPERTIES = ("Source", "Destination", "Forwardable", "Globally Reachable", "Reserved-by-Protocol")
WORDS: dict[str, registry.Property] = {"True": True, "False": False, "N/A": "n/a", "": None}
LINE = 120  # characters


def special_rows(folder: Path, version: int) -> tuple[registry.RegistryRow, ...]:
    """The rows of one special-purpose CSV file: a row of two blocks is two, footnote marks are taken off."""
    return tuple(
        _row(block, row) for row in _table(folder / SPECIAL[version]) for block in row["Address Block"].split(",")
    )


def _row(block: str, row: dict[str, str]) -> registry.RegistryRow:
    source, destination, forwardable, reachable, reserved = (WORDS[_unmarked(row[column])] for column in PROPERTIES)
    name = row["Name"].strip('" ')
    return _unmarked(block), name, _rfcs(row["RFC"]), source, destination, forwardable, reachable, reserved


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _unmarked(cell: str) -> str:
    return re.sub(r"\s*\[\d+\]", "", cell).strip()


def _rfcs(cell: str) -> tuple[str, ...]:
    return tuple(f"RFC {number}" for number in re.findall(r"\[RFC(\d+)\]", cell))


def changes(old: Sequence[registry.RegistryRow], new: Sequence[registry.RegistryRow]) -> Iterator[str]:
    """What changed between two states of a table, a line a block or a field."""
    before, after = ({row[0]: row for row in rows} for rows in (old, new))
    yield from (f"- {cidr} {before[cidr][1]}" for cidr in before if cidr not in after)
    for cidr, row in after.items():
        if cidr not in before:
            yield f"+ {cidr} {row[1]}"
            continue
        for field, was, now in zip(("name", "rfc", *PROPERTIES), before[cidr][1:], row[1:], strict=True):
            if was != now:
                yield f"~ {cidr} {field}: {was!r} is now {now!r}"


def missing_kinds(rows: Sequence[registry.RegistryRow]) -> list[str]:
    """Blocks that ``kinds.py`` has no word for."""
    return [row[0] for row in rows if row[0] not in kinds.BLOCK_KINDS]


def module_with(text: str, rows: dict[int, Sequence[registry.RegistryRow]], date: str) -> str:
    """The text of ``registry.py`` with other rows and another date."""
    for version, table in rows.items():
        pattern = rf"(?ms)^(IPV{version}_ROWS: [^\n]* = \(\n).*?(^\)$)"
        body = "".join(map(_source, table))
        text, found = re.subn(pattern, lambda m, body=body: f"{m[1]}{body}{m[2]}", text)  # type: ignore[misc]
        if found != 1:
            raise ValueError(f"registry.py has no table IPV{version}_ROWS")
    return re.sub(r'(?m)^PAGE_DATE = "[^"]*"', f'PAGE_DATE = "{date}"', text)


def _source(row: registry.RegistryRow) -> str:
    """A row as the formatter writes it."""
    cells = [_quoted(cell) for cell in row]
    line = f"    ({', '.join(cells)}),\n"
    return line if len(line) <= LINE + 1 else "".join(["    (\n", *(f"        {c},\n" for c in cells), "    ),\n"])


def _quoted(cell: object) -> str:
    if isinstance(cell, tuple):
        return f"({', '.join(map(_quoted, cell))}{',' if len(cell) == 1 else ''})"
    return '"' + cell.replace('"', '\\"') + '"' if isinstance(cell, str) else repr(cell)


def differences(folder: Path) -> Iterator[str]:
    """Where the three smaller tables of the code are not what the files of ``folder`` say."""
    groups = [(r["start"], r["end"], r["name"], *_rfcs(r["reference"])[:1]) for r in _table(folder / OTHERS[0])]
    allocated = [(r["IPv6 Prefix"], r["Allocation"], _rfcs(r["Reference"])) for r in _table(folder / OTHERS[1])]
    yield from _unlike("IPv4 multicast", multicast.IPV4_BLOCKS, groups)
    yield from _unlike("IPv6 space", [(s.cidr, s.name, s.rfc) for s in space.IPV6_SPACE], allocated)
    yield from _unlike("IPv6 scope", list(enumerate(multicast.IPV6_SCOPES)), list(_scopes(folder / OTHERS[2])))


def _scopes(path: Path) -> Iterator[tuple[int, str]]:
    for row in _table(path):
        first, _, last = row["Scope"].partition("-")
        for value in range(int(first, 16), int(last or first, 16) + 1):
            yield value, row["Name"]


def _unlike(name: str, ours: Sequence[object], theirs: Sequence[object]) -> Iterator[str]:
    yield from (f"{name}: {row!r} is not IANA's" for row in ours if row not in theirs)
    yield from (f"{name}: {row!r} is not in the code" for row in theirs if row not in ours)


def main(folder: Path, date: str) -> int:
    """Refresh, and say what is left to do."""
    rows = {version: special_rows(folder, version) for version in SPECIAL}
    for version, old in ((4, registry.IPV4_ROWS), (6, registry.IPV6_ROWS)):
        for line in changes(old, rows[version]):
            print(line)
    MODULE.write_text(module_with(MODULE.read_text(encoding="utf-8"), dict(rows), date), encoding="utf-8")
    left = [f"give {cidr} a kind in kinds.py" for table in rows.values() for cidr in missing_kinds(table)]
    left += differences(folder)
    for name in (*SPECIAL.values(), *OTHERS):
        if (folder / name).resolve() != (HERE / name).resolve():
            shutil.copyfile(folder / name, HERE / name)
    for line in left:
        print(f"to do: {line}")
    return 1 if left else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not re.fullmatch(r"\d{4}-\d\d-\d\d", sys.argv[2]):
        sys.exit(f"usage: python -m tests.data.refresh FOLDER YYYY-MM-DD\n\n{__doc__}")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
