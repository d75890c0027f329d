"""``--trace``: the rule that stopped a probe, named by the kernel that ran it; and nothing of it stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NETPROBE
from tests.lab.conftest import BuildLab, StartSshd
from tests.lab.leftovers import ROUTED, killed_at_random, left_in
from tests.lab.network import Lab

pytestmark = pytest.mark.lab

PORT = 41234
NOBODY = "02:00:00:00:00:99"  # a MAC address that no host of the lab has
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


def traced(
    lab: Lab, *options: str, bind: str = "192.168.0.1", env: Mapping[str, str] | None = None, only_netns: bool = True
) -> dict[str, Any]:
    """The cell of the bound address, asked from pc2."""
    argv = [str(NETPROBE), "bindtest", "--addr", bind, "--port", str(PORT), "--tcp", "--json", "--timeout", "0.5"]
    argv += ["--from", f"pc2=netns:{lab['pc2'].network}"] if only_netns else []
    ran = lab["pc1"].run(*argv, *options, check=False, env=env)
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
    network["pc1"].run("ip", "neigh", "replace", "192.168.0.2", "lladdr", NOBODY, "dev", "e0", "nud", "permanent")
    cell = traced(network, "--trace")
    assert cell["observed"] == "no-answer"
    blame = cell["blame"]
    assert blame["what"] == "the answer was lost on the way back"
    assert blame["certain"] is False
    assert {"what": "the rules of this host", "by": "the trace saw the answer leave"} in blame["excluded"]
    assert "a rule at pc2 for what comes in" in blame["remaining"]


def test_what_is_for_another_mac_address_is_lost_before_the_rules(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc2"].run("ip", "neigh", "replace", "192.168.0.1", "lladdr", NOBODY, "dev", "e0", "nud", "permanent")
    blame = traced(network, "--trace")["blame"]
    assert {"what": "the rules of this host", "by": "the trace saw none stop it"} in blame["excluded"]
    lost = "what this host does before its rules on e0: another MAC address, a wrong header, IPv6 switched off"
    assert blame["remaining"] == [lost]
    assert blame["certain"] is False


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


# At the vantages.

DROP = "tcp dport 41234 drop"
AT_A_VANTAGE = {
    "its own output": ("pc", table(DROP, "output"), "dropped by a rule", DROP),
    "its own input": ("pc", table("tcp sport 41234 drop"), "the answer was dropped by a rule", "tcp sport 41234 drop"),
    "its own policy": ("pc", table("udp dport 1 accept", "output", "drop"), "dropped by a rule", "policy drop"),
    "a router": ("router", table(DROP, "forward"), "dropped by a rule", DROP),
    "a router, before it routes": ("router", table(DROP, "prerouting"), "dropped by a rule", DROP),
    "a router that rejects": (
        "router",
        table("tcp dport 41234 reject with tcp reset", "forward"),
        "rejected by a rule",
        "tcp dport 41234 reject with tcp reset",
    ),
    "a router, the way back": (
        "router",
        table("tcp sport 41234 drop", "forward"),
        "the answer was dropped by a rule",
        "tcp sport 41234 drop",
    ),
}


def asked(lab: Lab, *options: str, to: str = "10.2.0.2", kind: str = "tcp") -> tuple[dict[str, Any], str]:
    """pc's cell of the server's address, and what stderr says."""
    argv = [str(NETPROBE), "bindtest", "--addr", to, "--port", str(PORT), f"--{kind}", "--json", "--timeout", "0.5"]
    ran = lab["server"].run(*argv, *options, check=False)
    cells: list[dict[str, Any]] = json.loads(ran.stdout)["results"]
    return next(cell for cell in cells if cell["destination"] == to and cell["vantage"] == "pc"), ran.stderr


def from_netns(lab: Lab, *names: str) -> list[str]:
    return [word for name in names for word in ("--from", f"{name}=netns:{lab[name].network}")]


@pytest.mark.parametrize(("place", "rules", "what", "text"), AT_A_VANTAGE.values(), ids=AT_A_VANTAGE)
def test_a_rule_of_a_vantage_is_named_there(place: str, rules: str, what: str, text: str, lab: BuildLab) -> None:
    network = lab(ROUTED)
    network[place].run("nft", "-f", "-", input=rules)
    cell, errors = asked(network, "--trace", *from_netns(network, "pc", "router"))
    blame = cell["blame"]
    assert (blame["place"], blame["what"], blame["text"], blame["certain"]) == (place, what, text, True)
    assert "--trace" not in errors
    assert left_in(network) == []


def test_what_a_traced_vantage_has_sent_is_none_of_its_rules(lab: BuildLab) -> None:
    network = lab(ROUTED)
    network["router"].run("nft", "-f", "-", input=table(DROP, "forward"))
    cell, _ = asked(network, "--trace", *from_netns(network, "pc"))
    blame = cell["blame"]
    assert {"what": "the rules of pc", "by": "the trace saw the question leave"} in blame["excluded"]
    assert {"what": "the rules of this host", "by": "the trace saw no packet of it"} in blame["excluded"]
    assert blame["what"].startswith("silent behind 10.1.0.1 (hop 1)")
    assert any("forward, output" in cause for cause in blame["remaining"])
    assert "tc or XDP on this host" in blame["remaining"]
    assert not any("rule" in cause and "this host" in cause for cause in blame["remaining"])
    assert blame["certain"] is False


def test_what_a_router_loses_between_its_rules_is_lost_there(lab: BuildLab) -> None:
    network = lab(ROUTED)
    network["router"].run("ip", "route", "add", "blackhole", "10.2.0.2/32")
    cell, _ = asked(network, "--trace", *from_netns(network, "pc", "router"))
    assert any("router does between its rules" in cause for cause in cell["blame"]["remaining"])


def test_a_vantage_without_the_right_says_so_in_one_line(lab: BuildLab) -> None:
    network = lab(ROUTED)
    network["pc"].run("nft", "-f", "-", input=table(DROP, "output"))
    unprivileged = "setpriv --bounding-set -net_admin --inh-caps -net_admin --no-new-privs --"
    cell, errors = asked(network, "--trace", "--from", f"pc=exec:nsenter --net={network['pc'].network} {unprivileged}")
    assert [line for line in errors.splitlines() if "--trace" in line] == [
        "netprobe: --trace: pc: needs root (CAP_NET_ADMIN); no rule there is named"
    ]
    assert cell["blame"]["place"] is None


def test_a_login_as_root_is_traced(lab: BuildLab, sshd: StartSshd) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    network["pc2"].run("nft", "-f", "-", input=table(DROP, "output"))
    options = ("--from", "pc2=ssh:192.168.0.2", "--python", "/usr/bin/python3")
    blame = traced(network, "--trace", *options, env=keys.environment, only_netns=False)["blame"]
    assert (blame["place"], blame["text"]) == ("pc2", DROP)


def test_a_run_without_a_failure_asks_no_vantage_what_it_saw(lab: BuildLab, tmp_path: Path) -> None:
    """The prober says nothing of packets; a python in between writes down what it is asked."""
    network = lab(ROUTED)
    log = tmp_path / "asked"
    spy = tmp_path / "python"
    spy.write_text(f'#!/bin/sh\nexec tee -a {log} | exec {sys.executable} "$@"\n', "utf-8")
    spy.chmod(0o755)
    cell, _ = asked(network, "--trace", "--to", "10.2.0.2", *from_netns(network, "pc"), "--python", str(spy))
    assert cell["observed"] == "reachable"
    said = log.read_text("utf-8")
    assert '"trace": [["tcp", "127.0.0.1", 41234], ["tcp", "10.2.0.2", 41234]]' in said
    assert '"look": true' not in said


def test_runs_that_are_killed_leave_nothing_anywhere(lab: BuildLab) -> None:
    """A hundred of them: ``tests.bench.killed``."""
    for what, left in killed_at_random(lab(ROUTED), seed=19, runs=6):
        assert left == [], what


# Bridges, iptables, firewalls.

BRIDGED: Mapping[str, Any] = {
    "hosts": {
        "pc": {},
        "switch": {
            "run": [
                "ip link add br0 type bridge && ip link set br0 up",
                "ip link set p1 master br0 && ip link set p2 master br0",
            ]
        },
        "server": {},
    },
    "links": [
        {"ends": [{"host": "pc", "name": "e0", "addresses": ["10.2.0.3/24"]}, {"host": "switch", "name": "p1"}]},
        {"ends": [{"host": "switch", "name": "p2"}, {"host": "server", "name": "e0", "addresses": ["10.2.0.2/24"]}]},
    ],
}


@pytest.mark.parametrize("hook", ["forward", "prerouting", "postrouting"])
def test_a_rule_of_a_bridge_that_is_a_vantage_is_named(hook: str, lab: BuildLab) -> None:
    network = lab(BRIDGED)
    network["switch"].run("nft", "-f", "-", input=table(DROP, hook).replace("table inet", "table bridge"))
    cell, _ = asked(network, "--trace", *from_netns(network, "pc", "switch"))
    blame = cell["blame"]
    assert (blame["place"], blame["text"], blame["certain"]) == ("switch", DROP, True)
    assert blame["command"] == "sudo nft -a list chain bridge f c"


def test_a_bridge_that_only_forwards_is_innocent(lab: BuildLab) -> None:
    network = lab(BRIDGED)
    network["server"].run("ip", "neigh", "replace", "10.2.0.3", "lladdr", NOBODY, "dev", "e0", "nud", "permanent")
    cell, _ = asked(network, "--trace", *from_netns(network, "pc", "switch"))
    assert cell["blame"]["what"] == "the answer was lost on the way back"
    assert cell["blame"]["certain"] is False


def test_a_rule_of_the_bridge_that_the_host_listens_on_is_named(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc1"].prepare(
        [
            "ip addr flush dev e0 && ip link add br0 type bridge && ip link set br0 up && ip link set e0 master br0",
            "ip addr add 192.168.0.1/24 dev br0",
        ]
    )
    network["pc1"].run("nft", "-f", "-", input=table(DROP).replace("table inet", "table bridge"))
    blame = traced(network, "--trace")["blame"]
    assert (blame["place"], blame["text"], blame["certain"]) == ("this host", DROP, True)


def iptables(lab: Lab, kind: str, *rules: str) -> None:
    """Rules of pc1; skips where the program, or what the kernel has for it, is not there."""
    program = f"iptables-{kind}"
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    for rule in rules:
        ran = lab["pc1"].run(program, *rule.split(), check=False)
        if ran.returncode:
            pytest.skip(f"{program} {rule}: {ran.stderr.strip()}")


CHATTER = """
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
while True:
    sock.sendto(b"x", ("192.168.0.1", 7))
    time.sleep(0.02)
