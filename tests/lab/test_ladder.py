"""Ladders through three routers: what each fault looks like from the client, and what is said of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from netprobe.diagnosis.ladder import judge
from netprobe.outcome.blame import Blame, Layer
from netprobe.outcome.rung import Came, Rung
from netprobe.prober import bundle
from netprobe.prober.ladder import MOST_HOPS, WAVE
from netprobe.reach.listener import Protocol
from netprobe.reach.messages import Done, Hello, Ladder, LadderRequest, Message, Request
from netprobe.reach.sessions.receiver import Receiver
from tests.conftest import NETPROBE
from tests.lab import misbehaving
from tests.lab.asking import wait_until
from tests.lab.conftest import BuildLab
from tests.lab.network import Host, Lab
from tests.prober.asking import converse

pytestmark = pytest.mark.lab

SERVER = {4: "10.4.0.2", 6: "fd00:4::2"}
DEAD = {4: "10.4.0.99", 6: "fd00:4::99"}
NAMES = {
    "10.1.0.2": "r1", "10.2.0.2": "r2", "10.3.0.2": "r3", "10.4.0.2": "server", "10.1.0.1": "client",
    "fd00:1::2": "r1", "fd00:2::2": "r2", "fd00:3::2": "r3", "fd00:4::2": "server", "fd00:1::1": "client",
}  # fmt: skip
TO_80 = "meta l4proto { tcp, udp } th dport 80"
FROM_80 = "meta l4proto { tcp, udp } th sport 80"

each_kind = pytest.mark.parametrize("protocol", ["tcp", "udp"])


@pytest.fixture
def chain(lab: BuildLab) -> Lab:
    """The chain, with something at the server that answers on the ports 80 and 22."""
    built = lab("chain")
    for port in ("80", "22"):
        for address in SERVER.values():
            argv = (sys.executable, "-m", misbehaving.__name__, "talks", address, port)
            built.start("server", *argv, ready="listens")
    # The kernel tells IPv6 of a new link's carrier when it comes to it: at once, or after a second on a busy machine.
    assert wait_until(lambda: not any("linkdown" in routes(host) for host in built.hosts.values()), 30)
    return built


def routes(host: Host) -> str:
    return host.run("ip", "route").stdout + host.run("ip", "-6", "route").stdout


def rule(lab: Lab, host: str, hook: str, text: str) -> None:
    """Filter rules in a chain of ``hook``, before the routing there if it is prerouting."""
    chain = f"chain {hook} {{\ntype filter hook {hook} priority 0\n{text}\n}}\n"
    lab[host].run("nft", "-f", "-", input=f"table inet t {{\n{chain}}}\n")


def climb(lab: Lab, *asked: LadderRequest) -> list[Ladder]:
    """The ladders, climbed by the program that travels and read as any vantage's."""
    request = Request("secret", 1.0, ladders=asked)
    messages: list[Message] = []
    receiver = Receiver("client", messages.append)
    receiver.expect(request)
    for line in converse(lab["client"].argv([sys.executable, *bundle.ARGUMENTS]), request.to_json()):
        receiver.take(line)
    assert isinstance(messages[0], Hello) and messages[-1] == Done()
    return sorted((said for said in messages if isinstance(said, Ladder)), key=lambda ladder: ladder.number)


def picture(rungs: Sequence[Rung]) -> str:
    """``r1 r2 -``: who answered, and ``-`` for silence up to the last rung."""
    words = [word(rung) for rung in rungs]
    while words[-2:] == ["-", "-"]:
        words.pop()
    return " ".join(words)


def word(rung: Rung) -> str:
    if rung.icmp is None:
        return "-" if rung.came is Came.SILENCE else rung.came
    who = NAMES.get(rung.icmp.offender or "", "elsewhere")
    if rung.is_hop:
        return who
    return f"{who}:{rung.icmp.type}/{rung.icmp.code}" + (f" mtu {rung.mtu}" if rung.mtu else "")


