"""This host's interfaces as the Linux kernel tells them: three dumps, whatever the number of interfaces."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator

from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress, Way
from netprobe.interfaces.rtnetlink import RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, attributes, dump, look_up_route

__all__ = ["read_interfaces", "way_to"]

_IFF_UP, _IFF_LOOPBACK, _IFF_POINTOPOINT = 0x1, 0x8, 0x10  # netdevice(7)
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_OPERSTATE, _IFLA_LINKINFO = 1, 3, 4, 16, 18  # linux/if_link.h
_IFLA_INFO_KIND = 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 3, 4, 8  # linux/if_addr.h
_RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = 4, 5, 6, 9, 15, 18  # rtnetlink.h
_RTN_UNICAST, _RTN_LOCAL = 1, 2
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL)  # none, unreachable, prohibit, blackhole

# The hardware types (ARPHRD_*, linux/if_arp.h) of links that say nothing more of themselves.
_HARDWARE = {1: "ethernet", 772: "loopback", 512: "ppp", 768: "tunnel", 769: "tunnel", 776: "tunnel", 778: "tunnel",
             801: "wireless", 802: "wireless", 803: "wireless", 32: "infiniband", 65534: "tunnel"}  # fmt: skip
# What a virtual link calls itself (IFLA_INFO_KIND), where netprobe has a plainer word.
_VIRTUAL = {"tun": "tunnel", "ipip": "tunnel", "sit": "tunnel", "gre": "tunnel", "gretap": "tunnel", "ip6gre": "tunnel",
            "ip6tnl": "tunnel", "vti": "tunnel", "vti6": "tunnel", "xfrm": "tunnel"}  # fmt: skip
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host"}  # rtnetlink(7)
_FLAGS = ((0x01, "secondary"), (0x08, "dadfailed"), (0x10, "home"), (0x20, "deprecated"), (0x40, "tentative"))
_TABLES = {253: "default", 254: "main", 255: "local"}


def read_interfaces(kind_of: Callable[[str], str]) -> tuple[Interface, ...]:
    """Every interface in the order of its index. Raises OSError where netlink is refused."""
    links = list(dump(RTM_GETLINK))
    addresses: dict[int, list[InterfaceAddress]] = {}
    names = {_index(body): _name(attributes(body[16:])) for body in links}
    for body in dump(RTM_GETADDR):
        index = struct.unpack_from("=I", body, 4)[0]
        addresses.setdefault(index, []).extend(_address(body, names.get(index, ""), kind_of))
    routes: dict[int, list[DefaultRoute]] = {}
    for body in dump(RTM_GETROUTE):
        for index, route in _default_routes(body):
            routes.setdefault(index, []).append(route)
    made = (_interface(body, addresses, routes) for body in links)
    return tuple(sorted(made, key=lambda interface: interface.index or 0))


def way_to(address: str, interface: str | None) -> Way | None:
    """Where the kernel would send a packet to ``address``; None where it has no way. Raises OSError without netlink."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    index = socket.if_nametoindex(interface) if interface else 0
    try:
        body = look_up_route(family, socket.inet_pton(family, address), index)
    except OSError as error:
        if error.errno in _NO_WAY:
            return None
        raise
    found = attributes(body[12:])
    index = struct.unpack("=i", found[_RTA_OIF])[0] if _RTA_OIF in found else 0
    return Way(socket.if_indextoname(index) if index else None, _gateway(family, found), own=body[7] == _RTN_LOCAL)


def _index(body: bytes) -> int:
    return int(struct.unpack_from("=i", body, 4)[0])


def _name(found: dict[int, bytes]) -> str:
    return os.fsdecode(found.get(_IFLA_IFNAME, b"").rstrip(b"\0"))


def _interface(
    body: bytes, addresses: dict[int, list[InterfaceAddress]], routes: dict[int, list[DefaultRoute]]
) -> Interface:
    hardware, index, flags = struct.unpack_from("=xxHiI", body)
    found = attributes(body[16:])
    mac = found.get(_IFLA_ADDRESS)
    return Interface(
        name=_name(found),
        index=index,
        kind=_link_kind(hardware, flags, found),
        state=_state(flags, found.get(_IFLA_OPERSTATE, b"\0")[0]),
        mtu=struct.unpack("=I", found[_IFLA_MTU])[0] if _IFLA_MTU in found else None,
        mac=mac.hex(":") if mac is not None and len(mac) == 6 and any(mac) else None,
        addresses=tuple(addresses.get(index, ())),
        default_routes=tuple(routes.get(index, ())),
    )


