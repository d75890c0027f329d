"""Is what netprobe blames true? Fifty causes and more, made for real in a lab, without rights and with ``--trace``.

``python -m tests.bench.causes [WORD ...]`` prints a table: for each cause what is blamed, whether that is certain, and
whether it names the cause. Status 1 if one certain answer is false. Needs root or user namespaces, nft and tc.

A client, three routers and a server (``tests/lab/networks/chain.toml``). Without rights means: without CAP_NET_ADMIN
and CAP_NET_RAW, and only the client as a vantage; with them, ``--trace`` and the second router, too.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.conftest import NETPROBE
from tests.lab.network import Lab, LabError, describe

PORT = 41234
SERVER = {4: "10.4.0.2", 6: "fd00:4::2"}
_UNPRIVILEGED = ("setpriv", "--bounding-set", "-net_admin,-net_raw")


@dataclass(frozen=True, slots=True)
class Cause:
    """``faults`` are commands by host. ``truth`` matches the words of an answer that names the cause at its place."""

    name: str
    faults: dict[str, Sequence[str]]
    truth: str
    protocol: str = "tcp"
    version: int = 4
    options: Sequence[str] = ()


def nft(family: str, hook: str, *rules: str, policy: str = "accept", more: str = "") -> list[str]:
    """A command that loads one chain. ``hook``: ``input``, ``prerouting -300``, ``ingress b4 0``."""
    name, *device, priority = hook.split() if " " in hook else (hook, "0")
    of = f"device {device[0]} " if device else ""
    kind = "nat" if name.endswith("-nat") else "filter"
    body = "; ".join(rules)
    chain = f"type {kind} hook {name.removesuffix('-nat')} {of}priority {priority}; policy {policy}; {body}"
    return [f"nft 'table {family} t {{ {more} chain c {{ {chain}; }}; }}'"]


def trace_of(place: str) -> str:
    """How a rule is named that the trace saw."""
    named = rf"by a rule, on {place}: .*The kernel's trace saw it"
    if place == "this host":  # its own ladder ends at the hop before it
        named += r"|[Ss]ilent behind (10\.3\.0\.2|fd00:3::2)|a rule that resets"
        return named + "|a rule for established connections"
    return named + "|silent from the first hop on" if place == "client" else named


DPORT, SPORT = f"tcp dport {PORT}", f"tcp sport {PORT}"
R2 = "r2"
ROUTER_SILENT = r"[Ss]ilent behind 10\.2\.0\.2"
CAUSES = (
    Cause("input: drop", {"server": nft("inet", "input", f"{DPORT} drop")}, trace_of("this host")),
    Cause("input: drop", {"server": nft("inet", "input", f"udp dport {PORT} drop")}, trace_of("this host"), "udp"),
    Cause("input: drop", {"server": nft("inet", "input", f"{DPORT} drop")}, trace_of("this host"), version=6),
    Cause("input: policy drop", {"server": nft("inet", "input", policy="drop")}, trace_of("this host")),
    Cause("raw prerouting: drop", {"server": nft("inet", "prerouting -300", f"{DPORT} drop")}, trace_of("this host")),
    Cause(
        "input: set",
        {
            "server": nft(
                "inet", "input", "ip saddr @s drop", more="set s { type ipv4_addr; elements = { 10.1.0.1 }; };"
            )
        },
        trace_of("this host"),
    ),
    Cause(
        "input: map, jump",
        {"server": nft("inet", "input", f"tcp dport vmap {{ {PORT} : jump j }}", more="chain j { drop; };")},
        trace_of("this host"),
    ),
    Cause(
        "input: state", {"server": nft("inet", "input", "meta l4proto tcp ct state new drop")}, trace_of("this host")
    ),
    Cause(
        "input: established",
        {"server": nft("inet", "input", "meta l4proto tcp ct state established drop")},
        trace_of("this host"),
    ),
    Cause("input: quota", {"server": nft("inet", "input", f"{DPORT} quota over 10 bytes drop")}, trace_of("this host")),
    Cause(
        "input: reject",
        {"server": nft("inet", "input", f"{DPORT} reject")},
        trace_of("this host") + "|10.4.0.2 says so",
    ),
    Cause(
        "input: reject, prohibited",
        {"server": nft("inet", "input", f"{DPORT} reject with icmpx admin-prohibited")},
        trace_of("this host") + "|prohibited, on this host",
    ),
    Cause("input: reset", {"server": nft("inet", "input", f"{DPORT} reject with tcp reset")}, trace_of("this host")),
    Cause(
        "output: answer dropped",
        {"server": nft("inet", "output", f"{SPORT} drop")},
        "answer was dropped by a rule, on this host|answer was lost",
    ),
    Cause(
        "output: answer dropped",
        {"server": nft("inet", "output", f"udp sport {PORT} drop")},
        "answer was (dropped by a rule|not allowed to leave), on this host",
        "udp",
    ),
    Cause(
        "output: answer dropped",
        {"server": nft("inet", "output", f"{SPORT} drop")},
        "answer was dropped by a rule, on this host|answer was lost",
        version=6,
    ),
    Cause("netdev ingress: drop", {"server": nft("netdev", "ingress b4 0", f"{DPORT} drop")}, trace_of("this host")),
    Cause(
        "netdev egress: answer dropped",
        {"server": nft("netdev", "egress b4 0", f"{SPORT} drop")},
        "answer was dropped by a rule, on this host|answer was lost",
    ),
    Cause(
        "redirect to a closed port",
        {"server": nft("ip", "prerouting-nat -100", f"{DPORT} redirect to :9")},
        "sent elsewhere by an address translation, on this host|address translation: 10.4.0.2 port",
    ),
    Cause(
        "forward: drop on a router", {R2: nft("inet", "forward", f"{DPORT} drop")}, trace_of(R2) + f"|{ROUTER_SILENT}"
    ),
    Cause(
        "forward: drop on a router",
        {R2: nft("inet", "forward", f"udp dport {PORT} drop")},
        trace_of(R2) + f"|{ROUTER_SILENT}",
        "udp",
    ),
    Cause(
        "forward: drop on a router",
        {R2: nft("inet", "forward", f"{DPORT} drop")},
        trace_of(R2) + r"|[Ss]ilent behind fd00:2::2",
        version=6,
    ),
    Cause(
        "prerouting: drop on a router",
        {R2: nft("inet", "prerouting -300", f"{DPORT} drop")},
        trace_of(R2) + r"|[Ss]ilent behind 10\.1\.0\.2",
    ),
    Cause(
        "forward: answer dropped on a router",
        {R2: nft("inet", "forward", f"{SPORT} drop")},
        "answer was dropped by a rule, on r2|answer was lost on the way back",
    ),
    Cause(
        "forward: reject on a router",
        {R2: nft("inet", "forward", f"{DPORT} reject with icmp admin-prohibited")},
        trace_of(R2) + r"|10\.2\.0\.2 says so itself",
    ),
    Cause(
        "forward: reject on a router",
        {R2: nft("inet", "forward", f"{DPORT} reject")},
        trace_of(R2) + r"|fd00:2::2 says so itself",
        version=6,
    ),
    Cause(
        "forward: reset on a router",
        {R2: nft("inet", "forward", f"{DPORT} reject with tcp reset")},
        trace_of(R2) + r"|reset behind 10\.[12]\.0\.2",
    ),
    Cause("output: dropped at the client", {"client": nft("inet", "output", f"{DPORT} drop")}, trace_of("client")),
    Cause(
        "output: dropped at the client",
        {"client": nft("inet", "output", f"udp dport {PORT} drop")},
        trace_of("client") + "|forbidden by its own output, on client",
        "udp",
    ),
    Cause(
        "input: answer dropped at the client",
        {"client": nft("inet", "input", f"{SPORT} drop")},
        "answer was dropped by a rule, on client|answer was lost",
    ),
    Cause(
        "masquerade, then input: drop",
        {
            "r1": nft("ip", "postrouting-nat 100", "masquerade"),
            "server": nft("inet", "input", "ip saddr 10.2.0.1 tcp dport 41234 drop"),
        },
        trace_of("this host"),
    ),
    Cause(
        "translated on a router to a closed port",
        {R2: nft("ip", "prerouting-nat -100", f"{DPORT} dnat to 10.4.0.1:9")},
        "address translation",
    ),
    Cause(
        "rp_filter",
        {
            "server": [
                "ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up",
                "ip route add 10.1.0.0/24 dev d0",
                "echo 1 > /proc/sys/net/ipv4/conf/b4/rp_filter",
            ]
        },
        "reverse path filter",
    ),
    Cause("no route back on the server", {"server": ["ip route del default via 10.4.0.1"]}, "no route back"),
    Cause(
        "no route back on the server",
        {"server": ["ip route del default via 10.4.0.1"]},
        "no route back",
        "udp",
    ),
    Cause(
        "blackhole back on the server",
        {"server": ["ip route add blackhole 10.1.0.0/24"]},
        "no route back",
    ),
    Cause(
        "prohibit back on the server",
        {"server": ["ip route add prohibit 10.1.0.0/24"]},
        "no route back",
        "udp",
    ),
    Cause(
        "ip_forward=0 on a router",
        {R2: ["echo 0 > /proc/sys/net/ipv4/ip_forward"]},
        r"[Ss]ilent behind 10\.[12]\.0\.2|between its rules",
    ),
    Cause(
        "no route on a router",
        {R2: ["ip route del 10.4.0.0/24 via 10.3.0.2"]},
        r"no route there, on (10\.2\.0\.2|r2)",
    ),
    Cause(
        "no route on a router",
        {R2: ["ip -6 route del fd00:4::/64 via fd00:3::2"]},
        r"no route there, on (fd00:2::2|r2)",
        version=6,
    ),
    Cause(
        "no route back on a router",
        {R2: ["ip route del 10.1.0.0/24 via 10.2.0.1"]},
        r"no route back to 10\.1\.0\.1 on a router|answer was lost inside, on r2",
    ),
    Cause(
        "blackhole on a router",
        {R2: ["ip route replace blackhole 10.4.0.0/24"]},
        r"[Ss]ilent behind 10\.[12]\.0\.2|lost inside, on r2",
    ),
    Cause(
        "unreachable route on a router",
        {R2: ["ip route replace unreachable 10.4.0.0/24"]},
        r"10\.2\.0\.2 says so itself",
    ),
    Cause("prohibit route on a router", {R2: ["ip route replace prohibit 10.4.0.0/24"]}, r"10\.2\.0\.2 says so itself"),
    Cause(
        "dead next hop on a router",
        {R2: ["ip route replace 10.4.0.0/24 via 10.3.0.77"]},
        r"(nobody answered there|reports that the host is unreachable), on (10\.2\.0\.2|r2)",
        options=("--timeout", "5"),
    ),
    Cause(
        "link down behind a router",
        {"r3": ["ip link set a4 down"]},
        r"no route there, on 10\.3\.0\.2",
    ),
    Cause(
        "wrong MAC address at the last router",
        {"r3": ["ip neighbour replace 10.4.0.2 lladdr 02:00:00:00:00:99 dev a4 nud permanent"]},
        r"[Ss]ilent behind 10\.3\.0\.2|another MAC address",
    ),
    Cause(
        "arp dropped at the server",
        {"server": nft("arp", "input", "drop")},
        r"(nobody answered there|reports that the host is unreachable), on 10\.3\.0\.2",
        options=("--timeout", "5"),
    ),
    Cause(
        "neighbour solicitation dropped at the server",
        {"server": nft("inet", "input", "icmpv6 type nd-neighbor-solicit drop")},
        r"(nobody answered there|reports that the host is unreachable), on fd00:3::2",
        version=6,
        options=("--timeout", "5"),
    ),
    Cause("no route at the client", {"client": ["ip route del default via 10.1.0.2"]}, "the vantage has no route"),
    Cause(
        "unreachable route at the client",
        {"client": ["ip route add unreachable 10.4.0.0/24"]},
        "the vantage has no route",
    ),
    Cause(
        "prohibit route at the client", {"client": ["ip route add prohibit 10.4.0.0/24"]}, "the vantage has no route"
    ),
    Cause(
        "time to live of 2 at the client",
        {"client": ["echo 2 > /proc/sys/net/ipv4/ip_default_ttl"]},
        r"10\.2\.0\.2 says so itself",
    ),
    Cause(
        "small MTU, its errors dropped",
        {
            R2: ["ip link set a3 mtu 1300"],
            "r3": ["ip link set b3 mtu 1300"],
            "r1": nft("inet", "forward", "icmp type destination-unreachable drop"),
        },
        r"behind 10\.2\.0\.2|black hole",
        options=("--payload", "20000"),
    ),
)


def run(cause: Cause, *, privileged: bool) -> dict[str, Any]:
    """The cell that the client asked; raises LabError where the cause cannot be made here."""
    with Lab(describe("chain")) as lab:
        for host in lab.hosts.values():
            host.prepare(["echo 0 > /proc/sys/net/ipv4/icmp_ratelimit"])
        for name, commands in cause.faults.items():
            lab[name].prepare(commands)
        who = [f"client=netns:{lab['client'].network}"]
        prefix: Sequence[str] = _UNPRIVILEGED
        options = list(cause.options)
        if privileged:
            who.append(f"r2=netns:{lab[R2].network}")
            prefix = ()
            options.append("--trace")
        if "--timeout" not in options:
            options += ["--timeout", "1.2"]
        command = [*prefix, str(NETPROBE), "bindtest", SERVER[cause.version], "--port", str(PORT), "--json", *options]
        for each in who:
            command += ["--from", each]
        ran = lab["server"].run(*command, check=False)
        try:
            cells = json.loads(ran.stdout)["results"]
        except ValueError:
            raise LabError(f"{ran.stdout} {ran.stderr}") from None
        found: dict[str, Any] = next(
            x
            for x in cells
            if x["vantage"] == "client"
            and x["protocol"] == cause.protocol
            and x["destination"] == SERVER[cause.version]
            and x["bind"] == SERVER[cause.version]
        )
        return found


def words(cell: dict[str, Any]) -> str:
    """What is said of it, in one line."""
    blame = cell["blame"]
    if blame is None:
        return f"{cell['because']}: {cell['cause']}"
    where = f", on {blame['place']}" if blame["place"] else ""
    said = [blame["text"] or "", *blame["evidence"], *(f"or {x}" for x in blame["remaining"])]
    return f"{blame['what']}{where}: {' '.join(filter(None, said))}"


def main(argv: Sequence[str]) -> int:
    """Make each; status 1 if one certain answer does not match the truth."""
    parser = argparse.ArgumentParser(description="Causes that are made, and what is blamed.")
    parser.add_argument("words", nargs="*", help="only causes with all of these words in their names")
    parser.add_argument("--verbose", action="store_true", help="also all that is said of each")
    options = parser.parse_args(argv)
    named = {False: 0, True: 0}
    made = false = 0
    print("| cause | expected | observed | without root | with --trace |\n|---|---|---|---|---|")
    for cause in CAUSES:
        name = f"{cause.name} ({cause.protocol}{cause.version})"
        if not all(word in name for word in options.words):
            continue
        columns, said = [], []
        for privileged in (False, True):
            try:
                cell = run(cause, privileged=privileged)
            except LabError as error:
                columns.append(f"cannot be made: {error}")
                continue
            text = words(cell)
            is_certain = cell["blame"] is not None and cell["blame"]["certain"]
            is_true = re.search(cause.truth, text) is not None
            named[privileged] += is_true
            mark = "named" if is_true else "not named"
            if is_certain and not is_true:
                false += 1
                mark = "FALSE"
            columns.append(f"{mark}{', certain' if is_certain else ''}: {text.partition(':')[0]}")
            said.append(text)
        made += len(said) == len(columns)
        if said:
            columns = [str(cell["expected"]), str(cell["observed"]), *columns]
        print(f"| {name} | {' | '.join(columns)} |", flush=True)
        if options.verbose:
            for text in said:
                print(f"    {text}", flush=True)
    print(f"\n{made} causes; named without root {named[False]}, with --trace {named[True]}; false {false}")
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
