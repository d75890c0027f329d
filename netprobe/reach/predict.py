"""Who should reach a listener, by rules alone: pure, no packet is sent and nothing is looked up.

:func:`predict` goes through the steps of a packet's life (the listener, the destination, the way, the listener again,
the answer). The first step that knows the verdict gives it, and every rule that had a say is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network

from netprobe.reach.records import Address, BindOptions, HostFacts, Listening
from netprobe.sockets.failures import (
    NO_ANSWER,
    NOT_BINDABLE,
    REACHABLE,
    REFUSED,
    UNREACHABLE,
    WRONG_RESPONDER,
)

__all__ = ["Prediction", "Situation", "predict"]

Ip = IPv4Address | IPv6Address
LOOPBACK4 = IPv4Address("127.0.0.1")
LOOPBACK6 = IPv6Address("::1")
ALL_HOSTS = frozenset({"224.0.0.1", "ff02::1"})  # RFC 1112 section 4, RFC 4291 section 2.7.1
NEIGHBOUR_S = 3.3  # arp(7): three probes, one second apart


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expected verdict (None: no rule knows), why in one sentence, and the rules that had a say."""

    verdict: str | None
    because: str
    rules: tuple[str, ...]


@dataclass(slots=True)
class Situation:
    """All that a prediction depends on. ``effective`` is where the destination really leads, as steps find out."""

    listener: Listening
    destination: Address
    host: HostFacts
    vantage: HostFacts
    options: BindOptions = field(default_factory=BindOptions)
    source: Address | None = None
    listeners: Sequence[Listening] = ()
    same_host: bool = True
    timeout: float = 2.0
    effective: Ip = LOOPBACK4
    own: bool = False
    rules: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def end(self, verdict: str | None, because: str, *rules: str) -> Prediction:
        """The verdict, after what earlier steps noted."""
        sentence = "; ".join([*self.notes, because])
        return Prediction(verdict, sentence, tuple(dict.fromkeys([*self.rules, *rules])))

    def note(self, because: str | None, *rules: str) -> None:
        """A rule that had a say without deciding."""
        self.rules += rules
        if because:
            self.notes.append(because)


def predict(situation: Situation) -> Prediction:
    """What the rules expect of ``situation``."""
    for step in STEPS:
        prediction = step(situation)
        if prediction is not None:
            return prediction
    raise AssertionError("the last step always knows")


# The listener: can it be there at all?


def bindable(at: Situation) -> Prediction | None:
    """An address that cannot be bound is reached by nobody."""
    bind, host = at.listener.bind, at.host
    ip = bind.mapped or bind.ip
    if bind.version == 6 and not host.ipv6:
        return at.end(NOT_BINDABLE, "this host has no IPv6", "bind-foreign")
    if bind.is_link_local_6 and bind.zone is None:
        return at.end(NOT_BINDABLE, f"{bind} is link-local and lacks a zone", "bind-zone")
    if bind.is_wildcard or bind.is_group or str(ip) in host.broadcasts:
        return None
    if host.has(ip, bind.zone):
        if ip.is_loopback and host.holder(ip) is None:
            at.note(None, "bind-loopback-net")
        return None
    if at.options.freebind and host.system == "linux":
        at.note(None, "bind-freebind")
        return None
    if bind.is_link_local_6 and host.has(ip):
        return at.end(NOT_BINDABLE, f"{bind.text} is not on {bind.zone}", "bind-wrong-zone")
    rule = "bind-loopback-one" if ip.is_loopback else "bind-foreign"
    return at.end(NOT_BINDABLE, f"this host has no address {bind}", rule)


def free_port(at: Situation) -> Prediction | None:
    """On one port, an earlier listener of this run may be in the way."""
    if not at.options.port or at.options.reuse_port or at.listener.is_open:
        return None
    for other in at.listeners:
        if other.id == at.listener.id:
            return None
        if other.protocol == at.listener.protocol and overlap(other, at.listener):
            return at.end(NOT_BINDABLE, f"{other.bind} has that port already", "bind-conflict")
    return None


# The destination: what does it mean at the vantage?


