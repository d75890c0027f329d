"""The engine: what is reported of odd peers, of silence, and of systems that lack something."""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from netprobe.kernel import error_queue
from netprobe.outcome.evidence import REPLY, Evidence
from netprobe.outcome.failures import FOREIGN_REPLY, diagnose
from netprobe.prober import engine, wire
from netprobe.prober.udp import UdpProbe
from tests.prober.asking import ask, run

Handler = Callable[[socket.socket], None]


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Start a peer of one's own making on loopback; its port."""
    with ExitStack() as stack:

        def start(handle: Handler, kind: int = socket.SOCK_STREAM) -> int:
            sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
            sock.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                sock.listen()

            def loop() -> None:
                try:
                    if kind == socket.SOCK_DGRAM:
                        handle(sock)
                    else:
                        peer = stack.enter_context(sock.accept()[0])
                        handle(peer)
                except OSError:
                    pass  # the test is over

            threading.Thread(target=loop, daemon=True).start()
            return int(sock.getsockname()[1])

        yield start


def close(peer: socket.socket) -> None:
    peer.recv(1000)
    peer.close()


def reset(peer: socket.socket) -> None:
    peer.recv(1000)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def echo(peer: socket.socket) -> None:
    peer.sendall(peer.recv(1000))
    peer.recv(1000)


def mute(peer: socket.socket) -> None:
    peer.recv(1000)
    peer.recv(1000)


def echo_datagrams(sock: socket.socket) -> None:
    while True:
        sock.sendto(*sock.recvfrom(2000))


def replay(peer: socket.socket) -> None:
    """Answer with a reply that is right but for the challenge."""
    peer.recv(1000)
    peer.sendall(wire.reply_line("secret", "0" * 32, "t0", ("127.0.0.1", 1), "127.0.0.1"))
    peer.recv(1000)


@pytest.mark.parametrize(
    ("handle", "result", "stage"),
    [
        (close, "closed", "answer"),
        (reset, "error", "answer"),
        (echo, "foreign", "answer"),
        (replay, "foreign", "answer"),
        (mute, "timeout", "answer"),
    ],
)
def test_connected_is_not_reached(serve: Callable[..., int], handle: Handler, result: str, stage: str) -> None:
    said = ask(serve(handle), timeout=0.3)
    assert (said["result"], said["stage"]) == (result, stage)


def test_a_udp_echo_server_is_the_wrong_responder(serve: Callable[..., int]) -> None:
    said = ask(serve(echo_datagrams, socket.SOCK_DGRAM), "udp", timeout=0.3)
    assert said["result"] == "foreign"
    assert said["replied_from"] == "127.0.0.1"


