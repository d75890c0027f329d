"""The connecting half of a manual run says what an automatic one would say of the same evidence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.prober import engine, wire
from netprobe.reach import own_resolver
from netprobe.reach.facts import HostAddress, HostFacts
from netprobe.reach.listener import Listener
from netprobe.reach.manual import Target, connect, connect_remarks, offer_lines, offers, parse_targets
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.settings import Settings

NONCE = "secret"
HOME = ScopedAddress.parse("127.0.0.1")
PROOF: dict[str, Any] = {
    "cell": 0, "result": "proof", "stage": "answer", "challenge": "ab" * 16, "elapsed_ms": 1.0, "connect_ms": 0.1,
    "rtt_ms": 0.1, "source": "127.0.0.1", "source_port": 40000, "replied_from": "127.0.0.1",
    "listener": "t0@10.0.0.1", "observed": "127.0.0.1", "observed_port": 40000, "local": "127.0.0.1",
}  # fmt: skip
HELLO: dict[str, Any] = {"hello": {"version": 1}}


@pytest.fixture
def prober(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Let the prober say these lines; the list has the request once it is asked."""

    def says(*lines: dict[str, Any]) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = []

        def run(request: dict[str, Any], emit: Callable[[dict[str, Any]], None], stopped: object) -> None:
            requests.append(request)
            for line in (HELLO, *lines, {"done": True}):
                emit(line)

        monkeypatch.setattr(engine, "run", run)
        return requests

    return says


def cells(settings: Settings, port: int = 9) -> list[Any]:
    return list(connect([Target(HOME, port)], NONCE, settings))


