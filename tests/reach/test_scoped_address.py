"""Addresses with zones: what is read, and what is shown."""

from __future__ import annotations

import pytest

from netprobe.errors import AddressError
from netprobe.reach.scoped_address import ScopedAddress


@pytest.mark.parametrize(
    ("text", "shown", "zone"),
    [
        ("192.0.2.1", "192.0.2.1", None),
        ("[2001:DB8::1]", "2001:db8::1", None),
        ("fe80::1%eth0", "fe80::1%eth0", "eth0"),
        ("::ffff:c000:201", "::ffff:192.0.2.1", None),
    ],
)
def test_an_address_is_shown_as_it_is_written_best(text: str, shown: str, zone: str | None) -> None:
    address = ScopedAddress.parse(text)
    assert (str(address), address.zone) == (shown, zone)


@pytest.mark.parametrize("text", ["", "127.1", "host", "192.0.2.1/24", "192.0.2.1%eth0", "fe80::1%"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        ScopedAddress.parse(text)


def test_a_mapped_address_is_of_ipv6_and_loopback_where_its_ipv4_address_is() -> None:
    address = ScopedAddress.parse("::ffff:127.0.0.1")
    assert (address.version, str(address.mapped), address.is_loopback) == (6, "127.0.0.1", True)
