"""The one table from what was observed to a verdict and a cause in words.

A row matches on what is observable (the stage that was reached, the errno, the ICMP error and who sent it); the first
row that matches wins, so specific rows come before general ones. Rows cite where they are documented; ``measured``
means seen on Linux in a lab of namespaces.

Why a table and not branches: a verdict is asked for by three callers (bindtest, its manual run, the echo clients) on
four systems, and each row can be read, cited and tested alone. What no row explains stays ``not-tested`` with the
system's own words: a cause is never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.outcome.evidence import (
    DESTINATION,
    HOST_UNREACHABLE,
    ICMP_WORDS,
    NEIGHBOUR_MS,
    NET_UNREACHABLE,
    OWN,
    PORT_UNREACHABLE,
    PROHIBITED,
    PROTOCOL_UNREACHABLE,
    REPLY,
    TTL_EXCEEDED,
    Evidence,
    Icmp,
    is_group,
    is_link_local,
)
from netprobe.verdicts import Verdict

__all__ = ["FAILURES", "FOREIGN_REPLY", "LIMITED_PORT", "Failure", "Outcome", "diagnose"]

LIMITED_PORT = "closed-behind-a-limit"
"""The row of a silence that a closed UDP port behind the host's own limit of ICMP errors explains."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One row: conditions (``None`` = any), verdict, and the cause with ``{fields}`` of the evidence to fill in."""

    id: str
    verdict: Verdict
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
    limiter: str | None = None
    link_local: bool | None = None
    group: bool | None = None
    begins: str | None = None  # the sample
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
            and (self.limiter is None or seen.limiter_is == self.limiter)
            and (self.link_local is None or is_link_local(seen.destination) == self.link_local)
            and (self.begins is None or (seen.sample or "").startswith(self.begins))
            and (self.group is None or (seen.broadcast or is_group(seen.destination)) == self.group)
        )


def _names(*errnos: str) -> frozenset[str]:
    """Errno names, each with Winsock's spelling of it."""
    return frozenset(errnos) | frozenset(f"WSA{name}" for name in errnos)


FOREIGN_REPLY = "foreign-reply"  # the row of a reply that knows netprobe, and so maybe the nonce

_CONNECT_OR_ANSWER = frozenset({"connect", "answer"})
_ANSWER = frozenset({"answer"})
_PAYLOAD = frozenset({"payload"})
_SOCKET = frozenset({"socket"})
_BIND = frozenset({"bind"})
_RESET = _names("ECONNRESET", "EPIPE", "ECONNABORTED")

