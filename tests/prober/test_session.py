"""The far side of a session: questions after answers, and an end that leaves nothing."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netprobe.prober import bundle
from tests.prober.asking import converse, travelling

ARGV = [sys.executable, *bundle.ARGUMENTS]


@pytest.fixture
def silent() -> Iterator[dict[str, Any]]:
    """A cell whose peer takes connections and never answers."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        yield {"id": 0, "protocol": "tcp", "address": "127.0.0.1", "port": sock.getsockname()[1]}


def ask(process: subprocess.Popen[bytes], request: dict[str, Any]) -> dict[str, Any]:
    """Ask, and read the hello."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(bundle.question(request))
    process.stdin.flush()
    hello: dict[str, Any] = json.loads(process.stdout.readline())
    return hello


def test_a_second_question_follows_the_first_answer() -> None:
    request = {"nonce": "secret", "timeout": 1.0}
    cells = [{"id": n, "protocol": "tcp", "address": "127.0.0.1", "port": 1} for n in range(2)]
    lines = converse(ARGV, {**request, "cells": cells[:1]}, {**request, "cells": cells[1:]})
    assert [next(iter(line)) for line in lines] == ["hello", "cell", "done"] * 2
    assert [line["cell"] for line in lines if "cell" in line] == [0, 1]


def test_the_end_of_its_input_ends_it_at_once_and_leaves_nothing(silent: dict[str, Any]) -> None:
    with travelling(ARGV) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "hello" in ask(process, {"nonce": "secret", "timeout": 3600.0, "cells": [silent]})
        threads = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        watched = os.pidfd_open(process.pid)
        process.stdin.close()
        assert select.select([watched], [], [], 30)[0]
        os.close(watched)
        assert (process.wait(30), process.stdout.read(), threads) == (0, b"", "")


def test_the_end_of_its_input_ends_it_before_the_first_question_too() -> None:
    done = subprocess.run(ARGV, input=bundle.program(), capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_it_ends_by_itself_when_nobody_ends_it(silent: dict[str, Any]) -> None:
    with travelling(ARGV) as process:
        ask(process, {"nonce": "secret", "timeout": 60.0, "life": 0.3, "cells": [silent]})
        assert process.wait(30) == -14  # SIGALRM


def test_a_heartbeat_ends_it_when_nobody_reads_any_more(silent: dict[str, Any]) -> None:
    with travelling(ARGV) as process:
        assert process.stdout is not None
        ask(process, {"nonce": "secret", "timeout": 60.0, "heartbeat": 0.05, "cells": [silent]})
        assert json.loads(process.stdout.readline()) == {"alive": True}
        process.stdout.close()
        assert process.wait(30) == 1


@pytest.mark.parametrize("line", [b"no json\n", b'{"other": {}}\n', b"[]\n", b"\xff\n", b"{}\n"])
def test_a_question_that_it_does_not_know_is_a_crash(line: bytes) -> None:
    with travelling(ARGV) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        assert "Traceback" in json.loads(process.stdout.readline())["crash"]
        assert process.wait(30) == 1


def test_few_descriptors_mean_batches_not_failures(silent: dict[str, Any]) -> None:
    cells = [{**silent, "id": n} for n in range(100)]
    argv = ["bash", "-c", 'ulimit -n 94; exec "$@"', "bash", *ARGV]
    lines = converse(argv, {"nonce": "secret", "timeout": 0.3, "cells": cells})
    assert sum(line.get("result") == "timeout" for line in lines) == 100
