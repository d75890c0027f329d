"""``netprobe echo send``: whatever is sent, from wherever, comes back whole, and differences are reported."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from netprobe.echo.clients.comparison import Comparison
from netprobe.echo.clients.files import Source
from netprobe.echo.clients.peer_error import PeerError
from netprobe.echo.clients.send import Destination, echo_back
from netprobe.echo.framing import Connection, Message
from netprobe.text import escape
from tests.conftest import NETPROBE, Run, clean_environment, run_in_terminal, run_process
from tests.echo.conftest import Behave, Serve
from tests.echo.running import Server


def test_a_file_comes_back_byte_by_byte(plain_at: str, tmp_path: Path, netprobe: Run) -> None:
    path, back = tmp_path / "sent", tmp_path / "back"
    path.write_bytes(os.urandom(5_000_000))
    ran = netprobe("echo", "send", "--to", plain_at, "--file", str(path), "--output", str(back))
    assert (ran.status, ran.stderr) == (0, "")
    assert back.read_bytes() == path.read_bytes()
    ran = netprobe("echo", "send", "--to", plain_at, "--file", str(path), "--verify", "--json")
    (record,) = json.loads(ran.stdout)["results"]
    assert (record["sent_bytes"], record["received_bytes"], record["equal"]) == (5_000_000, 5_000_000, True)
    assert record["received"] is None


def test_bytes_pass_through_a_pipe_as_they_are(plain_at: str) -> None:
    data = bytes(range(256)) * 100
    done = subprocess.run(
        [NETPROBE, "echo", "send", "--to", plain_at, "-"], input=data, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")


def test_hex_is_sent_and_shown_as_hex(plain_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", plain_at, "--hex", "00 ff48")
    assert (ran.status, ran.stdout) == (0, "00 ff 48\n")


def test_what_came_back_is_not_held_up_by_a_slow_source(plain_at: str) -> None:
    argv = [str(NETPROBE), "echo", "send", "--to", plain_at, "-", "--timeout", "0.3"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment()) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line
            assert not select.select([process.stdout], [], [], 0.5)[0]  # longer than the time-out: nothing is owed
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(20) == 0


def test_an_empty_source_is_an_empty_echo(plain_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", plain_at, "-", "--verify", stdin="")
    assert (ran.status, ran.stdout.partition(",")[0]) == (0, "0 bytes sent")


def at(serve: Serve, behave: Behave) -> str:
    """Where a peer that behaves so listens."""
    return f"127.0.0.1:{serve(behave)}"


def answer_wrongly(sock: socket.socket) -> None:
    data = b"".join(iter(lambda: sock.recv(65536), b""))
    sock.sendall(data[:5] + b"X" + data[6:])


def answer_too_little(sock: socket.socket) -> None:
    sock.sendall(b"".join(iter(lambda: sock.recv(65536), b""))[:4])


def answer_too_much(sock: socket.socket) -> None:
    sock.sendall(b"".join(iter(lambda: sock.recv(65536), b"")) + b"more")


@pytest.mark.parametrize(("behave", "first"), [(answer_wrongly, 5), (answer_too_little, 4), (answer_too_much, 12)])
def test_the_first_difference_is_named(
    behave: Behave,
    first: int,
    serve: Serve,
    netprobe: Run,
) -> None:
    ran = netprobe("echo", "send", "--to", at(serve, behave), "Hello, world", "--verify")
    assert ran.status == 1
    assert f"different from byte {first} on" in ran.stdout


def reset(sock: socket.socket) -> None:
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_reset_is_named(serve: Serve, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", at(serve, reset), "Hello, world")
    assert ran.status == 1
    assert "reset" in ran.stderr


class Late(Source):
    """Its end comes when the peer has gone."""

    def __init__(self, data: bytes, gone: threading.Event) -> None:
        super().__init__(data)
        self._gone = gone

    def next(self) -> bytes:
        data = super().next()
        assert data or self._gone.wait(20)
        return data


@pytest.mark.parametrize("said", [b"", b"last words"])
def test_a_reset_before_our_end_is_one_all_the_same(serve: Serve, said: bytes) -> None:
    gone = threading.Event()

    def behave(sock: socket.socket) -> None:
        assert sock.recv(2, socket.MSG_WAITALL | socket.MSG_PEEK) == b"hi"
        sock.sendall(said)
        reset(sock)
        sock.close()
        gone.set()

    came = b""
    with pytest.raises(PeerError, match="reset"):  # not: the socket is not connected
        for data in echo_back(Late(b"hi", gone), Destination("127.0.0.1", serve(behave), 5), Comparison()):
            came += data
    assert came == said


def test_silence_is_no_answer(netprobe: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ran = netprobe("echo", "send", "--to", f"127.0.0.1:{mute.getsockname()[1]}", "hi", "--timeout", "0.3")
    assert ran.status == 1
    assert "no-answer" in ran.stderr


def test_a_framed_message_shows_header_and_content(framed_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", framed_at, "--framed", '{"action":  "search"}')
    assert (ran.status, ran.stderr) == (0, "")
    header, content = ran.stdout.splitlines()
    assert content == '{"action":  "search"}'
    said = json.loads(header)
    assert (said["content-type"], said["content-encoding"], said["content-length"]) == ("text/json", "utf-8", 21)
    assert said["netprobe"]["sequence"] == 1


@pytest.mark.parametrize(
    ("args", "content_type"),
    [
        (("no json",), "text/plain"),
        (("no json", "--type", "text/html"), "text/html"),
        (("--hex", "00ff"), "binary/octet-stream"),
        (("[1, 2]",), "text/json"),
    ],
)
def test_the_type_of_a_message(args: tuple[str, ...], content_type: str, framed_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", framed_at, "--framed", *args, "--json")
    (record,) = json.loads(ran.stdout)["results"]
    assert (ran.status, record["equal"]) == (0, True)
    assert record["header"]["content-type"] == content_type


def test_the_fault_that_a_framed_server_names_is_shown(netprobe: Run) -> None:
    running = Server("--framed", "--tcp", "--max-content", "10")
    try:
        ran = netprobe("echo", "send", "--to", f"127.0.0.1:{running.port}", "--framed", "more than ten bytes")
    finally:
        running.stop()
    assert ran.status == 1
    assert "the limit is 10" in ran.stderr


def test_who_is_no_framed_server_is_a_wrong_responder(serve: Serve, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", at(serve, lambda s: s.sendall(s.recv(9) and b"\x00\x00")), "--framed", "x")
    assert (ran.status, ran.stdout) == (1, "")
    assert "wrong-responder: no framed reply" in ran.stderr


def answered_with(message: Message, serve: Serve) -> str:
    """Where every connection is answered with ``message``."""
    return at(serve, lambda sock: sock.sendall(sock.recv(999) and Connection().send(message)))


@pytest.mark.parametrize(
    ("encoding", "content", "shown"),
    [
        ("zlib", b"x\xff\n", "x\\xff"),
        ("punycode", b"-z9\xe9", "-z9\\xe9"),
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("UTF-16", "Grüße".encode("utf-16"), "Grüße"),
        ("ISO-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("binary", "Grüße".encode(), "Grüße"),
        ("utf-8", b"a\xffb", "a\ufffdb"),
    ],
)
def test_what_is_in_no_known_encoding_is_shown_as_bytes(
    encoding: str, content: bytes, shown: str, serve: Serve, netprobe: Run
) -> None:
    where = answered_with(Message.of_bytes(content, "text/plain", content_encoding=encoding), serve)
    ran = run_in_terminal([str(NETPROBE), "echo", "send", "--to", where, "--framed", "x"])
    assert ran.stdout.splitlines()[1] == shown
    found = netprobe("echo", "send", "--json", "--to", where, "--framed", "x")
    assert json.loads(found.stdout)["results"][0]["received"].strip() == shown


@pytest.mark.parametrize("encoding", ["punycode", "idna", "unicode_escape", "utf-8", "utf-16"])
def test_of_a_large_reply_the_terminal_gets_the_start(encoding: str, serve: Serve) -> None:
    content = b"\x1b" * 4_000_000
    where = answered_with(Message.of_bytes(content, "text/plain", content_encoding=encoding), serve)
    ran = run_in_terminal([str(NETPROBE), "echo", "send", "--to", where, "--framed", "x"])
    assert ran.status == 0  # whatever an application answers, it answers
    assert f"{len(content) - 64 * 1024:,} more bytes of the reply" in ran.stdout
    assert len(ran.stdout) < 500_000


def test_the_terminal_gets_all_of_what_was_sent(framed_at: str, tmp_path: Path) -> None:
    (tmp_path / "sent").write_text("0123456789" * 20_000)
    argv = [str(NETPROBE), "echo", "send", "--to", framed_at, "--framed", "--file", str(tmp_path / "sent")]
    ran = run_in_terminal(argv)
    assert (ran.status, ran.stdout.splitlines()[1]) == (0, "0123456789" * 20_000)


@pytest.mark.parametrize("options", [(), ("--framed",)])
def test_a_byte_now_and_then_is_no_progress(options: tuple[str, ...], serve: Serve, netprobe: Run) -> None:
    def trickle(sock: socket.socket) -> None:
        header = b'{"byteorder": "big", "content-type": "", "content-encoding": "", "content-length": 9000}'
        message = len(header).to_bytes(2, "big") + header + bytes(9000)
        for byte in message:
            sock.sendall(bytes([byte]))
            time.sleep(0.05)

    ran = netprobe("echo", "send", "--to", at(serve, trickle), "--timeout", "0.5", *options, "x" * 10_000)
    assert ran.status == 1
    assert "0.5 s" in ran.stderr


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "one of TEXT, -, --file and --hex"),
        (("text", "--hex", "00"), "one of TEXT, -, --file and --hex"),
        (("--hex", "0g"), "not hexadecimal"),
        (("x", "--type", "text/json"), "is for --framed"),
        (("x", "--framed", "--type", "text/json"), "is not valid JSON"),
    ],
)
def test_what_cannot_be_sent_is_one_line_and_exit_2(args: tuple[str, ...], why: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", *args)
    assert (ran.status, ran.stdout) == (2, "")
    assert why in ran.stderr


def test_a_file_that_cannot_be_read_or_written_is_named(plain_at: str, tmp_path: Path, netprobe: Run) -> None:
    ran = netprobe("echo", "send", "--to", plain_at, "--file", str(tmp_path / "none"))
    assert (ran.status, ran.stderr) == (3, f"netprobe: {tmp_path / 'none'}: No such file or directory\n")
    ran = netprobe("echo", "send", "--to", plain_at, "x", "--output", str(tmp_path / "no" / "folder"))
    assert ran.status == 3
    if Path("/dev/full").exists():
        ran = netprobe("echo", "send", "--to", plain_at, "x" * 100_000, "--output", "/dev/full")
        assert (ran.status, ran.stderr) == (3, "netprobe: /dev/full: No space left on device\n")


def test_a_hostile_peer_cannot_steer_the_terminal(serve: Serve) -> None:
    where = at(serve, lambda s: s.sendall(s.recv(9) and b"\x1b]0;owned\x07 \x9b2J ok\n"))
    ran = run_in_terminal([str(NETPROBE), "echo", "send", "--to", where, "x"])
    assert "\\x1b]0;owned\\x07" in ran.stdout
    assert "\x1b]0" not in ran.stdout
    assert "\x9b" not in ran.stdout


def test_head_ends_it_quietly(plain_at: str, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a line\n" * 1_000_000)
    ran = run_process(["sh", "-c", f'"{NETPROBE}" echo send --to {plain_at} --file {path} | head -1'])
    assert (ran.status, ran.stdout, ran.stderr) == (0, "a line\n", "")


def test_an_escaped_text_keeps_its_layout() -> None:
    assert escape("Grüße\n\t漢字", keep="\n\t") == "Grüße\n\t漢字"
    assert escape("\x1b[2J\r\x00\u202e", keep="\n\t") == "\\x1b[2J\\r\\x00\\u202e"


def test_an_application_that_answers_is_no_fault_unless_it_is_compared(serve: Serve, netprobe: Run) -> None:
    where = answered_with(Message.of_bytes(b'{"result": 1}', "text/json", content_encoding="utf-8"), serve)
    ran = netprobe("echo", "send", "--to", where, "--framed", '{"action": "search"}')
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[1] == '{"result": 1}'
    ran = netprobe("echo", "send", "--to", where, "--framed", "--verify", '{"action": "search"}')
    assert ran.status == 1
    assert "different from byte 2 on" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("sent", "back", "said"),
    [
        ("hello", 2, "2 of 5 bytes came back, then no progress for 0.5 s"),
        ("hello", 5, "all 5 bytes came back, but the connection was not closed for 0.5 s"),
    ],
)
def test_how_much_came_back_before_it_stalled(sent: str, back: int, said: str, serve: Serve, netprobe: Run) -> None:
    def stall(sock: socket.socket) -> None:
        sock.sendall(sock.recv(back))
        while sock.recv(4096):
            pass
        select.select([], [], [sock], 5)  # until the other side is gone

    ran = netprobe("echo", "send", "--to", at(serve, stall), "--timeout", "0.5", sent)
    assert ran.status == 1
    assert said in ran.stderr
    assert "accepted, then silence" not in ran.stderr


@pytest.mark.parametrize("text", ["127.0.0.1:9", "[::1]:9", "192.0.2.1", "localhost:9"])
def test_an_address_that_is_sent_as_a_text_is_told(text: str, netprobe: Run) -> None:
    ran = netprobe("echo", "send", text, "--timeout", "0.3")
    assert ran.stderr.startswith(f"netprobe: {text} is the text that is sent\nhint: ")


@pytest.mark.parametrize("arguments", [("10:30",), ("Hello",), ("127.0.0.1:9", "--to", "127.0.0.1:9")])
def test_no_other_text_is(arguments: tuple[str, ...], netprobe: Run) -> None:
    assert "is the text that is sent" not in netprobe("echo", "send", *arguments, "--timeout", "0.3").stderr
