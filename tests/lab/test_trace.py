"""``--trace``: the rule that stopped a probe, named by the kernel that ran it; and nothing of it stays behind."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from tests.conftest import NETPROBE
from tests.lab.conftest import BuildLab
from tests.lab.network import Lab

pytestmark = pytest.mark.lab

PORT = 41234
HOOKED = "table inet f {{\n chain c {{\n  type filter hook {hook} priority 0; policy {policy};\n  {rule}\n }}\n}}\n"


def table(rule: str, hook: str = "input", policy: str = "accept") -> str:
    return HOOKED.format(rule=rule, hook=hook, policy=policy)


# No rule names a protocol by itself: nft prints its number without /etc/protocols, which a minimal Debian has not.
CASES = [
    ("input", table("tcp dport 41234 drop"), "nftables", "dropped by a rule", "tcp dport 41234 drop"),
    (
        "prerouting",
        table("tcp dport 41234 drop", "prerouting"),
        "nftables",
        "dropped by a rule",
        "tcp dport 41234 drop",
    ),
    ("policy", table("ct state established accept", policy="drop"), "nftables", "dropped by a rule", "policy drop"),
    ("reject", table("tcp dport 41234 reject"), "nftables", "rejected by a rule", "tcp dport 41234 reject"),
    (
        "reset",
        table("tcp dport 41234 reject with tcp reset"),
        "nftables",
        "rejected by a rule",
        "tcp dport 41234 reject with tcp reset",
    ),
    (
        "answer",
        table("tcp sport 41234 drop", "output"),
        "nftables",
        "the answer was dropped by a rule",
        "tcp sport 41234 drop",
    ),
    (
        "jump",
        "table inet f {\n chain j {\n  tcp dport 41234 drop\n }\n"
        " chain c {\n  type filter hook input priority 0\n  tcp dport vmap { 41234 : jump j }\n }\n}\n",
        "nftables",
        "dropped by a rule",
        "tcp dport 41234 drop",
    ),
    (
        "device",
        "table netdev f {\n chain c {\n"
        '  type filter hook ingress device "e0" priority 0\n  tcp dport 41234 drop\n }\n}\n',
        "nftables",
        "dropped by a rule",
        "tcp dport 41234 drop",
    ),
    (
        "translation",
        "table ip f {\n chain c {\n  type nat hook prerouting priority -100\n  tcp dport 41234 dnat to :9\n }\n}\n",
        "nat",
        "sent elsewhere by an address translation",
        None,
    ),
]


def traced(lab: Lab, *options: str, bind: str = "192.168.0.1", port: int = PORT) -> dict[str, Any]:
    """The cell of the bound address, asked from pc2."""
    argv = [str(NETPROBE), "bindtest", "--addr", bind, "--port", str(port), "--tcp", "--json", "--timeout", "0.5"]
    ran = lab["pc1"].run(*argv, "--from", f"pc2=netns:{lab['pc2'].network}", *options, check=False)
    cells: list[dict[str, Any]] = json.loads(ran.stdout)["results"]
    return next(cell for cell in cells if cell["destination"] == bind)


def tables(lab: Lab) -> str:
    return lab["pc1"].run("nft", "list", "tables").stdout


@pytest.mark.parametrize(("rules", "layer", "what", "text"), [x[1:] for x in CASES], ids=[x[0] for x in CASES])
def test_the_rule_is_named_in_its_own_words(rules: str, layer: str, what: str, text: str | None, lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc1"].run("nft", "-f", "-", input=rules)
    blame = traced(network, "--trace")["blame"]
    assert (blame["place"], blame["layer"], blame["what"], blame["text"]) == ("this host", layer, what, text)
    assert blame["certain"] is True
    assert blame["remaining"] == []
    without = traced(network)["blame"]
    assert without["certain"] is False
    assert without["text"] is None


def test_rules_that_let_it_pass_are_innocent(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc1"].run("nft", "-f", "-", input=table("tcp dport 41234 accept"))
    network["pc2"].run("nft", "-f", "-", input=table("meta l4proto tcp drop"))
    cell = traced(network, "--trace")
    assert cell["observed"] == "no-answer"
    assert cell["blame"]["what"] == "the answer was lost on the way back"
    assert cell["blame"]["certain"] is False


def test_what_never_came_is_not_blamed_on_this_hosts_rules(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc2"].run("nft", "-f", "-", input=table("meta l4proto tcp drop", "output"))
    blame = traced(network, "--trace")["blame"]
    assert {"what": "the rules of this host", "by": "the trace saw no packet of it"} in blame["excluded"]
    assert not any("this host" in cause and "rule" in cause for cause in blame["remaining"])


def test_a_rule_set_that_is_loaded_anew_does_not_end_the_trace(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc1"].run("nft", "-f", "-", input="flush ruleset\n" + table("tcp dport 41234 drop"))
    assert traced(network, "--trace")["blame"]["certain"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(number: signal.Signals, lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc1"].run("nft", "-f", "-", input=table("tcp dport 41234 drop"))
    before = tables(network)
    argv = [str(NETPROBE), "bindtest", "--addr", "192.168.0.1", "--port", str(PORT), "--tcp", "--timeout", "30"]
    argv += ["--trace", "--from", f"pc2=netns:{network['pc2'].network}"]
    process = network.start("pc1", *argv)
    deadline = time.monotonic() + 20
    while "netprobe_" not in tables(network) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "netprobe_" in tables(network)
    os.kill(process.pid, number)
    process.wait(20)
    while tables(network) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert tables(network) == before
