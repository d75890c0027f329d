"""Every row of the table of failures: what a failed probe looks like, and what it is called."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.kernel.error_queue import QueuedError
from netprobe.outcome.evidence import ICMP_WORDS, Evidence, is_group
from netprobe.outcome.failures import FAILURES, diagnose
from netprobe.verdicts import Verdict

OWN = frozenset({"192.168.0.2", "fd00::2"})
HOST = frozenset({"192.168.0.1", "10.10.152.8", "fd00::1"})
SERVER, ROUTER, ME = "192.168.0.1", "192.168.0.254", "192.168.0.2"


def icmp(kind: int, code: int, offender: str, origin: str = "icmp") -> QueuedError:
    return QueuedError(origin, kind, code, offender, "E", 0)


def seen(errno: str | None, said: QueuedError | None = None, **more: Any) -> Evidence:
    known: dict[str, Any] = {
        "result": "error" if errno else "timeout",
        "destination": SERVER,
        "errno": errno,
        "icmp": said,
        "own": OWN,
        "host": HOST,
    }
    return Evidence(**{**known, **more})


# name of the case, evidence, verdict, words of the cause
ROWS: list[tuple[str, Evidence, str, str]] = [
    ("open", seen(None, result="proof"), "reachable", ""),
    ("no listener", seen("ECONNREFUSED"), "refused", "nothing listens"),
    ("reject, default", seen("ECONNREFUSED", icmp(3, 3, SERVER)), "rejected", SERVER),
    (
        "reject, default, v6",
        seen("ECONNREFUSED", icmp(1, 4, "fd00::1", "icmp6"), destination="fd00::1"),
        "rejected",
        "port unreachable from fd00::1",
    ),
    ("admin", seen("EHOSTUNREACH", icmp(3, 13, ROUTER)), "rejected", "administratively prohibited by 192.168.0.254"),
    (
        "admin, v6",
        seen("EACCES", icmp(1, 1, "fd00::1", "icmp6"), destination="fd00::1"),
        "rejected",
        "administratively prohibited by fd00::1",
    ),
    ("reject host-unreachable", seen("EHOSTUNREACH", icmp(3, 1, SERVER)), "rejected", "host unreachable"),
    ("reject net-unreachable", seen("ENETUNREACH", icmp(3, 0, SERVER)), "rejected", "network unreachable"),
    ("host-prohibited", seen("EHOSTUNREACH", icmp(3, 10, SERVER)), "rejected", "host administratively prohibited"),
    ("net-prohibited", seen("ENETUNREACH", icmp(3, 9, SERVER)), "rejected", "network administratively prohibited"),
    ("protocol unreachable", seen("ENOPROTOOPT", icmp(3, 2, SERVER)), "rejected", "protocol unreachable"),
    ("drop", seen(None, elapsed_ms=2000.0), "no-answer", "silence for 2 s"),
    ("own reject", seen("ECONNREFUSED", icmp(3, 3, ME), elapsed_ms=1.0), "rejected", "own firewall"),
    ("own reject, UDP", seen("EPERM", icmp(3, 3, ME), protocol="udp"), "rejected", "own firewall"),
    ("own drop, UDP", seen("EPERM", protocol="udp"), "rejected", "own firewall drops"),
    ("dead host", seen("EHOSTUNREACH", icmp(3, 1, ME), elapsed_ms=3100.0), "unreachable", "no neighbour"),
    ("dead behind router", seen("EHOSTUNREACH", icmp(3, 1, ROUTER), elapsed_ms=3100.0), "unreachable", ROUTER),
    ("router has no route", seen("ENETUNREACH", icmp(3, 0, ROUTER)), "unreachable", "192.168.0.254 has no route"),
    ("no route here", seen("ENETUNREACH"), "unreachable", "no route at this vantage"),
    ("unreachable route", seen("EHOSTUNREACH"), "unreachable", "type unreachable"),
    ("prohibit route", seen("EACCES"), "unreachable", "type prohibit"),
    ("blackhole route", seen("EINVAL"), "unreachable", "type blackhole"),
    ("broadcast", seen("ENETUNREACH", destination="255.255.255.255"), "unreachable", "no broadcast"),
    ("subnet broadcast", seen("ENETUNREACH", broadcast=True), "unreachable", "no broadcast"),
    ("multicast", seen("ENETUNREACH", destination="ff02::5"), "unreachable", "no multicast"),
    ("no zone", seen("EINVAL", destination="fe80::1"), "unreachable", "fe80::1%eth0"),
    ("UDP closed", seen("ECONNREFUSED", icmp(3, 3, SERVER), protocol="udp"), "refused", "nothing listens"),
    (
        "UDP closed, other NIC",
        seen("ECONNREFUSED", icmp(3, 3, "10.10.152.8"), protocol="udp"),
        "refused",
        "nothing listens",
    ),
    ("UDP rejected on the way", seen("ECONNREFUSED", icmp(3, 3, ROUTER), protocol="udp"), "rejected", ROUTER),
    ("UDP net", seen("ENETUNREACH", icmp(3, 0, ROUTER), protocol="udp"), "unreachable", ROUTER),
    ("UDP, Windows", seen("WSAECONNRESET", protocol="udp"), "refused", "nothing listens"),
    ("closed to itself", seen(None, result="self"), "refused", "connected to itself"),
    ("no client port", seen("EADDRNOTAVAIL"), "not-tested", "no client port"),
    ("no client port, bound", seen("EADDRINUSE", stage="bind"), "not-tested", "no client port"),
    ("0.0.0.0 on Windows", seen("WSAEADDRNOTAVAIL", destination="0.0.0.0"), "unreachable", "does not connect"),
    ("no v6 source", seen("EADDRNOTAVAIL", destination="fd00::1"), "unreachable", "source address"),
    ("no descriptors", seen("EMFILE", stage="socket"), "not-tested", "descriptors"),
    ("no descriptors in the system", seen("ENFILE", stage="socket"), "not-tested", "descriptors"),
    ("no memory for a socket", seen("ENOBUFS", stage="socket"), "not-tested", "no memory left for a socket"),
    ("no memory to send", seen("ENOMEM", protocol="udp"), "not-tested", "no memory left to send"),
    (
        "dropped here",
        seen("ENOBUFS", protocol="udp"),
        "no-answer",
        "own interface or its queue dropped the question",
    ),
    (
        "payload dropped here",
        seen("ENOBUFS", protocol="udp", stage="payload", payload_size=9),
        "no-answer",
        "own interface or its queue dropped the 9 bytes",
    ),
    ("no device option", seen("ENOPROTOOPT", stage="socket"), "not-tested", "cannot send by a given device"),
    ("socket not permitted", seen("EACCES", stage="socket"), "not-tested", "may not open such a socket"),
    ("host down", seen("EHOSTDOWN"), "unreachable", "nobody on the link answers"),
    ("no such source", seen("EADDRNOTAVAIL", stage="bind"), "not-tested", "source address does not exist"),
    ("port 70000", seen("", error="port must be 0-65535.", result="error"), "not-tested", "0-65535"),
    (
        "a reply",
        seen(None, result="foreign", sample="netprobe/1 reply ab x"),
        "wrong-responder",
        "that a listener of this",
    ),
    ("foreign", seen(None, result="foreign", sample="SSH-2.0"), "wrong-responder", "SSH-2.0"),
    ("proxy", seen(None, result="closed", stage="answer"), "wrong-responder", "accepted, then closed"),
    ("reset", seen("ECONNRESET", stage="answer"), "wrong-responder", "accepted, then reset"),
    ("established, then ICMP", seen("EHOSTUNREACH", stage="answer"), "rejected", "accepted, then an ICMP error"),
    ("established, then ICMP, in the payload", seen("EACCES", stage="payload"), "rejected", "EACCES; the system"),
    ("established, then port unreachable", seen("ECONNREFUSED", stage="answer"), "rejected", "accepted, then"),
    ("reset before connect was seen to end", seen("ECONNRESET"), "wrong-responder", "accepted, then reset"),
    ("mute", seen(None, stage="answer"), "no-answer", "accepted, then silence"),
    ("mtu", seen(None, stage="payload", payload_size=20000), "no-answer", "0 of 20000 bytes"),
    (
        "limit",
        seen(None, protocol="udp", stage="answer", limited=True, limited_by=SERVER),
        "no-answer",
        f"{SERVER} sent ICMP errors for other questions of this run, at a limited rate as hosts do, so the port may",
    ),
    (
        "limit of a router",
        seen(None, protocol="udp", stage="answer", limited=True, limited_by=ROUTER),
        "no-answer",
        f"{ROUTER} sent ICMP errors for other questions of this run, at a limited rate as hosts do, so it may have rej",
    ),
    (
        "limit of a host's REJECT of TCP: its closed ports are reset, which no limit holds back",
        seen(None, protocol="tcp", limited=True, limited_by=SERVER),
        "no-answer",
        "so it may have rejected this one",
    ),
    ("payload changed", seen(None, result="corrupt", payload_received=7, payload_size=9), "wrong-responder", "7 of 9"),
    ("closed in the payload", seen(None, result="closed", stage="payload"), "no-answer", "the connection ended"),
    ("reset in the payload", seen("ECONNRESET", stage="payload"), "no-answer", "the connection was reset"),
    ("routing loop", seen("EHOSTUNREACH", icmp(11, 0, ROUTER)), "unreachable", "routing loop"),
    ("parameter problem", seen("EPROTO", icmp(12, 0, ROUTER)), "rejected", "parameter problem from 192.168.0.254"),
    ("own reject, host", seen("EHOSTUNREACH", icmp(3, 1, ME), elapsed_ms=1.0), "rejected", "own firewall"),
    ("no IPv6", seen("EAFNOSUPPORT", stage="socket", destination="fd00::1"), "unreachable", "no IPv6"),
    ("no such device", seen("ENODEV", stage="socket"), "not-tested", "no such device"),
    ("device not permitted", seen("EPERM", stage="socket"), "not-tested", "may not use that device"),
    ("source without zone", seen("EINVAL", stage="bind"), "not-tested", "needs a zone"),
    ("no such protocol", seen("ENOPROTOOPT"), "rejected", "protocol unreachable"),
    ("interface down", seen("ENETDOWN"), "unreachable", "the interface is down"),
    ("the system gave up", seen("ETIMEDOUT"), "no-answer", "until the system gave up"),
    ("unheard of", seen("EWHATEVER"), "not-tested", "EWHATEVER"),
]


@pytest.mark.parametrize(("name", "evidence", "verdict", "words"), ROWS, ids=[row[0] for row in ROWS])
def test_each_failure_has_its_name(name: str, evidence: Evidence, verdict: str, words: str) -> None:
    outcome = diagnose(evidence)
    assert outcome.verdict == verdict
    assert words in (outcome.cause or "")


def test_every_row_of_the_table_has_a_case() -> None:
    hit = {diagnose(evidence).row for _, evidence, _, _ in ROWS}
    assert [row.id for row in FAILURES if row.id not in hit] == []


def test_ids_are_unique_and_verdicts_are_words_of_the_design() -> None:
    assert len({row.id for row in FAILURES}) == len(FAILURES)
    assert {row.verdict for row in FAILURES} <= set(Verdict)


def test_silence_is_never_called_filtered() -> None:
    assert not any("filter" in row.cause for row in FAILURES)


def test_every_icmp_error_has_a_verdict() -> None:
    for origin, kind, code in ICMP_WORDS:
        for offender in (SERVER, ROUTER, ME):
            outcome = diagnose(seen("EHOSTUNREACH", icmp(kind, code, offender, origin)))
            assert outcome.verdict in ("rejected", "unreachable")
            assert outcome.icmp is not None
            assert outcome.icmp.offender == offender


def test_a_refusal_names_the_port_where_it_is_known() -> None:
    assert diagnose(seen("ECONNREFUSED", port=8000)).cause == "nothing listens on port 8000 (or a firewall resets)"
    assert diagnose(seen("ECONNREFUSED")).cause == "nothing listens there (or a firewall resets)"


def test_a_port_unreachable_error_of_the_host_itself_does_not_rule_out_its_firewall() -> None:
    closed = diagnose(seen("ECONNREFUSED", icmp(3, 3, SERVER), protocol="udp", port=53))
    assert closed.cause == (f"nothing listens on port 53 (or its firewall rejects it): port unreachable from {SERVER}")
    assert diagnose(seen("ECONNREFUSED", protocol="udp")).cause == "nothing listens there (or a firewall rejects it)"


def test_an_icmp_error_without_its_sender_names_none() -> None:
    for origin, kind, code in ICMP_WORDS:
        outcome = diagnose(seen("EHOSTUNREACH", QueuedError(origin, kind, code, None, "E", 0)))
        assert "None" not in (outcome.cause or "")


def test_digits_of_other_scripts_are_no_group() -> None:
    """A host name may have them, and int() takes some of them, and raises at others."""
    for address in ("\xb2.0.0.1", "\u0662\u0662\u0664.0.0.1", "9" * 5000):
        assert not is_group(address)
    assert [is_group(f"{first}.0.0.1") for first in (223, 224, 239, 240)] == [False, True, True, False]
