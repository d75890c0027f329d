"""What every Session owes its callers, whether it leads to this process, a subprocess, or an sshd far away.

As in trio's ``check_two_way_stream``: one set of tests, run on each implementation. A new kind of session is added to
``SESSIONS``, and is right when they pass.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netprobe.prober import engine
from netprobe.reach.listener import ListenerOptions, Protocol
from netprobe.reach.messages import Answer, CellRequest, Crash, Done, Hello, Message, Replies, Request, Resolved
from netprobe.reach.responder import Responder
from netprobe.reach.scoped_address import ScopedAddress
from netprobe.reach.sessions import deadline
from netprobe.reach.sessions.choice import session_for
from netprobe.reach.sessions.receiver import OnNoise, ignore_noise
from netprobe.reach.sessions.session import Ended, Failed, Received, Session, ask
from netprobe.reach.vantage_errors import VantageError
from netprobe.reach.vantages import parse_vantage
from tests.lab.asking import prober_count, wait_until
from tests.lab.network import Host, Lab
from tests.reach import test_messages as messages

CLONE_NEWNET = 0x40000000  # setns(2)
NONCE = "of this test"
PATIENT_S = 60.0  # longer than a test may wait, so that only stop() can end it


class Place:
    """Where the sessions of a test lead. ``address`` is one of this host's that can be reached from there."""

    address = "127.0.0.1"
    is_remote = True
    every = 1  # of a table's rows

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def session(self, program: str | None = None, on_noise: OnNoise = ignore_noise) -> Session:
        """A session; with ``program``, that Python text runs there in place of the prober."""
        raise NotImplementedError

    def says(self, *lines: object, on_noise: OnNoise = ignore_noise) -> Session:
        """A session whose vantage says ``lines``, whatever it is asked."""
        text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        program = f"import sys, time; sys.stdout.write({text!r}); sys.stdout.flush(); time.sleep(600)"
        return self.session(program, on_noise)

    def trickles(self, *lines: object, piece: str) -> Session:
        """A session whose vantage says ``lines`` and then ``piece``, again and again."""
        text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        program = (
            f"import sys, time\nsys.stdout.write({text!r})\n"
            f"while True: sys.stdout.write({piece!r}); sys.stdout.flush(); time.sleep(0.1)"
        )
        return self.session(program)

    def python(self, program: str) -> str:
        """The path of a Python that ignores what it is to run, and runs ``program``."""
        path = self._directory / f"python-{len(list(self._directory.iterdir()))}"
        path.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(program)}\n", "utf-8")
        path.chmod(0o755)
        return str(path)

    def is_empty(self) -> bool:
        """Does nothing run there any more?"""
        return not Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii")

    def close(self) -> None:
        """No more sessions."""


class Local(Place):
    """This process. It says nothing in bytes, so ``says`` takes the place of the prober's run."""

    is_remote = False

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(directory)
        self._patch = patch

    def session(self, program: str | None = None, on_noise: OnNoise = ignore_noise) -> Session:
        assert program is None
        return session_for(parse_vantage("local"))

    def says(self, *lines: object, on_noise: OnNoise = ignore_noise) -> Session:
        def run(request: object, emit: Callable[[object], None], stopped: object) -> None:
            for line in lines:
                emit(line)

        self._patch.setattr(engine, "run", run)
        return self.session()

    def trickles(self, *lines: object, piece: str) -> Session:
        def run(request: object, emit: Callable[[object], None], stopped: Callable[[], bool]) -> None:
            for line in lines:
                emit(line)
            while not stopped():
                time.sleep(0.05)

        self._patch.setattr(engine, "run", run)
        return self.session()


class Process(Place):
    """A subprocess."""

    def session(self, program: str | None = None, on_noise: OnNoise = ignore_noise) -> Session:
        python = sys.executable if program is None else self.python(program)
        return session_for(replace(parse_vantage("there=exec:env"), python=python), on_noise)


class Login(Place):
    """A login at another host of the lab, from a thread that is in ``pc1``."""

    address = "192.168.0.1"
    every = 12  # a login takes most of a second, and the lines are read by what reads them for a subprocess

    def __init__(self, directory: Path, lab: Lab) -> None:
        super().__init__(directory)
        self._lab = lab

    def session(self, program: str | None = None, on_noise: OnNoise = ignore_noise) -> Session:
        python = "/usr/bin/python3" if program is None else self.python(program)
        return session_for(replace(parse_vantage("there=ssh:192.168.0.2"), python=python), on_noise)

    def is_empty(self) -> bool:
        return prober_count(self._lab) == 0