def _link_kind(hardware: int, flags: int, found: dict[int, bytes]) -> str:
    if flags & _IFF_LOOPBACK:
        return "loopback"
    own = attributes(found.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
    if own:
        return _VIRTUAL.get(own, own)
    name = _name(found)
    if hardware == 1 and "/" not in name and os.path.isdir(f"/sys/class/net/{name}/phy80211"):  # noqa: PTH112
        return "wireless"
    return _HARDWARE.get(hardware, "other")


def _state(flags: int, operational: int) -> str:
    """``up``, ``down`` (by the administrator) or ``no-carrier`` (RFC 2863's operational states)."""
    if not flags & _IFF_UP:
        return "down"
    return "no-carrier" if operational in (1, 2, 3) else "up"


def _address(body: bytes, link: str, kind_of: Callable[[str], str]) -> Iterator[InterfaceAddress]:
    family, prefix, few_flags, scope, _ = struct.unpack_from("=BBBBI", body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return
    found = attributes(body[8:])
    far = found.get(_IFA_ADDRESS)
    own = found.get(_IFA_LOCAL, far)
    if own is None:
        return
    flags = struct.unpack("=I", found[_IFA_FLAGS])[0] if _IFA_FLAGS in found else few_flags
    text = socket.inet_ntop(family, own)
    version = 4 if family == socket.AF_INET else 6
    broadcast = found.get(_IFA_BROADCAST)
    label = os.fsdecode(found.get(_IFA_LABEL, b"").rstrip(b"\0"))
    yield InterfaceAddress(
        address=text,
        version=version,
        prefix=prefix,
        kind=kind_of(text),
        broadcast=None if broadcast is None else socket.inet_ntop(family, broadcast),
        peer=socket.inet_ntop(family, far) if far is not None and far != own else None,
        scope=_SCOPES.get(scope, str(scope)),
        zone=link if version == 6 and scope == 253 else None,
        label=label if label and label != link else None,
        flags=_flags(flags, version),
    )


def _flags(flags: int, version: int) -> tuple[str, ...]:
    """IFA_F_*: bit 0 says ``secondary`` in IPv4 and ``temporary`` in IPv6 (RFC 8981)."""
    words = [word for bit, word in _FLAGS if flags & bit]
    if version == 6 and "secondary" in words:
        words[0] = "temporary"
    if not flags & 0x80:  # IFA_F_PERMANENT
        words.append("dynamic")
    return tuple(words)


def _default_routes(body: bytes) -> Iterator[tuple[int, DefaultRoute]]:
    family, length, _, _, table, _, _, kind = struct.unpack_from("=BBBBBBBB", body)
    if length != 0 or kind != _RTN_UNICAST or family not in (socket.AF_INET, socket.AF_INET6):
        return
    found = attributes(body[12:])
    version = 4 if family == socket.AF_INET else 6
    metric = struct.unpack("=I", found[_RTA_PRIORITY])[0] if _RTA_PRIORITY in found else None
    number = struct.unpack("=I", found[_RTA_TABLE])[0] if _RTA_TABLE in found else table
    name = _TABLES.get(number, str(number))
    for index, hop in _hops(found):
        yield index, DefaultRoute(version, _gateway(family, hop), metric, name)


def _hops(found: dict[int, bytes]) -> Iterator[tuple[int, dict[int, bytes]]]:
    """The next hops of a route: one, or the several of a multipath route (struct rtnexthop)."""
    if _RTA_OIF in found:
        yield struct.unpack("=i", found[_RTA_OIF])[0], found
    paths = found.get(_RTA_MULTIPATH, b"")
    while len(paths) >= 8:
        length, _, _, index = struct.unpack_from("=HBBi", paths)
        if length < 8:
            break
        yield index, attributes(paths[8:length])
        paths = paths[(length + 3) & ~3 :]


def _gateway(family: int, hop: dict[int, bytes]) -> str | None:
    if _RTA_GATEWAY in hop:
        return socket.inet_ntop(family, hop[_RTA_GATEWAY])
    via = hop.get(_RTA_VIA)  # struct rtvia: an IPv6 gateway of an IPv4 route (RFC 5549)
    if via is not None and len(via) > 2:
        return socket.inet_ntop(struct.unpack_from("=H", via)[0], via[2:])
    return None