"""
LEGACY = {
    "drop": ("INPUT -p tcp -m tcp --dport 41234 -j DROP", "dropped by a rule"),
    "reject": ("INPUT -p tcp -m tcp --dport 41234 -j REJECT", "rejected by a rule"),
    "answer": ("OUTPUT -p tcp -m tcp --sport 41234 -j DROP", "the answer was dropped by a rule"),
}


@pytest.mark.parametrize(("rule", "what"), LEGACY.values(), ids=LEGACY)
def test_a_rule_of_iptables_legacy_is_known_by_its_counter(rule: str, what: str, lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    iptables(network, "legacy", "-A INPUT -p tcp --dport 1 -j DROP", f"-A {rule}")
    blame = traced(network, "--trace")["blame"]
    assert (blame["place"], blame["layer"], blame["what"]) == ("this host", "iptables", what)
    assert blame["text"].startswith(f"-A {rule}")
    assert blame["certain"] is True


def test_a_policy_of_iptables_legacy_that_counts_more_is_only_what_remains(lab: BuildLab) -> None:
    """What others send does not come in either, so its counter is not ours alone."""
    network = lab("pc1-pc2")
    iptables(network, "legacy", "-P INPUT DROP")
    network.start("pc2", sys.executable, "-c", CHATTER, ready="ready")
    blame = traced(network, "--trace")["blame"]
    assert blame["certain"] is False
    assert "iptables-legacy: policy DROP of INPUT" in blame["remaining"]


def test_a_host_without_iptables_legacy_is_told_nothing_of_it(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc1"].run("ip", "route", "add", "blackhole", "192.168.0.2/32")
    blame = traced(network, "--trace")["blame"]
    assert "legacy" not in str(blame)


def test_what_iptables_nft_made_is_told_in_its_words(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    rule = "INPUT -p tcp -m tcp --dport 41234 -m conntrack --ctstate NEW -j REJECT"
    iptables(network, "nft", "-A INPUT -s 192.0.2.1/32 -j DROP", f"-A {rule}")
    blame = traced(network, "--trace")["blame"]
    assert (blame["layer"], blame["what"]) == ("iptables", "rejected by a rule")
    assert blame["text"].startswith(f"-A {rule}")
    assert blame["command"] == "sudo iptables -t filter -S INPUT"


def test_what_iptables_nft_has_as_a_policy_is_iptables(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    iptables(network, "nft", "-A INPUT -i lo -j ACCEPT", "-P INPUT DROP")
    blame = traced(network, "--trace")["blame"]
    assert (blame["layer"], blame["text"]) == ("iptables", "policy drop")
    assert blame["command"] == "sudo iptables -t filter -S INPUT"


def test_a_rule_in_chains_as_ufw_makes_them_is_named(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    rule = "ufw-user-input -p tcp -m tcp --dport 41234 -j REJECT --reject-with tcp-reset"
    iptables(
        network,
        "nft",
        "-N ufw-before-input",
        "-N ufw-user-input",
        "-A INPUT -j ufw-before-input",
        "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A ufw-before-input -j ufw-user-input",
        f"-A {rule}",
        "-P INPUT DROP",
    )
    blame = traced(network, "--trace")["blame"]
    assert (blame["text"], blame["what"], blame["certain"]) == (f"-A {rule}", "rejected by a rule", True)


def test_a_rule_in_chains_as_firewalld_makes_them_is_named(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    rules = """table inet firewalld {
 chain filter_INPUT {
  type filter hook input priority filter + 10; policy accept;
  ct state { established, related } accept
  jump filter_INPUT_ZONES
  reject with icmpx admin-prohibited
 }
 chain filter_INPUT_ZONES {
  iifname "e1" goto filter_IN_trusted
  goto filter_IN_public
 }
 chain filter_IN_trusted {
  accept
 }
 chain filter_IN_public {
  jump filter_IN_public_allow
  reject with icmpx admin-prohibited
 }
 chain filter_IN_public_allow {
  tcp dport 22 ct state new accept
 }
}
"""
    network["pc1"].run("nft", "-f", "-", input=rules)
    blame = traced(network, "--trace")["blame"]
    assert (blame["text"], blame["certain"]) == ("reject with icmpx admin-prohibited", True)
    assert "table inet firewalld, chain filter_IN_public, handle" in blame["evidence"][0]
