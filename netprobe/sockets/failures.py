"""The one table: what the system and the network said, to a verdict and a cause in words.

A row matches on what is observable (the stage that was reached, the errno, the ICMP error and who sent it); the first
row that matches wins. Rows cite where they are documented; ``measured`` means seen on Linux in a lab of namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FAILURES", "ICMP_WORDS", "VERDICTS", "Evidence", "Failure", "Icmp", "Judgement", "judge"]

REACHABLE = "reachable"
REFUSED = "refused"
REJECTED = "rejected"
UNREACHABLE = "unreachable"
NO_ANSWER = "no-answer"
WRONG_RESPONDER = "wrong-responder"
NOT_BINDABLE = "not-bindable"
NOT_TESTED = "not-tested"
VERDICTS = (
    REACHABLE,
    REFUSED,
    REJECTED,
    UNREACHABLE,
    NO_ANSWER,
    WRONG_RESPONDER,
    NOT_BINDABLE,
    NOT_TESTED,
)

# RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1 (ICMP); RFC 4443 section 3 (ICMPv6).
ICMP_WORDS: Mapping[tuple[str, int, int], str] = {
    ("icmp", 3, 0): "network unreachable",
    ("icmp", 3, 1): "host unreachable",
    ("icmp", 3, 2): "protocol unreachable",
    ("icmp", 3, 3): "port unreachable",
    ("icmp", 3, 4): "fragmentation needed",
    ("icmp", 3, 5): "source route failed",
    ("icmp", 3, 6): "destination network unknown",
    ("icmp", 3, 7): "destination host unknown",
    ("icmp", 3, 8): "source host isolated",
    ("icmp", 3, 9): "network administratively prohibited",
    ("icmp", 3, 10): "host administratively prohibited",
    ("icmp", 3, 11): "network unreachable for this type of service",
    ("icmp", 3, 12): "host unreachable for this type of service",
    ("icmp", 3, 13): "administratively prohibited",
    ("icmp", 3, 14): "host precedence violation",
    ("icmp", 3, 15): "precedence cut-off",
    ("icmp", 11, 0): "time to live exceeded",
    ("icmp", 12, 0): "parameter problem",
    ("icmp6", 1, 0): "no route to destination",
    ("icmp6", 1, 1): "administratively prohibited",
    ("icmp6", 1, 2): "beyond the scope of the source address",
    ("icmp6", 1, 3): "address unreachable",
    ("icmp6", 1, 4): "port unreachable",
    ("icmp6", 1, 5): "source address failed policy",
    ("icmp6", 1, 6): "reject route to destination",
    ("icmp6", 2, 0): "packet too big",
    ("icmp6", 3, 0): "hop limit exceeded",
    ("icmp6", 4, 0): "parameter problem",
}

PORT_UNREACHABLE = frozenset({("icmp", 3, 3), ("icmp6", 1, 4)})
PROTOCOL_UNREACHABLE = frozenset({("icmp", 3, 2), ("icmp6", 4, 1)})
PROHIBITED = frozenset({("icmp", 3, 9), ("icmp", 3, 10), ("icmp", 3, 13), ("icmp6", 1, 1), ("icmp6", 1, 5)})
HOST_UNREACHABLE = frozenset({("icmp", 3, 1), ("icmp", 3, 7), ("icmp", 3, 12), ("icmp6", 1, 3)})
NET_UNREACHABLE = frozenset(
    {("icmp", 3, 0), ("icmp", 3, 6), ("icmp", 3, 11), ("icmp6", 1, 0), ("icmp6", 1, 2), ("icmp6", 1, 6)}
)
TTL_EXCEEDED = frozenset({("icmp", 11, 0), ("icmp6", 3, 0)})

DESTINATION = "destination"  # the offender is the host under test
OWN = "own"  # the offender is the vantage itself
OTHER = "other"  # the offender is a machine between them

NEIGHBOUR_MS = 500.0  # ARP and ND give up after about 3 s (arp(7): 3 probes, 1 s apart); a firewall answers at once


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP error as the error queue tells it (ip(7), IP_RECVERR)."""

    type: int
    code: int
    name: str
    offender: str | None

    @classmethod
    def from_queue(cls, said: Mapping[str, Any]) -> Icmp | None:
        """The record of what the payload read; ``None`` for an error that was made on the spot, not received."""
        if said["origin"] not in ("icmp", "icmp6"):
            return None
        kind, code = int(said["type"]), int(said["code"])
        name = ICMP_WORDS.get((said["origin"], kind, code), f"{said['origin']} type {kind} code {code}")
        return cls(kind, code, name, said["offender"])


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the table looks at. ``errno`` is a name; ``result`` and ``stage`` are the payload's words.

    ``result``: proof, timeout, closed, foreign, corrupt, self or error.
    ``stage``, the last one begun: socket, bind, connect, answer or payload.
    ``own`` are the addresses of the vantage, ``host`` those of the host under test.
    """

    result: str
    protocol: str = "tcp"
    destination: str = ""
    stage: str = "connect"
    errno: str | None = None
    error: str | None = None
    icmp: Mapping[str, Any] | None = None
    elapsed_ms: float = 0.0
    own: frozenset[str] = frozenset()
    host: frozenset[str] = frozenset()
    sample: str | None = None
    limited: bool = False
    payload_size: int = 0
    payload_received: int = 0
    broadcast: bool = False  # the vantage knows the destination as a broadcast address of its own subnet

    @property
    def icmp_key(self) -> tuple[str, int, int] | None:
        """(origin, type, code) of an ICMP error that was received."""
        if self.icmp is None or self.icmp["origin"] not in ("icmp", "icmp6"):
            return None
        return (str(self.icmp["origin"]), int(self.icmp["type"]), int(self.icmp["code"]))

    @property
    def offender(self) -> str | None:
        """Who sent the ICMP error."""
        return None if self.icmp is None else self.icmp["offender"]

    @property
    def offender_is(self) -> str:
        """``destination``, ``own`` or ``other``. What is delivered locally is refused by the destination itself."""
        offender = self.offender
        if offender is None or offender == self.destination:
            return DESTINATION
        if is_loopback(offender) and is_loopback(self.destination):
            return DESTINATION
        if offender in self.own or is_loopback(offender):
            local = self.destination in self.own or self.destination in ("0.0.0.0", "::")
            return DESTINATION if local else OWN
        return DESTINATION if offender in self.host else OTHER

    @property
    def ip(self) -> int:
        """4 or 6, by the destination's spelling."""
        return 6 if ":" in self.destination else 4


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdict and cause; ``row`` is the id of the table's row, ``icmp`` the error as a record."""

    verdict: str
    cause: str | None
    row: str
    icmp: Icmp | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One row: conditions (``None`` = any), verdict, and the cause with ``{fields}`` of the evidence to fill in."""

    id: str
    verdict: str
    cause: str
    result: str = "error"
    stages: frozenset[str] | None = None
    errnos: frozenset[str] | None = None
    icmp: frozenset[tuple[str, int, int]] | None = None
    offender: str | None = None
    protocol: str | None = None
    ip: int | None = None
    quick: bool | None = None
    limited: bool | None = None
    link_local: bool | None = None
    group: bool | None = None
    source: str = "measured"

    def matches(self, seen: Evidence) -> bool:
        """Does every condition of the row hold?"""
        return (
            seen.result == self.result
            and (self.stages is None or seen.stage in self.stages)
            and (self.errnos is None or seen.errno in self.errnos)
            and (self.icmp is None or seen.icmp_key in self.icmp)
            and (self.offender is None or seen.offender_is == self.offender)
            and (self.protocol is None or seen.protocol == self.protocol)
            and (self.ip is None or seen.ip == self.ip)
            and (self.quick is None or (seen.elapsed_ms < NEIGHBOUR_MS) == self.quick)
            and (self.limited is None or seen.limited == self.limited)
            and (self.link_local is None or is_link_local(seen.destination) == self.link_local)
            and (self.group is None or (seen.broadcast or is_group(seen.destination)) == self.group)
        )


def judge(seen: Evidence) -> Judgement:
    """The verdict and the cause of ``seen``, by the first row of the table that matches."""
    icmp = None if seen.icmp is None else Icmp.from_queue(seen.icmp)
    row = next(row for row in FAILURES if row.matches(seen))
    cause = row.cause.format(
        destination=seen.destination,
        offender=seen.offender,
        said=None if icmp is None else icmp.name,
        errno=seen.errno or seen.error,
        error=seen.error or seen.errno,
        seconds=f"{seen.elapsed_ms / 1000:.3g}",
        sample=repr(seen.sample) if seen.sample else "nothing",
        size=seen.payload_size,
        received=seen.payload_received,
        ip=seen.ip,
    )
    return Judgement(row.verdict, cause or None, row.id, icmp)


def is_link_local(address: str) -> bool:
    """fe80::/10 (RFC 4291 section 2.5.6), by its spelling."""
    return address[:3].lower() in ("fe8", "fe9", "fea", "feb") and ":" in address


def is_loopback(address: str) -> bool:
    """127.0.0.0/8 and ::1, by their spelling."""
    return address.startswith("127.") or address == "::1"


def is_group(address: str) -> bool:
    """Multicast or limited broadcast (RFC 1112, RFC 4291 section 2.7, RFC 919)."""
    if ":" in address:
        return address[:2].lower() == "ff" and address.index(":") == 4
    first = address.partition(".")[0]
    return address == "255.255.255.255" or (first.isdigit() and 224 <= int(first) <= 239)


def names(*errnos: str) -> frozenset[str]:
    """Errno names, each with Winsock's spelling of it."""
    return frozenset(errnos) | frozenset(f"WSA{name}" for name in errnos)


