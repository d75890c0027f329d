"""Links, addresses and routes as the kernel's tables have them (rtnetlink(7)): numbers stay the kernel's.

One dump a table, whatever the number of interfaces. This module travels: Python 3.6 and later, standard library only.
"""

import os
import socket
import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from netprobe.kernel.netlink import NLA_TYPE_MASK, attribute, attributes, dump, request

__all__ = [
    "DefaultRoute",
    "Link",
    "LinkAddress",
    "Route",
    "addresses",
    "default_routes",
    "links",
    "route_between",
    "route_to",
    "unusable_addresses",
    "usable_addresses",
]

NETLINK_ROUTE = 0  # linux/netlink.h
RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE = 18, 22, 26  # linux/rtnetlink.h
IFF_UP, IFF_LOOPBACK = 0x1, 0x8  # netdevice(7)
IFA_F_OPTIMISTIC, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x04, 0x08, 0x20, 0x40  # linux/if_addr.h

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_OPERSTATE, _IFLA_LINKINFO = 1, 3, 4, 16, 18  # linux/if_link.h
_IFLA_LINK, _IFLA_MASTER, _IFLA_IFALIAS, _IFLA_LINK_NETNSID, _IFLA_PROP_LIST, _IFLA_ALT_IFNAME = 5, 10, 20, 37, 52, 53
_IFLA_INFO_KIND, _IFLA_EXT_MASK = 1, 29
_RTEXT_FILTER_SKIP_STATS = 1 << 3  # counters are half of a link's message, and nobody reads them here
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 3, 4, 6, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = 1, 4, 5, 6, 9, 15, 18
_RTA_SRC, _RTA_IIF, _RTA_IP_PROTO = 2, 3, 27
_RTN_UNICAST, _RTN_LOCAL = 1, 2
_LINK_ATTRIBUTES = frozenset((_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_OPERSTATE, _IFLA_LINKINFO, _IFLA_LINK,
                              _IFLA_MASTER, _IFLA_IFALIAS, _IFLA_LINK_NETNSID, _IFLA_PROP_LIST))  # fmt: skip
_LINK_INFO = frozenset((_IFLA_INFO_KIND,))
_ADDRESS_ATTRIBUTES = frozenset((_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_FLAGS, _IFA_CACHEINFO))
_ROUTE_ATTRIBUTES = frozenset((_RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA))
_IFINFOMSG = struct.Struct("=BxHiII")  # family, hardware type, index, flags, change mask
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index
_RTMSG = struct.Struct("=BBBBBBBBI")  # family, prefixes, tos, table, protocol, scope, type, flags
_CACHEINFO = struct.Struct("=II")  # struct ifa_cacheinfo: preferred and valid lifetime in seconds, and time stamps
_FOREVER = 0xFFFFFFFF  # RFC 4861 section 4.6.2
_UINT32 = struct.Struct("=I")
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class Link(NamedTuple):
    """A link: ``hardware`` is ARPHRD_*, ``flags`` IFF_*, ``operational`` IF_OPER_*, ``kind`` that of a virtual one.

    ``master`` is the link that it is a port of (a bridge, a bond, a VRF), ``parent`` the one that it lies on (a VLAN's)
    or, of a veth, its other end: 0 where there is none, or where it is in another namespace.
    """

    ifindex: int
    name: str
    flags: int
    hardware: int
    operational: int
    mtu: Optional[int]
    mac: bytes
    kind: str
    master: int = 0
    parent: int = 0
    alias: str = ""
    altnames: Tuple[str, ...] = ()

    @property
    def is_up(self) -> bool:
        """Has the administrator set it up?"""
        return bool(self.flags & IFF_UP)

    @property
    def is_loopback(self) -> bool:
        """Is it ``lo``?"""
        return bool(self.flags & IFF_LOOPBACK)


class LinkAddress(NamedTuple):
    """A link's address: ``scope`` is RT_SCOPE_*, ``flags`` IFA_F_*, ``peer`` the far end of a point-to-point link.

    ``preferred_s`` and ``valid_s`` are what is left of its lifetimes (RFC 4862 section 5.5.4); None is for ever.
    """

    ifindex: int
    family: int
    address: str
    prefix: int
    scope: int
    flags: int
    peer: Optional[str]
    broadcast: Optional[str]
    label: str
    preferred_s: Optional[int] = None
    valid_s: Optional[int] = None

    @property
    def state(self) -> str:
        """``preferred``, ``deprecated``, ``optimistic`` (RFC 4429), ``tentative`` (RFC 4862) or ``dadfailed``."""
        if self.flags & IFA_F_DADFAILED:
            return "dadfailed"
        if self.flags & IFA_F_OPTIMISTIC:
            return "optimistic"
        if self.flags & IFA_F_TENTATIVE:
            return "tentative"
        return "deprecated" if self.flags & IFA_F_DEPRECATED else "preferred"

    @property
    def is_usable(self) -> bool:
        """Can a socket use it already? Not while it is tentative and not optimistic (RFC 4862, RFC 4429)."""
        return not self.flags & IFA_F_TENTATIVE or bool(self.flags & IFA_F_OPTIMISTIC)


