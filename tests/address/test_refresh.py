"""The tables are IANA's, row for row; the script that refreshes them rewrites the module and says what changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from netprobe.address import registry
from tests.data import refresh

DATA = Path(refresh.__file__).parent
ROWS = {4: registry.IPV4_ROWS, 6: registry.IPV6_ROWS}


@pytest.mark.parametrize("version", [4, 6])
def test_every_row_of_the_special_registry_is_the_one_of_the_file(version: int) -> None:
    assert refresh.special_rows(DATA, version) == ROWS[version]


def test_multicast_blocks_address_space_and_scopes_are_those_of_the_files() -> None:
    assert list(refresh.differences(DATA)) == []


def test_every_block_has_a_kind() -> None:
    assert [cidr for rows in ROWS.values() for cidr in refresh.missing_kinds(rows)] == []


def test_a_refresh_from_the_same_files_leaves_the_module_as_it_is() -> None:
    text = refresh.MODULE.read_text(encoding="utf-8")
    same = {version: refresh.special_rows(DATA, version) for version in ROWS}
    assert refresh.module_with(text, dict(same), registry.PAGE_DATE) == text


def test_a_refresh_says_what_changed_and_rewrites_the_module(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "new")
    table = tmp_path / "new" / refresh.SPECIAL[4]
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = [line.replace("Shared Address Space", "Carrier Space") for line in lines if "[RFC5737]" not in line]
    lines.append("198.19.7.0/24 [9],Made Up,[RFC1][RFC2],2026-01,N/A,True,False [1],N/A,,True\n")
    table.write_text("".join(lines), encoding="utf-8")
    new = refresh.special_rows(tmp_path / "new", 4)
    assert list(refresh.changes(registry.IPV4_ROWS, new)) == [
        "- 192.0.2.0/24 Documentation (TEST-NET-1)",
        "- 198.51.100.0/24 Documentation (TEST-NET-2)",
        "- 203.0.113.0/24 Documentation (TEST-NET-3)",
        "~ 100.64.0.0/10 name: 'Shared Address Space' is now 'Carrier Space'",
        "+ 198.19.7.0/24 Made Up",
    ]
    assert refresh.missing_kinds(new) == ["198.19.7.0/24"]
    text = refresh.module_with(refresh.MODULE.read_text(encoding="utf-8"), {4: new}, "2027-01-02")
    assert '    ("198.19.7.0/24", "Made Up", ("RFC 1", "RFC 2"), True, False, "n/a", None, True),\n' in text
    assert 'PAGE_DATE = "2027-01-02"' in text
    assert "TEST-NET-1" not in text
