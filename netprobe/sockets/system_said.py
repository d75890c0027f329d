"""What the system said, alone: errnos with nothing in the error queue. The second half of the table of failures."""

from __future__ import annotations

from netprobe.sockets.evidence import NO_ANSWER, NOT_TESTED, REFUSED, REJECTED, UNREACHABLE, WRONG_RESPONDER
from netprobe.sockets.failure import ANSWER, BIND, ON_THE_WAY, PAYLOAD, RESET, SOCKET, Failure, names

__all__ = ["SYSTEM_SAID"]

SYSTEM_SAID: tuple[Failure, ...] = (
    Failure(
        "accepted-then-reset",
        WRONG_RESPONDER,
        "accepted, then reset without an answer: another service, not the listener",
        errnos=RESET,
        stages=ON_THE_WAY,  # a reset may be there before the handshake is seen; one instead of it is ECONNREFUSED
        protocol="tcp",
        source="RFC 9293 section 3.10.7.3, measured",
    ),
    Failure(
        "reset-in-payload",
        NO_ANSWER,
        "the listener answered, then the connection was reset after {received} of {size} bytes of payload",
        errnos=RESET,
        stages=PAYLOAD,
    ),
    Failure(
        "established-then-rejected",
        REJECTED,
        "accepted, then an ICMP error in the place of an answer ({errno}; the system does not say whose): "
        "a firewall that lets only the handshake pass, or a way that was lost",
        errnos=names("EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED", "EACCES", "ENOPROTOOPT"),
        stages=ANSWER | PAYLOAD,
        protocol="tcp",
        source="ip(7) IP_RECVERR, measured",
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
