"""Is the rule that ``--trace`` names the one whose counter moved? Random rule sets in namespaces of their own.

``python -m tests.bench.trace_rules --sets 200 --seed 1``. Each set has sets, maps, jumps, marks, states and address
tests in several chains, and a counter in every rule; then one probe that the set drops or rejects, and a look at both.
Needs root or user namespaces, and nft.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Sequence

from tests.conftest import NETPROBE
from tests.lab.network import Lab, describe

PORT = 41234


def rule_set(dice: random.Random) -> str:
    """A random ``inet`` table whose input chain ends the probe by one of its rules, or by its policy."""
    noise = [
        "tcp dport 1-1023 counter accept",
        "ip saddr 203.0.113.0/24 counter drop",
        "ip saddr . tcp dport { 203.0.113.1 . 80, 203.0.113.2 . 443 } counter drop",
        "meta mark 0x7 counter drop",
        "udp dport 53 counter accept",
        "ip ttl 1 counter drop",
        "ct state invalid counter drop",
        "fib saddr type broadcast counter drop",
        "meta l4proto icmp counter accept",
        'iifname "lo" counter accept',
        "ct state established counter accept",
        "tcp flags & (fin | syn) == fin | syn counter drop",
    ]
    ends = [
        f"tcp dport {PORT} counter drop",
        f"tcp dport {PORT - 5}-{PORT + 5} counter drop",
        "ip saddr 192.168.0.0/24 counter drop",
        "ip saddr { 192.168.0.2, 10.0.0.0/8 } tcp dport @ports counter drop",
        "meta l4proto tcp counter drop",
        "tcp flags & syn == syn counter drop",
        "ct state new counter drop",
        'iifname "e0" counter drop',
        f"tcp dport {PORT} counter reject",
        "meta l4proto tcp counter reject with tcp reset",
    ]
    by_policy = dice.random() < 0.1
    inner = dice.sample(noise, dice.randrange(0, 6)) + ([] if by_policy else [dice.choice(ends)])
    outer = dice.sample(noise, dice.randrange(0, 6))
    if dice.random() < 0.5:
        jump = dice.choice(["counter jump inner", "counter goto inner", f"tcp dport vmap {{ {PORT} : jump inner }}"])
        chains = f"chain inner {{\n{chr(10).join(inner)}\n}}\n"
        outer.append(jump)
    else:
        chains, outer = "", outer + inner
    policy = "drop" if by_policy else dice.choice(["accept", "drop"])
    head = f"type filter hook {dice.choice(['input', 'prerouting'])} priority {dice.choice([-300, -100, 0, 50])}"
    lines = "\n".join(outer)
    return (
        f"table inet f {{\nset ports {{ type inet_service; elements = {{ {PORT}, 80 }}; }}\n"
        f"{chains}chain first {{\n{head}; policy {policy};\n{lines}\n}}\n}}\n"
    )


def moved(ruleset: str) -> set[int]:
    """The handles of the rules that drop or reject and whose counter is not 0."""
    found = set()
    for entry in json.loads(ruleset)["nftables"]:
        rule = entry.get("rule")
        if rule is None:
            continue
        counter = next((x["counter"]["packets"] for x in rule["expr"] if "counter" in x), 0)
        if counter and any("drop" in x or "reject" in x for x in rule["expr"]):
            found.add(rule["handle"])
    return found


def check(dice: random.Random) -> str | None:
    """What is wrong with one set; None if nothing is."""
    text = rule_set(dice)
    with Lab(describe("pc1-pc2")) as lab:
        server = lab["pc1"]
        server.run("nft", "-f", "-", input=text)
        argv = [str(NETPROBE), "bindtest", f"192.168.0.1:{PORT}", "--tcp", "--trace", "--json", "--timeout", "0.5"]
        ran = server.run(*argv, "--from", f"pc2=netns:{lab['pc2'].network}", check=False)
        cells = json.loads(ran.stdout)["results"]
        cell = next(cell for cell in cells if cell["destination"] == "192.168.0.1")
        blame = cell["blame"]
        counted = moved(server.run("nft", "-j", "list", "ruleset").stdout)
        if cell["observed"] == "reachable":
            return None if not counted else f"reachable, and {counted} counted:\n{text}"
        if blame is None or not blame["certain"]:
            return f"no rule is named ({blame}):\n{text}"
        said = " ".join(blame["evidence"])
        if not counted:
            return None if "handle" not in said else f"{said}, and no rule counted:\n{text}"
        return None if any(f"handle {handle}." in said for handle in counted) else f"{said}; {counted} counted:\n{text}"


def main(argv: Sequence[str]) -> int:
    """Try ``--sets`` of them; status 1 if one is named wrongly."""
    parser = argparse.ArgumentParser(description="Random rule sets against bindtest --trace.")
    parser.add_argument("--sets", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    wrong = 0
    for seed in range(options.seed, options.seed + options.sets):
        try:
            fault = check(random.Random(seed))
        except subprocess.SubprocessError as error:
            fault = f"could not run: {error}"
        if fault is not None:
            wrong += 1
            print(f"seed {seed}: {fault}", flush=True)
    print(f"{options.sets - wrong} of {options.sets} rule sets: the rule that was named is the one whose counter moved")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
