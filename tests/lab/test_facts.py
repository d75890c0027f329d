"""Every case of every network in ``networks/``: what netprobe calls it, in the words of the facts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import BuildLab
from tests.lab.network import NETWORKS, Lab, describe

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
VANTAGE_KEYS = ("bind", "protocols", "to", "source", "timeout", "payload", "options")


def cases() -> Iterator[Any]:
    for path in sorted(NETWORKS.glob("*.toml")):
        network = describe(path.stem)
        for case in network.get("cases", ()):
            yield pytest.param(network, case, id=f"{path.stem}: {case['name']}")


@pytest.mark.parametrize(("network", "case"), list(cases()))
def test_it_is_called_what_it_is(lab: BuildLab, network: Mapping[str, Any], case: Mapping[str, Any]) -> None:
    built = lab(network)
    for host, commands in case.get("run", {}).items():
        for command in commands:
            built[host].run("sh", "-c", command)
    for host, rules in case.get("nft", {}).items():
        built[host].run("nft", "-f", "-", stdin=None, input=table(rules))
    cells = bindtest(built, {**network.get("defaults", {}), **case})
    for wanted in case["expect"]:
        check(cells, wanted)
    if case.get("as_expected"):
        assert [cell for cell in cells if cell["differs"]] == []


def table(rules: Mapping[str, str]) -> str:
    """An nft ruleset from ``{hook: rules}``; ``prerouting`` and ``postrouting`` are nat hooks."""
    chains = []
    for hook, text in rules.items():
        kind = "nat" if hook in ("prerouting", "postrouting") else "filter"
        priority = {"prerouting": -100, "postrouting": 100}.get(hook, 0)
        chains.append(f"chain {hook} {{\ntype {kind} hook {hook} priority {priority}\n{text}\n}}\n")
    return f"table inet t {{\n{''.join(chains)}}}\n"


def bindtest(lab: Lab, case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """netprobe's cells: it runs in ``server``, its vantages in the hosts named by ``from``."""
    vantages = {
        name: [] if name == "local" else ["nsenter", "-t", str(lab[name].pid), "-n", "--", sys.executable, "-"]
        for name in case["from"]
    }
    request = {"vantages": vantages, **{key: case[key] for key in VANTAGE_KEYS if key in case}}
    ran = lab[case["server"]].run(
        sys.executable, "-m", "tests.lab.prober", stdin=None, input=json.dumps(request), cwd=ROOT
    )
    cells: list[dict[str, Any]] = json.loads(ran.stdout)
    return cells


def check(cells: list[dict[str, Any]], wanted: Mapping[str, Any]) -> None:
    """At least one cell is meant, and each one that is meant is as it is wanted."""
    keys = ("protocol", "bind", "destination", "vantage")
    meant = [cell for cell in cells if all(cell[key] == wanted[key] for key in keys if key in wanted)]
    assert meant, f"no cell is {wanted}"
    for cell in meant:
        said = f"{cell['observed']}: {cell['cause']}"
        assert cell["observed"] == wanted["observed"], said
        assert wanted.get("cause", "") in (cell["cause"] or ""), said
        for key in ("errno", "expected", "replied_from"):
            if key in wanted:
                assert cell[key] == wanted[key], (key, cell)
        if "icmp" in wanted:
            icmp = cell["icmp"]
            assert [icmp["type"], icmp["code"], icmp["offender"]] == wanted["icmp"], icmp
        if "difference" in wanted:
            assert wanted["difference"] in (cell["difference"] or ""), cell["difference"]
