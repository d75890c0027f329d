"""``netprobe classify`` on a terminal: one address is a card, several are a table, at every width."""

from __future__ import annotations

import re

import pytest

from netprobe.address.classifier import classify
from netprobe.address.kinds import KINDS
from netprobe.render.classify import MEANINGS, print_classifications
from netprobe.render.terminal import Terminal

SIX = ["172.20.1.5", "192.168.0.1", "8.8.8.8", "169.254.169.254", "fe80::1", "64:ff9b::a01:203"]
LONG = "2001:db8:1111:2222:3333:4444:5555:6666"


def terminal(width: int, colour: bool = False) -> Terminal:
    return Terminal(True, True, True, width=width, colour=colour, hyperlinks=colour)


def shown(
    capsys: pytest.CaptureFixture[str], *texts: str, width: int = 80, colour: bool = False, card: bool = False
) -> str:
    print_classifications([classify(text) for text in texts], terminal(width, colour), card=card)
    return capsys.readouterr().out


def test_an_address_leads_with_what_matters_today(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "172.20.1.5") == (
        "172.20.1.5  private\n"
        "  for use inside a network; not routed on the Internet\n"
        "\n"
        "  block    172.16.0.0/12  Private-Use, RFC 1918\n"
        "  IANA     source yes, destination yes, forwardable yes, global no\n"
        "  network  no prefix given\n"
        "  reverse  5.1.20.172.in-addr.arpa\n"
        "  integer  2886992133\n"
        "  history  class B; before CIDR (1993) that meant 172.20.0.0/16\n"
        "\n"
        "Next:\n"
        "  netprobe classify 172.20.1.5/24\n"
        "  netprobe classify 172.20.1.5 --here\n"
    )


def test_six_addresses_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, *SIX) == (
        "  address           kind        block           what else\n"
        "  172.20.1.5        private     172.16.0.0/12\n"
        "  192.168.0.1       private     192.168.0.0/16\n"
        "  8.8.8.8           public      -\n"
        "  169.254.169.254   link-local  169.254.0.0/16  cloud metadata service\n"
        "  fe80::1           link-local  fe80::/10       needs a zone: fe80::1%eth0\n"
        "  64:ff9b::a01:203  nat64       64:ff9b::/96    leads to 10.1.2.3, private\n"
        "  2 private, 2 link-local, 1 public, 1 nat64\n"
    )


def test_below_80_columns_block_goes_first(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, *SIX, width=70).splitlines()
    assert lines[0] == "  address           kind        what else"
    assert lines[6] == "  64:ff9b::a01:203  nat64       leads to 10.1.2.3, private"


def test_then_what_else_moves_under_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, *SIX, width=40).splitlines()[5:] == [
        "    cloud metadata service",
        "  fe80::1           link-local",
        "    needs a zone: fe80::1%eth0",
        "  64:ff9b::a01:203  nat64",
        "    leads to 10.1.2.3, private",
        "  2 private, 2 link-local, 1 public,",
        "  1 nat64",
    ]


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("card", [False, True])
def test_no_width_cuts_or_folds_an_address(width: int, card: bool, capsys: pytest.CaptureFixture[str]) -> None:
    for texts in ([LONG, *SIX], [LONG]):
        lines = shown(capsys, *texts, width=width, card=card).splitlines()
        assert any(LONG in line for line in lines)
        assert "…" not in "".join(lines)
        commands = [line for line in lines if line.startswith("  netprobe ")]
        assert max(len(line) for line in lines if line not in commands and "ip6.arpa" not in line) <= width


def test_a_card_of_each_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "172.20.1.5", "8.8.8.8", card=True)
    assert out.startswith("172.20.1.5  private\n")
    assert "\n\n8.8.8.8  public\n" in out
    assert "Next:" not in out  # two lists of commands would be twice the same


def test_with_a_prefix_the_network_is_told_and_no_class_decides(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "172.20.1.5/24")
    assert "  network  172.20.1.0/24, broadcast 172.20.1.255\n" in out
    assert "254 hosts: 172.20.1.1 - 172.20.1.254; this is host 5\n" in out
    assert "no prefix given" not in out
    assert "classify 172.20.1.5/24" not in out


def test_a_role_by_class_is_history(capsys: pytest.CaptureFixture[str]) -> None:
    out = " ".join(shown(capsys, "172.20.255.255").split())
    assert "that meant 172.20.0.0/16, and this was its broadcast" in out
    assert "role" not in out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2002:7f00:1::", "leads to 127.0.0.1, loopback"),
        ("::ffff:10.0.0.1", "stands for 10.0.0.1, private"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo client 192.0.2.45, documentation"),
        ("172.20.1.255/24", "broadcast of 172.20.1.0/24"),
        ("172.15.0.0-172.32.255.255", "in 3 pieces: public, private"),
        ("ff02::1:ff00:1", "Solicited-Node"),
        ("fd00:ec2::254", "cloud metadata service (Amazon EC2)"),
    ],
)
def test_what_hides_in_an_address_is_told_in_the_table(
    text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in shown(capsys, text, "10.0.0.1", width=200)


def test_what_hides_in_an_address_stands_before_the_details(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "64:ff9b::a01:203").splitlines()
    assert lines[2] == "* globally routable nat64 that leads to 10.1.2.3 (private)"
    assert "  netprobe classify 10.1.2.3" in lines


def test_a_legacy_spelling_is_doubted_in_both(capsys: pytest.CaptureFixture[str]) -> None:
    record = classify("0x7f.1", lenient=True)
    print_classifications([record], terminal(80))
    assert "\n* 0x7f.1 is a legacy spelling: parsers read it differently, or refuse it\n" in capsys.readouterr().out
    print_classifications([record, record], terminal(80))
    assert "written 0x7f.1" in capsys.readouterr().out


def test_every_kind_has_a_meaning() -> None:
    assert list(MEANINGS) == list(KINDS)


def test_public_is_yellow_and_special_kinds_are_dim_and_values_never(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "172.20.1.5", colour=True).startswith("\x1b[1m172.20.1.5\x1b[0m  \x1b[2mprivate\x1b[0m\n")
    out = shown(capsys, *SIX, colour=True)
    assert "\x1b[33mpublic\x1b[0m" in out
    assert "\x1b[2mprivate\x1b[0m" in out
    for value in (*SIX, "leads to 10.1.2.3, private", "cloud metadata service", "172.16.0.0/12"):
        assert not re.search(r"\x1b\[[0-9;]*m" + re.escape(value), out), value


def test_an_rfc_is_a_link_where_the_terminal_takes_links(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "172.20.1.5", colour=True)
    assert re.search(r"\x1b]8;[^;]*;https://www\.rfc-editor\.org/rfc/rfc1918\x1b\\", out)
    assert re.search(r"\x1b]8;[^;]*;https://www\.iana\.org/assignments/iana-ipv4-special-registry\x1b\\", out)
    assert "\x1b" not in shown(capsys, "172.20.1.5")
