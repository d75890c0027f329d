"""What the kernel's tables say of loopback, which is there everywhere."""

from __future__ import annotations

import errno
import socket

import pytest

from netprobe.kernel import rtnetlink
from netprobe.kernel.rtnetlink import LinkAddress

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="no netlink here")


def test_loopback_is_a_link_with_its_address() -> None:
    lo = next(link for link in rtnetlink.links() if link.is_loopback)
    assert (lo.name, lo.mac, lo.kind) == (socket.if_indextoname(lo.ifindex), bytes(6), "")
    found = [(a.address, a.prefix) for a in rtnetlink.addresses() if a.ifindex == lo.ifindex]
    assert ("127.0.0.1", 8) in found


def test_the_route_to_loopback_is_to_this_host() -> None:
    route = rtnetlink.route_to("127.0.0.1")
    assert (socket.if_indextoname(route.ifindex), route.gateway, route.is_local) == ("lo", None, True)


def test_a_forbidden_destination_has_no_route() -> None:
    with pytest.raises(OSError) as raised:
        rtnetlink.route_to("255.255.255.255", index=2**31 - 1)
    assert raised.value.errno in (errno.ENODEV, errno.ENETUNREACH, errno.EINVAL)


@pytest.mark.parametrize(("flags", "usable"), [(0, True), (0x80, True), (0x40, False), (0x44, True)])
def test_a_tentative_address_is_usable_only_if_it_is_optimistic(flags: int, usable: bool) -> None:
    address = LinkAddress(2, socket.AF_INET6, "2001:db8::1", 64, 0, flags, None, None, "")
    assert address.is_usable is usable


@pytest.mark.parametrize(
    ("flags", "state"),
    [(0x80, "preferred"), (0x20, "deprecated"), (0x40, "tentative"), (0x44, "optimistic"), (0x48, "dadfailed")],
)
def test_an_address_has_one_state(flags: int, state: str) -> None:
    assert LinkAddress(2, socket.AF_INET6, "2001:db8::1", 64, 0, flags, None, None, "").state == state