ON_THE_WAY = frozenset({"connect", "answer"})
ANSWER = frozenset({"answer"})
PAYLOAD = frozenset({"payload"})
SOCKET = frozenset({"socket"})
BIND = frozenset({"bind"})
RESET = names("ECONNRESET", "EPIPE", "ECONNABORTED")

FAILURES: tuple[Failure, ...] = (
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
        "silence; this host refused other ports and limits its ICMP errors, so the port may as well be closed",
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
    # What the system said, alone.
    Failure(
        "accepted-then-reset",
        WRONG_RESPONDER,
        "accepted, then reset without an answer: another service, not the listener",
        errnos=RESET,
        stages=ANSWER,
        protocol="tcp",
    ),
    Failure(
        "reset-in-payload",
        NO_ANSWER,
        "the listener answered, then the connection was reset after {received} of {size} bytes of payload",
        errnos=RESET,
        stages=PAYLOAD,
    ),
    Failure(
        "refused",
        REFUSED,
        "closed: the host answers, nothing listens there (or a firewall resets)",
        errnos=names("ECONNREFUSED"),
        protocol="tcp",
        source="connect(2), RFC 9293 section 3.10.7.1",
    ),
    Failure(
        "refused-udp",
        REFUSED,
        "closed: the host answers, nothing listens there",
        errnos=names("ECONNREFUSED", "ECONNRESET"),  # Windows resets: KB 263823
        protocol="udp",
    ),
    Failure(
        "no-descriptors",
        NOT_TESTED,
        "this vantage is out of descriptors ({errno})",
        errnos=names("EMFILE", "ENFILE", "ENOBUFS"),
        source="socket(2)",
    ),
    Failure(
        "no-family",
        UNREACHABLE,
        "this vantage has no IPv{ip}",
        errnos=names("EAFNOSUPPORT", "EPROTONOSUPPORT"),
        source="socket(2)",
    ),
    Failure("no-device", NOT_TESTED, "no such device at this vantage", errnos=names("ENODEV"), stages=SOCKET),
    Failure(
        "no-right",
        NOT_TESTED,
        "this vantage may not use that device ({errno})",
        errnos=names("EPERM", "EACCES"),
        stages=SOCKET,
    ),
    Failure(
        "no-source",
        NOT_TESTED,
        "the source address does not exist at this vantage",
        errnos=names("EADDRNOTAVAIL"),
        stages=BIND,
        source="ip(7)",
    ),
    Failure(
        "no-source-port",
        NOT_TESTED,
        "no client port is left at this vantage",
        errnos=names("EADDRINUSE"),
        source="ip(7), ip_local_port_range",
    ),
    Failure(
        "source-without-zone",
        NOT_TESTED,
        "a link-local source address needs a zone, as in fe80::1%eth0",
        errnos=names("EINVAL"),
        stages=BIND,
    ),
    Failure(
        "to-wildcard",
        UNREACHABLE,
        "this system does not connect to {destination}",
        errnos=frozenset({"WSAEADDRNOTAVAIL"}),
        stages=ON_THE_WAY,
        source="Microsoft Learn, Winsock connect()",
    ),
    Failure(
        "no-source-6",
        UNREACHABLE,
        "this vantage has no IPv6 source address for it (or no client port is left)",
        errnos=names("EADDRNOTAVAIL"),
        ip=6,
    ),
    Failure(
        "no-client-port",
        NOT_TESTED,
        "no client port is left at this vantage, or it does not connect to such an address",
        errnos=names("EADDRNOTAVAIL"),
        source="connect(2); Windows: WSAEADDRNOTAVAIL for 0.0.0.0",
    ),
    Failure(
        "no-connection-to-a-group",
        UNREACHABLE,
        "TCP has no multicast and no broadcast",
        errnos=names("ENETUNREACH", "EACCES", "EADDRNOTAVAIL"),
        protocol="tcp",
        group=True,
        source="RFC 1122 section 4.2.3.10",
    ),
    Failure(
        "no-route",
        UNREACHABLE,
        "no route at this vantage",
        errnos=names("ENETUNREACH"),
        source="connect(2)",
    ),
    Failure(
        "unreachable-route",
        UNREACHABLE,
        "a route of type unreachable at this vantage, or no neighbour on the link",
        errnos=names("EHOSTUNREACH"),
        source="ip-route(8)",
    ),
    Failure(
        "prohibit-route",
        UNREACHABLE,
        "a route of type prohibit at this vantage",
        errnos=names("EACCES"),
        source="ip-route(8)",
    ),
    Failure(
        "zone-missing",
        UNREACHABLE,
        "a link-local address needs a zone, as in {destination}%eth0",
        errnos=names("EINVAL"),
        link_local=True,
        source="RFC 4007 section 6",
    ),
    Failure(
        "blackhole-route",
        UNREACHABLE,
        "a route of type blackhole at this vantage (or a source address that cannot be used for it)",
        errnos=names("EINVAL"),
        source="ip-route(8)",
    ),
    Failure(
        "own-output-drop",
        REJECTED,
        "not permitted to send: this vantage's own firewall drops it (OUTPUT)",
        errnos=names("EPERM"),
        source="send(2)",
    ),
    Failure("protocol", REJECTED, "protocol unreachable", errnos=names("ENOPROTOOPT")),
    Failure("net-down", UNREACHABLE, "the interface is down", errnos=names("ENETDOWN", "EHOSTDOWN")),
    Failure("timed-out", NO_ANSWER, "silence until the system gave up", errnos=names("ETIMEDOUT")),
    Failure("unknown", NOT_TESTED, "{error}"),
)