@contextmanager
def datagrams(address: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        sock.settimeout(10)
        yield sock


def reply_to(sock: socket.socket) -> tuple[bytes, Any]:
    """Wait for a probe; the right reply to it, and whom to send it to."""
    data, peer = sock.recvfrom(2000)
    asked = wire.read_probe("secret", data.partition(b"\n")[0])
    assert asked is not None
    return wire.reply_line("secret", asked[0], "u0", peer[:2], "127.0.0.1"), peer


def play(script: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=script)
    thread.start()
    return thread


JUNK = [b"junk", b"", b"netprobe/1 reply x\n", b"SSH-2.0-x\r\n", b"\xff" * 2000]


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.77"])
@pytest.mark.parametrize("to", ["127.0.0.1", "0.0.0.0"])
def test_a_datagram_from_elsewhere_changes_nothing(source: str, to: str) -> None:
    with datagrams() as silent, datagrams(source) as stranger:

        def script() -> None:
            _, peer = silent.recvfrom(2000)
            for junk in JUNK:
                stranger.sendto(junk, peer)

        thread = play(script)
        said = ask(silent.getsockname()[1], "udp", address=to, timeout=0.5)
        thread.join()
    assert (said["result"], said["stage"]) == ("timeout", "answer")


def test_a_datagram_from_the_same_port_of_another_address_changes_nothing() -> None:
    with datagrams() as silent, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.77", silent.getsockname()[1]))

        def script() -> None:
            stranger.sendto(b"junk", silent.recvfrom(2000)[1])

        thread = play(script)
        said = ask(silent.getsockname()[1], "udp", timeout=0.5)
        thread.join()
    assert said["result"] == "timeout"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_what_comes_from_the_very_port_that_was_asked_says_who_is_there(address: str) -> None:
    with datagrams({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)) as other:

        def script() -> None:
            other.sendto(b"SSH-2.0-x", other.recvfrom(2000)[1])

        thread = play(script)
        said = ask(other.getsockname()[1], "udp", address=address, timeout=5.0)
        thread.join()
    assert (said["result"], said["stage"], said["sample"]) == ("foreign", "answer", "SSH-2.0-x")


@pytest.mark.parametrize("payload", [0, 100])
def test_a_proof_counts_from_wherever_it_comes_and_after_any_junk(payload: int) -> None:
    """Also what the asked port itself said before it: two programs may share it."""
    with datagrams() as asked, datagrams("127.0.0.77") as listener:

        def script() -> None:
            reply, peer = reply_to(asked)
            listener.sendto(b"junk", peer)
            asked.sendto(b"junk", peer)
            listener.sendto(reply, peer)
            if payload:
                data, peer = asked.recvfrom(2000)
                while not data.partition(b"\n")[2]:  # a repeated question
                    data, peer = asked.recvfrom(2000)
                asked.sendto(reply + b"x" * payload, peer)  # not from where the proof came
                listener.sendto(reply + data.partition(b"\n")[2], peer)

        thread = play(script)
        cell = {"id": 0, "protocol": "udp", "address": "127.0.0.1", "port": asked.getsockname()[1]}
        (said,) = (line for line in run([cell], 5.0, payload=payload) if "cell" in line)
        thread.join()
    assert (said["result"], said["replied_from"]) == ("proof", "127.0.0.77")


def test_junk_without_end_does_not_put_off_the_end() -> None:
    """The wait for a right answer after a wrong one begins with the first wrong one, and not with each."""
    done = threading.Event()
    with datagrams() as other:

        def script() -> None:
            _, peer = other.recvfrom(2000)
            while not done.wait(0.02):
                other.sendto(b"junk", peer)

        thread = play(script)
        said = ask(other.getsockname()[1], "udp", timeout=60.0)
        done.set()
        thread.join()
    assert said["result"] == "foreign"
    assert said["elapsed_ms"] < 30_000


def test_an_overheard_question_ends_no_probe() -> None:
    """Only one that comes from the socket that asks it was asked by it."""
    with datagrams() as mute, datagrams() as thief:
        said: list[dict[str, Any]] = []
        prober = engine.Engine({"nonce": "secret", "timeout": 0.3, "cells": []}, said.append)
        port = mute.getsockname()[1]
        probe = UdpProbe(prober, {"id": 0, "protocol": "udp", "address": "127.0.0.1", "port": port})
        prober._variants[0] = ([probe], [])
        probe.start()
        prober.self_connected(probe.challenge, port, thief.getsockname())
        prober.run()
    assert [line["result"] for line in said] == ["timeout"]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(
    "seen", [("2001:db8::1", "127.0.0.1", "-"), ("127.0.0.1%lo", "127.0.0.1", "-"), ("127.0.0.1", "here", "-")]
)
def test_a_signed_reply_that_no_listener_gives_is_said_to_be_one(
    serve: Callable[..., int], protocol: str, seen: tuple[str, str, str]
) -> None:
    """Who signed it knows the nonce: it must not be said that he does not."""

    def line(asked: bytes) -> bytes:
        found = wire.read_probe("secret", asked)
        assert found is not None
        observed, local, receipt = seen
        return wire.reply_line("secret", found[0], "t0@127.0.0.1", (observed, 5), local, receipt)

    def answer(peer: socket.socket) -> None:
        peer.sendall(line(peer.recv(1000)))
        peer.recv(1000)

    def answer_datagrams(sock: socket.socket) -> None:
        while True:
            asked, peer = sock.recvfrom(2000)
            sock.sendto(line(asked), peer)

    port = serve(answer) if protocol == "tcp" else serve(answer_datagrams, socket.SOCK_DGRAM)
    said = ask(port, protocol, timeout=1.0)
    outcome = diagnose(Evidence("foreign", protocol, stage="answer", sample=said["sample"]))
    assert (said["result"], outcome.row) == ("foreign", FOREIGN_REPLY)
    assert "nonce" not in str(outcome.cause)
    assert f"{wire.PROTOCOL} reply " == REPLY


def replies(said: Callable[[bytes], bytes]) -> Handler:
    """A peer that has the right reply, and makes of it what it sends."""

    def handle(peer: socket.socket) -> None:
        asked = wire.read_probe("secret", peer.recv(1000))
        assert asked is not None
        peer.sendall(said(wire.reply_line("secret", asked[0], "t0", peer.getpeername(), "127.0.0.1")))
        peer.recv(1000)

    return handle


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (lambda reply: reply, "proof"),
        (lambda reply: b"x" + reply, "foreign"),
        (lambda reply: b"\n" + reply, "foreign"),
        (lambda reply: b"HTTP/1.1 200 OK\r\n" + reply, "foreign"),
        (lambda reply: reply[:-1] + b" x\n", "foreign"),
        (lambda reply: reply[:-1] + b" " * 600 + b"\n", "foreign"),
        (lambda reply: b"x" * 100_000, "foreign"),
        (lambda reply: reply + b"more", "proof"),  # the line is proven, and nothing else was asked for
    ],
)
def test_a_line_is_a_proof_as_a_whole(serve: Callable[..., int], said: Callable[[bytes], bytes], result: str) -> None:
    assert ask(serve(replies(said)), timeout=5.0)["result"] == result


