"""``netprobe classify`` as it is used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import NETPROBE, Run, run_in_terminal

KEYS = ["input", "address", "version", "kind", "class", "block", "role", "network", "embedded", "zone",
        "reverse_name", "integer"]  # fmt: skip


def results(netprobe: Run, *arguments: str) -> list[dict[str, Any]]:
    ran = netprobe("classify", "--json", *arguments)
    assert ran.status == 0, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)["results"]
    return found


def test_the_example_of_the_readme(netprobe: Run) -> None:
    ran = netprobe("classify", "172.20.1.5")
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.startswith("172.20.1.5\tprivate\t172.16.0.0/12\t")
    assert "class B, private (172.16.0.0/12, RFC 1918), a host of 172.20.0.0/16" in ran.stdout


def test_the_keys_of_a_result_and_what_is_in_them(netprobe: Run) -> None:
    (found,) = results(netprobe, "172.20.1.5/24")
    assert list(found)[: len(KEYS)] == KEYS
    assert found["class"] == {
        "letter": "B",
        "leading_bits": "10",
        "natural_prefix": 16,
        "network": "172.20.0.0",
        "host": 261,
    }
    assert {k: found["block"][k] for k in ("cidr", "name", "rfc", "globally_reachable", "parents")} == {
        "cidr": "172.16.0.0/12",
        "name": "Private-Use",
        "rfc": ["RFC 1918"],
        "globally_reachable": False,
        "parents": [],
    }
    assert found["network"]["broadcast"] == "172.20.1.255"
    assert (found["network"]["hosts"], found["network"]["position"]) == (254, 5)
    assert found["reverse_name"] == "5.1.20.172.in-addr.arpa"
    assert found["integer"] == 0xAC140105


@pytest.mark.parametrize(
    ("address", "letter", "prefix"),
    [("10.0.0.1", "A", 8), ("172.20.1.5", "B", 16), ("192.168.0.1", "C", 24), ("224.0.0.1", "D", None),
     ("240.0.0.1", "E", None), ("255.255.255.255", "E", None)],
)  # fmt: skip
def test_the_class_and_its_natural_prefix(address: str, letter: str, prefix: int | None, netprobe: Run) -> None:
    (found,) = results(netprobe, address)
    assert (found["class"]["letter"], found["class"]["natural_prefix"]) == (letter, prefix)


@pytest.mark.parametrize(
    ("address", "notation", "source", "destination"),
    [
        ("0.0.0.0", "{0,0}", True, False),
        ("0.1.2.3", "{0,host}", True, False),
        ("255.255.255.255", "{-1,-1}", False, True),
        ("127.9.9.9", "{127,any}", False, False),
        ("172.20.255.255", "{net,-1}", False, True),
        ("172.20.1.255/24", "{net,subnet,-1}", False, True),
    ],
)
def test_the_role_in_the_notation_of_rfc_1122(
    address: str, notation: str, source: bool, destination: bool, netprobe: Run
) -> None:
    (found,) = results(netprobe, address)
    role = found["role"]
    assert (role["notation"], role["source"], role["destination"]) == (notation, source, destination)


def test_a_31_has_no_broadcast_and_two_hosts(netprobe: Run) -> None:
    (found,) = results(netprobe, "10.0.0.5/31")
    assert found["network"]["broadcast"] is None
    assert (found["network"]["hosts"], found["network"]["position"]) == (2, 2)


def test_a_bad_address_is_told_and_the_rest_is_answered(netprobe: Run) -> None:
    ran = netprobe("classify", "1.2.3.300", "10.0.0.1")
    assert ran.status == 2
    assert ran.stdout.startswith("10.0.0.1\tprivate")
    assert ran.stderr.startswith("netprobe: 1.2.3.300: octet 300")


def test_json_is_one_document_also_when_an_address_is_bad(netprobe: Run) -> None:
    ran = netprobe("classify", "--json", "1.2.3.300", "10.0.0.1")
    assert ran.status == 2
    document = json.loads(ran.stdout)
    assert [r["kind"] for r in document["results"]] == ["private"]
    assert [e["what"] for e in document["errors"]] == ["1.2.3.300"]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_shows_a_card_that_cuts_no_address(columns: int) -> None:
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    shown = run_in_terminal([str(NETPROBE), "classify", address, "172.20.1.5"], columns=columns)
    assert shown.status == 0
    assert address in shown.stdout
    assert "…" not in shown.stdout
    assert "\x1b[" in shown.stdout


def test_no_color_means_no_colour() -> None:
    shown = run_in_terminal([str(NETPROBE), "classify", "172.20.1.5"], env={"NO_COLOR": "1"})
    assert "\x1b" not in shown.stdout