class DefaultRoute(NamedTuple):
    """One next hop of a default route in the table numbered ``table``; without ``gateway`` all is on-link."""

    ifindex: int
    family: int
    gateway: Optional[str]
    metric: Optional[int]
    table: int


class Route(NamedTuple):
    """What a look-up found: out of which link (0: none), to which gateway; or to this host itself."""

    ifindex: int
    gateway: Optional[str]
    is_local: bool


def links() -> List[Link]:
    """Every link. Raises OSError where netlink is refused or not there, as the others do."""
    body = bytes(_IFINFOMSG.size) + attribute(_IFLA_EXT_MASK, struct.pack("=I", _RTEXT_FILTER_SKIP_STATS))
    return [_link(message) for message in dump(NETLINK_ROUTE, RTM_GETLINK, body)]


def addresses() -> List[LinkAddress]:
    """Every IPv4 and IPv6 address, those that cannot be used yet included."""
    return list(_read_addresses(dump(NETLINK_ROUTE, RTM_GETADDR, bytes(_IFADDRMSG.size))))


def unusable_addresses() -> List[LinkAddress]:
    """Those that a link has and no socket can use (yet); none where netlink is refused or not there."""
    try:
        return [entry for entry in addresses() if not entry.is_usable]
    except OSError:
        return []


def usable_addresses() -> List[LinkAddress]:
    """Those that a socket can use now; none where netlink is refused or not there."""
    try:
        return [entry for entry in addresses() if entry.is_usable]
    except OSError:
        return []


def default_routes() -> List[DefaultRoute]:
    """Every next hop of the default routes of all tables."""
    return list(_read_default_routes(dump(NETLINK_ROUTE, RTM_GETROUTE, bytes(_RTMSG.size))))