def test_a_payload_that_comes_back_in_part_is_counted() -> None:
    """A listener that proves itself, echoes the first 1200 bytes, and then falls silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo_in_part() -> None:
            peer, address = server.accept()
            with peer, peer.makefile("rb") as stream:
                asked = wire.read_probe(NONCE, stream.readline())
                assert asked is not None
                peer.sendall(wire.reply_line(NONCE, asked[0], "t0@127.0.0.1", address, "127.0.0.1"))
                peer.sendall(stream.read(1200))
                while stream.read(65536):
                    pass

        thread = threading.Thread(target=echo_in_part)
        thread.start()
        port = server.getsockname()[1]
        (cell,) = cells(Settings(protocols=("tcp",), timeout=0.5, payload_size=60000), port)
        thread.join()
    assert cell.payload_bytes == 1200
    assert "only 1200 of 60000 bytes" in cell.cause
    assert (cell.bind, cell.observed) == ("127.0.0.1", "no-answer")


def test_a_silence_behind_a_limit_of_icmp_errors_is_told_apart(prober: Callable[..., object]) -> None:
    prober({"cell": 0, "result": "timeout", "stage": "answer", "limited": True})
    (cell,) = cells(Settings(protocols=("udp",)))
    assert "sent ICMP errors for other questions" in cell.cause


def test_patience_and_the_source_with_its_zone_are_passed_on(prober: Callable[..., list[dict[str, Any]]]) -> None:
    requests = prober({"cell": 0, "result": "timeout", "stage": "connect"})
    source = ScopedAddress.parse("fe80::1%lo")
    settings = Settings(protocols=("tcp",), patience=77.0, source=source)
    list(connect([Target(ScopedAddress.parse("fe80::2%lo"), 9)], NONCE, settings))
    (request,) = requests
    assert request["patience"] == 77.0
    (cell,) = request["cells"]
    assert (cell["zone"], cell["source"], cell["source_zone"]) == ("lo", "fe80::1", "lo")


def test_a_prober_that_crashes_is_an_error(prober: Callable[..., object]) -> None:
    prober({"crash": "Traceback …\nTypeError: no"})
    with pytest.raises(CannotRunError, match="TypeError: no"):
        cells(Settings())


def test_an_address_translation_in_between_shows(prober: Callable[..., object]) -> None:
    prober({**PROOF, "source": "192.0.2.1", "observed": "198.51.100.1"})
    (cell,) = cells(Settings(protocols=("tcp",)))
    assert "sees this machine as 198.51.100.1" in cell.cause
    assert (cell.bind, cell.differs) == ("10.0.0.1", False)


def test_the_wrong_nonce_is_a_likely_reason_for_a_stranger(prober: Callable[..., object]) -> None:
    prober({"cell": 0, "result": "closed", "stage": "answer"})
    (cell,) = cells(Settings(protocols=("tcp",)))
    assert "--nonce" in cell.difference


def test_the_nonce_of_who_replies_is_not_doubted(prober: Callable[..., object]) -> None:
    prober({"cell": 0, "result": "foreign", "stage": "answer", "sample": f"{wire.PROTOCOL} reply abc t0@here"})
    (cell,) = cells(Settings(protocols=("tcp",)))
    assert cell.observed == "wrong-responder"
    assert "nonce" not in f"{cell.cause} {cell.difference}"


@pytest.mark.parametrize(
    ("destination", "source", "observed"),
    [("fe80::1%lo", "fe80::2%lo", "fe80::2"), ("::ffff:127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1")],
)
def test_another_spelling_of_the_same_address_is_no_translation(
    prober: Callable[..., object], destination: str, source: str, observed: str
) -> None:
    asked = ScopedAddress.parse(destination)
    prober({**PROOF, "source": source, "observed": observed, "replied_from": asked.text})
    (cell,) = connect([Target(asked, 9)], NONCE, Settings(protocols=("tcp",)))
    assert (cell.observed, cell.cause) == ("reachable", None)


def test_a_translation_does_not_hide_why_the_payload_was_lost(prober: Callable[..., object]) -> None:
    lost = {"result": "timeout", "stage": "payload", "payload_size": 9, "payload_sent": 9, "payload_received": 3}
    prober({**PROOF, **lost, "source": "192.0.2.1", "observed": "198.51.100.1"})
    (cell,) = cells(Settings(protocols=("tcp",), payload_size=9))
    assert (cell.observed, "only 3 of 9 bytes" in cell.cause) == ("no-answer", True)


def test_an_answer_from_another_address_is_said_by_hand_too(prober: Callable[..., object]) -> None:
    prober({**{key: PROOF[key] for key in PROOF if key != "connect_ms"}, "replied_from": "127.0.0.9"})
    (cell,) = cells(Settings(protocols=("udp",)))
    assert (cell.observed, "answered from 127.0.0.9" in cell.cause) == ("reachable", True)


# Targets.


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """This host's resolver: each name's addresses, or its error."""

    def knows(**names: list[str] | str) -> None:
        def look_up(asked: Sequence[str], seconds: float, found: Callable[[dict[str, Any]], None]) -> bool:
            for name in asked:
                known = names[name]
                failed = isinstance(known, str)
                found({"name": name, "addresses": [] if failed else known, "error": known if failed else None})
            return True

        monkeypatch.setattr(own_resolver, "look_up", look_up)

    return knows


def test_every_address_of_a_name_is_a_target_once(resolver: Callable[..., None]) -> None:
    resolver(web=["::1", "127.0.0.1"])
    targets = parse_targets(["127.0.0.1:9", "web:9", "web:10"])
    assert [(str(x.address), x.port, x.name) for x in targets] == [
        ("127.0.0.1", 9, None),
        ("::1", 9, "web"),
        ("::1", 10, "web"),
        ("127.0.0.1", 10, "web"),
    ]


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("web", "::1", 7),
        ("web:9", "::1", 9),
        ("192.0.2.1", "192.0.2.1", 7),
        ("2001:db8::1", "2001:db8::1", 7),
        ("[2001:db8::1]", "2001:db8::1", 7),
        ("[2001:db8::1]:9", "2001:db8::1", 9),
        ("fe80::1%lo", "fe80::1%lo", 7),
    ],
)
def test_the_port_may_be_given_apart(resolver: Callable[..., None], text: str, address: str, port: int) -> None:
    resolver(web=["::1"])
    (target,) = parse_targets([text], 7)
    assert (str(target.address), target.port) == (address, port)


@pytest.mark.parametrize("text", ["web", "192.0.2.1", "[::1]", "web:", "web:x", ":9", "", "127.1:9", "-x:9", "a b:9"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_targets([text])


def test_a_name_that_does_not_resolve_here_ends_the_run(resolver: Callable[..., None]) -> None:
    resolver(web="EAI_NONAME")
    with pytest.raises(CannotRunError, match="web: the name does not resolve"):
        parse_targets(["web:9"])


def named_cells(*addresses: str) -> tuple[list[Any], list[str]]:
    targets = [Target(ScopedAddress.parse(address), 9, "web") for address in addresses]
    found = list(connect(targets, NONCE, Settings(protocols=("tcp",))))
    return found, [str(text) for text in connect_remarks(targets, found)]


REFUSED: dict[str, Any] = {
    "cell": 0, "result": "error", "stage": "connect", "errno": "ECONNREFUSED", "error": "refused", "elapsed_ms": 1.0,
    "source": "::1",
}  # fmt: skip


def test_a_name_is_reached_when_one_of_its_addresses_is(prober: Callable[..., list[dict[str, Any]]]) -> None:
    prober(REFUSED, {**PROOF, "cell": 1})
    found, remarks = named_cells("::1", "127.0.0.1")
    assert [(x.destination, x.destination_name, x.expected, x.observed, x.differs) for x in found] == [
        ("::1", "web", None, "refused", False),
        ("127.0.0.1", "web", "reachable", "reachable", False),
    ]
    assert found[0].because == "web is reached at 127.0.0.1"
    assert found[1].bind == "10.0.0.1"  # as the reply says
    assert remarks == ["web at this machine is ::1 first, then 127.0.0.1; reached at 127.0.0.1 only"]


def test_a_name_none_of_whose_addresses_is_reached_is_not_as_promised(
    prober: Callable[..., list[dict[str, Any]]],
) -> None:
    prober(REFUSED, {**REFUSED, "cell": 1, "source": "127.0.0.1"})
    found, remarks = named_cells("::1", "127.0.0.1")
    assert [x.differs for x in found] == [True, True]
    assert remarks == []


def test_another_service_at_an_address_of_the_name_is_not_as_promised(
    prober: Callable[..., list[dict[str, Any]]],
) -> None:
    prober({**REFUSED, "result": "foreign", "stage": "answer", "errno": None, "error": None}, {**PROOF, "cell": 1})
    found, _ = named_cells("::1", "127.0.0.1")
    assert [(x.observed, x.differs) for x in found] == [("wrong-responder", True), ("reachable", False)]


def test_another_machine_is_not_sent_to_its_own_loopback_address() -> None:
    eth0 = HostFacts(addresses=(HostAddress(ScopedAddress.parse("192.168.0.1"), 24, "eth0"),))
    lo = Listener("t0", HOME, "tcp", 4000)
    lan = Listener("t1", ScopedAddress.parse("192.168.0.1"), "tcp", 4001)
    both = list(offer_lines([lo, lan], eth0, NONCE, 60))
    assert "On the other machine:" in both
    assert f"  NETPROBE_BINDTEST_NONCE={NONCE} netprobe bindtest --tcp --connect 192.168.0.1:4001" in both
    (command,) = [visit.command for visit in offers([lo, lan], eth0, NONCE) if visit.command]
    assert "127.0.0.1" not in command
    alone = list(offer_lines([lo], eth0, NONCE, 60))
    assert alone[-2:] == [
        "On this host (no other can connect):",
        f"  NETPROBE_BINDTEST_NONCE={NONCE} netprobe bindtest --tcp --connect 127.0.0.1:4000",
    ]


def test_with_a_version_the_other_family_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"::1: is IPv6, and -4 asks for IPv4 only"):
        parse_targets(["[::1]:9"], version=4)
    (target,) = parse_targets(["127.0.0.1:9"], version=4)
    assert target.address == ScopedAddress.parse("127.0.0.1")
