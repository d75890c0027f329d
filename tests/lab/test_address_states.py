"""Addresses that an interface has and no socket can use (RFC 4862 section 5.4), and what else ``ip`` knows of links."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.conftest import NETPROBE
from tests.lab.asking import wait_until
from tests.lab.conftest import BuildLab
from tests.lab.network import Host, Lab

pytestmark = pytest.mark.lab

TAKEN, WAITING = "fd00:77::2", "fd00:77::7e"
PAIR = {
    "hosts": {"one": {}, "two": {}},
    "links": [{"ends": [{"host": "one", "name": "e0"}, {"host": "two", "name": "e0", "addresses": [f"{TAKEN}/64"]}]}],
}
STATES = {TAKEN: "duplicate address detection has failed", WAITING: "duplicate address detection has not ended"}


def asked(host: Host, *arguments: str) -> tuple[int, str, str]:
    ran = host.run(str(NETPROBE), *arguments, check=False, env=dict(os.environ))
    return ran.returncode, ran.stdout, ran.stderr


@pytest.fixture
def pair(lab: BuildLab) -> Lab:
    """In ``one``, TAKEN is dadfailed and WAITING tentative for a minute."""
    built = lab(PAIR)
    one = built["one"]
    conf = "/proc/sys/net/ipv6/conf/e0"
    add = f"ip addr add {TAKEN}/64 dev e0"
    one.run("sh", "-c", f"echo 1 > {conf}/accept_dad; echo 1 > {conf}/dad_transmits; {add}")

    def has_failed() -> bool:
        shown = one.run("ip", "-6", "addr", "show", "dev", "e0", "to", TAKEN).stdout
        if "dadfailed" not in shown and "tentative" not in shown:  # nobody heard it: the other end was not ready yet
            one.run("sh", "-c", f"ip addr del {TAKEN}/64 dev e0; {add}")
        return "dadfailed" in shown

    failed = wait_until(has_failed, 20)
    assert failed, one.run("ip", "-6", "addr", "show").stdout
    one.run("sh", "-c", f"echo 60 > {conf}/dad_transmits; ip addr add {WAITING}/64 dev e0")
    return built


def test_a_bind_that_fails_names_the_state(pair: Lab) -> None:
    for address, words in STATES.items():
        status, _, errors = asked(pair["one"], "bindtest", "--addr", address, "--tcp")
        assert status == 3
        assert f"e0 has the address, but {words}" in errors, errors
        assert "no interface" not in errors
        status, _, errors = asked(pair["one"], "echo", "serve", "--addr", address, "--port", "5000")
        assert status == 3
        assert f"e0 has the address, but {words}" in errors, errors
    status, _, errors = asked(pair["one"], "bindtest", "--addr", "fd00:77::99", "--tcp")
    assert (status, "no interface of this host has that address" in errors) == (3, True)


def test_classify_and_interfaces_name_the_state(pair: Lab) -> None:
    one = pair["one"]
    for address, words in STATES.items():
        assert words in asked(one, "classify", "--here", address)[1]
    (link,) = json.loads(asked(one, "interfaces", "e0", "--json")[1])["results"]
    states = {entry["address"]: entry["state"] for entry in link["addresses"]}
    assert (states[TAKEN], states[WAITING]) == ("dadfailed", "tentative")
    here = json.loads(asked(one, "classify", "--here", TAKEN, "--json")[1])["results"][0]["here"]
    assert (here["relation"], here["state"]) == ("own", "dadfailed")


def test_masters_parents_names_and_lifetimes_are_those_of_ip(lab: BuildLab) -> None:
    one = lab(PAIR)["one"]
    for command in (
        "ip link add d0 type veth peer name d1",
        "ip link set d0 alias rack-7",
        "ip link property add dev d0 altname lan altname a-rather-long-alternative-name",
        "ip link add br0 type bridge",
        "ip link set e0 master br0",
        "ip link add link d0 name d0.5 type vlan id 5",
        "ip addr add 2001:db8::1/64 dev d0 nodad valid_lft 5000 preferred_lft 0",
        "ip addr add 2001:db8::2/64 dev d0 nodad valid_lft 5000 preferred_lft 3000",
        "ip addr add 10.0.0.1/24 dev d0 valid_lft 5000 preferred_lft 3000",
        "ip addr add 10.0.0.2/24 dev d0",
    ):
        done = one.run(*command.split(), check=False)
        if done.returncode and " type " in command:
            continue  # this kernel has no such device
        assert done.returncode == 0 or "master br0" in command, done.stderr
    ours: list[dict[str, Any]] = json.loads(asked(one, "interfaces", "--json")[1])["results"]
    theirs = json.loads(one.run("ip", "-json", "-details", "addr").stdout)
    for link, shown in zip(ours, theirs, strict=True):
        is_veth = shown.get("linkinfo", {}).get("info_kind") == "veth"
        assert link["master"] == shown.get("master")
        assert link["parent"] == (None if is_veth else shown.get("link"))
        assert link["altnames"] == shown.get("altnames", [])
        assert link["alias"] == shown.get("ifalias")
        for address, entry in zip(link["addresses"], shown["addr_info"], strict=True):
            for key, name in (("preferred_s", "preferred_life_time"), ("valid_s", "valid_life_time")):
                if entry[name] == 2**32 - 1:
                    assert address[key] is None
                else:
                    assert 0 <= address[key] - entry[name] <= 60  # a moment before
    (link,) = [link for link in ours if link["name"] == "d0"]
    assert [entry["state"] for entry in link["addresses"] if entry["address"].startswith("2001")] in (
        ["deprecated", "preferred"],
        ["preferred", "deprecated"],
    )
