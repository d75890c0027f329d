"""The rows are IANA's: held against copies of its CSV files, and asked at every edge."""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe.address import classify
from netprobe.address.kinds import KINDS

DATA = Path(__file__).parents[1] / "data"
PROPERTIES = {
    "Source": "source",
    "Destination": "destination",
    "Forwardable": "forwardable",
    "Globally Reachable": "globally_reachable",
    "Reserved-by-Protocol": "reserved_by_protocol",
}
WORDS = {"True": True, "False": False, "N/A": "n/a", "": None}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def rows(version: int) -> Iterator[tuple[Network, dict[str, str]]]:
    """Each block of the CSV with its row; two blocks in one row are two."""
    with (DATA / f"iana-ipv{version}-special-registry-1.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for block in row["Address Block"].split(","):
                yield ipaddress.ip_network(_unmarked(block)), row


def _unmarked(cell: str) -> str:
    return re.sub(r"\s*\[\d+\]", "", cell).strip()


ROWS = {4: list(rows(4)), 6: list(rows(6))}
ALL = [(network, row) for version in (4, 6) for network, row in ROWS[version]]
IDS = [str(network) for network, _ in ALL]


def expected_block(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    around = [network for network, _ in ROWS[address.version] if address in network]
    return str(max(around, key=lambda network: network.prefixlen)) if around else None


@pytest.mark.parametrize(("network", "row"), ALL, ids=IDS)
def test_a_block_says_what_the_registry_says(network: Network, row: dict[str, str]) -> None:
    block = next(
        found.block
        for address in (network[0], network[-1], network[network.num_addresses // 2])
        if (found := classify(str(address))).block and found.block.cidr == str(network)
    )
    assert block.name.strip('"') == row["Name"].strip('"')
    assert {key: getattr(block, key) for key in PROPERTIES.values()} == {
        key: WORDS[_unmarked(row[column])] for column, key in PROPERTIES.items()
    }
    for number in re.findall(r"\[RFC(\d+)\]", row["RFC"]):
        assert f"RFC {number}" in block.rfc


@pytest.mark.parametrize(("network", "row"), ALL, ids=IDS)
def test_the_edges_of_a_block_answer_right(network: Network, row: dict[str, str]) -> None:
    top = (1 << network.max_prefixlen) - 1
    for number in (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1):
        if 0 <= number <= top:
            address = type(network[0])(number)
            found = classify(str(address))
            assert (found.block.cidr if found.block else None) == expected_block(address), address
            assert found.kind in KINDS


def test_the_blocks_around_a_block_are_its_parents() -> None:
    block = classify("192.0.0.9").block
    assert block is not None
    assert (block.cidr, block.parents) == ("192.0.0.9/32", ("192.0.0.0/24",))
