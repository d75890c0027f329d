"""What decides who reaches a listener: each rule once, with its source and the systems it holds for.

Rules are objects with names, because ids as strings drifted: a mistyped id was found only by a test that happened to
reach it, and this table listed the systems of a rule while the predictor compared system names of its own. Now the
predictor asks :meth:`Rule.holds_for` and refuses to name a rule that does not hold. ``--explain`` prints the rows that
applied, and the manual page lists all of them. ``measured`` means seen on Linux 6 in network namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: a stable id, a sentence, where it is documented, and the systems it holds for (none: all)."""

    id: str
    text: str
    source: str
    systems: tuple[str, ...] = ()

    def holds_for(self, system: str) -> bool:
        """Does it hold on ``system``, one of the names in :attr:`HostFacts.system`?"""
        return not self.systems or system in self.systems


# The listener.

BIND_EXACT = Rule(
    "bind-exact",
    "A listener bound to one address receives what is sent to exactly that address.",
    "RFC 9293 section 3.9.1.1, bind(2), measured",
)
BIND_ANY4 = Rule(
    "bind-any4",
    "A listener on 0.0.0.0 receives what is sent to any IPv4 address of the host, on any interface.",
    "ip(7) INADDR_ANY, measured",
)
BIND_ANY6 = Rule(
    "bind-any6",
    "A listener on :: receives what is sent to any IPv6 address of the host, on any interface.",
    "ipv6(7), RFC 3493 section 3.8, measured",
)
BIND_DUAL = Rule(
    "bind-dual",
    "A listener on :: with IPV6_V6ONLY off serves IPv4 too.",
    "RFC 3493 section 5.3, ipv6(7), measured",
)
BIND_V6ONLY = Rule(
    "bind-v6only",
    "A listener on :: with IPV6_V6ONLY on serves no IPv4.",
    "RFC 3493 section 5.3, ipv6(7), measured",
)
BIND_V6ONLY_ALWAYS = Rule(
    "bind-v6only-always",
    "There are no dual-stack sockets.",
    "OpenBSD inet6(4)",
    ("openbsd",),
)
BIND_MAPPED = Rule(
    "bind-mapped",
    "A listener on ::ffff:A serves IPv4 at A, and no IPv6.",
    "RFC 3493 section 3.7, RFC 4291 section 2.5.5.2, measured",
)
BIND_FAMILIES = Rule(
    "bind-families",
    "IPv4 and IPv6 ports are separate.",
    "RFC 3493 section 5.3",
)
BIND_GROUP_TCP = Rule(
    "bind-group-tcp",
    "TCP can listen on a broadcast or multicast address, but nobody can connect to it.",
    "RFC 1122 section 4.2.3.10, measured",
    ("linux",),
)
BIND_BROADCAST_UDP = Rule(
    "bind-broadcast-udp",
    "A UDP listener on a broadcast address receives only what is sent to that broadcast address.",
    "measured",
    ("linux",),
)
BIND_MULTICAST_UDP = Rule(
    "bind-multicast-udp",
    "A UDP listener on a multicast address receives nothing unless the host has joined the group.",
    "ip(7) IP_ADD_MEMBERSHIP, RFC 1112 section 7.1",
)
BIND_FOREIGN = Rule(
    "bind-foreign",
    "Only an address that the host has can be bound (EADDRNOTAVAIL).",
    "bind(2), ip(7)",
)
BIND_LOOPBACK_NET = Rule(
    "bind-loopback-net",
    "Every address of 127.0.0.0/8 can be bound.",
    "measured",
    ("linux", "windows"),
)
BIND_LOOPBACK_ONE = Rule(
    "bind-loopback-one",
    "Of 127.0.0.0/8 only the addresses that lo0 has can be bound; by default that is 127.0.0.1.",
    "FreeBSD lo(4), macOS ifconfig(8)",
    ("macos", "freebsd", "openbsd"),
)
BIND_NONLOCAL = Rule(
    "bind-nonlocal",
    "Where ip_nonlocal_bind is set, an address that no interface has can be bound; it is unreachable until one has it.",
    "ip-sysctl (ip_nonlocal_bind), measured",
    ("linux",),
)
BIND_FREEBIND = Rule(
    "bind-freebind",
    "IP_FREEBIND binds an address that no interface has; it is unreachable until one has it.",
    "ip(7) IP_FREEBIND, measured",
    ("linux",),
)
BIND_ZONE = Rule(
    "bind-zone",
    "A link-local address means nothing without a zone: bind and connect fail with EINVAL.",
    "RFC 4007 section 6, ipv6(7), measured",
)
BIND_WRONG_ZONE = Rule(
    "bind-wrong-zone",
    "A link-local address can only be bound in the zone that has it (EADDRNOTAVAIL).",
    "RFC 4007 section 6, measured",
)
BIND_CONFLICT = Rule(
    "bind-conflict",
    "Without SO_REUSEPORT a wildcard and a specific address cannot share a port (EADDRINUSE), nor can a "
    "dual-stack :: and 0.0.0.0.",
    "socket(7), measured",
)
BIND_MOST_SPECIFIC = Rule(
    "bind-most-specific",
    "Where several listeners share a port, the most specific one receives what is sent to its address.",
    "RFC 9293 section 3.9.1.1, socket(7) SO_REUSEPORT, measured",
)
BIND_DEVICE = Rule(
    "bind-device",
    "With SO_BINDTODEVICE a listener receives only what arrives on that interface, and what the host itself "
    "sends to an address of that interface.",
    "socket(7) SO_BINDTODEVICE, measured",
    ("linux",),
)
BIND_DEVICE_6 = Rule(
    "bind-device-6",
    "::1 cannot be bound on any interface but lo (EADDRNOTAVAIL); for a link-local address its zone replaces the "
    "interface.",
    "net/ipv6/af_inet6.c __inet6_bind, measured",
    ("linux",),
)