def test_a_payload_that_comes_back_before_it_was_sent_is_none(serve: Callable[..., int]) -> None:
    """Its bytes follow from the challenge: who knows the nonce can guess them."""
    size = 50_000_000  # no socket takes it at once

    def handle(peer: socket.socket) -> None:
        asked = wire.read_probe("secret", peer.recv(1000).partition(b"\n")[0])
        assert asked is not None
        peer.sendall(wire.reply_line("secret", asked[0], "t0", peer.getpeername(), "127.0.0.1"))
        peer.sendall(wire.pattern(asked[0], size))

    cell = {"id": 0, "protocol": "tcp", "address": "127.0.0.1", "port": serve(handle)}
    (said,) = (line for line in run([cell], 10.0, payload=size) if "cell" in line)
    assert said["result"] == "corrupt"


def test_the_payload_s_time_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when no send of it finds room."""
    send = UdpProbe._send

    def no_room(probe: UdpProbe, data: bytes) -> None:
        if probe.stage == "payload":
            raise BlockingIOError
        send(probe, data)

    monkeypatch.setattr(UdpProbe, "_send", no_room)
    with datagrams() as listener:

        def script() -> None:
            reply, peer = reply_to(listener)
            listener.sendto(reply, peer)

        thread = play(script)
        cell = {"id": 0, "protocol": "udp", "address": "127.0.0.1", "port": listener.getsockname()[1]}
        lines: list[dict[str, Any]] = []
        began = time.monotonic()
        engine.run({"nonce": "secret", "timeout": 0.3, "payload": 9, "cells": [cell]}, lines.append,
                   lambda: time.monotonic() > began + 30)  # fmt: skip
        thread.join()
    assert [line["result"] for line in lines if "cell" in line] == ["timeout"]


def test_a_peer_that_is_gone_when_it_is_asked_for_is_that_cell_s_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset between the event and getpeername(2), which then says ENOTCONN."""

    class Gone(socket.socket):
        def getpeername(self) -> Any:
            raise OSError(errno.ENOTCONN, "not connected")

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(socket, "socket", Gone)
        said = ask(server.getsockname()[1])
    assert (said["result"], said["stage"], said["errno"]) == ("error", "connect", "ENOTCONN")


def test_a_run_that_was_stopped_does_not_say_that_it_is_done() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        cell = {"id": 0, "protocol": "tcp", "address": "127.0.0.1", "port": mute.getsockname()[1]}
        lines: list[dict[str, Any]] = []
        engine.run({"nonce": "s", "timeout": 600.0, "cells": [cell]}, lines.append, lambda: True)
    assert [list(line) for line in lines] == [["hello"]]


@pytest.mark.parametrize("zone", ["\xb2", "9" * 5000, "99999999999", "-1", "1_0", "a\0b", "\udcff", "nowhere0"])
def test_a_zone_that_there_is_not_is_an_error_of_that_cell_alone(zone: str) -> None:
    cells = [
        {"id": 0, "protocol": "tcp", "address": "fe80::1", "port": 9, "zone": zone},
        {"id": 1, "protocol": "udp", "address": "127.0.0.1", "port": 9, "source": "127.0.0.1"},
        {"id": 2, "protocol": "udp", "address": "::1", "port": 9, "source": "fe80::1", "source_zone": zone},
    ]
    said = {line["cell"]: line for line in run(cells, 0.5) if "cell" in line}
    assert len(said) == 3
    assert "no interface" in said[0]["error"] and "no interface" in said[2]["error"]