FAILURES: tuple[Failure, ...] = (
    # Answers and silence.
    Failure("proof", Verdict.REACHABLE, "", result="proof"),
    Failure(
        "self",
        Verdict.REFUSED,
        "nothing listens {where}: the client connected to itself from that very port (simultaneous open)",
        result="self",
        source="RFC 9293 section 3.5, measured",
    ),
    Failure(
        FOREIGN_REPLY,
        Verdict.WRONG_RESPONDER,
        "what answered is a reply of netprobe's, but none that a listener of this run gives to this probe: {sample}",
        result="foreign",
        begins=REPLY,
    ),
    Failure(
        "foreign",
        Verdict.WRONG_RESPONDER,
        "something answered that does not know the nonce: {sample}",
        result="foreign",
    ),
    Failure(
        "corrupt",
        Verdict.WRONG_RESPONDER,
        "the listener answered, but the payload came back changed after {received} of {size} bytes",
        result="corrupt",
    ),
    Failure(
        "closed-in-payload",
        Verdict.NO_ANSWER,
        "the listener answered, then the connection ended after {received} of {size} bytes of payload",
        result="closed",
        stages=_PAYLOAD,
    ),
    Failure(
        "accepted-then-closed",
        Verdict.WRONG_RESPONDER,
        "accepted, then closed without an answer: a port proxy or another service, not the listener",
        result="closed",
    ),
    Failure(
        "payload-black-hole",
        Verdict.NO_ANSWER,
        "the listener answered, but only {received} of {size} bytes of payload came back: "
        "an MTU black hole looks like this",
        result="timeout",
        stages=_PAYLOAD,
        source="measured, RFC 2923 section 2.1",
    ),
    Failure(
        "accepted-then-silent",
        Verdict.NO_ANSWER,
        "accepted, then silence for {seconds} s: a connection is not an answer",
        result="timeout",
        stages=_ANSWER,
        protocol="tcp",
    ),
    Failure(
        LIMITED_PORT,
        Verdict.NO_ANSWER,
        "silence; {limiter} sent ICMP errors for other questions of this run, at a limited rate as hosts do, so the "
        "port may be closed: a longer --patience would settle it",
        result="timeout",
        protocol="udp",
        limited=True,
        limiter=DESTINATION,
        source="icmp(7), icmp_ratelimit",
    ),
    Failure(
        "silent-behind-a-limit",
        Verdict.NO_ANSWER,
        "silence; {limiter} sent ICMP errors for other questions of this run, at a limited rate as hosts do, so it may "
        "have rejected this one, too: a longer --patience may settle it",
        result="timeout",
        limited=True,
        source="icmp(7), icmp_ratelimit; RFC 1812 section 4.3.2.8",
    ),
    Failure("silent", Verdict.NO_ANSWER, "silence for {seconds} s", result="timeout"),
    # ICMP errors, from another machine or this vantage's own firewall.
    Failure(
        "udp-closed",
        Verdict.REFUSED,
        "nothing listens {where} (or its firewall rejects it): {icmp} from {offender}",
        icmp=PORT_UNREACHABLE,
        offender=DESTINATION,
        protocol="udp",
        source="RFC 1122 section 4.1.3.1",
    ),
    Failure(
        "port-rejected-here",
        Verdict.REJECTED,
        "port unreachable from {offender}, which is this vantage: its own firewall rejects it",
        icmp=PORT_UNREACHABLE,
        offender=OWN,
    ),
    Failure(
        "port-rejected",
        Verdict.REJECTED,
        "port unreachable from {offender}: a firewall rejects it",
        icmp=PORT_UNREACHABLE,
        source="RFC 1812 section 5.2.7.1, iptables-extensions(8) REJECT",
    ),
    Failure("prohibited", Verdict.REJECTED, "{icmp} by {offender}", icmp=PROHIBITED, source="RFC 1812, RFC 4443"),
    Failure("protocol-rejected", Verdict.REJECTED, "protocol unreachable from {offender}", icmp=PROTOCOL_UNREACHABLE),
    Failure(
        "no-neighbour",
        Verdict.UNREACHABLE,
        "no neighbour: nobody on the link answers for {destination} (reported by {offender}, this vantage)",
        icmp=HOST_UNREACHABLE,
        offender=OWN,
        quick=False,
        source="arp(7), RFC 4861 section 7.2.2",
    ),
    Failure(
        "unreachable-rejected-here",
        Verdict.REJECTED,
        "{icmp} from {offender} at once, which is this vantage: its own firewall rejects it",
        icmp=HOST_UNREACHABLE | NET_UNREACHABLE,
        offender=OWN,
    ),
    Failure(
        "unreachable-rejected",
        Verdict.REJECTED,
        "{icmp} from {offender} itself: its firewall rejects it",
        icmp=HOST_UNREACHABLE | NET_UNREACHABLE,
        offender=DESTINATION,
    ),
    Failure(
        "no-neighbour-behind-router",
        Verdict.UNREACHABLE,
        "the router {offender} cannot reach the host: {icmp}",
        icmp=HOST_UNREACHABLE,
        source="RFC 1812 section 5.2.7.1",
    ),
    Failure(
        "router-without-route",
        Verdict.UNREACHABLE,
        "the router {offender} has no route: {icmp}",
        icmp=NET_UNREACHABLE,
        source="RFC 1812 section 5.2.7.1",
    ),
    Failure("ttl", Verdict.UNREACHABLE, "{icmp} at {offender}: a routing loop or too many hops", icmp=TTL_EXCEEDED),
    Failure("other-icmp", Verdict.REJECTED, "{icmp} from {offender}", icmp=frozenset(ICMP_WORDS)),
    # An errno alone: nothing was in the error queue.
    Failure(
        "accepted-then-reset",
        Verdict.WRONG_RESPONDER,
        "accepted, then reset without an answer: another service, not the listener",
        errnos=_RESET,
        stages=_CONNECT_OR_ANSWER,  # a reset may come before the handshake is seen; instead of it: ECONNREFUSED
        protocol="tcp",
        source="RFC 9293 section 3.10.7.3, measured",
    ),
    Failure(
        "reset-in-payload",
        Verdict.NO_ANSWER,
        "the listener answered, then the connection was reset after {received} of {size} bytes of payload",
        errnos=_RESET,
        stages=_PAYLOAD,
    ),
    Failure(
        "established-then-rejected",
        Verdict.REJECTED,
        "accepted, then an ICMP error instead of an answer ({errno}; the system does not say from whom): "
        "a firewall that lets only the handshake pass, or a route that disappeared",
        errnos=_names("EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED", "EACCES", "ENOPROTOOPT"),
        stages=_ANSWER | _PAYLOAD,
        protocol="tcp",
        source="ip(7) IP_RECVERR, measured",
    ),
    Failure(
        "refused",
        Verdict.REFUSED,
        "nothing listens {where} (or a firewall resets)",
        errnos=_names("ECONNREFUSED"),
        protocol="tcp",
        source="connect(2), RFC 9293 section 3.10.7.1",
    ),
    Failure(
        "refused-udp",
        Verdict.REFUSED,
        "nothing listens {where} (or a firewall rejects it)",
        errnos=_names("ECONNREFUSED", "ECONNRESET"),  # Windows resets: KB 263823
        protocol="udp",
    ),
    Failure(
        "no-descriptors",
        Verdict.NOT_TESTED,
        "this vantage is out of descriptors ({errno})",
        errnos=_names("EMFILE", "ENFILE"),
        source="socket(2)",
    ),
    Failure(
        "no-memory",
        Verdict.NOT_TESTED,
        "this vantage has no memory left for a socket ({errno})",
        errnos=_names("ENOBUFS", "ENOMEM"),
        stages=_SOCKET | _BIND,
        source="socket(2)",
    ),
    Failure(
        "payload-dropped-here",
        Verdict.NO_ANSWER,
        "the listener answered, but this vantage's own interface or its queue dropped the {size} bytes of payload "
        "({errno}): its queue is full, or the MTU of the two ends of a link differs",
        errnos=_names("ENOBUFS"),
        stages=_PAYLOAD,
        source="send(2), measured",
    ),
    Failure(
        "dropped-here",
        Verdict.NO_ANSWER,
        "this vantage's own interface or its queue dropped the question ({errno}): its queue is full, or the MTU of "
        "the two ends of a link differs",
        errnos=_names("ENOBUFS"),
        source="send(2), measured",
    ),
    Failure(
        "no-memory-to-send",
        Verdict.NOT_TESTED,
        "this vantage has no memory left to send with ({errno})",
        errnos=_names("ENOMEM"),
        source="send(2)",
    ),
    Failure(
        "no-family",
        Verdict.UNREACHABLE,
        "this vantage has no IPv{ip}",
        errnos=_names("EAFNOSUPPORT", "EPROTONOSUPPORT"),
        source="socket(2)",
    ),
    Failure("no-device", Verdict.NOT_TESTED, "no such device at this vantage", errnos=_names("ENODEV"), stages=_SOCKET),
    Failure(
        "no-right",
        Verdict.NOT_TESTED,
        "this vantage may not open such a socket, or may not use that device ({errno})",
        errnos=_names("EPERM", "EACCES"),
        stages=_SOCKET,
        source="socket(2), socket(7) SO_BINDTODEVICE",
    ),
    Failure(
        "no-device-option",
        Verdict.NOT_TESTED,
        "the system of this vantage cannot send by a given device ({errno})",
        errnos=_names("ENOPROTOOPT"),
        stages=_SOCKET,
        source="getsockopt(2)",
    ),
    Failure(
        "no-source",
        Verdict.NOT_TESTED,
        "the source address does not exist at this vantage, or cannot be used (IPv6: duplicate address detection)",
        errnos=_names("EADDRNOTAVAIL"),
        stages=_BIND,
        source="ip(7), RFC 4862 section 5.4",
    ),
    Failure(
        "no-source-port",
        Verdict.NOT_TESTED,
        "no client port is left at this vantage",
        errnos=_names("EADDRINUSE"),
        source="ip(7), ip_local_port_range",
    ),
    Failure(
        "source-without-zone",
        Verdict.NOT_TESTED,
        "a link-local source address needs a zone, as in fe80::1%eth0",
        errnos=_names("EINVAL"),
        stages=_BIND,
    ),
    Failure(
        "to-wildcard",
        Verdict.UNREACHABLE,
        "this system does not connect to {destination}",
        errnos=frozenset({"WSAEADDRNOTAVAIL"}),
        stages=_CONNECT_OR_ANSWER,
        source="Microsoft Learn, Winsock connect()",
    ),
    Failure(
        "no-source-6",
        Verdict.UNREACHABLE,
        "this vantage has no IPv6 source address for it (or no client port is left)",
        errnos=_names("EADDRNOTAVAIL"),
        ip=6,
    ),
    Failure(
        "no-client-port",
        Verdict.NOT_TESTED,
        "no client port is left at this vantage, or it does not connect to such an address",
        errnos=_names("EADDRNOTAVAIL"),
        source="connect(2); Windows: WSAEADDRNOTAVAIL for 0.0.0.0",
    ),
    Failure(
        "no-connection-to-a-group",
        Verdict.UNREACHABLE,
        "TCP has no multicast and no broadcast",
        errnos=_names("ENETUNREACH", "EACCES", "EADDRNOTAVAIL"),
        protocol="tcp",
        group=True,
        source="RFC 1122 section 4.2.3.10",
    ),
    Failure(
        "no-route",
        Verdict.UNREACHABLE,
        "no route at this vantage",
        errnos=_names("ENETUNREACH"),
        source="connect(2)",
    ),
    Failure(
        "unreachable-route",
        Verdict.UNREACHABLE,
        "a route of type unreachable at this vantage, or no neighbour on the link",
        errnos=_names("EHOSTUNREACH"),
        source="ip-route(8)",
    ),
    Failure(
        "prohibit-route",
        Verdict.UNREACHABLE,
        "a route of type prohibit at this vantage, or a policy there that denies it (SELinux)",
        errnos=_names("EACCES"),
        source="ip-route(8), connect(2)",
    ),
    Failure(
        "zone-missing",
        Verdict.UNREACHABLE,
        "a link-local address needs a zone, as in {destination}%eth0",
        errnos=_names("EINVAL"),
        link_local=True,
        source="RFC 4007 section 6",
    ),
    Failure(
        "blackhole-route",
        Verdict.UNREACHABLE,
        "a route of type blackhole at this vantage (or a source address that cannot be used for it)",
        errnos=_names("EINVAL"),
        source="ip-route(8)",
    ),
    Failure(
        "own-output-drop",
        Verdict.REJECTED,
        "not permitted to send: this vantage's own firewall drops it (OUTPUT), or its control group does",
        errnos=_names("EPERM"),
        source="connect(2), systemd.resource-control(5) IPAddressDeny=",
    ),
    Failure("protocol", Verdict.REJECTED, "protocol unreachable", errnos=_names("ENOPROTOOPT")),
    Failure("net-down", Verdict.UNREACHABLE, "the interface is down", errnos=_names("ENETDOWN")),
    Failure(
        "host-down",
        Verdict.UNREACHABLE,
        "the system of this vantage calls the host down: nobody on the link answers for it",
        errnos=_names("EHOSTDOWN"),
        source="BSD and macOS: intro(2), arp(4)",
    ),
    Failure("timed-out", Verdict.NO_ANSWER, "silence until the system gave up", errnos=_names("ETIMEDOUT")),
    Failure("unknown", Verdict.NOT_TESTED, "{error}"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Verdict and cause; ``row`` is the id of the table's row, ``icmp`` the error as a record."""

    verdict: Verdict
    cause: str | None
    row: str
    icmp: Icmp | None = None


def diagnose(seen: Evidence) -> Outcome:
    """The verdict and the cause of ``seen``, by the first row of the table that matches."""
    icmp = None if seen.icmp is None else Icmp.from_queue(seen.icmp)
    row = next(row for row in FAILURES if row.matches(seen))
    cause = row.cause.format(
        destination=seen.destination,
        where=f"on port {seen.port}" if seen.port else "there",
        offender=seen.offender or "an unknown sender",
        icmp=None if icmp is None else icmp.name,
        limiter=seen.limited_by or "this host",
        errno=seen.errno or seen.error,
        error=seen.error or seen.errno,
        seconds=f"{seen.elapsed_ms / 1000:.3g}",
        sample=repr(seen.sample) if seen.sample else "nothing",
        size=seen.payload_size,
        received=seen.payload_received,
        ip=seen.ip,
    )
    return Outcome(row.verdict, cause or None, row.id, icmp)
