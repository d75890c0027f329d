"""Logins by an ``ssh`` that a test writes: what is tried again, and what ends at once."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from netprobe.reach.messages import Done, Hello, Message, Request
from netprobe.reach.sessions import start_queue
from netprobe.reach.sessions.login import LoginSession
from netprobe.reach.sessions.start_queue import GIVE_UP_S, PLACES, StartQueue, Turn
from netprobe.reach.vantage_errors import VantageError
from netprobe.reach.vantages import parse_vantage
from tests.lab.asking import wait_until
from tests.reach import test_messages as messages

REQUEST = Request("nonce", 60.0)
DROPS = (
    "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.1 port 22",  # 9
    "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 192.0.2.1 port 22",  # 8
    "ssh_exchange_identification: Connection closed by remote host",  # 7 and before
    "ssh_exchange_identification: read: Connection reset by peer",
    "kex_exchange_identification: write: Broken pipe\nbanner exchange: Connection to 192.0.2.1 port 22: Broken pipe",
    "Exceeded MaxStartups\nkex_exchange_identification: Connection closed by remote host",
    "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
)
ENDS = (
    ("ann@web1: Permission denied (publickey).", "permission denied"),
    ("Host key verification failed.", "host key unknown"),
    ("ssh: connect to host web1 port 22: Connection refused", "connection refused"),
    ("Connection closed by 192.0.2.1 port 22", "ssh ended before the login"),
    (
        "nc: the gateway is closed\nkex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by UNKNOWN port 65535",
        "what connects ssh has ended",
    ),
)

Ssh = Callable[..., Path]


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    """Make ``ssh`` a program that logs in from its N-th login on, and before says something and fails."""

    def write(said: str, logs_in_at: int | None, settings: str = "", first: str = "") -> Path:
        counted = tmp_path / "logins"
        counted.touch()
        prober = "".join(f"{json.dumps(line)}\n" for line in ({"hello": messages.HELLO}, {"done": True}))
        text = (
            f"#!{sys.executable} -I\n"
            "import sys, time\n"
            f"{first}\n"
            "if '-G' in sys.argv:\n"
            f"    print({settings!r} if sys.argv[-1] == 'web1' else '')\n"
            "    sys.exit()\n"
            f"with open({str(counted)!r}, 'a') as file: file.write('x')\n"
            f"if len(open({str(counted)!r}).read()) < {logs_in_at or 10**9}:\n"
            f"    print({said!r}, file=sys.stderr)\n"
            "    sys.exit(255)\n"
            f"sys.stdout.write({prober!r})\n"
        )
        program = tmp_path / "ssh"
        program.write_text(text, "utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        monkeypatch.setattr(start_queue, "PAUSE_S", 0.001)
        monkeypatch.setattr(start_queue, "LONGEST_PAUSE_S", 0.001)
        return counted

    return write


def run(session: LoginSession) -> list[type[Message]]:
    emitted: list[Message] = []
    session.run(REQUEST, emitted.append)
    return [type(message) for message in emitted]


def login(queue: StartQueue | None = None) -> LoginSession:
    return LoginSession(parse_vantage("ssh:web1"), queue or StartQueue())


@pytest.mark.parametrize("said", DROPS)
def test_who_is_dropped_tries_again(ssh: Ssh, said: str) -> None:
    logins = ssh(said, 4)
    assert run(login()) == [Hello, Done]
    assert len(logins.read_text()) == 4


@pytest.mark.parametrize(("said", "reason"), ENDS)
def test_nothing_else_is_tried_again(ssh: Ssh, said: str, reason: str) -> None:
    logins = ssh(said, None)
    with pytest.raises(VantageError) as caught:
        run(login())
    assert caught.value.reason == reason
    assert len(logins.read_text()) == 1


def test_a_banner_of_a_jump_host_does_not_hide_a_drop(ssh: Ssh) -> None:
    said = f"Welcome to the jump host\n{DROPS[-1]}"
    logins = ssh(said, 3, settings="hostname 192.0.2.1\nport 22\nproxyjump 192.0.2.2")
    assert run(login()) == [Hello, Done]
    assert len(logins.read_text()) == 3


def test_one_that_always_drops_ends_with_its_reason(ssh: Ssh) -> None:
    logins = ssh(DROPS[0], None)
    with pytest.raises(VantageError) as caught:
        run(login(StartQueue(clock=lambda: float(len(logins.read_text())))))  # each login takes a second
    times = len(logins.read_text())
    assert times == GIVE_UP_S + 1
    assert caught.value.what == "ssh:web1"
    assert str(caught.value.why).startswith(f"the connection was closed before the login, {times} times in ")
    assert "MaxStartups" in str(caught.value.hint)


def test_one_that_drops_late_is_not_tried_again(ssh: Ssh) -> None:
    logins = ssh(DROPS[0], 20)
    with pytest.raises(VantageError) as caught:
        run(login(StartQueue(clock=lambda: 20.1 * len(logins.read_text()))))
    assert len(logins.read_text()) == 1
    assert caught.value.why == "the connection was closed before the login, once"


def test_places_are_given_back_however_it_ends(ssh: Ssh) -> None:
    queue = StartQueue()
    ssh("", 1)
    for _ in range(PLACES + 1):
        assert run(login(queue)) == [Hello, Done]
    ssh("Host key verification failed.", None)
    for _ in range(PLACES + 1):
        with pytest.raises(VantageError):
            run(login(queue))


@pytest.mark.parametrize("where", ["asked", "waiting", "pausing"])
def test_stop_ends_it_wherever_it_is(ssh: Ssh, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    waits = f"open({str(asked)!r}, 'w').close(); time.sleep(600)" if where == "asked" else ""
    logins = ssh(DROPS[0], None, settings="hostname 192.0.2.1\nport 22", first=waits)
    queue = StartQueue()
    session = login(queue)
    reached = threading.Event()
    if where == "waiting":
        turns = [queue.turn(["192.0.2.1 port 22"]) for _ in range(PLACES)]
        waits_in_turn = Turn.wait

        def wait(turn: Turn, stopped: threading.Event) -> bool:
            reached.set()
            return waits_in_turn(turn, stopped)

        for turn in turns:
            assert turn.wait(threading.Event())
        monkeypatch.setattr(Turn, "wait", wait)
    elif where == "pausing":

        def dropped(turn: Turn) -> float:
            reached.set()
            return 600.0

        monkeypatch.setattr(Turn, "dropped", dropped)
    emitted: list[Message] = []
    thread = threading.Thread(target=session.run, args=(REQUEST, emitted.append))
    thread.start()
    assert wait_until(asked.exists, 30) if where == "asked" else reached.wait(30)
    session.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert not emitted
    assert len(logins.read_text()) == (1 if where == "pausing" else 0)


def test_a_program_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VantageError, match="ssh is not installed here"):
        run(login())