@dataclass(frozen=True)
class Seen:
    """A ladder in pictures. ``alone`` is what is said without the control."""

    version: int
    rungs: str
    control: str
    blame: Blame | None
    alone: Blame | None

    def near(self, number: int) -> str:
        """A router as the client sees it, with its hop."""
        return f"10.{number}.0.2 (hop {number})" if self.version == 4 else f"fd00:{number}::2 (hop {number})"

    @property
    def said(self) -> Blame:
        assert self.blame is not None
        return self.blame


def look(lab: Lab, protocol: Protocol, **more: object) -> list[Seen]:
    """Ladders to port 80 of the server with a control to port 22, over IPv4 and over IPv6."""
    to: Mapping[int, str] = more.pop("to", SERVER)  # type: ignore[assignment]
    asked = [
        LadderRequest(address, 80, protocol, **{"control_port": 22, **more})  # type: ignore[arg-type]
        for address in to.values()
    ]
    seen = []
    for version, one, ladder in zip(to, asked, climb(lab, *asked), strict=True):
        assert ladder.errno is None
        climbed = one.climbed(ladder)
        alone = judge(replace(climbed, control=()))
        seen.append(Seen(version, picture(ladder.rungs), picture(ladder.control), judge(climbed), alone))
    return seen


@each_kind
def test_where_nothing_is_wrong_every_hop_and_the_server_answer(chain: Lab, protocol: Protocol) -> None:
    for seen in look(chain, protocol):
        assert (seen.rungs, seen.control, seen.blame) == ("r1 r2 r3 answer", "", None)


# The fault (host, hook, rule), the ladder, the control, and the last router in what is said.
DROPS = {
    "forward drop at r2": (("r2", "forward", f"{TO_80} drop"), "r1 r2 -", "r3 answer", 2),
    "prerouting drop at r2": (("r2", "prerouting", f"{TO_80} drop"), "r1 -", "r2 r3 answer", 1),
    "input drop at the server": (("server", "input", f"{TO_80} drop"), "r1 r2 r3 -", "answer", 3),
    "the answer is dropped at the server": (("server", "output", f"{FROM_80} drop"), "r1 r2 r3 -", "answer", 3),
    "the answer is dropped at r1": (("r1", "forward", f"{FROM_80} drop"), "r1 r2 r3 -", "answer", 3),
}


@each_kind
@pytest.mark.parametrize("fault", DROPS)
def test_a_port_that_is_dropped_is_silent_behind_a_hop_where_another_gets_through(
    chain: Lab, fault: str, protocol: Protocol
) -> None:
    where, rungs, control, last = DROPS[fault]
    rule(chain, *where)
    for seen in look(chain, protocol):
        assert (seen.rungs, seen.control) == (rungs, control)
        silent = f"silent behind {seen.near(last)}"
        assert seen.said.what == f"{silent}, where {protocol} port 22 gets through"
        assert seen.said.excluded[0].by == f"{protocol} port 22 is answered at hop 4"
        assert not any("none back" in remaining for remaining in seen.said.remaining)
        assert seen.alone is not None
        assert (seen.alone.what, seen.alone.layer, seen.alone.certain) == (silent, Layer.PATH, False)
        assert any("none back" in remaining for remaining in seen.alone.remaining)


def test_a_closed_udp_port_is_a_control_for_tcp(chain: Lab) -> None:
    rule(chain, "r2", "forward", "tcp dport 80 drop")
    for seen in look(chain, "tcp", control_port=9, control_protocol="udp"):
        closed = "server:3/3" if seen.version == 4 else "server:1/4"
        assert (seen.rungs, seen.control) == ("r1 r2 -", f"r3 {closed}")
        assert "udp port 9 gets through" in seen.said.what


@each_kind
def test_a_black_hole_route_is_silent_from_its_router_on(chain: Lab, protocol: Protocol) -> None:
    for version, address in SERVER.items():
        chain["r2"].run("ip", f"-{version}", "route", "add", "blackhole", address)
    for seen in look(chain, protocol):
        assert (seen.rungs, seen.control) == ("r1 -", "-")
        assert seen.said.what == f"silent behind {seen.near(1)}"
        assert "silent from there on, too" in seen.said.evidence[1]


