"""Counters of /proc/net: each table is read as nstat(8) names it, and nothing that is not there is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.kernel import net_counters
from netprobe.kernel.net_counters import Counters, read_counters

SNMP = "Ip: Forwarding InReceives\nIp: 1 10\nTcp: RtoAlgorithm OutRsts\nTcp: 1 -1\n"
NETSTAT = "TcpExt: ListenDrops IPReversePathFilter\nTcpExt: 4 2\n"
SNMP6 = "Ip6InReceives                   \t7\nIp6InNoRoutes\t3\n"
CONNTRACK = "entries  drop early_drop\n00000002 00000001 0000000a\n00000002 00000003 00000000\n"


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(net_counters, "_NET", tmp_path)
    return tmp_path


def test_the_names_are_those_of_nstat(net: Path) -> None:
    (net / "snmp").write_text(SNMP)
    (net / "netstat").write_text(NETSTAT)
    (net / "snmp6").write_text(SNMP6)
    (net / "stat").mkdir()
    (net / "stat" / "nf_conntrack").write_text(CONNTRACK)
    counters = read_counters()
    wanted = {"IpInReceives": 10, "TcpExtListenDrops": 4, "TcpExtIPReversePathFilter": 2, "Ip6InReceives": 7}
    wanted |= {"Ip6InNoRoutes": 3, "Conntrackdrop": 4, "Conntrackearly_drop": 10}
    assert {name: counters[name] for name in wanted} == wanted
    assert counters["TcpOutRsts"] == 0  # a negative one is no count


def test_where_nothing_is_counted_nothing_is_said(net: Path) -> None:
    assert read_counters().values == {}
    assert read_counters()["IpInReceives"] == 0


def test_what_has_grown() -> None:
    assert Counters({"a": 3, "b": 2, "c": 1}).since(Counters({"a": 1, "b": 2})).values == {"a": 2, "c": 1}


def test_this_hosts_own_are_read() -> None:
    if not Path("/proc/net/snmp").exists():
        pytest.skip("no /proc/net here")
    assert read_counters()["IpInReceives"] > 0 or "IpInReceives" in read_counters().values