@contextmanager
def inside(host: Host) -> Iterator[None]:
    """This thread, and all that it starts, are in the network namespace of ``host``."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as outside, Path(host.network).open() as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(outside.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


SESSIONS = ["local", "process", pytest.param("login", marks=pytest.mark.lab)]


@pytest.fixture(params=SESSIONS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """One of each kind; after the test nothing of its sessions is left: no thread, no process, no descriptor."""
    directory = tmp_path / "pythons"
    directory.mkdir()
    if request.param == "login":
        network = request.getfixturevalue("lab")("pc1-pc2")
        keys = request.getfixturevalue("sshd")(network)
        keys.start("pc2", "192.168.0.2")
        monkeypatch.setenv("PATH", keys.environment["PATH"])
        with inside(network["pc1"]):
            yield from leaving_nothing(Login(directory, network))
    elif request.param == "process":
        yield from leaving_nothing(Process(directory))
    else:
        yield from leaving_nothing(Local(directory, monkeypatch))


def leaving_nothing(place: Place) -> Iterator[Place]:
    """Whatever was opened or started meanwhile must be gone once ``place`` is closed."""

    def left() -> tuple[set[threading.Thread], int]:
        return set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))

    before = left()
    yield place
    place.close()
    assert wait_until(lambda: left() == before, 10), (before, left())
    assert wait_until(place.is_empty, 10)


@pytest.fixture
def responder(place: Place) -> Iterator[Responder]:
    """Answers at the place's address."""
    with Responder(NONCE) as opened:
        yield opened


def run(session: Session, request: Request) -> list[Message]:
    """All that a session emits."""
    emitted: list[Message] = []
    session.run(request, emitted.append)
    return emitted


def cells(address: str, *asked: tuple[Protocol, int]) -> tuple[CellRequest, ...]:
    return tuple(CellRequest(number, protocol, address, port) for number, (protocol, port) in enumerate(asked))


@pytest.fixture
def silent(place: Place) -> Iterator[Request]:
    """A request whose one cell has no answer: somebody listens, and says nothing."""
    with socket.create_server((place.address, 0)) as mute:
        port = mute.getsockname()[1]
        yield Request(NONCE, PATIENT_S, cells(place.address, ("tcp", port)))


def test_the_hello_is_first_each_cell_is_answered_once_done_is_last(place: Place, responder: Responder) -> None:
    listening = responder.open([ScopedAddress.parse(place.address)], ("tcp", "udp"), ListenerOptions())
    responder.start()
    asked = [(x.protocol, x.port) for x in listening] * 20
    emitted = run(place.session(), Request(NONCE, 10.0, cells(place.address, *asked)))
    hello, *answers, done = emitted
    assert isinstance(hello, Hello)
    assert hello.facts.addresses
    assert isinstance(done, Done)
    assert sorted(x.id for x in answers if isinstance(x, Answer)) == list(range(len(asked)))
    assert {x.result for x in answers if isinstance(x, Answer)} == {"proof"}
    assert len(responder.arrivals) == len(asked)


def test_nothing_asked_is_a_hello_and_done(place: Place) -> None:
    assert [type(message) for message in run(place.session(), Request(NONCE, 1.0))] == [Hello, Done]


def test_what_is_asked_second_depends_on_what_a_name_stands_for_there(place: Place, responder: Responder) -> None:
    listening = responder.open([ScopedAddress.parse("0.0.0.0")], ("tcp",), ListenerOptions())
    responder.start()

    def cells_there(replies: Replies) -> Request:
        (name,) = replies.resolved
        assert name.name == "localhost"
        asked = [str(address) for address in name.addresses if address.version == 4]
        return Request(NONCE, 10.0, tuple(CellRequest(i, "tcp", x, listening[0].port) for i, x in enumerate(asked)))

    emitted = run(place.session(), Request(NONCE, 1.0, names=("localhost",), follow_up=cells_there))
    assert [type(message) for message in emitted] == [Hello, Resolved, Done, Hello, Answer, Done]
    (answer,) = (message for message in emitted if isinstance(message, Answer))
    assert answer.replied_from == "127.0.0.1" if answer.result == "proof" else answer.errno == "ECONNREFUSED"