@each_kind
def test_a_router_without_a_way_back_looks_like_a_drop_and_that_remains(chain: Lab, protocol: Protocol) -> None:
    chain["r3"].run("ip", "route", "del", "10.1.0.0/24")
    chain["r3"].run("ip", "-6", "route", "del", "fd00:1::/64")
    for seen in look(chain, protocol):
        assert (seen.rungs, seen.control) == ("r1 r2 -", "-")
        assert seen.said.what == f"silent behind {seen.near(2)}"
        assert seen.said.remaining[-1] == "hop 3 is down or not there, has no route on, or none back"


@each_kind
def test_a_dead_host_is_silent_behind_the_last_router(chain: Lab, protocol: Protocol) -> None:
    for seen in look(chain, protocol, to=DEAD, control_port=None):
        assert (seen.rungs, seen.said.what) == ("r1 r2 r3 -", f"silent behind {seen.near(3)}")


@each_kind
def test_a_gap_below_an_answer_is_no_fault(chain: Lab, protocol: Protocol) -> None:
    rule(chain, "r2", "output", "icmp type time-exceeded drop\nicmpv6 type time-exceeded drop")
    for seen in look(chain, protocol):
        assert (seen.rungs, seen.control, seen.blame) == ("r1 - r3 answer", "", None)
    rule(chain, "server", "input", f"{TO_80} drop")
    for seen in look(chain, protocol):
        assert seen.rungs == "r1 - r3 -"
        assert seen.said.what.startswith(f"silent behind {seen.near(3)}")


@each_kind
def test_a_reject_names_its_router(chain: Lab, protocol: Protocol) -> None:
    rule(chain, "r2", "forward", f"{TO_80} reject with icmpx admin-prohibited")
    for seen in look(chain, protocol):
        assert (seen.rungs, seen.control) == (f"r1 r2 r2:{'3/13' if seen.version == 4 else '1/1'}", "")
        assert (seen.said.place, seen.said.certain) == (seen.near(2).partition(" ")[0], True)
        assert seen.said.what == "answers 'administratively prohibited'"
        assert "nearer than the server" in seen.said.evidence[0]


def test_a_reset_on_the_way_is_nearer_than_the_server(chain: Lab) -> None:
    rule(chain, "r2", "forward", "tcp dport 80 reject with tcp reset")
    for seen in look(chain, "tcp"):
        assert (seen.rungs, seen.control) == ("r1 r2 rst", "r3 answer")
        assert seen.said.what == f"reset behind {seen.near(2)}, nearer than the server"
        assert (seen.said.place, seen.said.certain, seen.said.excluded[0].by) == (None, False, "it is hop 4")


def test_a_reset_of_the_server_is_as_far_as_the_server(chain: Lab) -> None:
    rule(chain, "server", "input", "tcp dport 80 reject with tcp reset")
    for seen in look(chain, "tcp"):
        assert (seen.rungs, seen.control) == ("r1 r2 r3 rst", "answer")
        assert seen.said.what == "reset at hop 4, as far as the server"


def narrow(lab: Lab) -> None:
    """1300 bytes between r2 and r3, on both sides."""
    lab["r2"].run("ip", "link", "set", "a3", "mtu", "1300")
    lab["r3"].run("ip", "link", "set", "b3", "mtu", "1300")


def test_a_narrow_link_is_named_by_the_router_before_it(chain: Lab) -> None:
    narrow(chain)
    for seen in look(chain, "udp", size=1500):
        assert seen.rungs == f"r1 r2 r2:{'3/4' if seen.version == 4 else '2/0'} mtu 1300"
        assert seen.control == "r1 r2 r3 answer"
        assert (seen.said.layer, seen.said.text, seen.said.certain) == (Layer.MTU, "MTU 1300", True)
        assert seen.said.place == seen.near(2).partition(" ")[0]


