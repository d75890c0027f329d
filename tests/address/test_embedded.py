"""What is inside an address: held against the examples of the RFCs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.address import classify
from netprobe.address.multicast import IPV4_BLOCKS, IPV6_SCOPES
from netprobe.address.space import IPV6_SPACE
from netprobe.errors import AddressError

DATA = Path(__file__).parents[1] / "data"

# RFC 6052 section 2.4: 192.0.2.33 behind prefixes of all six lengths.
LAYOUTS = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
]


@pytest.mark.parametrize(("prefix", "address"), LAYOUTS)
def test_nat64_is_read_in_all_six_layouts(prefix: str, address: str) -> None:
    (inner,) = classify(address, nat64=[prefix]).embedded
    assert (inner.form, inner.address) == ("nat64", "192.0.2.33")
    assert classify(address).embedded == ()


@pytest.mark.parametrize("prefix", ["2001:db8::/33", "10.0.0.0/8", "2001:db8::1/96", "x"])
def test_a_wrong_nat64_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(AddressError):
        classify("::1", nat64=[prefix])


@pytest.mark.parametrize(
    ("address", "form", "inner", "kind"),
    [
        ("::ffff:127.0.0.1", "ipv4-mapped", "127.0.0.1", "loopback"),
        ("::10.0.0.1", "ipv4-compatible", "10.0.0.1", "private"),
        ("2002:7f00:1::", "6to4", "127.0.0.1", "loopback"),
        ("64:ff9b::169.254.169.254", "nat64", "169.254.169.254", "link-local"),
        ("64:ff9b:1::10.0.0.1", "nat64", "10.0.0.1", "private"),
        ("64:ff9b:1:a00:0:100::", "nat64", "10.0.0.1", "private"),
        ("fe80::5efe:192.168.0.1", "isatap", "192.168.0.1", "private"),
        ("2001:db8::200:5efe:8.8.8.8", "isatap", "8.8.8.8", "public"),
    ],
)
def test_an_inner_address_is_found_and_classified(address: str, form: str, inner: str, kind: str) -> None:
    (found,) = classify(address).embedded
    assert (found.form, found.address, found.inside.kind) == (form, inner, kind)


def test_a_routable_outside_with_a_loopback_inside_is_called_out() -> None:
    assert classify("2002:7f00:1::").verdict == "globally routable 6to4 that leads to 127.0.0.1 (loopback)"
    assert classify("2002:808:808::").verdict is None


def test_a_teredo_address_is_taken_apart() -> None:
    found = classify("2001:0:4136:e378:8000:63bf:3fff:fdd2").teredo  # the example of RFC 4380's readers
    assert found is not None
    assert (found.server, found.client, found.port, found.flags, found.cone) == (
        "65.54.227.120",
        "192.0.2.45",
        40000,
        0x8000,
        True,
    )


def test_an_eui_64_gives_its_mac() -> None:
    assert classify("fe80::211:22ff:fe33:4455").mac == "00:11:22:33:44:55"
    assert classify("fe80::1").mac is None


def test_groups_tell_what_they_are_made_from() -> None:
    def group(text: str) -> object:
        found = classify(text).multicast
        assert found is not None
        return found

    assert getattr(group("233.252.0.1"), "asn") is None  # noqa: B009
    assert getattr(group("233.1.2.3"), "asn") == 0x0102  # noqa: B009
    assert getattr(group("234.192.0.2"), "unicast_prefix") == "192.0.2.0/24"  # noqa: B009
    assert getattr(group("224.1.129.130"), "mac") == "01:00:5e:01:81:82"  # noqa: B009
    assert getattr(group("ff02::1:ff28:9c5a"), "solicited") == "28:9c5a"  # noqa: B009
    assert getattr(group("ff3e:30:2001:db8:1::7"), "unicast_prefix") == "2001:db8:1::/48"  # noqa: B009
    assert getattr(group("ff7e:140:2001:db8:beef:feed::"), "rendezvous_point") == "2001:db8:beef:feed::1"  # noqa: B009


def test_a_ula_gives_its_global_id() -> None:
    found = classify("fd12:3456:789a:1::1").unique_local
    assert found is not None
    assert (found.global_id, found.subnet_id) == ("123456789a", "0001")


@given(st.integers(0, 2**32 - 1))
def test_a_reverse_name_is_read_back(number: int) -> None:
    address = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    name = classify(address).reverse_name
    assert classify(name).address == address
    assert classify(name.upper() + ".").address == address


@given(st.integers(0, 2**128 - 1))
def test_an_ip6_arpa_name_is_read_back(number: int) -> None:
    import ipaddress

    address = str(ipaddress.IPv6Address(number))
    assert classify(classify(address).reverse_name).integer == number


def test_the_multicast_blocks_are_ianas() -> None:
    with (DATA / "ipv4-multicast-blocks.csv").open(encoding="utf-8", newline="") as file:
        rows = [(r["start"], r["end"], r["name"], r["reference"]) for r in csv.DictReader(file)]
    assert [(a, b, c, f"[{d.replace(' ', '')}]") for a, b, c, d in IPV4_BLOCKS] == rows


def test_the_ipv6_space_and_scopes_are_ianas() -> None:
    with (DATA / "ipv6-address-space-1.csv").open(encoding="utf-8", newline="") as file:
        rows = [(r["IPv6 Prefix"], r["Allocation"], r["Reference"]) for r in csv.DictReader(file)]
    ours = [(s.cidr, s.name, "".join(f"[{rfc.replace(' ', '')}]" for rfc in s.rfc)) for s in IPV6_SPACE]
    assert ours == rows
    with (DATA / "ipv6-scope.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            first, _, last = row["Scope"].partition("-")
            for scope in range(int(first, 16), int(last or first, 16) + 1):
                assert IPV6_SCOPES[scope] == row["Name"]
