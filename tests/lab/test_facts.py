"""Every case of every network in ``networks/``: what netprobe calls it, in the words of the facts."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.conftest import NETPROBE, needs
from tests.lab import misbehaving
from tests.lab.conftest import BuildLab
from tests.lab.network import NETWORKS, Lab, describe

pytestmark = pytest.mark.lab


def cases() -> Iterator[Any]:
    for path in sorted(NETWORKS.glob("*.toml")):
        network = describe(path.stem)
        for case in network.get("cases", ()):
            yield pytest.param(network, case, id=f"{path.stem}: {case['name']}")


@pytest.mark.parametrize(("network", "case"), list(cases()))
def test_it_is_called_what_it_is(lab: BuildLab, network: Mapping[str, Any], case: Mapping[str, Any]) -> None:
    built = lab(network)
    for host, commands in case.get("run", {}).items():
        built[host].prepare(commands)
    for host, rules in case.get("nft", {}).items():
        built[host].run("nft", "-f", "-", input=table(rules))
    for server in case.get("servers", ()):
        serve(built, server)
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


def serve(lab: Lab, server: Mapping[str, Any]) -> None:
    """Start a server of a case: one of ours that misbehaves, or any program that listens."""
    if "command" in server:
        needs(server["command"][0])
        lab.serve(server["host"], *server["command"], listens=server["listens"])
    else:
        argv = (sys.executable, "-m", misbehaving.__name__, server["does"], server["address"], str(server["port"]))
        lab.start(server["host"], *argv, ready="listens")


def bindtest(lab: Lab, case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """netprobe's cells: it runs in ``server``, its vantages in the hosts named by ``from``."""
    ran = lab[case["server"]].run(str(NETPROBE), "bindtest", "--json", *options(lab, case), check=False)
    assert ran.stdout, ran.stderr
    cells: list[dict[str, Any]] = json.loads(ran.stdout)["results"]
    return cells


def options(lab: Lab, case: Mapping[str, Any]) -> Iterator[str]:
    """The command line of a case."""
    for address in case["bind"]:
        yield from ("--addr", address)
    for address in case.get("to", ()):
        yield from ("--to", address)
    for name in case["from"]:
        yield from ("--from", vantage(lab, name, case.get("meanwhile", {})))
    for protocol in case.get("protocols", ()):
        yield f"--{protocol}"
    for name, value in {"timeout": 1.0, **case.get("options", {})}.items():
        if value is True:
            yield f"--{name}"
        else:
            yield from (f"--{name}", str(value))


def vantage(lab: Lab, name: str, meanwhile: Mapping[str, Sequence[str]]) -> str:
    """Where to ask from. What happens ``meanwhile`` happens when all listeners are open and nothing was asked yet."""
    if not meanwhile:
        return name if name == "local" else f"{name}=netns:{lab[name].network}"
    enter = [] if name == "local" else ["nsenter", f"--net={lab[name].network}", "--"]
    script = [
        f"nsenter --net={lab[host].network} -- sh -c {shlex.quote(command)} >&2 || exit 1\n"
        for host, commands in meanwhile.items()
        for command in commands
    ]
    command = ["sh", "-c", "".join([*script, 'exec "$@"']), "sh", *enter]
    return f"{'here' if name == 'local' else name}=exec:{shlex.join(command)}"


def check(cells: list[dict[str, Any]], wanted: Mapping[str, Any]) -> None:
    """At least one cell is meant, and each one that is meant is as it is wanted."""
    keys = ("protocol", "bind", "destination", "vantage")
    meant = [cell for cell in cells if all(cell[key] == wanted[key] for key in keys if key in wanted)]
    assert meant, f"no cell is {wanted}"
    for cell in meant:
        shown = f"{cell['observed']}: {cell['cause']}"
        assert cell["observed"] == wanted["observed"], shown
        assert wanted.get("cause", "") in (cell["cause"] or ""), shown
        for key in ("errno", "expected", "replied_from"):
            if key in wanted:
                assert cell[key] == wanted[key], (key, cell)
        if "icmp" in wanted:
            icmp = cell["icmp"]
            assert [icmp["type"], icmp["code"], icmp["offender"]] == wanted["icmp"], icmp
        if "blame" in wanted:
            blame = cell["blame"] or {}
            assert {key: blame.get(key) for key in wanted["blame"]} == wanted["blame"], blame
        if "difference" in wanted:
            assert wanted["difference"] in (cell["difference"] or ""), cell["difference"]