@pytest.mark.parametrize(("size", "fits"), [(1300, True), (1301, False)])
def test_a_size_is_that_of_the_packet_to_the_byte(chain: Lab, size: int, fits: bool) -> None:
    narrow(chain)
    for seen in look(chain, "udp", size=size):
        assert (seen.rungs == "r1 r2 r3 answer", "mtu 1300" in seen.rungs) == (fits, not fits)


def test_where_the_word_of_a_narrow_link_is_dropped_there_is_a_black_hole(chain: Lab) -> None:
    narrow(chain)
    rule(chain, "r1", "forward", "icmp type destination-unreachable drop\nicmpv6 type packet-too-big drop")
    for seen in look(chain, "udp", size=1500):
        assert (seen.rungs, seen.control) == ("r1 r2 -", "r1 r2 r3 answer")
        assert seen.said.what == f"black hole for 1500 bytes behind {seen.near(2)}; small packets get through"
        assert (seen.said.layer, seen.said.certain) == (Layer.MTU, False)


def test_a_size_that_the_own_link_does_not_take_is_what_it_takes(chain: Lab) -> None:
    chain["client"].run("ip", "link", "set", "a1", "mtu", "1400")
    for ladder in climb(chain, *(LadderRequest(address, 80, "udp", size=1500) for address in SERVER.values())):
        assert (ladder.size, ladder.errno, picture(ladder.rungs)) == (1400, None, "r1 r2 r3 answer")


def test_a_routing_loop_is_one(chain: Lab) -> None:
    chain["r2"].run("ip", "route", "replace", "10.4.0.0/24", "via", "10.2.0.1")
    chain["r2"].run("ip", "-6", "route", "replace", "fd00:4::/64", "via", "fd00:2::1")
    for seen in look(chain, "tcp"):
        assert (seen.said.layer, seen.said.certain) == (Layer.ROUTE, True)
        assert seen.said.what.startswith("a routing loop through ")


def test_a_rule_of_the_own_host_is_silence_for_tcp_and_an_errno_for_udp(chain: Lab) -> None:
    rule(chain, "client", "output", f"{TO_80} drop")
    for seen in look(chain, "tcp", control_port=None):
        assert (seen.rungs, seen.said.what) == ("-", "silent from the first hop on")
    for ladder in climb(chain, *(LadderRequest(address, 80, "udp") for address in SERVER.values())):
        assert (ladder.rungs, ladder.errno) == ((), "EPERM")


def counted(host: Host, protocol: str, counter: str) -> int:
    """A counter of /proc/net/snmp (IPv4) or snmp6 (IPv6)."""
    if protocol.endswith("6"):
        rows = dict(line.split() for line in host.run("cat", "/proc/net/snmp6").stdout.splitlines())
        return int(rows[f"{protocol}{counter}"])
    names, values = (
        line.split()
        for line in host.run("cat", "/proc/net/snmp").stdout.splitlines()
        if line.startswith(f"{protocol}:")
    )
    return int(dict(zip(names, values, strict=True))[counter])


def test_a_control_opens_one_connection_and_a_ladder_to_a_dropped_port_none(chain: Lab) -> None:
    """Counted by the server. A SYN to it comes once, the nearest ones twice; more only if this machine is too busy."""
    rules = "tcp dport 80 counter name dropped drop\ntcp dport 22 tcp flags syn / syn,ack counter name opened"
    chain["server"].run(
        "nft", "-f", "-",
        input="table inet t {\ncounter dropped { }\ncounter opened { }\n"
        f"chain input {{\ntype filter hook input priority 0\n{rules}\n}}\n}}\n",
    )  # fmt: skip
    (seen,) = look(chain, "tcp", to={4: SERVER[4]})
    assert (seen.rungs, seen.control) == ("r1 r2 r3 -", "answer")
    said = chain["server"].run("nft", "list", "counters").stdout.split()
    dropped, opened = (int(said[at + 1]) for at, word in enumerate(said) if word == "packets")
    assert opened == 1
    beyond = MOST_HOPS - 3
    assert beyond + WAVE <= dropped <= 2 * (beyond + WAVE)


