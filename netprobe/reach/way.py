"""Where a destination leads from a vantage, and whether a packet gets there. Pure steps of a prediction."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from netprobe.reach.records import Address, HostFacts
from netprobe.reach.situation import LOOPBACK4, Ip, Prediction, Situation
from netprobe.verdicts import Verdict

__all__ = ["DESTINATION_AND_WAY", "crosses", "source_at"]

LOOPBACK6 = IPv6Address("::1")
ALL_HOSTS = frozenset({"224.0.0.1", "ff02::1"})  # RFC 1112 section 4, RFC 4291 section 2.7.1
NEIGHBOUR_S = 3.3  # arp(7): three probes, one second apart


# The destination: what does it mean at the vantage?


def family_there(at: Situation) -> Prediction | None:
    """IPv6 needs IPv6, link-local needs a zone."""
    if at.destination.version == 6 and not at.destination.mapped and not at.vantage.ipv6:
        return at.end(Verdict.UNREACHABLE, "the vantage has no IPv6", "to-family")
    if at.destination.is_link_local_6 and at.destination.zone is None:
        return at.end(Verdict.UNREACHABLE, f"{at.destination} is link-local and lacks a zone", "bind-zone")
    return None


def wildcard_destination(at: Situation) -> Prediction | None:
    """0.0.0.0 and ``::`` as a destination: each system has its own idea."""
    at.effective = at.destination.mapped or at.destination.ip
    if not at.destination.is_wildcard:
        return None
    system, version = at.vantage.system, at.destination.version
    if system == "windows":
        return at.end(Verdict.UNREACHABLE, f"Windows does not connect to {at.destination}", "to-any-refused")
    if version == 6:
        at.effective = LOOPBACK6
        at.note(":: means ::1 here", "to-any6-loopback" if system == "linux" else "to-any-first")
    elif system == "linux":
        if at.source is not None and at.source.version == 4:
            at.effective = at.source.ip
            at.note(f"0.0.0.0 from {at.source} means {at.source}", "to-any-source")
        else:
            at.effective = LOOPBACK4
            at.note("0.0.0.0 means 127.0.0.1 here", "to-any4-loopback")
    elif system == "freebsd" and major(at.vantage.release) >= 15:
        return at.end(Verdict.UNREACHABLE, "FreeBSD 15 does not connect to 0.0.0.0", "to-any-off")
    else:
        first = next((x.address.ip for x in at.vantage.addresses if x.address.version == 4), LOOPBACK4)
        at.effective = first
        at.note(f"0.0.0.0 means the first address, {first}, here", "to-any-first")
    return None


def no_route(at: Situation) -> Prediction | None:
    """The vantage's kernel has already said no."""
    route = (at.vantage.routes or {}).get(str(at.destination))
    if route is None or route.errno is None:
        return None
    if at.listener.protocol == "udp" and str(at.destination) == "0.0.0.0" and at.vantage.loopback_is_down:
        return None  # connect() looks for a route to 127.0.0.1 and finds none, sendto() does not look
    return at.end(Verdict.UNREACHABLE, f"the vantage has no way to {at.destination} ({route.errno})", "way-no-route")


def group_destination(at: Situation) -> Prediction | None:
    """Broadcast and multicast."""
    text = str(at.effective)
    broadcast = text == "255.255.255.255" or text in at.vantage.broadcasts
    if not (broadcast or at.effective.is_multicast):
        return None
    if at.listener.protocol == "tcp":
        rules = ["to-group-tcp"]
        if at.listener.bind.is_group or at.listener.bind.text in at.host.broadcasts:
            rules.append("bind-group-tcp")
        return at.end(Verdict.UNREACHABLE, f"TCP does not connect to {text}", *rules)
    if text in ALL_HOSTS and at.listener.bind.text in (text, "0.0.0.0" if at.effective.version == 4 else "::"):
        return at.end(Verdict.REACHABLE, f"every host has joined {text}", "to-all-hosts-udp")
    if at.effective.is_multicast:
        return at.end(Verdict.NO_ANSWER, f"nobody here has joined {text}", "bind-multicast-udp")
    if at.listener.bind.text == "0.0.0.0" or at.listener.bind.text == text:
        return at.end(Verdict.REACHABLE, f"a broadcast to {text} reaches {at.listener.bind}", "to-broadcast-udp")
    if at.listener.bind.text == "::" and at.listener.v6only is False:
        return at.end(
            Verdict.REACHABLE, f"a broadcast to {text} reaches a dual-stack ::", "to-broadcast-udp", "bind-dual"
        )
    return at.end(
        Verdict.NO_ANSWER, f"{at.listener.bind} gets no broadcasts, and nobody answers one", "to-broadcast-udp"
    )


