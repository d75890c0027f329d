"""The smaller tables are IANA's too, and the script that makes the registry anew says what changed."""

from __future__ import annotations

import csv
import re

from netprobe.address.multicast import IPV4_BLOCKS, IPV6_SCOPES
from netprobe.address.registry import IPV4_ROWS, Row
from netprobe.address.space import IPV6_SPACE
from tests.data.regenerate import HERE, differences, regenerated


def table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rfcs(cell: str) -> tuple[str, ...]:
    return tuple(f"RFC {number}" for number in re.findall(r"\[RFC(\d+)\]", cell))


def test_the_multicast_blocks_are_those_of_the_file() -> None:
    rows = table("ipv4-multicast-blocks.csv")
    assert list(IPV4_BLOCKS) == [(r["start"], r["end"], r["name"], rfcs(r["reference"])[0]) for r in rows]


def test_the_ipv6_space_is_that_of_the_file() -> None:
    rows = table("ipv6-address-space-1.csv")
    ours = [(space.cidr, space.name, space.rfc) for space in IPV6_SPACE]
    assert ours == [(r["IPv6 Prefix"], r["Allocation"], rfcs(r["Reference"])) for r in rows]


def test_the_scopes_are_those_of_the_file() -> None:
    scopes: list[str] = []
    for row in table("ipv6-scope.csv"):
        first, _, last = row["Scope"].partition("-")
        assert int(first, 16) == len(scopes)
        scopes += [row["Name"]] * (int(last or first, 16) - int(first, 16) + 1)
    assert tuple(scopes) == IPV6_SCOPES


def test_a_new_a_lost_and_a_changed_block_are_told() -> None:
    cidr, _, *rest = IPV4_ROWS[2]
    changed: Row = (cidr, "Very Private", *rest)  # type: ignore[assignment]
    new: Row = ("198.19.7.0/24", "Made Up", ("RFC 1", "RFC 2"), True, False, "n/a", None, True)
    told = list(differences(IPV4_ROWS, [*IPV4_ROWS[:2], changed, *IPV4_ROWS[4:], new]))
    assert sorted(line.split(" (")[0] for line in told) == [
        "added: 198.19.7.0/24 Made Up",
        "changed: 10.0.0.0/8:",
        "gone: 100.64.0.0/10 Shared Address Space",
        "no kind yet: 198.19.7.0/24 Made Up: choose one in kinds.py",
    ]
    text = "IPV4_ROWS: tuple[Row, ...] = (\n    old,\n)\nrest\n"
    row = '    ("198.19.7.0/24", "Made Up", ("RFC 1", "RFC 2"), True, False, "n/a", None, True),'
    assert regenerated(text, 4, [new]) == f"IPV4_ROWS: tuple[Row, ...] = (\n{row}\n)\nrest\n"