@pytest.mark.parametrize("version", [4, 6])
def test_ladders_leave_room_in_a_router_s_icmp_budget(chain: Lab, version: int) -> None:
    """Each of many is answered by each router, once: none of them is silent because of the others."""
    count = 8  # more than the 6 errors that a host sends at once
    addresses = [f"10.4.0.{100 + number}" if version == 4 else f"fd00:4::{100 + number}" for number in range(count)]
    for address in addresses:
        chain["server"].run("ip", "addr", "add", f"{address}/{24 if version == 4 else 64}", "dev", "b4",
                            *(("nodad",) if version == 6 else ()))  # fmt: skip
    rule(chain, "server", "input", f"{TO_80} drop")
    ladders = climb(chain, *(LadderRequest(address, 80, "udp") for address in addresses))
    assert [picture(ladder.rungs) for ladder in ladders] == ["r1 r2 r3 -"] * count
    protocol = "Icmp" if version == 4 else "Icmp6"
    assert [counted(chain[router], protocol, "OutTimeExcds") for router in ("r1", "r2", "r3")] == [count] * 3


def cells_of(lab: Lab, *options: str) -> dict[str, Any]:
    """A run on the server, asked from the client: what came of the server's address, by protocol."""
    argv = [str(NETPROBE), "bindtest", "--addr", SERVER[4], "--json", "--timeout", "0.7", *options]
    ran = lab["server"].run(*argv, "--from", f"client=netns:{lab['client'].network}", check=False)
    assert not ran.stderr
    cells = [cell for cell in json.loads(ran.stdout)["results"] if cell["vantage"] == "client"]
    return {cell["protocol"]: cell for cell in cells if cell["destination"] == SERVER[4]}


def test_a_run_names_the_hop_behind_which_its_probe_is_lost(chain: Lab) -> None:
    rule(chain, "r2", "forward", "meta l4proto tcp drop")
    cells = cells_of(chain)
    blame = cells["tcp"]["blame"]
    assert blame["what"].startswith("silent behind 10.2.0.2 (hop 2), where udp port ")
    assert blame["layer"] == "path" and not blame["certain"] and blame["place"] is None
    assert not any("answer" in cause for cause in blame["remaining"])  # the server's kernel has seen no connection
    assert cells["udp"]["observed"] == "reachable" and cells["udp"]["blame"] is None


def test_a_run_in_which_nothing_fails_sends_no_packet_more(chain: Lab) -> None:
    cells = cells_of(chain)
    assert {cell["observed"] for cell in cells.values()} == {"reachable"}
    assert [counted(chain[router], "Icmp", "OutTimeExcds") for router in ("r1", "r2", "r3")] == [0, 0, 0]


def test_an_answer_that_is_lost_is_not_blamed_on_the_path_there(chain: Lab) -> None:
    rule(chain, "r1", "forward", "ip saddr 10.4.0.2 tcp sport 1-65535 drop")
    blame = cells_of(chain, "--tcp")["tcp"]["blame"]
    assert blame["what"] == "the answer was lost on the way back"


def test_a_run_names_the_router_before_a_narrow_link(chain: Lab) -> None:
    """Of a black hole: the ICMP errors that tell of it do not come."""
    rule(chain, "r2", "forward", "ip daddr 10.4.0.2 meta length > 1000 drop")
    blame = cells_of(chain, "--payload", "20000")["tcp"]["blame"]
    assert blame["what"] == "black hole for 1500 bytes behind 10.2.0.2 (hop 2); small packets get through"
    assert blame["layer"] == "mtu"


def test_a_reset_that_is_nearer_than_the_server_is_not_its_own(chain: Lab) -> None:
    rule(chain, "r2", "prerouting", "meta l4proto tcp ip daddr 10.4.0.2 reject with tcp reset")
    cells = cells_of(chain)
    assert cells["tcp"]["observed"] == "refused"
    assert cells["tcp"]["blame"]["what"] == "reset behind 10.1.0.2 (hop 1), nearer than the server"
