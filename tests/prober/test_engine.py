"""The engine: what is reported of odd peers, of silence, and of systems that lack something."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from netprobe.kernel import error_queue
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