def family_there(at: Situation) -> Prediction | None:
    """IPv6 needs IPv6, link-local needs a zone."""
    if at.destination.version == 6 and not at.destination.mapped and not at.vantage.ipv6:
        return at.end(UNREACHABLE, "the vantage has no IPv6", "to-family")
    if at.destination.is_link_local_6 and at.destination.zone is None:
        return at.end(UNREACHABLE, f"{at.destination} is link-local and lacks a zone", "bind-zone")
    return None


def wildcard_destination(at: Situation) -> Prediction | None:
    """0.0.0.0 and ``::`` as a destination: each system has its own idea."""
    at.effective = at.destination.mapped or at.destination.ip
    if not at.destination.is_wildcard:
        return None
    system, version = at.vantage.system, at.destination.version
    if system == "windows":
        return at.end(UNREACHABLE, f"Windows does not connect to {at.destination}", "to-any-refused")
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
        return at.end(UNREACHABLE, "FreeBSD 15 does not connect to 0.0.0.0", "to-any-off")
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
    return at.end(UNREACHABLE, f"the vantage has no way to {at.destination} ({route.errno})", "way-no-route")


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
        return at.end(UNREACHABLE, f"TCP does not connect to {text}", *rules)
    if text in ALL_HOSTS and at.listener.bind.text in (text, "0.0.0.0" if at.effective.version == 4 else "::"):
        return at.end(REACHABLE, f"every host has joined {text}", "to-all-hosts-udp")
    if at.effective.is_multicast:
        return at.end(NO_ANSWER, f"nobody here has joined {text}", "bind-multicast-udp")
    if at.listener.bind.text == "0.0.0.0" or at.listener.bind.text == text:
        return at.end(REACHABLE, f"a broadcast to {text} reaches {at.listener.bind}", "to-broadcast-udp")
    if at.listener.bind.text == "::" and at.listener.v6only is False:
        return at.end(REACHABLE, f"a broadcast to {text} reaches a dual-stack ::", "to-broadcast-udp", "bind-dual")
    return at.end(NO_ANSWER, f"{at.listener.bind} gets no broadcasts, and nobody answers one", "to-broadcast-udp")


def whose(at: Situation) -> Prediction | None:
    """Does the destination lead to the vantage itself, to the listener's host, or somewhere else?"""
    ip, zone = at.effective, at.destination.zone
    at.own = ip.is_loopback or at.vantage.has(ip, zone)
    if at.own and not at.same_host:
        if ip.is_loopback:
            return at.end(REFUSED, f"{ip} is the vantage itself, and nothing should listen there", "to-loopback")
        return at.end(REFUSED, f"the vantage has {ip} itself, and nothing should listen there", "to-own-elsewhere")
    if at.own:
        return None
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
            return at.end(NO_ANSWER, "the loopback interface is down, and own addresses go over it", "way-lo-down")
        at.note(None, "to-loopback" if at.effective.is_loopback else "to-own")
    elif crosses(at):
        if at.host.system == "windows":
            because = f"the packet arrives on another interface than that of {at.effective}"
            return at.end(NO_ANSWER, because, "way-strong-host")
        at.note(None, "way-weak-host")
    link = at.host.link(holder.interface) if holder else None
    if link is not None and not link.up and not link.loopback:
        if not at.own and not crosses(at):
            return no_neighbour(at, f"{link.name} is down, and {at.effective} is on it", "way-down-link")
        at.note(f"{link.name} is down, its IPv4 address stays", "way-down-link")
    return None


def no_neighbour(at: Situation, because: str, *rules: str) -> Prediction:
    """Nobody answers ARP or ND: the kernel says so after about 3 s, and a shorter time-out sees silence."""
    verdict = UNREACHABLE if at.timeout > NEIGHBOUR_S else NO_ANSWER
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


# The listener: is it the one that gets it?


