"""However a bindtest is ended, what it has started ends with it, and what it knows is reported where that can be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import NETPROBE, clean_environment
from tests.lab.asking import wait_until
from tests.reach.test_programs import number_in, runs

STATUS = {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM, signal.SIGHUP: -signal.SIGHUP}
DEAF = """\
trap '' HUP INT TERM
echo $$ > "$1.new"; mv "$1.new" "$1"
while :; do sleep 600; done
"""


@contextmanager
def asking_the_deaf(tmp_path: Path, *prefix: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A bindtest, and its two vantages with a child each: all hang, read nothing, and ignore requests to end."""
    deaf, two = tmp_path / "deaf.sh", tmp_path / "two.sh"
    deaf.write_text(DEAF, "ascii")
    two.write_text(f'sh {deaf} "$1-child" & exec sh {deaf} "$1"', "ascii")
    vantages, told = [], []
    for name in ("one", "two"):
        vantages += ["--from", f"{name}=exec:sh {two} {tmp_path / name}"]
        told += [tmp_path / name, tmp_path / f"{name}-child"]
    argv = [*prefix, str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--tcp", "--timeout", "30", "--json"]
    process = subprocess.Popen(
        [*argv, "--from", "local", *vantages],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        start_new_session=True,
    )
    pids: list[int] = []
    try:
        pids += [number_in(path) for path in told]
        yield process, pids
    finally:
        process.kill()
        process.communicate(timeout=30)
        for pid in filter(runs, pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_signal_ends_all_and_what_is_known_is_reported(number: signal.Signals, tmp_path: Path) -> None:
    with asking_the_deaf(tmp_path) as (process, pids):
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert wait_until(lambda: not any(map(runs, pids)), 30)
    assert process.returncode == STATUS[number]
    document = json.loads(out)
    how = "Ctrl-C" if number == signal.SIGINT else number.name
    causes = {cell["cause"] for cell in document["results"] if cell["vantage"] != "local"}
    assert causes == {f"interrupted by {how}"}
    assert document["errors"] == [{"what": "interrupted", "why": f"stopped by {how} before the end", "hint": None}]
    said = "interrupted" if number == signal.SIGINT else f"ended by {number.name}"
    assert err.splitlines()[-1] == f"netprobe: {said}"


@pytest.mark.parametrize("whole_group", [False, True])
def test_sigkill_ends_all_that_was_started(whole_group: bool, tmp_path: Path) -> None:
    with asking_the_deaf(tmp_path) as (process, pids):
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
        assert wait_until(lambda: not any(map(runs, pids)), 30)


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_signals_in_the_middle_of_the_cleaning_end_all(number: signal.Signals, tmp_path: Path) -> None:
    with asking_the_deaf(tmp_path) as (process, pids):
        for _ in range(50):
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
                break
        _, err = process.communicate(timeout=30)
        assert process.returncode in (130, -number)
        assert "Traceback" not in err
        assert wait_until(lambda: not any(map(runs, pids)), 30)


def test_a_hangup_that_is_ignored_changes_nothing(tmp_path: Path) -> None:
    with asking_the_deaf(tmp_path, "nohup") as (process, pids):
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGTERM
        assert wait_until(lambda: not any(map(runs, pids)), 30)


@pytest.mark.parametrize("options", [["--listen-only"], ["--keep", "600"]], ids=lambda options: options[0])
@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_signal_is_the_normal_end_of_listening(number: signal.Signals, options: list[str]) -> None:
    argv = [str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--tcp", "--format", "ndjson", *options]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert "127.0.0.1" in (process.stdout if "--listen-only" in options else process.stderr).readline()
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("command", ["echo serve --port 0", "classify -"])
def test_a_hangup_is_one_line_for_every_command(command: str) -> None:
    with subprocess.Popen(
        [str(NETPROBE), *command.split(), "--format", "ndjson"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("10.0.0.1\n")
            process.stdin.flush()
            assert process.stdout.readline()
            process.send_signal(signal.SIGHUP)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGHUP
    assert err.splitlines()[-1] == "netprobe: ended by SIGHUP"
    assert "Traceback" not in err
