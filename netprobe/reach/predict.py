"""Who should reach a listener, by rules alone: pure, no packet is sent and nothing is looked up.

:func:`predict` goes through the steps of a packet's life: the listener (can it be there?), the destination (what does
it mean at the vantage?), the route (does a packet get there?), the listener again (is it the one that receives it?)
and the answer. The first step that knows the verdict gives it, and every rule that applied is named.

Why steps in a fixed order and not a table as for failures: a rule depends on what earlier ones established (0.0.0.0
stands for a different address at each vantage, and all later steps use that address). What the kernels reported, such
as the source address that the vantage would use towards a destination, was gathered beforehand, in :class:`HostFacts`.

Each rule states the ``systems`` it holds for. A system for which no rule is known gets no verdict, because a wrong
guess would be a false alarm in every cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from netprobe.diagnosis.attribute import RouteBack, StrictFilter
from netprobe.reach import rules
from netprobe.reach.facts import HostFacts
from netprobe.reach.listener import Listener, ListenerOptions
from netprobe.reach.rules import Rule
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.verdicts import Verdict

__all__ = ["Prediction", "Situation", "predict"]

Ip = IPv4Address | IPv6Address

_LOOPBACK4: Final = IPv4Address("127.0.0.1")
_LOOPBACK6: Final = IPv6Address("::1")
_ALL_HOSTS: Final = frozenset({"224.0.0.1", "ff02::1"})  # RFC 1112 section 4, RFC 4291 section 2.7.1
_NEIGHBOUR_S: Final = 3.3  # arp(7): three probes, one second apart


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a prediction depends on. ``listeners`` are those of the whole run; ``timeout`` is in seconds.

    ``back`` is the host's route to the probe's source, ``strict_filters`` are its interfaces that would drop the probe;
    both are gathered beforehand, and None and () where nobody asked. ``nonlocal_bind``: the system lets anybody bind
    addresses that are not there (ip_nonlocal_bind).
    """

    listener: Listener
    destination: ScopedAddress
    host: HostFacts
    vantage: HostFacts
    options: ListenerOptions = field(default_factory=ListenerOptions)
    source: ScopedAddress | None = None
    listeners: Sequence[Listener] = ()
    same_host: bool = True
    timeout: float = 2.0
    back: RouteBack | None = None
    strict_filters: tuple[StrictFilter, ...] = ()
    nonlocal_bind: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expected verdict (None: no rule decides), the reason in one sentence, and the rules that applied.

    ``effective`` is the address that the destination means at the vantage, ``own`` whether the vantage itself has it.
    """

    verdict: Verdict | None
    because: str
    rules: tuple[Rule, ...] = ()
    effective: Ip | None = None
    own: bool = False


def predict(situation: Situation) -> Prediction:
    """What the rules expect in ``situation``."""
    packet = _Packet(situation)
    return (
        packet.bind_fails()
        or packet.port_is_taken()
        or packet.family_is_missing()
        or packet.wildcard_is_no_destination()
        or packet.route_is_missing()
        or packet.destination_is_group()
        or packet.leads_elsewhere()
        or packet.link_is_unknown()
        or packet.gets_lost()
        or packet.is_filtered()
        or packet.is_not_answered()
        or packet.rival_receives()
        or packet.listener_does_not_match()
        or packet.device_does_not_match()
        or packet.arrives()
    )


class _Packet:
    """A prediction in progress: its steps in order, and what they have established so far."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.listener = situation.listener
        self.bind = situation.listener.bind
        self.destination = situation.destination
        self.host = situation.host
        self.vantage = situation.vantage
        self.options = situation.options
        self.same_host = situation.same_host
        self.effective: Ip = situation.destination.mapped or situation.destination.ip
        self.own = False
        self._rules: list[Rule] = []
        self._notes: list[str] = []

    def _note(self, rule: Rule, because: str | None = None) -> None:
        """Record a rule that applies, whether or not it decides."""
        systems = (self.host.system, self.vantage.system)
        if not any(rule.holds_for(system) for system in systems):
            raise AssertionError(f"rule {rule.id} holds for {rule.systems}, not for {systems}")
        if rule not in self._rules:
            self._rules.append(rule)
        if because is not None:
            self._notes.append(because)

    def _verdict(self, verdict: Verdict | None, because: str, *deciding: Rule) -> Prediction:
        """The prediction, with what earlier steps noted."""
        for rule in deciding:
            self._note(rule)
        because = "; ".join([*self._notes, because])
        return Prediction(verdict, because, tuple(self._rules), self.effective, self.own)

    # The listener: can it be there at all?

    def bind_fails(self) -> Prediction | None:
        """An address that cannot be bound cannot be reached."""
        bind, host = self.bind, self.host
        ip = bind.mapped or bind.ip
        if bind.version == 6 and not host.ipv6:
            return self._verdict(Verdict.NOT_BINDABLE, "this host has no IPv6", rules.BIND_FOREIGN)
        if bind.is_link_local_6 and bind.zone is None:
            return self._verdict(Verdict.NOT_BINDABLE, f"{bind} is link-local and lacks a zone", rules.BIND_ZONE)
        if bind.is_wildcard or bind.is_group or str(ip) in host.broadcasts:
            return None
        device = host.link(self.options.device)
        if bind.text == "::1" and device and not device.loopback and rules.BIND_DEVICE_6.holds_for(host.system):
            return self._verdict(Verdict.NOT_BINDABLE, f"::1 is not on {device.name}", rules.BIND_DEVICE_6)
        if host.has(ip, bind.zone):
            if ip.is_loopback and host.holder(ip) is None:
                self._note(rules.BIND_LOOPBACK_NET)
            return None
        if self.options.freebind and rules.BIND_FREEBIND.holds_for(host.system):
            self._note(rules.BIND_FREEBIND)
            return None
        if self.situation.nonlocal_bind and rules.BIND_NONLOCAL.holds_for(host.system):
            self._note(rules.BIND_NONLOCAL)
            return None
        if bind.is_link_local_6 and host.has(ip):
            because = f"{bind.text} is not on {bind.zone}"
            return self._verdict(Verdict.NOT_BINDABLE, because, rules.BIND_WRONG_ZONE)
        loopback = ip.is_loopback and rules.BIND_LOOPBACK_ONE.holds_for(host.system)
        rule = rules.BIND_LOOPBACK_ONE if loopback else rules.BIND_FOREIGN
        return self._verdict(Verdict.NOT_BINDABLE, f"this host has no address {bind}", rule)

    def port_is_taken(self) -> Prediction | None:
        """Where --port is given, an earlier listener of this run may already have the port."""
        if not self.options.port or self.options.reuse_port or self.listener.is_open:
            return None
        for other in self.situation.listeners:
            if other.id == self.listener.id:
                return None
            if other.protocol == self.listener.protocol and _overlap(other, self.listener):
                because = f"{other.bind} already has that port"
                return self._verdict(Verdict.NOT_BINDABLE, because, rules.BIND_CONFLICT)
        return None

    # The destination: what does it mean at the vantage?

    def family_is_missing(self) -> Prediction | None:
        """IPv6 needs IPv6, link-local needs a zone."""
        destination = self.destination
        if destination.version == 6 and not destination.mapped and not self.vantage.ipv6:
            return self._verdict(Verdict.UNREACHABLE, "the vantage has no IPv6", rules.TO_FAMILY)
        if destination.is_link_local_6 and destination.zone is None:
            because = f"{destination} is link-local and lacks a zone"
            return self._verdict(Verdict.UNREACHABLE, because, rules.BIND_ZONE)
        return None

    def wildcard_is_no_destination(self) -> Prediction | None:
        """0.0.0.0 and ``::`` as a destination mean another address on each system, or are an error."""
        if not self.destination.is_wildcard:
            return None
        system, four = self.vantage.system, self.destination.version == 4
        source = self.situation.source
        if rules.TO_ANY_REFUSED.holds_for(system):
            because = f"Windows does not connect to {self.destination}"
            return self._verdict(Verdict.UNREACHABLE, because, rules.TO_ANY_REFUSED)
        if four and rules.TO_ANY_OFF.holds_for(system) and _major(self.vantage.release) >= 15:
            return self._verdict(Verdict.UNREACHABLE, "FreeBSD 15 does not connect to 0.0.0.0", rules.TO_ANY_OFF)
        if four and source and source.version == 4 and rules.TO_ANY_SOURCE.holds_for(system):
            self.effective = source.ip
            self._note(rules.TO_ANY_SOURCE, f"0.0.0.0 from {source} means {source}")
        elif four and rules.TO_ANY4_LOOPBACK.holds_for(system):
            self.effective = _LOOPBACK4
            self._note(rules.TO_ANY4_LOOPBACK, "0.0.0.0 means 127.0.0.1 here")
        elif four and rules.TO_ANY_FIRST.holds_for(system):
            own = (entry.address.ip for entry in self.vantage.addresses if entry.address.version == 4)
            self.effective = next(own, _LOOPBACK4)
            self._note(rules.TO_ANY_FIRST, f"0.0.0.0 means the first address, {self.effective}, here")
        elif not four and rules.TO_ANY6_LOOPBACK.holds_for(system):
            self.effective = _LOOPBACK6
            self._note(rules.TO_ANY6_LOOPBACK, ":: means ::1 here")
        elif not four and rules.TO_ANY_FIRST.holds_for(system):
            self.effective = _LOOPBACK6
            self._note(rules.TO_ANY_FIRST, ":: means ::1 here")
        else:
            return self._verdict(None, f"what connecting to {self.destination} means on {system} is not known")
        return None

    def route_is_missing(self) -> Prediction | None:
        """The vantage's kernel has already reported that there is no route."""
        route = self.vantage.route_to(self.destination)
        if route is None or route.errno is None:
            return None
        if self.listener.protocol == "udp" and str(self.destination) == "0.0.0.0" and self.vantage.loopback_is_down:
            return None  # connect() looks for a route to 127.0.0.1 and finds none, sendto() does not look
        because = f"the vantage has no route to {self.destination} ({route.errno})"
        return self._verdict(Verdict.UNREACHABLE, because, rules.ROUTE_MISSING)

    def destination_is_group(self) -> Prediction | None:
        """Broadcast and multicast."""
        group, bind = str(self.effective), self.bind
        broadcast = group == "255.255.255.255" or group in self.vantage.broadcasts
        if not (broadcast or self.effective.is_multicast):
            return None
        if self.listener.protocol == "tcp":
            self._note(rules.TO_GROUP_TCP)
            if self._binds_group() and rules.BIND_GROUP_TCP.holds_for(self.host.system):
                self._note(rules.BIND_GROUP_TCP)
            return self._verdict(Verdict.UNREACHABLE, f"TCP does not connect to {group}")
        wildcard = "0.0.0.0" if self.effective.version == 4 else "::"
        if group in _ALL_HOSTS and bind.text in (group, wildcard):
            if not rules.TO_ALL_HOSTS_UDP.holds_for(self.host.system):
                return self._verdict(None, f"who receives {group} on {self.host.system} is not known")
            return self._verdict(Verdict.REACHABLE, f"every host has joined {group}", rules.TO_ALL_HOSTS_UDP)
        if self.effective.is_multicast:
            return self._verdict(Verdict.NO_ANSWER, f"nobody here has joined {group}", rules.BIND_MULTICAST_UDP)
        if bind.text in (group, wildcard):
            because = f"a broadcast to {group} reaches {bind}"
            return self._verdict(Verdict.REACHABLE, because, rules.TO_BROADCAST_UDP)
        if bind.text == "::" and self.listener.v6only is False:
            because = f"a broadcast to {group} reaches a dual-stack ::"
            return self._verdict(Verdict.REACHABLE, because, rules.TO_BROADCAST_UDP, rules.BIND_DUAL)
        because = f"{bind} receives no broadcasts, and nobody answers one"
        return self._verdict(Verdict.NO_ANSWER, because, rules.TO_BROADCAST_UDP)

    def leads_elsewhere(self) -> Prediction | None:
        """Does the destination lead to the vantage itself, to the listener's host, or somewhere else?"""
        ip, zone = self.effective, self.destination.zone
        self.own = ip.is_loopback or self.vantage.has(ip, zone)
        if self.own and not self.same_host:
            if ip.is_loopback:
                because = f"{ip} is the vantage itself, and nothing should listen there"
                return self._verdict(Verdict.REFUSED, because, rules.TO_LOOPBACK)
            because = f"the vantage has {ip} itself, and nothing should listen there"
            return self._verdict(Verdict.REFUSED, because, rules.TO_OWN_ELSEWHERE)
        if self.own:
            return None
        if zone is not None and self.same_host and self.vantage.has(ip):
            if not rules.TO_WRONG_ZONE.holds_for(self.vantage.system):
                return self._verdict(None, f"whether {ip} is found on {zone} is not known")
            because = f"{ip} is not on {zone}, where it is looked for, and nobody else should have it there"
            if self.listener.protocol == "udp":
                return self._no_neighbour(because, rules.TO_WRONG_ZONE)
            return self._verdict(Verdict.NO_ANSWER, because, rules.TO_WRONG_ZONE)
        foreign = next((x for x in (rules.BIND_FREEBIND, rules.BIND_NONLOCAL) if x in self._rules), None)
        if foreign is not None and self.bind.ip == ip and _on_link(self.vantage, ip):
            return self._no_neighbour(f"no interface has {ip} yet", foreign)
        if not self.host.has(ip) or self.same_host:
            because = f"neither side has {ip}: the network between them decides"
            return self._verdict(None, because, rules.TO_UNKNOWN)
        return None

    # The route: does a packet get there?

    def link_is_unknown(self) -> Prediction | None:
        """From elsewhere, a link-local address is reached only from its own link."""
        if self.same_host or self.own or not (self.effective.version == 6 and self.effective.is_link_local):
            return None
        self._note(rules.TO_LINK_LOCAL)
        holder = self.host.holder(self.effective)
        link = holder.interface if holder else None
        subnets = {x.network for x in self.host.addresses if x.interface == link and x.network}
        shared = [subnet for subnet in subnets if not subnet.is_link_local]
        if any(x.address.ip in subnet for subnet in shared for x in self.vantage.addresses):
            return None
        return self._verdict(None, f"whether the vantage is on the link of {link} is not known")

    def gets_lost(self) -> Prediction | None:
        """Loopback down, weak and strong host model, interfaces that are down."""
        system, holder = self.host.system, self.host.holder(self.effective)
        if self.own:
            if self.vantage.loopback_is_down and rules.ROUTE_LO_DOWN.holds_for(self.vantage.system):
                because = "the loopback interface is down, and the host's own addresses are reached over it"
                return self._verdict(Verdict.NO_ANSWER, because, rules.ROUTE_LO_DOWN)
            self._note(rules.TO_LOOPBACK if self.effective.is_loopback else rules.TO_OWN)
        elif self._arrives_elsewhere():
            if rules.ROUTE_STRONG_HOST.holds_for(system):
                because = f"the packet arrives on another interface than that of {self.effective}"
                return self._verdict(Verdict.NO_ANSWER, because, rules.ROUTE_STRONG_HOST)
            if not rules.ROUTE_WEAK_HOST.holds_for(system):
                because = f"whether {system} takes a packet for {self.effective} on another interface is not known"
                return self._verdict(None, because)
            self._note(rules.ROUTE_WEAK_HOST)
        link = self.host.link(holder.interface) if holder else None
        if link is not None and not link.up and not link.loopback:
            if not rules.ROUTE_DOWN_LINK.holds_for(system):
                return self._verdict(None, f"{link.name} is down, and what {system} does then is not known")
            if not self.own and not self._arrives_elsewhere():
                because = f"{link.name} is down, and {self.effective} is on it"
                return self._no_neighbour(because, rules.ROUTE_DOWN_LINK)
            self._note(rules.ROUTE_DOWN_LINK, f"{link.name} is down, its IPv4 address stays")
        return None

    def is_filtered(self) -> Prediction | None:
        """The reverse path filter of the interface on which it comes in."""
        if self.own or self.same_host:
            return None
        arrives_on = self._arrives_on()
        for each in self.situation.strict_filters:
            if each.interface == arrives_on:
                back = f", and the way back to {self._source()} leaves by {each.back_by}" if each.back_by else ""
                because = f"the reverse path filter of {arrives_on} is strict{back}"
                return self._verdict(Verdict.NO_ANSWER, because, rules.ROUTE_REVERSE_PATH)
        return None

    def _arrives_on(self) -> str | None:
        """The interface on which the vantage's packet comes in.

        This host is its next hop, by the address that it has there; or a router is, and the last one of these delivers
        it on the link that the destination is on.
        """
        route = self.vantage.route_to(self.destination)
        if route is None or route.source is None:
            return None
        next_hop = self.effective if route.gateway is None else ip_address(route.gateway)
        holder = self.host.holder(next_hop) or self.host.holder(self.effective)
        return None if holder is None else holder.interface

    def is_not_answered(self) -> Prediction | None:
        """No way back: TCP drops the SYN inside, and nothing else leaves either."""
        back = self.situation.back
        if self.own or self.same_host or back is None or back.errno is None:
            return None
        because = f"this host has no route back to {self._source()} ({back.errno})"
        return self._verdict(Verdict.NO_ANSWER, because, rules.ANSWER_NO_ROUTE)

    def _no_neighbour(self, because: str, *deciding: Rule) -> Prediction:
        """Nobody answers ARP or ND: the kernel reports it after about 3 s, and a shorter time-out sees silence."""
        late = self.situation.timeout < _NEIGHBOUR_S
        return self._verdict(
            Verdict.NO_ANSWER if late else Verdict.UNREACHABLE, because, *deciding, rules.ROUTE_NO_NEIGHBOUR
        )

    def _arrives_elsewhere(self) -> bool:
        """Does the vantage's packet arrive on another interface than the destination's own?"""
        holder, source = self.host.holder(self.effective), self._source()
        if holder is None or holder.network is None or source is None:
            return False
        return source not in holder.network

    def _source(self) -> Ip | None:
        """The address that the vantage's packet comes from."""
        if self.situation.source is not None:
            return self.situation.source.ip
        route = self.vantage.route_to(self.destination)
        return None if route is None or route.source is None else ScopedAddress.parse(route.source).ip

    # The listener again: is it the one that receives the packet?

    def rival_receives(self) -> Prediction | None:
        """Of the listeners of this run that share the port, the most specific one receives it."""
        if not self.options.port:
            return None
        ours = _specificity(self.listener, self.effective)
        for rival in self.situation.listeners:
            same_port = rival.is_open and rival.protocol == self.listener.protocol and rival.port == self.listener.port
            if same_port and rival.id != self.listener.id and _specificity(rival, self.effective) > ours:
                because = f"the listener on {rival.bind} has that port too, and takes precedence for {self.effective}"
                return self._verdict(Verdict.WRONG_RESPONDER, because, rules.BIND_MOST_SPECIFIC)
        return None

    def listener_does_not_match(self) -> Prediction | None:
        """The bind address against the destination address."""
        bind, ip, system = self.bind, self.effective, self.host.system
        if self._binds_group():
            rule = rules.BIND_GROUP_TCP if self.listener.protocol == "tcp" else rules.BIND_BROADCAST_UDP
            if rule.holds_for(system):
                return self._verdict(Verdict.REFUSED, f"{ip} never matches {bind}", rule)
        if bind.is_wildcard and bind.version == ip.version:
            self._note(rules.BIND_ANY4 if ip.version == 4 else rules.BIND_ANY6)
            return None
        if bind.is_wildcard and bind.version == 6:
            if rules.BIND_V6ONLY_ALWAYS.holds_for(system):
                because = "there are no dual-stack sockets on OpenBSD"
                return self._verdict(Verdict.REFUSED, because, rules.BIND_V6ONLY_ALWAYS)
            if self.listener.v6only is not False:
                return self._verdict(Verdict.REFUSED, ":: is IPv6-only here", rules.BIND_V6ONLY)
            self._note(rules.BIND_DUAL)
            return None
        if bind.is_wildcard:
            return self._verdict(Verdict.REFUSED, "0.0.0.0 serves no IPv6", rules.BIND_FAMILIES)
        if bind.mapped is not None:
            if bind.mapped == ip:
                self._note(rules.BIND_MAPPED)
                return None
            because = f"{bind} serves only IPv4 at {bind.mapped}"
            return self._verdict(Verdict.REFUSED, because, rules.BIND_MAPPED)
        if bind.ip == ip and (bind.zone is None or self.destination.zone in (None, bind.zone)):
            self._note(rules.BIND_EXACT)
            return None
        if bind.version != ip.version:
            because = f"{bind} is IPv{bind.version}, {ip} is IPv{ip.version}"
            return self._verdict(Verdict.REFUSED, because, rules.BIND_FAMILIES)
        return self._verdict(Verdict.REFUSED, f"bound to {bind} only", rules.BIND_EXACT)

    def device_does_not_match(self) -> Prediction | None:
        """SO_BINDTODEVICE narrows a listener to an interface."""
        device = self.options.device
        if device is None:
            return None
        if not rules.BIND_DEVICE.holds_for(self.host.system):
            because = f"what binding a listener to {device} means on {self.host.system} is not known"
            return self._verdict(None, because)
        if self.bind.is_link_local_6:
            self._note(rules.BIND_DEVICE_6)
            return None
        self._note(rules.BIND_DEVICE)
        holder = self.host.holder(self.effective)
        if holder is not None and holder.interface == device and (self.own or not self._arrives_elsewhere()):
            return None
        source = None if self.own else self._source()
        networks = [entry.network for entry in self.host.addresses if entry.interface == device]
        if source is not None and any(network is not None and source in network for network in networks):
            return None
        because = f"the listener is bound to {device}, and {self.effective} does not arrive there"
        return self._verdict(Verdict.REFUSED, because)

    def arrives(self) -> Prediction:
        """It is reached; a UDP answer may come from another address."""
        bind, ip = self.bind, self.effective
        if bind.is_wildcard:
            because = f"{bind} means every address, including {ip}"
        elif self.destination.is_wildcard or bind.mapped:
            because = f"{ip} is what {bind} is bound to"
        else:
            because = "exactly the bound address"
        if self.listener.protocol == "udp" and bind.is_wildcard:
            self._note(rules.ANSWER_UDP_SOURCE)
        return self._verdict(Verdict.REACHABLE, because)

    def _binds_group(self) -> bool:
        """Is the listener bound to a multicast or broadcast address?"""
        return self.bind.is_group or self.bind.text in self.host.broadcasts


def _overlap(one: Listener, other: Listener) -> bool:
    """Could one packet match both?"""
    a, b = one.bind, other.bind
    if a == b:
        return True
    if a.version == b.version:
        return a.is_wildcard or b.is_wildcard
    six, v6only = (a, one.v6only) if a.version == 6 else (b, other.v6only)
    four = b if a.version == 6 else a
    if six.is_wildcard:
        return v6only is not True
    return six.mapped is not None and (four.is_wildcard or six.mapped == four.ip)


def _specificity(listener: Listener, ip: Ip) -> int:
    """How well a listener's address matches: 0 not at all, exact before IPv4's wildcard before the dual-stack one."""
    bind = listener.bind
    if (bind.mapped or bind.ip) == ip:
        return 4 if bind.mapped is None else 3
    if not bind.is_wildcard:
        return 0
    if bind.version == ip.version:
        return 2
    return 1 if bind.version == 6 and listener.v6only is False else 0


def _on_link(host: HostFacts, ip: Ip) -> bool:
    """Is it in a subnet that the host has an address in?"""
    return any(ip in network for network in host.networks)


def _major(release: str) -> int:
    """The leading number of a release such as ``15.0-RELEASE``."""
    digits = release.partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
