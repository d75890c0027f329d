"""What ``netprobe echo send`` must not do: destroy a file, never end, hide what went, or say it in no document."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from netprobe.echo.clients.send import SURPLUS
from netprobe.echo.framing import Connection, Message
from tests.conftest import NETPROBE, Run, run_process
from tests.echo.conftest import Behave, Serve


def at(serve: Serve, behave: Behave) -> str:
    return f"127.0.0.1:{serve(behave)}"


def document(text: str) -> dict[str, Any]:
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_a_file_is_not_written_over_itself(plain_at: str, tmp_path: Path, netprobe: Run) -> None:
    path, link = tmp_path / "same", tmp_path / "link"
    path.write_text("precious")
    link.symlink_to(path)
    for output in (path, link):
        ran = netprobe("echo", "send", "--to", plain_at, "--file", str(path), "--output", str(output), "--verify")
        assert (ran.status, ran.stderr.count("\n")) == (2, 2)
        assert path.read_text() == "precious"


def test_a_file_is_not_touched_before_something_comes_back(tmp_path: Path, netprobe: Run) -> None:
    path = tmp_path / "keep"
    path.write_text("precious")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ran = netprobe("echo", "send", "x", "--to", f"127.0.0.1:{closed.getsockname()[1]}", "--output", str(path))
    assert ran.status == 1
    assert path.read_text() == "precious"


def test_nothing_that_comes_back_is_an_empty_file(plain_at: str, tmp_path: Path, netprobe: Run) -> None:
    path = tmp_path / "old"
    path.write_text("old")
    assert netprobe("echo", "send", "", "--to", plain_at, "--output", str(path)).status == 0
    assert path.read_text() == ""


@pytest.mark.parametrize("extra", ["NaN", "1e999", "[" * 700 + "]" * 700])
def test_a_header_that_no_json_can_hold_is_a_wrong_responder(extra: str, serve: Serve, netprobe: Run) -> None:
    header = json.loads(Connection().send(Message.of_bytes(b""))[2:])
    text = json.dumps({**header, "netprobe": {"x": 0}}).replace('"x": 0', f'"x": {extra}').encode()
    frame = len(text).to_bytes(2, "big") + text
    where = at(serve, lambda sock: sock.sendall(sock.recv(999) and frame))
    ran = netprobe("echo", "send", "--framed", "--json", "--to", where, "x")
    assert ran.status == 1
    (error,) = document(ran.stdout)["errors"]
    assert "wrong-responder" in error["why"]


def test_a_closed_stdin_is_an_error() -> None:
    ran = run_process(["sh", "-c", f'exec "{NETPROBE}" echo send - <&-'])
    assert (ran.status, ran.stdout) == (3, "")
    assert ran.stderr.startswith("netprobe: standard input: ")


@pytest.mark.parametrize("name", ["none", "."])
def test_a_file_that_cannot_be_opened_is_in_the_document(name: str, tmp_path: Path, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--json", "--file", str(tmp_path / name))
    assert ran.status == 3
    found = document(ran.stdout)
    assert (found["results"], [error["what"] for error in found["errors"]]) == ([], [str(tmp_path / name)])


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here that opens and cannot be read")
def test_a_file_that_cannot_be_read_is_not_the_peers_fault(plain_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", plain_at, "--file", "/proc/self/mem")
    assert (ran.status, ran.stderr) == (3, "netprobe: /proc/self/mem: Input/output error\n")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no file without an end here")
def test_a_message_without_an_end_is_refused_in_time(framed_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--framed", "--to", framed_at, "--file", "/dev/zero")
    assert (ran.status, ran.stdout) == (2, "")
    assert "holds at most" in ran.stderr


@pytest.mark.parametrize("options", [(), ("--verify",)])
def test_a_peer_that_never_stops_is_not_listened_to_for_ever(
    options: tuple[str, ...], serve: Serve, netprobe: Run
) -> None:
    def chargen(sock: socket.socket) -> None:
        while True:
            sock.sendall(b"!" * 4096)

    ran = netprobe("echo", "send", "--to", at(serve, chargen), "x", *options)
    assert ran.status == 1
    assert len(ran.stdout) < SURPLUS + 1_000_000
    assert "different from byte 0 on" in ran.stdout + ran.stderr


def test_a_framed_reply_goes_through_a_pipe_whole_and_as_it_came(framed_at: str, tmp_path: Path) -> None:
    content = bytes(range(1, 256)) * 800
    (tmp_path / "sent").write_bytes(content)
    command = f'"{NETPROBE}" echo send --framed --to {framed_at} --file "{tmp_path}/sent" > "{tmp_path}/back"'
    assert run_process(["sh", "-c", command]).status == 0
    header, _, back = (tmp_path / "back").read_bytes().partition(b"\n")
    assert json.loads(header)["content-length"] == len(content)
    assert back == content


def test_the_document_of_a_failed_run_has_what_was_sent_and_came_back(serve: Serve, netprobe: Run) -> None:
    def stops(sock: socket.socket) -> None:
        sock.sendall(sock.recv(10)[:4])
        sock.recv(1)  # the end of the other side
        sock.recv(1)
        while sock.recv(1):
            pass
        stopped.append(sock.dup())  # kept open

    stopped: list[socket.socket] = []
    ran = netprobe("echo", "send", "--json", "--timeout", "0.5", "--to", at(serve, stops), "0123456789")
    for sock in stopped:
        sock.close()
    assert ran.status == 1
    found = document(ran.stdout)
    (record,) = found["results"]
    assert (record["sent_bytes"], record["received_bytes"], record["received"]) == (10, 4, "0123")
    assert record["equal"] is None
    assert len(found["errors"]) == 1


def test_the_reply_of_a_plain_server_is_recognised(plain_at: str, framed_at: str, netprobe: Run) -> None:
    assert "something that echoes bytes" in netprobe("echo", "send", "--framed", "--to", plain_at, "x").stderr
    assert netprobe("echo", "send", "--framed", "--to", framed_at, "x").stderr == ""


def test_a_large_message_to_a_plain_server_does_not_lock_up(plain_at: str, tmp_path: Path, netprobe: Run) -> None:
    (tmp_path / "large").write_bytes(os.urandom(15_000_000))
    command = ("echo", "send", "--framed", "--to", plain_at, "--file", str(tmp_path / "large"), "--output", os.devnull)
    assert netprobe(*command).status == 0


def drip(sock: socket.socket) -> None:
    """4 KiB are progress; an echo of 60 times as many, and what may follow it, would take a minute and a half."""
    header = b'{"byteorder": "big", "content-type": "", "content-encoding": "", "content-length": 9000000}'
    sock.sendall(len(header).to_bytes(2, "big") + header)
    while True:
        sock.sendall(bytes(4096))
        time.sleep(0.3)


@pytest.mark.parametrize("options", [("--framed",), (), ("--verify", "--output", "-")])
def test_a_message_has_an_end_that_no_progress_moves(
    options: tuple[str, ...], serve: Serve, netprobe: Run, tmp_path: Path
) -> None:
    given = [str(tmp_path / "back") if option == "-" else option for option in options]
    ran = netprobe("echo", "send", "--to", at(serve, drip), "--timeout", "0.5", *given, "x")
    assert ran.status == 1
    assert "bytes came back in 1.5 s, and not the end" in ran.stderr  # a second for the first 16 KiB


def test_a_stream_that_moves_is_not_cut(serve: Serve, tmp_path: Path, netprobe: Run) -> None:
    def slowly(sock: socket.socket) -> None:
        rest = b""
        while data := sock.recv(4096):
            rest += data
        while rest:
            sock.sendall(rest[:4096])
            rest = rest[4096:]
            time.sleep(0.2)

    file = tmp_path / "stream"
    file.write_bytes(bytes(16384))
    ran = netprobe("echo", "send", "--to", at(serve, slowly), "--timeout", "0.5", "--verify", "--file", str(file))
    assert (ran.status, ran.stderr) == (0, "")