def whose(at: Situation) -> Prediction | None:
    """Does the destination lead to the vantage itself, to the listener's host, or somewhere else?"""
    ip, zone = at.effective, at.destination.zone
    at.own = ip.is_loopback or at.vantage.has(ip, zone)
    if at.own and not at.same_host:
        if ip.is_loopback:
            return at.end(
                Verdict.REFUSED, f"{ip} is the vantage itself, and nothing should listen there", "to-loopback"
            )
        return at.end(
            Verdict.REFUSED, f"the vantage has {ip} itself, and nothing should listen there", "to-own-elsewhere"
        )
    if at.own:
        return None
    if zone is not None and at.same_host and at.vantage.has(ip):
        because = f"{ip} is not on {zone}, where it is asked for, and nobody else should have it there"
        if at.listener.protocol == "udp":
            return no_neighbour(at, because, "to-wrong-zone")
        return at.end(Verdict.NO_ANSWER, because, "to-wrong-zone")
    if at.options.freebind and at.listener.bind.ip == ip and on_link(at.vantage, ip):
        return no_neighbour(at, f"no interface has {ip} yet", "bind-freebind")
    if not at.host.has(ip) or at.same_host:
        return at.end(None, f"neither side has {ip}: what is in between decides", "to-unknown")
    return None


# The way.


def way(at: Situation) -> Prediction | None:
    """Loopback down, host models, interfaces that are down."""
    holder = at.host.holder(at.effective)
    if at.own:
        if at.vantage.loopback_is_down and at.vantage.system == "linux":
            return at.end(
                Verdict.NO_ANSWER, "the loopback interface is down, and own addresses go over it", "way-lo-down"
            )
        at.note(None, "to-loopback" if at.effective.is_loopback else "to-own")
    elif crosses(at):
        if at.host.system == "windows":
            because = f"the packet arrives on another interface than that of {at.effective}"
            return at.end(Verdict.NO_ANSWER, because, "way-strong-host")
        at.note(None, "way-weak-host")
    link = at.host.link(holder.interface) if holder else None
    if link is not None and not link.up and not link.loopback:
        if not at.own and not crosses(at):
            return no_neighbour(at, f"{link.name} is down, and {at.effective} is on it", "way-down-link")
        at.note(f"{link.name} is down, its IPv4 address stays", "way-down-link")
    return None


def no_neighbour(at: Situation, because: str, *rules: str) -> Prediction:
    """Nobody answers ARP or ND: the kernel says so after about 3 s, and a shorter time-out sees silence."""
    verdict = Verdict.UNREACHABLE if at.timeout > NEIGHBOUR_S else Verdict.NO_ANSWER
    return at.end(verdict, because, *rules, "way-no-neighbour")


def on_link(host: HostFacts, ip: Ip) -> bool:
    """Is it in a subnet that the host has an address in?"""
    return any(
        entry.prefix is not None
        and entry.address.version == ip.version
        and ip in ip_network(f"{entry.address.text}/{entry.prefix}", strict=False)
        for entry in host.addresses
    )


def link_local_way(at: Situation) -> Prediction | None:
    """From elsewhere, a link-local address is reached on its own link only."""
    if at.same_host or at.own or not (at.effective.version == 6 and at.effective.is_link_local):
        return None
    holder = at.host.holder(at.effective)
    link = holder.interface if holder else None
    at.note(None, "to-link-local")
    neighbours = [entry for entry in at.host.addresses if entry.interface == link and entry.prefix is not None]
    for entry in neighbours:
        network = ip_network(f"{entry.address.text}/{entry.prefix}", strict=False)
        for there in at.vantage.addresses:
            if there.address.version == network.version and there.address.ip in network and not network.is_link_local:
                return None
    return at.end(None, f"whether the vantage is on the link of {link} is not known")


def crosses(at: Situation) -> bool:
    """Does the vantage's packet arrive on another interface than the destination's own?"""
    holder = at.host.holder(at.effective)
    if holder is None or holder.prefix is None:
        return False
    source = source_at(at)
    return source is not None and source not in ip_network(f"{holder.address.text}/{holder.prefix}", strict=False)


def source_at(at: Situation) -> Ip | None:
    """The address that the vantage's packet comes from."""
    if at.source is not None:
        return at.source.ip
    route = (at.vantage.routes or {}).get(str(at.destination))
    if route is None or route.source is None:
        return None
    return Address.parse(route.source).ip


DESTINATION_AND_WAY: tuple[Callable[[Situation], Prediction | None], ...] = (
    family_there,
    wildcard_destination,
    no_route,
    group_destination,
    whose,
    link_local_way,
    way,
)


def major(release: str) -> int:
    """The leading number of a release such as ``15.0-RELEASE``."""
    digits = release.partition(".")[0]
    return int(digits) if digits.isdigit() else 0