# The destination.

TO_ANY4_LOOPBACK = Rule(
    "to-any4-loopback",
    "Connecting to 0.0.0.0 means 127.0.0.1.",
    "measured; net/ipv4/route.c ip_route_output_key_hash",
    ("linux",),
)
TO_ANY6_LOOPBACK = Rule(
    "to-any6-loopback",
    "Connecting to :: means ::1.",
    "measured; net/ipv6/tcp_ipv6.c tcp_v6_connect",
    ("linux",),
)
TO_ANY_SOURCE = Rule(
    "to-any-source",
    "Connecting to 0.0.0.0 from a bound source address means that source address.",
    "measured; net/ipv4/route.c ip_route_output_key_hash",
    ("linux",),
)
TO_ANY_FIRST = Rule(
    "to-any-first",
    "Connecting to 0.0.0.0 means the host's first address; connecting to :: means ::1.",
    "FreeBSD netinet/in_pcb.c in_pcbladdr, ip6(4)",
    ("macos", "freebsd", "openbsd", "netbsd"),
)
TO_ANY_OFF = Rule(
    "to-any-off",
    "Connecting to 0.0.0.0 is off by default since FreeBSD 15 (net.inet.ip.connect_inaddr_wild).",
    "FreeBSD 15 inet(4)",
    ("freebsd",),
)
TO_ANY_REFUSED = Rule(
    "to-any-refused",
    "Connecting to 0.0.0.0 or :: fails (WSAEADDRNOTAVAIL).",
    "Microsoft Learn, Winsock connect()",
    ("windows",),
)
TO_LOOPBACK = Rule(
    "to-loopback",
    "127.0.0.0/8 and ::1 mean the connecting host itself; from another host they never lead to the listener.",
    "RFC 1122 section 3.2.1.3 (g), RFC 4291 section 2.5.3, measured",
)
TO_OWN = Rule(
    "to-own",
    "What a host sends to one of its own addresses never leaves it: it goes over loopback.",
    "measured; ip-rule(8) table local",
)
TO_OWN_ELSEWHERE = Rule(
    "to-own-elsewhere",
    "A destination that the vantage itself has leads to the vantage, not to the listener's host.",
    "ip-rule(8) table local, measured",
)
TO_GROUP_TCP = Rule(
    "to-group-tcp",
    "TCP has no broadcast or multicast destinations.",
    "RFC 1122 section 4.2.3.10, measured",
)
TO_BROADCAST_UDP = Rule(
    "to-broadcast-udp",
    "A broadcast reaches UDP listeners on the wildcard or on that broadcast address; nobody else answers, not "
    "even with an ICMP error.",
    "RFC 1122 section 3.2.2, RFC 919, measured",
)
TO_ALL_HOSTS_UDP = Rule(
    "to-all-hosts-udp",
    "Every host has joined 224.0.0.1 and ff02::1: what is sent there reaches UDP listeners on the wildcard of "
    "that family, or on the group.",
    "RFC 1112 section 4, RFC 4291 section 2.7.1, measured",
    ("linux",),
)
TO_FAMILY = Rule(
    "to-family",
    "Without IPv6 a vantage reaches no IPv6 destination.",
    "socket(2) EAFNOSUPPORT",
)
TO_LINK_LOCAL = Rule(
    "to-link-local",
    "A link-local address is reached only from its own link; a vantage uses its own zone for it.",
    "RFC 4291 section 2.5.6, RFC 4007 section 6",
)
TO_WRONG_ZONE = Rule(
    "to-wrong-zone",
    "A link-local address is looked for only on the link that its zone names, so an address that the host has on "
    "another link is not found: TCP sees silence, UDP learns after about 3 s that there is no neighbour.",
    "RFC 4007 section 9, measured",
    ("linux",),
)
TO_UNKNOWN = Rule(
    "to-unknown",
    "Neither side has the destination: the network between them decides, and no rule applies.",
    "-",
)

