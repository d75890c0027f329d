"""``netprobe interfaces`` on a terminal: which addresses, for whom, and what is down."""

from __future__ import annotations

import pytest

from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress
from netprobe.render.interfaces import print_interfaces
from netprobe.render.terminal import Terminal

LONG = "2001:db8:1111:2222:3333:4444:5555:6666"
LO = Interface("lo", 1, "loopback", "up", 65536, None, (InterfaceAddress("127.0.0.1", 4, 8, "loopback"),))
ETH0 = Interface(
    "eth0",
    2,
    "ethernet",
    "up",
    1500,
    "02:00:00:00:00:01",
    (
        InterfaceAddress("192.168.0.1", 4, 24, "private", broadcast="192.168.0.255", flags=("secondary",)),
        InterfaceAddress("fe80::1", 6, 64, "link-local", zone="eth0"),
        InterfaceAddress(LONG, 6, 64, "documentation"),
        InterfaceAddress("8.8.8.8", 4, 32, "public"),
    ),
    (DefaultRoute(4, "192.168.0.254", 100),),
)
ETH1 = Interface("eth1", 3, "ethernet", "no-carrier", 1500, None, ())


def shown(capsys: pytest.CaptureFixture[str], *links: Interface, width: int = 80, colour: bool = False) -> str:
    print_interfaces(links, Terminal(True, True, True, width=width, colour=colour))
    return capsys.readouterr().out


def test_the_answer_is_first_and_the_table_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    small = Interface("eth0", 2, "ethernet", "up", 1500, None, ETH0.addresses[:2], ETH0.default_routes)
    assert shown(capsys, LO, small, ETH1) == (
        "3 addresses on 2 of 3 interfaces: 1 for inside networks, 1 for its link, 1 for\n"
        "this host; eth1 is no-carrier\n"
        "\n"
        "  address          for whom         kind        interface  state       what else\n"
        "  127.0.0.1/8      this host        loopback    lo         up\n"
        "  192.168.0.1/24   inside networks  private     eth0       up          secondary\n"
        "  fe80::1%eth0/64  its link         link-local  eth0       up\n"
        "  -                -                -           eth1       no-carrier\n"
        "  default via 192.168.0.254 metric 100 on eth0\n"
        "  by the kind of each address; no firewall and no router was asked\n"
        "\n"
        "Next:\n"
        "  netprobe bindtest --addr 0.0.0.0\n"
    )


def test_interfaces_in_the_same_state_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    links = [Interface(f"ifb{n}", 5 + n, "ethernet", "down", 1500, None, ()) for n in range(2)]
    said = shown(capsys, LO, ETH1, *links, width=200).splitlines()[0]
    assert said == "1 address on 1 of 4 interfaces: 1 for this host; eth1 is no-carrier; ifb0 and ifb1 are down"


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_no_width_cuts_an_address_or_loses_whom_it_is_for(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, LO, ETH0, ETH1, width=width).splitlines()
    assert any(f"{LONG}/64" in line for line in lines)
    assert sum("inside networks" in line for line in lines[2:]) == 2
    assert "secondary" in "\n".join(lines)
    assert max(len(line) for line in lines if LONG not in line) <= width


def test_one_interface_is_a_card_with_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, ETH0).splitlines() == [
        "eth0  ethernet, up",
        "",
        "  MAC      02:00:00:00:00:01",
        "  MTU      1500 bytes",
        "  inet     192.168.0.1/24  private, for inside networks, broadcast",
        "           192.168.0.255, secondary",
        "  inet6    fe80::1%eth0/64  link-local, for its link",
        f"  inet6    {LONG}/64  documentation, for inside",
        "           networks",
        "  inet     8.8.8.8/32  public, for the Internet",
        "  default  via 192.168.0.254 metric 100",
    ]


def test_public_addresses_stand_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b[33mpublic\x1b[0m" in shown(capsys, LO, ETH0, width=200, colour=True)


def test_states_lifetimes_and_other_names_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = (
        InterfaceAddress("fd00::1", 6, 64, "unique-local", flags=("dadfailed", "tentative"), state="dadfailed"),
        InterfaceAddress("fd00::2", 6, 64, "unique-local", flags=("deprecated",), preferred_s=0, valid_s=500),
        InterfaceAddress("fd00::3", 6, 64, "unique-local", preferred_s=300, valid_s=500),
    )
    link = Interface("v5", 4, "vlan", "up", 1500, None, addresses, (), "br0", "eth0", ("one", "two"), "to the rack")
    card = " ".join(shown(capsys, link, width=200).split())
    for words in ("port of br0", "lies on eth0", "alias to the rack", "other names one, two"):
        assert words in card
    for words in (
        "unusable: another host has it",
        "deprecated, valid for 500 s",
        "preferred for 300 s, valid for 500 s",
    ):
        assert words in card
    assert "tentative" not in card and "preferred for 0 s" not in card
    table = shown(capsys, LO, link, width=200)
    assert table.count("port of br0, lies on eth0") == 3