def test_a_vantage_that_tells_of_another_name_fails(place: Place) -> None:
    said = ({"hello": {"version": 1}}, {"name": "b.internal", "addresses": ["192.0.2.1"]}, {"done": True})
    with pytest.raises(VantageError, match="resolved a name that was not requested"):
        run(place.says(*said), Request(NONCE, 1.0, names=("a.internal",)))


def test_stop_from_another_thread_ends_it_without_an_error(place: Place, silent: Request) -> None:
    session = place.session()
    events: queue.SimpleQueue[Message | BaseException | None] = queue.SimpleQueue()

    def converse() -> None:
        try:
            session.run(silent, events.put)
        except BaseException as error:
            events.put(error)
        events.put(None)

    thread = threading.Thread(target=converse)
    thread.start()
    assert isinstance(events.get(timeout=30), Hello)
    session.stop()
    session.stop()
    thread.join(30)
    assert not thread.is_alive()
    session.stop()
    rest = list(iter(lambda: events.get(timeout=1), None))
    assert not [event for event in rest if not isinstance(event, Done)]


def test_stopped_before_it_runs_it_asks_nothing(place: Place, silent: Request) -> None:
    session = place.session()
    session.stop()
    assert not [message for message in run(session, silent) if isinstance(message, Answer)]


def test_a_session_that_never_runs_leaves_nothing(place: Place) -> None:
    place.session()


HELLO: Mapping[str, Any] = {"hello": messages.HELLO}


def one_wrong_message_a_field() -> list[tuple[str, Sequence[object]]]:
    """(what is wrong, the lines that are said): the first wrong value of each field, which is one of a wrong type."""
    answers = [(name, {**messages.ANSWER, name: values[0]}) for name, values in messages.WRONG_IN_AN_ANSWER.items()]
    hellos = [(name, messages.hello(**{name: values[0]})) for name, values in messages.WRONG_IN_A_HELLO.items()]
    return [*((name, (HELLO, line)) for name, line in answers), *((name, (line,)) for name, line in hellos)]


def test_a_wrong_type_in_any_field_ends_the_session_with_one_error(place: Place) -> None:
    asked = Request(NONCE, PATIENT_S, (CellRequest(7, "tcp", "192.0.2.1", 9),))
    for name, lines in one_wrong_message_a_field()[:: place.every]:
        session = place.says(*lines)
        with pytest.raises(VantageError, match=name) as caught:
            session.run(asked, lambda message: None)
        assert (caught.value.what, caught.value.reason) == (session.name, "not netprobe's prober")


def test_an_answer_that_nobody_asked_for_ends_the_session(place: Place) -> None:
    with pytest.raises(VantageError, match="not requested"):
        place.says(HELLO, messages.ANSWER).run(Request(NONCE, PATIENT_S), lambda message: None)


TOLD = ({"tracing": {"why_not": None}}, {"packet": messages.PACKET}, {"looked": {"incomplete": False}})


@pytest.mark.parametrize("told", TOLD, ids=["tracing", "packet", "looked"])
def test_a_trace_that_nobody_asked_for_ends_the_session(place: Place, told: object) -> None:
    with pytest.raises(VantageError, match="trace that was not requested"):
        place.says(HELLO, told).run(Request(NONCE, PATIENT_S), lambda message: None)


@pytest.mark.parametrize("asked", [{"trace": ()}, {"look": True}], ids=["tracing", "looked"])
def test_a_trace_that_is_not_told_is_not_done(place: Place, asked: dict[str, Any]) -> None:
    with pytest.raises(VantageError, match="done before it had answered"):
        place.says(HELLO, {"done": True}).run(Request(NONCE, PATIENT_S, **asked), lambda message: None)


def test_a_crash_is_the_last_message(place: Place) -> None:
    emitted = run(place.says(HELLO, {"crash": "Traceback …\nTypeError: no"}), Request(NONCE, PATIENT_S))
    assert [type(message) for message in emitted] == [Hello, Crash]