def listener_takes(at: Situation) -> Prediction | None:
    """Bind address against destination address."""
    bind, ip = at.listener.bind, at.effective
    if bind.is_group or bind.text in at.host.broadcasts:
        rule = "bind-group-tcp" if at.listener.protocol == "tcp" else "bind-broadcast-udp"
        return at.end(REFUSED, f"{bind} is no address that {ip} could be", rule)
    if bind.is_wildcard and bind.version == ip.version:
        at.note(None, "bind-any4" if ip.version == 4 else "bind-any6")
        return None
    if bind.is_wildcard and bind.version == 6:
        if at.host.system == "openbsd":
            return at.end(REFUSED, "there is no dual-stack socket on OpenBSD", "bind-v6only-always")
        if at.listener.v6only is not False:
            return at.end(REFUSED, ":: is IPv6-only here", "bind-v6only")
        at.note(None, "bind-dual")
        return None
    if bind.is_wildcard:
        return at.end(REFUSED, "0.0.0.0 serves no IPv6", "bind-families")
    if bind.mapped is not None:
        if bind.mapped == ip:
            at.note(None, "bind-mapped")
            return None
        return at.end(REFUSED, f"{bind} serves only IPv4 at {bind.mapped}", "bind-mapped")
    if bind.ip == ip and (bind.zone is None or at.destination.zone is None or bind.zone == at.destination.zone):
        at.note(None, "bind-exact")
        return None
    if bind.version != ip.version:
        return at.end(REFUSED, f"{bind} is IPv{bind.version}, {ip} is IPv{ip.version}", "bind-families")
    return at.end(REFUSED, f"bound to {bind} only", "bind-exact")


def device_takes(at: Situation) -> Prediction | None:
    """SO_BINDTODEVICE narrows a listener to an interface."""
    device = at.options.device
    if device is None:
        return None
    holder = at.host.holder(at.effective)
    at.note(None, "bind-device")
    if holder is not None and holder.interface == device:
        return None
    if not at.own:
        source = source_at(at)
        for entry in at.host.addresses:
            if entry.interface == device and entry.prefix is not None and source is not None:
                network = ip_network(f"{entry.address.text}/{entry.prefix}", strict=False)
                if source.version == network.version and source in network:
                    return None
    return at.end(REFUSED, f"the listener is bound to {device}, and {at.effective} does not arrive there")


def most_specific(at: Situation) -> Prediction | None:
    """Listeners of this run that share the port: the most specific one wins."""
    if not at.options.port:
        return None
    mine = specificity(at.listener, at.effective)
    for rival in at.listeners:
        same_port = rival.is_open and rival.protocol == at.listener.protocol and rival.port == at.listener.port
        if same_port and rival.id != at.listener.id and specificity(rival, at.effective) > mine:
            because = f"the listener on {rival.bind} has that port too, and {at.effective} is its business"
            return at.end(WRONG_RESPONDER, because, "bind-most-specific")
    return None


def answer(at: Situation) -> Prediction:
    """It is reached; a UDP answer may come from elsewhere."""
    bind, ip = at.listener.bind, at.effective
    if bind.is_wildcard:
        means = f"{bind} means every address, {ip} is one"
    elif at.destination.is_wildcard or bind.mapped:
        means = f"{ip} is what {bind} is bound to"
    else:
        means = "the very address that is bound"
    if at.listener.protocol == "udp" and bind.is_wildcard:
        at.note(None, "answer-udp-source")
    return at.end(REACHABLE, means)


STEPS: tuple[Callable[[Situation], Prediction | None], ...] = (
    bindable,
    free_port,
    family_there,
    wildcard_destination,
    no_route,
    group_destination,
    whose,
    link_local_way,
    way,
    most_specific,
    listener_takes,
    device_takes,
    answer,
)


def overlap(one: Listening, other: Listening) -> bool:
    """Could both be asked for the same packet?"""
    a, b = one.bind, other.bind
    if a == b:
        return True
    if a.version == b.version:
        return a.is_wildcard or b.is_wildcard
    six = a if a.version == 6 else b
    four = b if a.version == 6 else a
    v6only = one.v6only if six is a else other.v6only
    if six.is_wildcard:
        return v6only is not True
    return six.mapped is not None and (four.is_wildcard or six.mapped == four.ip)


def specificity(listener: Listening, ip: Ip) -> int:
    """How well a listener's address fits: 0 not at all, exact before IPv4's wildcard before the dual-stack one."""
    bind = listener.bind
    if (bind.mapped or bind.ip) == ip:
        return 4 if bind.mapped is None else 3
    if not bind.is_wildcard:
        return 0
    if bind.version == ip.version:
        return 2
    return 1 if bind.version == 6 and listener.v6only is False else 0


def major(release: str) -> int:
    """The leading number of a release such as ``15.0-RELEASE``."""
    digits = release.partition(".")[0]
    return int(digits) if digits.isdigit() else 0
