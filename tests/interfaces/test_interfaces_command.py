"""``netprobe interfaces`` as it is used."""

from __future__ import annotations

import json

import pytest

from tests.conftest import NETPROBE, Run, run_in_terminal


def test_the_loopback_interface_is_listed_with_the_kind_of_its_address(netprobe: Run) -> None:
    ran = netprobe("interfaces", "--json")
    assert (ran.status, ran.stderr) == (0, "")
    lo = next(i for i in json.loads(ran.stdout)["results"] if i["kind"] == "loopback")
    assert ("127.0.0.1", 8, "loopback") in [(a["address"], a["prefix"], a["kind"]) for a in lo["addresses"]]


def test_a_pipe_gets_a_line_an_address(netprobe: Run) -> None:
    lines = [line.split("\t") for line in netprobe("interfaces").stdout.splitlines()]
    assert {len(fields) for fields in lines} == {5}
    assert ["127.0.0.1/8", "loopback"] in [fields[3:] for fields in lines]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_shows_every_address_whole(columns: int, netprobe: Run) -> None:
    shown = run_in_terminal([str(NETPROBE), "interfaces"], columns=columns, env={"NO_COLOR": "1"})
    for line in netprobe("interfaces").stdout.splitlines():
        if (address := line.split("\t")[3]) != "-":
            assert address in shown.stdout
