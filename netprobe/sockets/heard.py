"""What the network said: answers, silence, ICMP errors. The first half of the table of failures."""

from __future__ import annotations

from netprobe.sockets.evidence import (
    DESTINATION,
    HOST_UNREACHABLE,
    ICMP_WORDS,
    NET_UNREACHABLE,
    NO_ANSWER,
    OWN,
    PORT_UNREACHABLE,
    PROHIBITED,
    PROTOCOL_UNREACHABLE,
    REACHABLE,
    REFUSED,
    REJECTED,
    TTL_EXCEEDED,
    UNREACHABLE,
    WRONG_RESPONDER,
)
from netprobe.sockets.failure import ANSWER, PAYLOAD, Failure

__all__ = ["HEARD"]

HEARD: tuple[Failure, ...] = (
    Failure("proof", REACHABLE, "", result="proof"),
    Failure(
        "self",
        REFUSED,
        "nothing listens there: the client's own port was picked and it met itself (simultaneous open)",
        result="self",
        source="RFC 9293 section 3.5, measured",
    ),
    Failure(
        "foreign",
        WRONG_RESPONDER,
        "something answered that does not know the nonce: {sample}",
        result="foreign",
    ),
    Failure(
        "corrupt",
        WRONG_RESPONDER,
        "the listener answered, but the payload came back changed after {received} of {size} bytes",
        result="corrupt",
    ),
    Failure(
        "closed-in-payload",
        NO_ANSWER,
        "the listener answered, then the connection ended after {received} of {size} bytes of payload",
        result="closed",
        stages=PAYLOAD,
    ),
    Failure(
        "accepted-then-closed",
        WRONG_RESPONDER,
        "accepted, then closed without an answer: a port proxy or another service, not the listener",
        result="closed",
    ),
    Failure(
        "payload-black-hole",
        NO_ANSWER,
        "the listener answered, but only {received} of {size} bytes of payload came back: "
        "an MTU black hole looks like this",
        result="timeout",
        stages=PAYLOAD,
        source="measured, RFC 2923 section 2.1",
    ),
    Failure(
        "accepted-then-silent",
        NO_ANSWER,
        "accepted, then silence for {seconds} s: connected is not answered",
        result="timeout",
        stages=ANSWER,
        protocol="tcp",
    ),
    Failure(
        "silent-behind-a-limit",
        NO_ANSWER,
        "silence; this host refused other ports and limits its ICMP errors, so the port may as well be closed: "
        "more --patience would tell",
        result="timeout",
        limited=True,
        source="icmp(7), icmp_ratelimit",
    ),
    Failure("silent", NO_ANSWER, "silence for {seconds} s", result="timeout"),
    # What another machine, or the own firewall, said.
    Failure(
        "udp-closed",
        REFUSED,
        "closed: {said}, says {offender}",
        icmp=PORT_UNREACHABLE,
        offender=DESTINATION,
        protocol="udp",
        source="RFC 1122 section 4.1.3.1",
    ),
    Failure(
        "port-rejected-here",
        REJECTED,
        "port unreachable, says {offender}, which is this vantage: its own firewall rejects it",
        icmp=PORT_UNREACHABLE,
        offender=OWN,
    ),
    Failure(
        "port-rejected",
        REJECTED,
        "port unreachable, says {offender}: a firewall rejects it",
        icmp=PORT_UNREACHABLE,
        source="RFC 1812 section 5.2.7.1, iptables-extensions(8) REJECT",
    ),
    Failure("prohibited", REJECTED, "{said} by {offender}", icmp=PROHIBITED, source="RFC 1812, RFC 4443"),
    Failure("protocol-rejected", REJECTED, "protocol unreachable, says {offender}", icmp=PROTOCOL_UNREACHABLE),
    Failure(
        "no-neighbour",
        UNREACHABLE,
        "no neighbour: nobody on the link answers for {destination} (so says {offender}, this vantage)",
        icmp=HOST_UNREACHABLE,
        offender=OWN,
        quick=False,
        source="arp(7), RFC 4861 section 7.2.2",
    ),
    Failure(
        "unreachable-rejected-here",
        REJECTED,
        "{said}, says {offender} at once, which is this vantage: its own firewall rejects it",
        icmp=HOST_UNREACHABLE | NET_UNREACHABLE,
        offender=OWN,
    ),
    Failure(
        "unreachable-rejected",
        REJECTED,
        "{said}, says {offender} itself: its firewall rejects it",
        icmp=HOST_UNREACHABLE | NET_UNREACHABLE,
        offender=DESTINATION,
    ),
    Failure(
        "no-neighbour-behind-router",
        UNREACHABLE,
        "the router {offender} finds no such host: {said}",
        icmp=HOST_UNREACHABLE,
        source="RFC 1812 section 5.2.7.1",
    ),
    Failure(
        "router-without-route",
        UNREACHABLE,
        "the router {offender} has no route: {said}",
        icmp=NET_UNREACHABLE,
        source="RFC 1812 section 5.2.7.1",
    ),
    Failure("ttl", UNREACHABLE, "{said} at {offender}: a routing loop or too many hops", icmp=TTL_EXCEEDED),
    Failure("other-icmp", REJECTED, "{said}, says {offender}", icmp=frozenset(ICMP_WORDS)),
)
