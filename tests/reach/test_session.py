"""Sessions: a program that travels, a vantage that is not trusted, an end that leaves nothing."""

from __future__ import annotations

import ast
import json
import os
import shlex
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from netprobe.errors import NetprobeError
from netprobe.reach.hearing import program
from netprobe.reach.session import ProcessSession
from netprobe.reach.unusable import VantageError
from netprobe.reach.vantages import vantage_of

REQUEST: dict[str, Any] = {"version": 1, "nonce": "n", "timeout": 0.5, "payload": 0, "cells": []}
HELLO = {"hello": {"version": 1, "os": "Linux"}}


def ask(program_text: str, request: Mapping[str, Any] = REQUEST) -> tuple[list[Any], list[str]]:
    """What a vantage that runs ``program_text`` in the place of a prober makes of a session."""
    heard: list[Any] = []
    noise: list[str] = []
    ProcessSession(vantage_of(f"v=exec:{sys.executable} -c {shlex.quote(program_text)}"), noise.append).run(
        request, heard.append
    )
    return heard, noise


def saying(*lines: object) -> str:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    return f"import sys; sys.stdin.readline(); sys.stdout.write({text!r})"


def test_what_travels_is_readable_by_python_3_6() -> None:
    ast.parse(program(REQUEST), feature_version=(3, 6))


def test_noise_before_the_hello_is_skipped_and_told() -> None:
    heard, noise = ask(saying("Welcome!", "{ not json", '{"json": "of somebody else"}', HELLO, {"done": True}))
    assert heard == [HELLO, {"done": True}]
    assert noise == ["Welcome!", "{ not json", '{"json": "of somebody else"}']


def test_a_crash_is_handed_on() -> None:
    heard, _ = ask(saying({"crash": "Traceback: ValueError"}))
    assert heard == [{"crash": "Traceback: ValueError"}]


@pytest.mark.parametrize(
    "line",
    [
        {"hello": 1},
        {"hello": {"version": 9}},
        {"hello": {"version": 1, "addresses": [{"address": "x"}]}},
        {"hello": {"version": 1, "links": 5}},
    ],
)
def test_a_hello_that_is_not_the_probers_ends_the_session(line: object) -> None:
    with pytest.raises(VantageError, match="hello"):
        ask(saying(line))


@pytest.mark.parametrize(
    "line", [{"cell": 7}, {"cell": 1}, {"cell": "1"}, {"cell": 1, "result": "proof", "stage": "x"}, {"cell": [1]}]
)
def test_an_answer_that_nobody_asked_for_ends_the_session(line: object) -> None:
    with pytest.raises(VantageError, match="answer"):
        ask(saying(HELLO, line), {**REQUEST, "cells": [{"id": 1}]})


def test_endless_output_ends_the_session() -> None:
    with pytest.raises(VantageError, match="more than any prober"):
        ask("import sys\nwhile True: sys.stdout.write('x' * 65536)")


def test_silence_after_the_hello_is_a_dead_link() -> None:
    with pytest.raises(VantageError, match=r"nothing heard for 5\.5 s"):
        ask(f"import time; print({json.dumps(HELLO)!r}, flush=True); time.sleep(600)")


def test_a_program_that_is_not_here_is_named() -> None:
    with pytest.raises(VantageError, match="nowhere is not installed here"):
        ProcessSession(vantage_of("exec:nowhere")).run(REQUEST, lambda line: None)


def test_stop_ends_the_session_and_takes_the_children_along() -> None:
    child = (
        f"import os, time; print(os.getpid(), flush=True); print({json.dumps(HELLO)!r}, flush=True); time.sleep(600)"
    )
    noise: list[str] = []
    inner = f"{sys.executable} -c {shlex.quote(child)}"
    session = ProcessSession(vantage_of(f"exec:sh -c {shlex.quote(inner + '; true')}"), noise.append)
    hello = threading.Event()
    failures: list[NetprobeError] = []

    def run() -> None:
        try:
            session.run(REQUEST, lambda line: hello.set())
        except NetprobeError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert hello.wait(10)
    watched = os.pidfd_open(int(noise[0]))
    session.stop()
    session.stop()
    thread.join(30)
    session.stop()
    assert not thread.is_alive()
    assert not failures
    import select

    assert select.select([watched], [], [], 30)[0]  # readable: the grandchild is gone
    os.close(watched)
