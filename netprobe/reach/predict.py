"""Who should reach a listener, by rules alone: pure, no packet is sent and nothing is looked up.

:func:`predict` goes through the steps of a packet's life (the listener, the destination, the way, the listener again,
the answer). The first step that knows the verdict gives it, and every rule that had a say is named.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from netprobe.reach.records import Listening
from netprobe.reach.situation import Ip, Prediction, Situation
from netprobe.reach.way import DESTINATION_AND_WAY, crosses, source_at
from netprobe.verdicts import Verdict

__all__ = ["Prediction", "Situation", "predict"]


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
        return at.end(Verdict.NOT_BINDABLE, "this host has no IPv6", "bind-foreign")
    if bind.is_link_local_6 and bind.zone is None:
        return at.end(Verdict.NOT_BINDABLE, f"{bind} is link-local and lacks a zone", "bind-zone")
    if bind.is_wildcard or bind.is_group or str(ip) in host.broadcasts:
        return None
    device = host.link(at.options.device)
    if bind.text == "::1" and device is not None and not device.loopback:
        return at.end(Verdict.NOT_BINDABLE, f"::1 is not on {device.name}", "bind-device-6")
    if host.has(ip, bind.zone):
        if ip.is_loopback and host.holder(ip) is None:
            at.note(None, "bind-loopback-net")
        return None
    if at.options.freebind and host.system == "linux":
        at.note(None, "bind-freebind")
        return None
    if bind.is_link_local_6 and host.has(ip):
        return at.end(Verdict.NOT_BINDABLE, f"{bind.text} is not on {bind.zone}", "bind-wrong-zone")
    rule = "bind-loopback-one" if ip.is_loopback else "bind-foreign"
    return at.end(Verdict.NOT_BINDABLE, f"this host has no address {bind}", rule)


def free_port(at: Situation) -> Prediction | None:
    """On one port, an earlier listener of this run may be in the way."""
    if not at.options.port or at.options.reuse_port or at.listener.is_open:
        return None
    for other in at.listeners:
        if other.id == at.listener.id:
            return None
        if other.protocol == at.listener.protocol and overlap(other, at.listener):
            return at.end(Verdict.NOT_BINDABLE, f"{other.bind} has that port already", "bind-conflict")
    return None


# The listener: is it the one that gets it?


def listener_takes(at: Situation) -> Prediction | None:
    """Bind address against destination address."""
    bind, ip = at.listener.bind, at.effective
    if bind.is_group or bind.text in at.host.broadcasts:
        rule = "bind-group-tcp" if at.listener.protocol == "tcp" else "bind-broadcast-udp"
        return at.end(Verdict.REFUSED, f"{bind} is no address that {ip} could be", rule)
    if bind.is_wildcard and bind.version == ip.version:
        at.note(None, "bind-any4" if ip.version == 4 else "bind-any6")
        return None
    if bind.is_wildcard and bind.version == 6:
        if at.host.system == "openbsd":
            return at.end(Verdict.REFUSED, "there is no dual-stack socket on OpenBSD", "bind-v6only-always")
        if at.listener.v6only is not False:
            return at.end(Verdict.REFUSED, ":: is IPv6-only here", "bind-v6only")
        at.note(None, "bind-dual")
        return None
    if bind.is_wildcard:
        return at.end(Verdict.REFUSED, "0.0.0.0 serves no IPv6", "bind-families")
    if bind.mapped is not None:
        if bind.mapped == ip:
            at.note(None, "bind-mapped")
            return None
        return at.end(Verdict.REFUSED, f"{bind} serves only IPv4 at {bind.mapped}", "bind-mapped")
    if bind.ip == ip and (bind.zone is None or at.destination.zone is None or bind.zone == at.destination.zone):
        at.note(None, "bind-exact")
        return None
    if bind.version != ip.version:
        return at.end(Verdict.REFUSED, f"{bind} is IPv{bind.version}, {ip} is IPv{ip.version}", "bind-families")
    return at.end(Verdict.REFUSED, f"bound to {bind} only", "bind-exact")


def device_takes(at: Situation) -> Prediction | None:
    """SO_BINDTODEVICE narrows a listener to an interface."""
    device = at.options.device
    if device is None:
        return None
    if at.listener.bind.is_link_local_6:
        at.note(None, "bind-device-6")
        return None
    holder = at.host.holder(at.effective)
    at.note(None, "bind-device")
    if holder is not None and holder.interface == device and (at.own or not crosses(at)):
        return None
    if not at.own:
        source = source_at(at)
        for entry in at.host.addresses:
            if entry.interface == device and entry.prefix is not None and source is not None:
                network = ip_network(f"{entry.address.text}/{entry.prefix}", strict=False)
                if source.version == network.version and source in network:
                    return None
    return at.end(Verdict.REFUSED, f"the listener is bound to {device}, and {at.effective} does not arrive there")


def most_specific(at: Situation) -> Prediction | None:
    """Listeners of this run that share the port: the most specific one wins."""
    if not at.options.port:
        return None
    mine = specificity(at.listener, at.effective)
    for rival in at.listeners:
        same_port = rival.is_open and rival.protocol == at.listener.protocol and rival.port == at.listener.port
        if same_port and rival.id != at.listener.id and specificity(rival, at.effective) > mine:
            because = f"the listener on {rival.bind} has that port too, and {at.effective} is its business"
            return at.end(Verdict.WRONG_RESPONDER, because, "bind-most-specific")
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
    return at.end(Verdict.REACHABLE, means)


STEPS: tuple[Callable[[Situation], Prediction | None], ...] = (
    bindable,
    free_port,
    *DESTINATION_AND_WAY,
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
