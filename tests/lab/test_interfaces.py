"""Both readers of interfaces, held against each other and against ``ip -json addr``, in hosts of every shape."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.lab.conftest import BuildLab
from tests.lab.network import Host

pytestmark = pytest.mark.lab

READ = """
import json, sys
from netprobe.address import kind_of
from netprobe.interfaces import {reader}
from netprobe.render.fields import as_json
print(json.dumps(as_json({reader}.read_interfaces(kind_of))))
"""

PAIR = {
    "hosts": {"one": {}, "two": {}},
    "links": [{"ends": [{"host": "one", "name": "e0"}, {"host": "two", "name": "e0"}]}],
}

SHAPES: dict[str, list[str]] = {
    "several addresses": [
        "ip addr add 10.1.0.1/24 brd + dev e0",
        "ip addr add 10.1.0.2/24 brd + dev e0",
        "ip addr add 10.2.0.1/16 dev e0",
        "ip addr add 2001:db8::1/64 dev e0 nodad",
        "ip addr add fd00::1/48 dev e0 nodad",
    ],
    "labels": ["ip addr add 10.1.0.1/24 dev e0 label e0:web", "ip addr add 10.1.0.2/24 brd + dev e0 label e0:db"],
    "a peer": ["ip addr add 10.1.0.1 peer 10.9.9.9/32 dev e0", "ip addr add fd00::1 peer fd00::9/128 dev e0 nodad"],
    "a /31 and a /32": ["ip addr add 10.1.0.0/31 dev e0", "ip addr add 10.1.5.5/32 dev e0"],
    "a link that is down": ["ip addr add 10.1.0.1/24 dev e0", "ip link set e0 down"],
    "a deprecated address": ["ip addr add 2001:db8::1/64 dev e0 nodad preferred_lft 0 valid_lft 500"],
    "a bridge and a vlan": [
        "ip link add br0 type bridge",
        "ip link set br0 up",
        "ip addr add 10.3.0.1/24 dev br0",
    ],
    "nothing but lo": ["ip link del e0"],
}


def read(host: Host, reader: str) -> list[dict[str, Any]]:
    ran = host.run(sys.executable, "-c", READ.format(reader=reader))
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


def by_ip(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(host.run("ip", "-json", "addr").stdout)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_the_readers_agree_with_each_other_and_with_ip(shape: str, lab: BuildLab) -> None:
    host = lab(PAIR)["one"]
    host.run("ip", "link", "set", "e0", "up")
    for command in SHAPES[shape]:
        done = host.run(*command.split(), check=False)
        if "Unknown device type" in done.stderr:
            pytest.skip(f"this kernel has no such device: {command}")
        assert done.returncode == 0, done.stderr
    netlink, netifaces, ip = read(host, "netlink_reader"), read(host, "netifaces_reader"), by_ip(host)
    agrees_with_ip(netlink, ip)
    assert [i["name"] for i in netifaces] == [i["name"] for i in netlink]
    for one, two in zip(netlink, netifaces, strict=True):
        assert (one["index"], one["mac"]) == (two["index"], two["mac"])
        keys = ("address", "version", "prefix", "kind", "zone", "label")
        assert facts(one, keys) == facts(two, keys)


def facts(interface: dict[str, Any], keys: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return sorted((tuple(a[key] for key in keys) for a in interface["addresses"]), key=str)


def agrees_with_ip(ours: list[dict[str, Any]], ip: list[dict[str, Any]]) -> None:
    assert [i["name"] for i in ours] == [i["ifname"] for i in ip]
    for interface, theirs in zip(ours, ip, strict=True):
        assert (interface["index"], interface["mtu"]) == (theirs["ifindex"], theirs["mtu"])
        assert (interface["state"] == "down") == ("UP" not in theirs["flags"])
        if interface["mac"] is not None:
            assert interface["mac"] == theirs["address"]
        assert [_ours(a, interface["name"]) for a in interface["addresses"]] == [
            _theirs(a) for a in theirs["addr_info"]
        ]


def _ours(address: dict[str, Any], name: str) -> tuple[Any, ...]:
    label = (address["label"] or name) if address["version"] == 4 else None
    state = {"secondary", "deprecated", "tentative", "temporary"} & set(address["flags"])
    return (
        address["address"],
        address["prefix"],
        address["broadcast"],
        address["peer"],
        address["scope"],
        label,
        state,
    )


def _theirs(address: dict[str, Any]) -> tuple[Any, ...]:
    state = {flag for flag in ("secondary", "deprecated", "tentative", "temporary") if address.get(flag)}
    return (
        address["local"],
        address["prefixlen"],
        address.get("broadcast"),
        address.get("address"),
        address["scope"],
        address.get("label"),
        state,
    )


ROUTES: dict[str, tuple[list[str], list[tuple[int, str | None, str]]]] = {
    "no default route": ([], []),
    "one": (["ip route add default via 10.1.0.254"], [(4, "10.1.0.254", "main")]),
    "two": (
        ["ip route add default via 10.1.0.254 metric 10", "ip route add default via 10.1.0.253 metric 20"],
        [(4, "10.1.0.254", "main"), (4, "10.1.0.253", "main")],
    ),
    "in another table": (
        ["ip route add default via 10.1.0.254", "ip route add default via 10.1.0.253 table 100"],
        [(4, "10.1.0.254", "main"), (4, "10.1.0.253", "100")],
    ),
    "on-link": (["ip route add default dev e0"], [(4, None, "main")]),
    "multipath": (
        ["ip route add default nexthop via 10.1.0.254 nexthop via 10.1.0.253"],
        [(4, "10.1.0.254", "main"), (4, "10.1.0.253", "main")],
    ),
    "IPv6": (["ip -6 route add default via 2001:db8::fe"], [(6, "2001:db8::fe", "main")]),
}


@pytest.mark.parametrize("case", ROUTES)
def test_default_routes_are_those_of_the_kernel(case: str, lab: BuildLab) -> None:
    host = lab(PAIR)["one"]
    commands, expected = ROUTES[case]
    for command in ["ip link set e0 up", "ip addr add 10.1.0.1/24 dev e0", "ip addr add 2001:db8::1/64 dev e0 nodad"]:
        host.run(*command.split())
    for command in commands:
        host.run(*command.split())
    routes = [r for i in read(host, "netlink_reader") for r in i["default_routes"]]
    assert {(r["version"], r["gateway"], r["table"]) for r in routes} == set(expected)
    assert len(routes) == len(expected)


def test_a_thousand_interfaces_are_read_whole(lab: BuildLab) -> None:
    host = lab({"hosts": {"one": {}}})["one"]
    batch = "".join(
        f"link add a{n} type veth peer name b{n}\naddr add 10.{n >> 8}.{n & 255}.1/24 dev a{n}\n" for n in range(500)
    )
    host.run("ip", "-batch", "-", input=batch)
    netlink = read(host, "netlink_reader")
    assert len(netlink) == 1001
    agrees_with_ip(netlink, by_ip(host))


def test_netifaces_answers_where_netlink_is_refused(lab: BuildLab) -> None:
    host = lab(PAIR)["one"]
    program = (
        "import socket, sys\n"
        "real = socket.socket\n"
        "def refusing(family=-1, *rest, **more):\n"
        "    if family == socket.AF_NETLINK: raise PermissionError(1, 'Operation not permitted')\n"
        "    return real(family, *rest, **more)\n"
        "socket.socket = refusing\n"
        "from netprobe.__main__ import main\n"
        "sys.exit(main(['interfaces', '-v']))\n"
    )
    ran = host.run(sys.executable, "-c", program)
    assert ran.stdout.startswith("lo\tloopback\tunknown\t127.0.0.1/8\tloopback")
    assert ran.stderr == "netlink: Operation not permitted; using netifaces\n"
