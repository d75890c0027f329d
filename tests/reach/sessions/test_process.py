"""A vantage behind a subprocess: what it says is not trusted, and nothing of it stays."""

from __future__ import annotations

import json
import os
import select
import shlex
import sys
import tracemalloc
from typing import Any

import pytest

from netprobe.prober import bundle
from netprobe.reach.messages import Crash, Done, Hello, Message, Request
from netprobe.reach.sessions import deadline
from netprobe.reach.sessions.process import ProcessSession
from netprobe.reach.vantage_errors import VantageError
from netprobe.reach.vantages import parse_vantage

REQUEST = Request(nonce="n", timeout=0.5)
HELLO: dict[str, Any] = {"hello": {"version": 1, "os": "Linux"}}


def ask(program_text: str) -> tuple[list[Message], list[str]]:
    """What comes of a session whose vantage runs ``program_text`` in place of a prober, and its noise."""
    messages: list[Message] = []
    noise: list[str] = []
    vantage = parse_vantage(f"v=exec:{sys.executable} -c {shlex.quote(program_text)}")
    ProcessSession(vantage, noise.append).run(REQUEST, messages.append)
    return messages, noise


def saying(*lines: object) -> str:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    return f"import sys; sys.stdout.write({text!r})"


def test_noise_before_the_hello_is_passed_on() -> None:
    messages, noise = ask(saying("Welcome!", "{ not json", '{"json": "of somebody else"}', HELLO, {"done": True}))
    assert [type(message) for message in messages] == [Hello, Done]
    assert noise == ["Welcome!", "{ not json", '{"json": "of somebody else"}']


def test_a_crash_is_passed_on() -> None:
    messages, _ = ask(saying({"crash": "Traceback: ValueError"}))
    assert messages == [Crash("Traceback: ValueError")]


def test_endless_output_ends_the_session() -> None:
    with pytest.raises(VantageError, match="more than any prober"):
        ask("import sys\nwhile True: sys.stdout.write('x' * 65536)")


@pytest.mark.parametrize(("first", "reason"), [("", "no hello"), (json.dumps(HELLO), "not done in time")])
def test_endless_errors_cost_neither_memory_nor_the_session_s_end(
    first: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of stderr only the end is kept; it is not counted, as it is read in no more than the session's own time."""
    monkeypatch.setattr(deadline, "HELLO_S", 1.0 if not first else 20.0)
    monkeypatch.setattr(deadline, "GRACE_S", 1.0)
    program = f"import os, sys; print({first!r}, flush=True)\nwhile True: os.write(2, b'x' * 65536)"
    bundle.program()  # made once, and kept
    tracemalloc.start()
    try:
        with pytest.raises(VantageError) as caught:
            ask(program)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason == reason
    assert most < 2 << 20


def test_silence_after_the_hello_is_a_dead_link() -> None:
    with pytest.raises(VantageError, match=r"nothing received for 5\.5 s"):
        ask(f"import time; print({json.dumps(HELLO)!r}, flush=True); time.sleep(60)")


def test_a_program_that_is_not_here_is_named() -> None:
    with pytest.raises(VantageError, match="nowhere is not installed here"):
        ProcessSession(parse_vantage("exec:nowhere")).run(REQUEST, lambda message: None)


def test_stop_ends_the_session_and_takes_the_children_along() -> None:
    child = (
        f"import os, time; print(os.getpid(), flush=True); print({json.dumps(HELLO)!r}, flush=True); time.sleep(600)"
    )
    noise: list[str] = []
    inner = f"{sys.executable} -c {shlex.quote(child)}"
    session = ProcessSession(parse_vantage(f"exec:sh -c {shlex.quote(inner + '; true')}"), noise.append)
    watched: list[int] = []

    def stop(message: Message) -> None:
        watched.append(os.pidfd_open(int(noise[0])))
        session.stop()

    session.run(REQUEST, stop)
    assert select.select(watched, [], [], 30)[0]  # readable: the grandchild is gone
    os.close(*watched)