# The route.

ROUTE_MISSING = Rule(
    "route-missing",
    "The vantage's kernel has no route to the destination.",
    "connect(2) ENETUNREACH, ip-route(8)",
)
ROUTE_LO_DOWN = Rule(
    "route-lo-down",
    "With the loopback interface down a host cannot reach even its own addresses.",
    "measured",
    ("linux",),
)
ROUTE_WEAK_HOST = Rule(
    "route-weak-host",
    "A packet is accepted for any address of the host, whichever interface it arrives on, even if the address's "
    "own interface is down (weak host model).",
    "RFC 1122 section 3.3.4.2, measured; FreeBSD inet(4)",
    ("linux", "macos", "freebsd"),
)
ROUTE_STRONG_HOST = Rule(
    "route-strong-host",
    "A packet for an address of another interface is dropped (strong host model, the default since Vista).",
    "RFC 1122 section 3.3.4.2, Microsoft Learn, netsh interface weakhostreceive",
    ("windows",),
)
ROUTE_DOWN_LINK = Rule(
    "route-down-link",
    "An IPv4 address stays when its interface goes down; an IPv6 address disappears.",
    "measured",
    ("linux",),
)
ROUTE_NO_NEIGHBOUR = Rule(
    "route-no-neighbour",
    "When nobody answers for an address on the link, the kernel reports it after about 3 s; a shorter time-out "
    "sees silence.",
    "arp(7), RFC 4861 section 7.2.2, measured",
)

ROUTE_REVERSE_PATH = Rule(
    "route-reverse-path",
    "A strict reverse path filter drops a packet that comes in on another interface than the one by which the way back "
    "to its source leaves.",
    "RFC 3704 section 2.2, ip-sysctl (rp_filter), measured",
    ("linux",),
)

# The answer.

ANSWER_NO_ROUTE = Rule(
    "answer-no-route",
    "Without a route back to the source of a packet nothing answers it: no listener, and no refusal either.",
    "RFC 1122 section 3.3.1.1, measured",
)
ANSWER_UDP_SOURCE = Rule(
    "answer-udp-source",
    "A UDP listener on a wildcard answers from the address that the kernel picks for the route back, which need "
    "not be the one that was asked; a connected client never sees such an answer.",
    "RFC 1122 section 4.1.3.5, ip(7) IP_PKTINFO, measured",
)

RULES = {rule.id: rule for rule in tuple(globals().values()) if isinstance(rule, Rule)}  # all of the above, in order