TRICKLES = {
    "heartbeats": '{"alive": true}\n',
    "lines of noise": "noise\n",
    "a byte at a time": "x",
    "blank lines": "\n",
    "nothing but the hello": "",
}


@pytest.mark.parametrize("piece", TRICKLES.values(), ids=TRICKLES)
def test_nothing_that_a_vantage_says_prolongs_its_session(
    place: Place, piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "GRACE_S", 0.5)
    with pytest.raises(VantageError) as caught:
        place.trickles(HELLO, piece=piece).run(Request(NONCE, 0.2, patience=0.1), lambda message: None)
    assert caught.value.reason == "not done in time"
    assert caught.value.why == "the prober was not done within 0.8 s"


def test_a_vantage_that_fails_does_so_alone(place: Place, tmp_path: Path) -> None:
    sessions = [place.says(HELLO, {"cell": True}), session_for(replace(parse_vantage("exec:env"), name="whole"))]
    events = list(ask([(session, Request(NONCE, 5.0)) for session in sessions], queue.SimpleQueue()))
    assert [event.vantage for event in events if isinstance(event, Failed)] == [sessions[0].name]
    assert [event.message for event in events if isinstance(event, Received) and event.vantage == "whole"][1:] == [
        Done()
    ]
    assert sorted(event.vantage for event in events if isinstance(event, Ended)) == sorted(x.name for x in sessions)


@pytest.fixture
def remote(place: Place) -> Place:
    """Only those that say something in bytes."""
    if not place.is_remote:
        pytest.skip("nothing is said in bytes")
    return place


def test_noise_before_the_hello_is_passed_on(remote: Place) -> None:
    noise: list[str] = []
    session = remote.says("Welcome!", "{ not json", HELLO, {"done": True}, on_noise=noise.append)
    assert [type(message) for message in run(session, Request(NONCE, PATIENT_S))] == [Hello, Done]
    assert noise == ["Welcome!", "{ not json"]


@pytest.mark.parametrize("piece", ["noise\n", "x", '{"alive": true}\n', ""])
def test_an_endless_banner_is_no_hello(remote: Place, piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "HELLO_S", 4.0)  # a login takes most of a second
    with pytest.raises(VantageError) as caught:
        remote.trickles(piece=piece).run(Request(NONCE, PATIENT_S), lambda message: None)
    assert caught.value.reason == "no hello"
    assert caught.value.why == "no hello from the prober within 4 s"


def test_an_answer_at_a_time_prolongs_nothing(remote: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "GRACE_S", 0.5)
    asked = Request(NONCE, 0.1, tuple(CellRequest(n, "tcp", "192.0.2.1", 9) for n in range(150)), patience=0.0)
    answers = "".join(json.dumps({"cell": n, "result": "timeout", "stage": "connect"}) + "\n" for n in range(150))
    program = (
        f"import sys, time\nprint({json.dumps(HELLO)!r}, flush=True)\n"
        f"for line in {answers!r}.splitlines(): print(line, flush=True); time.sleep(0.1)"
    )
    emitted: list[Message] = []
    with pytest.raises(VantageError) as caught:
        remote.session(program).run(asked, emitted.append)
    assert caught.value.reason == "not done in time"
    assert isinstance(emitted[1], Answer)  # what came in time is kept


@pytest.mark.parametrize("before", [(), (HELLO,)])
@pytest.mark.parametrize("piece", ["x" * 65536, "x\n" * 30000])
def test_endless_output_ends_the_session(remote: Place, before: Sequence[object], piece: str) -> None:
    hello = "".join(json.dumps(line) + "\n" for line in before)
    program = f"import sys\nsys.stdout.write({hello!r})\nwhile True: sys.stdout.write({piece!r})"
    with pytest.raises(VantageError, match="more than any prober"):
        run(remote.session(program), Request(NONCE, PATIENT_S))


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit(3)", "ended without a word"),
        (f"print({json.dumps(HELLO)!r}, flush=True); raise SystemExit(3)", "link died"),
        ("import sys; sys.exit('python3: command not found')", "no python3 there"),
    ],
)
def test_an_early_end_has_its_reason(remote: Place, program: str, reason: str) -> None:
    with pytest.raises(VantageError) as caught:
        run(remote.session(program), Request(NONCE, PATIENT_S))
    assert caught.value.reason == reason
