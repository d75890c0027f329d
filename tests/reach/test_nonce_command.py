"""The nonce of a run is in no process' arguments, which every user of a machine can read (ps(1))."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NETPROBE, Run, cannot_run, clean_environment

NONCE = "5ec12e7" * 4
PROC = Path("/proc")

# In the place of a vantage's Python: writes down what all processes have as arguments now, and what it has as its
# environment itself; then it is that Python.
WITNESS = f"""#!{sys.executable}
import os, sys
with open(__file__ + f".{{os.getpid()}}", "wb") as seen:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{{pid}}/cmdline", "rb") as arguments:
                seen.write(arguments.read() + b"\\n")
        except OSError:
            pass
    for pair in os.environb.items():
        seen.write(b"=".join(pair) + b"\\n")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture(autouse=True)
def _proc() -> None:
    if not PROC.joinpath("self/cmdline").exists():
        cannot_run("there is no /proc here")


@pytest.mark.parametrize("place", ["exec:env", "netns:/proc/self/ns/net"])
def test_nothing_that_a_run_starts_has_it(netprobe: Run, tmp_path: Path, place: str) -> None:
    if place.startswith("netns:") and os.geteuid() != 0:
        cannot_run("entering a namespace needs root")
    witness = tmp_path / "python"
    witness.write_text(WITNESS)
    witness.chmod(0o755)
    options = ("--addr", "127.0.0.1", "--from", f"there={place}", "--python", f"there={witness}", "--json")
    ran = netprobe("bindtest", *options, env={"NETPROBE_BINDTEST_NONCE": NONCE})
    assert ran.status == 0, ran.stderr
    assert {cell["vantage"] for cell in json.loads(ran.stdout)["results"]} == {"there"}
    (seen,) = tmp_path.glob("python.*")
    assert b"bindtest" in seen.read_bytes()
    assert NONCE.encode() not in seen.read_bytes()
    assert NONCE not in ran.stdout + ran.stderr


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Accepts and says nothing, so that who connects stays to be looked at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def printed(nonce: str) -> str:
    """The line for the other machine."""
    argv = [str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--tcp", "--listen-only", "--format", "ndjson"]
    listening = subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env=clean_environment({"NETPROBE_BINDTEST_NONCE": nonce})
    )
    try:
        assert listening.stdout is not None
        events = [json.loads(listening.stdout.readline()) for _ in range(2)]
    finally:
        listening.kill()
        listening.communicate()
    assert events[1]["event"] == "command"
    line: str = events[1]["command"]
    return line


def test_the_printed_line_passes_it_by_environment(silent: socket.socket) -> None:
    """Typed into a shell, it is running: netprobe has the nonce, and nobody's arguments have it."""
    line = printed(NONCE)
    assert re.fullmatch(rf"NETPROBE_BINDTEST_NONCE={NONCE} netprobe bindtest --tcp --connect 127\.0\.0\.1:\d+", line)
    port = silent.getsockname()[1]
    typed = re.sub(r"\d+$", f"{port} --timeout 60\n", line)
    env = clean_environment({"PATH": f"{NETPROBE.parent}:{os.environ['PATH']}"})
    shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, start_new_session=True)
    try:
        assert shell.stdin is not None
        shell.stdin.write(typed.encode())
        shell.stdin.flush()
        peer, _ = silent.accept()
        with peer:
            arguments = all_arguments()
            assert any(b"bindtest" in words and b":%d" % port in words for words in arguments)
            assert not any(NONCE.encode() in words for words in arguments)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.communicate()


def all_arguments() -> list[bytes]:
    found = []
    for process in PROC.iterdir():
        if process.name.isdigit():
            try:
                found.append((process / "cmdline").read_bytes())
            except OSError:  # it has ended
                continue
    return found


@pytest.mark.parametrize("nonce", ["it's $HOME `id`", "*", "a b"])
def test_a_nonce_of_one_s_own_passes_through_a_shell_as_it_is(nonce: str) -> None:
    env = clean_environment()
    shown = subprocess.run(
        ["bash"], input=printed(nonce).partition(" netprobe ")[0] + " env", capture_output=True, text=True, env=env,
        check=True,
    )  # fmt: skip
    assert f"NETPROBE_BINDTEST_NONCE={nonce}" in shown.stdout.splitlines()


@pytest.mark.parametrize("nonce", ["a\nb", "\udcff", "\x1b[2J"])
def test_a_nonce_that_cannot_be_printed_is_refused(netprobe: Run, nonce: str) -> None:
    ran = netprobe("bindtest", "--addr", "127.0.0.1", "--listen-only", "--nonce", nonce)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr == "netprobe: --nonce: has characters that cannot be printed\n"


def test_without_a_nonce_there_is_nothing_to_connect_with(netprobe: Run) -> None:
    ran = netprobe("bindtest", "--connect", "127.0.0.1:9")
    assert ran.status == 2
    assert "needs the nonce" in ran.stderr
    assert "NETPROBE_BINDTEST_NONCE=" in ran.stderr.partition("hint:")[2]
