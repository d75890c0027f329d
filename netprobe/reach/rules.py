"""What decides who reaches a listener: each rule once, with its source and the systems it holds for.

``predict`` names these rows, ``--explain`` prints those that applied, and the manual page lists all of them. A rule
without systems holds everywhere; ``measured`` means seen on Linux 6 in network namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: a stable id, a sentence, where it is written, and the systems it is about (none: all)."""

    id: str
    text: str
    source: str
    systems: tuple[str, ...] = ()


_ROWS = (
    # The listener.
    Rule(
        "bind-exact",
        "A listener bound to one address gets what is sent to exactly that address.",
        "RFC 9293 section 3.9.1.1, bind(2), measured",
    ),
    Rule(
        "bind-any4",
        "A listener on 0.0.0.0 gets what is sent to any IPv4 address of the host, on any interface.",
        "ip(7) INADDR_ANY, measured",
    ),
    Rule(
        "bind-any6",
        "A listener on :: gets what is sent to any IPv6 address of the host, on any interface.",
        "ipv6(7), RFC 3493 section 3.8, measured",
    ),
    Rule(
        "bind-dual",
        "A listener on :: with IPV6_V6ONLY off serves IPv4 too.",
        "RFC 3493 section 5.3, ipv6(7), measured",
    ),
    Rule(
        "bind-v6only",
        "A listener on :: with IPV6_V6ONLY on serves no IPv4.",
        "RFC 3493 section 5.3, ipv6(7), measured",
    ),
    Rule("bind-v6only-always", "There is no dual-stack socket.", "OpenBSD inet6(4)", ("openbsd",)),
    Rule(
        "bind-mapped",
        "A listener on ::ffff:A serves IPv4 at A, and no IPv6.",
        "RFC 3493 section 3.7, RFC 4291 section 2.5.5.2, measured",
    ),
    Rule("bind-families", "IPv4 and IPv6 have ports of their own.", "RFC 3493 section 5.3"),
    Rule(
        "bind-group-tcp",
        "TCP may listen on a broadcast or multicast address, and nobody can connect to it.",
        "RFC 1122 section 4.2.3.10, measured",
        ("linux",),
    ),
    Rule(
        "bind-broadcast-udp",
        "A UDP listener on a broadcast address gets only what is sent to that broadcast address.",
        "measured",
        ("linux",),
    ),
    Rule(
        "bind-multicast-udp",
        "A UDP listener on a multicast address gets nothing unless the host has joined the group there.",
        "ip(7) IP_ADD_MEMBERSHIP, RFC 1112 section 7.1",
    ),
    Rule(
        "bind-foreign",
        "Only an address that the host has can be bound (EADDRNOTAVAIL).",
        "bind(2), ip(7)",
    ),
    Rule("bind-loopback-net", "Every address of 127.0.0.0/8 can be bound.", "measured", ("linux", "windows")),
    Rule(
        "bind-loopback-one",
        "Of 127.0.0.0/8 only the addresses that lo0 has can be bound; by default that is 127.0.0.1.",
        "FreeBSD lo(4), macOS ifconfig(8)",
        ("macos", "freebsd", "openbsd"),
    ),
    Rule(
        "bind-freebind",
        "IP_FREEBIND binds an address that no interface has; it is unreachable until one has it.",
        "ip(7) IP_FREEBIND, measured",
        ("linux",),
    ),
    Rule(
        "bind-zone",
        "A link-local address means nothing without a zone: bind and connect say EINVAL.",
        "RFC 4007 section 6, ipv6(7), measured",
    ),
    Rule(
        "bind-wrong-zone",
        "A link-local address can only be bound in the zone that has it (EADDRNOTAVAIL).",
        "RFC 4007 section 6, measured",
    ),
    Rule(
        "bind-conflict",
        "A wildcard and a specific address cannot share a port (EADDRINUSE) without SO_REUSEPORT; "
        "a dual-stack :: and 0.0.0.0 neither.",
        "socket(7), measured",
    ),
    Rule(
        "bind-most-specific",
        "Where several listeners have one port, the most specific one gets what is sent to its address.",
        "RFC 9293 section 3.9.1.1, socket(7) SO_REUSEPORT, measured",
    ),
    Rule(
        "bind-device",
        "With SO_BINDTODEVICE a listener gets only what arrives on that interface, and what the host sends to an "
        "address of that interface itself.",
        "socket(7) SO_BINDTODEVICE, measured",
        ("linux",),
    ),
    Rule(
        "bind-device-6",
        "On another interface than lo, ::1 cannot be bound (EADDRNOTAVAIL); "
        "the zone of a link-local address takes the place of the interface.",
        "net/ipv6/af_inet6.c __inet6_bind, measured",
        ("linux",),
    ),
    # The destination.
    Rule(
        "to-any4-loopback",
        "Connecting to 0.0.0.0 means 127.0.0.1.",
        "measured; net/ipv4/route.c ip_route_output_key_hash",
        ("linux",),
    ),
    Rule(
        "to-any6-loopback",
        "Connecting to :: means ::1.",
        "measured; net/ipv6/tcp_ipv6.c tcp_v6_connect",
        ("linux",),
    ),
    Rule(
        "to-any-source",
        "Connecting to 0.0.0.0 from a bound source address means that source address.",
        "measured; net/ipv4/route.c ip_route_output_key_hash",
        ("linux",),
    ),
    Rule(
        "to-any-first",
        "Connecting to 0.0.0.0 means the first address of the host; to ::, ::1.",
        "FreeBSD netinet/in_pcb.c in_pcbladdr, ip6(4)",
        ("macos", "freebsd", "openbsd", "netbsd"),
    ),
    Rule(
        "to-any-off",
        "Connecting to 0.0.0.0 is off by default since FreeBSD 15 (net.inet.ip.connect_inaddr_wild).",
        "FreeBSD 15 inet(4)",
        ("freebsd",),
    ),
    Rule(
        "to-any-refused",
        "Connecting to 0.0.0.0 or :: is an error (WSAEADDRNOTAVAIL).",
        "Microsoft Learn, Winsock connect()",
        ("windows",),
    ),
    Rule(
        "to-loopback",
        "127.0.0.0/8 and ::1 name the host that asks; from another host they reach that host itself.",
        "RFC 1122 section 3.2.1.3 (g), RFC 4291 section 2.5.3, measured",
    ),
    Rule(
        "to-own",
        "What a host sends to an address of its own never leaves it: it goes over loopback.",
        "measured; ip-rule(8) table local",
    ),
    Rule(
        "to-own-elsewhere",
        "A destination that the vantage has itself reaches the vantage, not the listener's host.",
        "ip-rule(8) table local, measured",
    ),
    Rule("to-group-tcp", "TCP has no broadcast and no multicast destination.", "RFC 1122 section 4.2.3.10, measured"),
    Rule(
        "to-broadcast-udp",
        "A broadcast reaches UDP listeners on the wildcard or on that broadcast address; nobody else answers, "
        "not even with an ICMP error.",
        "RFC 1122 section 3.2.2, RFC 919, measured",
    ),
    Rule(
        "to-all-hosts-udp",
        "Every host has joined 224.0.0.1 and ff02::1: what is sent there reaches UDP listeners on the wildcard of that "
        "family, or on the group.",
        "RFC 1112 section 4, RFC 4291 section 2.7.1, measured",
        ("linux",),
    ),
    Rule("to-family", "Without IPv6 at the vantage no IPv6 destination can be reached.", "socket(2) EAFNOSUPPORT"),
    Rule(
        "to-link-local",
        "A link-local address is reached on its own link only; a vantage uses its own zone for it.",
        "RFC 4291 section 2.5.6, RFC 4007 section 6",
    ),
    Rule(
        "to-wrong-zone",
        "A link-local address is looked for on the link that the zone names: asked there, an address that the host has "
        "on another link is nobody's. TCP sees silence, UDP hears after about 3 s that there is no neighbour.",
        "RFC 4007 section 9, measured",
        ("linux",),
    ),
    Rule("to-unknown", "Neither side has the destination: what is in between decides, and no rule knows.", "-"),
    # The way.
    Rule(
        "way-no-route",
        "The vantage's kernel has no way to the destination.",
        "connect(2) ENETUNREACH, ip-route(8)",
    ),
    Rule(
        "way-lo-down",
        "With the loopback interface down a host cannot even reach its own addresses.",
        "measured",
        ("linux",),
    ),
    Rule(
        "way-weak-host",
        "A packet is accepted for any address of the host, whichever interface it arrives on, that one being down "
        "included (weak host model).",
        "RFC 1122 section 3.3.4.2, measured; FreeBSD inet(4)",
        ("linux", "macos", "freebsd"),
    ),
    Rule(
        "way-strong-host",
        "A packet for the address of another interface is dropped (strong host model, the default since Vista).",
        "RFC 1122 section 3.3.4.2, Microsoft Learn, netsh interface weakhostreceive",
        ("windows",),
    ),
    Rule(
        "way-down-link",
        "An IPv4 address stays with the host when its interface goes down; an IPv6 address vanishes.",
        "measured",
        ("linux",),
    ),
    Rule(
        "way-no-neighbour",
        "When nobody answers for an address on the link, the kernel says so after about 3 s; "
        "a shorter time-out sees silence.",
        "arp(7), RFC 4861 section 7.2.2, measured",
    ),
    # The answer.
    Rule(
        "answer-udp-source",
        "A UDP listener on a wildcard answers from the address that the kernel picks for the way back, which need not "
        "be the one that was asked; a connected client never sees such an answer.",
        "RFC 1122 section 4.1.3.5, ip(7) IP_PKTINFO, measured",
    ),
)

RULES = {rule.id: rule for rule in _ROWS}