def route_to(address: str, index: int = 0) -> Route:
    """Where a packet to ``address`` would go (out of link ``index``, if not 0). It is looked up, nothing is sent.

    Raises OSError: ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL where the tables have no route or forbid it.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    destination = socket.inet_pton(family, address)
    body = _RTMSG.pack(family, 8 * len(destination), 0, 0, 0, 0, 0, 0, 0) + attribute(_RTA_DST, destination)
    if index:
        body += attribute(_RTA_OIF, struct.pack("=i", index))
    answer = request(NETLINK_ROUTE, RTM_GETROUTE, body)
    found = attributes(answer, _ROUTE_ATTRIBUTES, _RTMSG.size)
    return Route(_number(found, _RTA_OIF, 0), _gateway(family, found), answer[7] == _RTN_LOCAL)


def route_between(source: str, destination: str, interface: int = 0, protocol: int = 0) -> Route:
    """Where a packet with both these addresses would go, by all tables and policy rules. Nothing is sent.

    With an ``interface`` (its index) it is a packet that comes in there from elsewhere: the kernel's input routing,
    with its reverse path filter. Without, it is one of this host's own, and ``source`` must be its address.
    ``protocol`` is an IPPROTO_*, for rules that name one.

    Raises OSError: ENETUNREACH, EHOSTUNREACH or EACCES where there is no route; EINVAL for what comes in where the
    reverse path filter or a blackhole drops it.
    """
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    far, near = socket.inet_pton(family, destination), socket.inet_pton(family, source)
    body = _RTMSG.pack(family, 8 * len(far), 8 * len(near), 0, 0, 0, 0, 0, 0)
    body += attribute(_RTA_DST, far) + attribute(_RTA_SRC, near)
    if interface:
        body += attribute(_RTA_IIF, struct.pack("=i", interface))
    if protocol:
        body += attribute(_RTA_IP_PROTO, struct.pack("=B", protocol))
    answer = request(NETLINK_ROUTE, RTM_GETROUTE, body)
    found = attributes(answer, _ROUTE_ATTRIBUTES, _RTMSG.size)
    return Route(_number(found, _RTA_OIF, 0), _gateway(family, found), answer[7] == _RTN_LOCAL)


def _link(body: bytes) -> Link:
    _, hardware, index, flags, _ = _IFINFOMSG.unpack_from(body)
    found = attributes(body, _LINK_ATTRIBUTES, _IFINFOMSG.size)
    info = found.get(_IFLA_LINKINFO)
    kind = attributes(info, _LINK_INFO).get(_IFLA_INFO_KIND, b"") if info else b""
    return Link(
        ifindex=index,
        name=_text(found.get(_IFLA_IFNAME, b"")),
        flags=flags,
        hardware=hardware,
        operational=found.get(_IFLA_OPERSTATE, b"\0")[0],
        mtu=_number(found, _IFLA_MTU, 0) if _IFLA_MTU in found else None,
        mac=found.get(_IFLA_ADDRESS, b""),
        kind=kind.rstrip(b"\0").decode("ascii", "replace"),
        master=_number(found, _IFLA_MASTER, 0),
        parent=0 if _IFLA_LINK_NETNSID in found else _number(found, _IFLA_LINK, 0),
        alias=_text(found.get(_IFLA_IFALIAS, b"")),
        altnames=tuple(_alternative_names(found.get(_IFLA_PROP_LIST, b""))),
    )


def _alternative_names(properties: bytes) -> Iterator[str]:
    """IFLA_ALT_IFNAME occurs once for each name (ip-link(8), property add altname)."""
    while len(properties) >= 4:
        length, kind = struct.unpack_from("=HH", properties)
        if length < 4 or length > len(properties):
            return
        if kind & NLA_TYPE_MASK == _IFLA_ALT_IFNAME:
            yield _text(properties[4:length])
        properties = properties[(length + 3) & ~3 :]


def _read_addresses(bodies: List[bytes]) -> Iterator[LinkAddress]:
    for body in bodies:
        family, prefix, flags, scope, index = _IFADDRMSG.unpack_from(body)
        if family not in _INTERNET:
            continue
        found = attributes(body, _ADDRESS_ATTRIBUTES, _IFADDRMSG.size)
        far = found.get(_IFA_ADDRESS)
        own = found.get(_IFA_LOCAL, far)
        if own is None:
            continue
        broadcast = found.get(_IFA_BROADCAST)
        cache = found.get(_IFA_CACHEINFO, b"")
        seconds = _CACHEINFO.unpack_from(cache) if len(cache) >= _CACHEINFO.size else (_FOREVER, _FOREVER)
        lifetimes = [None if value == _FOREVER else value for value in seconds]
        yield LinkAddress(
            ifindex=index,
            family=family,
            address=socket.inet_ntop(family, own),
            prefix=prefix,
            scope=scope,
            flags=_number(found, _IFA_FLAGS, flags),
            peer=socket.inet_ntop(family, far) if far is not None and far != own else None,
            broadcast=None if broadcast is None else socket.inet_ntop(family, broadcast),
            label=_text(found.get(_IFA_LABEL, b"")),
            preferred_s=lifetimes[0],
            valid_s=lifetimes[1],
        )


def _read_default_routes(bodies: List[bytes]) -> Iterator[DefaultRoute]:
    for body in bodies:
        if body[1] or body[7] != _RTN_UNICAST or body[0] not in _INTERNET:  # a prefix, no route for packets
            continue
        found = attributes(body, _ROUTE_ATTRIBUTES, _RTMSG.size)
        metric = _number(found, _RTA_PRIORITY, 0) if _RTA_PRIORITY in found else None
        for index, hop in _next_hops(found):
            yield DefaultRoute(index, body[0], _gateway(body[0], hop), metric, _number(found, _RTA_TABLE, body[4]))


def _next_hops(found: Dict[int, bytes]) -> Iterator[Tuple[int, Dict[int, bytes]]]:
    """The next hops of a route: one, or the several of a multipath route (struct rtnexthop)."""
    if _RTA_OIF in found:
        yield _number(found, _RTA_OIF, 0), found
    paths = found.get(_RTA_MULTIPATH, b"")
    while len(paths) >= 8:
        length, _, _, index = struct.unpack_from("=HBBi", paths)
        if length < 8:
            break
        yield index, attributes(paths[8:length], _ROUTE_ATTRIBUTES)
        paths = paths[(length + 3) & ~3 :]


def _gateway(family: int, hop: Dict[int, bytes]) -> Optional[str]:
    if _RTA_GATEWAY in hop:
        return socket.inet_ntop(family, hop[_RTA_GATEWAY])
    via = hop.get(_RTA_VIA)  # struct rtvia: an IPv6 gateway of an IPv4 route (RFC 5549)
    if via is not None and len(via) > 2:
        return socket.inet_ntop(struct.unpack_from("=H", via)[0], via[2:])
    return None


def _number(found: Dict[int, bytes], kind: int, default: int) -> int:
    value = found.get(kind)
    return default if value is None else int(_UINT32.unpack(value)[0])


def _text(value: bytes) -> str:
    return os.fsdecode(value.rstrip(b"\0"))