def test_the_beginning_of_a_challenge_is_whose_cell_it_is() -> None:
    cell = {"id": 0, "protocol": "tcp", "address": "127.0.0.1", "port": 9}
    challenges = [
        line["challenge"]
        for challenge in ("ab" * 16, "ab" * 16, None)
        for line in run([{**cell, "challenge": challenge}], 1.0)
        if "cell" in line
    ]
    assert len(set(challenges)) == 3
    assert [challenge.startswith("ab" * 16) for challenge in challenges] == [True, True, False]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_closed_port_is_refused_at_once(protocol: str, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        port = sock.getsockname()[1]
    said = ask(port, protocol, address=address, timeout=5.0)
    assert said["errno"] == "ECONNREFUSED"
    assert said["elapsed_ms"] < 1000
    if protocol == "udp":
        assert said["icmp"]["offender"] == address


def test_a_port_out_of_range_is_an_error_of_that_cell_alone() -> None:
    lines = run(
        [{"id": n, "protocol": "tcp", "address": "127.0.0.1", "port": p} for n, p in enumerate((70000, 1))], 1.0
    )
    first = next(line for line in lines if line.get("cell") == 0)
    assert first["errno"] is None
    assert "0-65535" in first["error"]
    assert sum("cell" in line for line in lines) == 2


def test_a_link_local_address_without_a_zone_is_an_error_for_udp_too() -> None:
    for protocol in ("tcp", "udp"):
        assert ask(9, protocol, address="fe80::1")["errno"] == "EINVAL"


def test_all_silent_cells_wait_together() -> None:
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # fill the accept queue: the next handshakes get no answer
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        began = time.monotonic()
        cells = [{"id": n, "protocol": "tcp", "address": "127.0.0.1", "port": port} for n in range(1000)]
        lines = run(cells, 1.0)
        took = time.monotonic() - began
    assert sum(line.get("result") == "timeout" for line in lines) == 1000
    assert took < 10  # batches of 64 would take 16 s


def test_it_can_be_stopped() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        cell = {"id": 0, "protocol": "tcp", "address": "127.0.0.1", "port": sock.getsockname()[1]}
        engine.run({"nonce": "s", "timeout": 600.0, "cells": [cell]}, lambda line: None, lambda: True)


def test_without_an_error_queue_a_closed_udp_port_is_still_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_queue, "HAS_ERROR_QUEUE", False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    said = ask(port, "udp", timeout=0.6)
    assert said["errno"] == "ECONNREFUSED"
    assert said["icmp"] is None


LACKING = ["SO_BINDTODEVICE", "MSG_ERRQUEUE", "AF_NETLINK", "SO_REUSEPORT", "IPV6_V6ONLY", "IP_RECVERR", "IPV6_RECVERR"]


def test_the_modules_import_where_the_constants_lack() -> None:
    code = f"""
import socket, signal, sys
for name in {LACKING!r}:
    if hasattr(socket, name): delattr(socket, name)
for name in ("SIGALRM", "setitimer", "ITIMER_REAL"):
    delattr(signal, name)
sys.modules["resource"] = None
sys.platform = "win32"
import netprobe.prober.engine as p, netprobe.reach.responder
import netprobe.kernel.constants as c, netprobe.kernel.error_queue as e
assert c.SYSTEM == "windows" and c.SO_BINDTODEVICE is None and not e.HAS_ERROR_QUEUE
p.run({{"nonce": "a", "timeout": 0.2, "cells": [dict(id=0, protocol="tcp", address="127.0.0.1", port=1)]}}, print)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "ECONNREFUSED" in done.stdout


def test_no_descriptor_stays_open(serve: Callable[..., int]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    ask(1)
    ask(1, "udp")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_question_that_meets_another_question_s_socket_met_nobody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        said: list[dict[str, Any]] = []
        prober = engine.Engine({"nonce": "secret", "timeout": 0.3, "cells": []}, said.append)
        port = mute.getsockname()[1]
        for number in range(2):
            cell = {"id": number, "protocol": "udp", "address": "127.0.0.1", "port": port}
            probe = UdpProbe(prober, cell)
            prober._variants[number] = ([probe], [])
            probe.start()
            assert probe.sock is not None
            port = probe.sock.getsockname()[1]  # the second one asks the port that the first one asks from
        prober.run()
    assert {line["cell"]: line["result"] for line in said} == {0: "timeout", 1: "self"}
