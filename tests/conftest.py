"""What every test may use: the console script as a process, run for real."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

NETPROBE = Path(sys.executable).with_name("netprobe")  # the installed console script


def pytest_configure() -> None:
    """Let processes of the tests be interrupted: a background job of a shell ignores SIGINT, and they inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True, slots=True)
class Ran:
    """How one process ended."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Ran]


@pytest.fixture
def netprobe() -> Run:
    """Run the installed ``netprobe`` with arguments, ``stdin`` text and extra environment; 60 s at most."""

    def run(*args: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Ran:
        return run_process([str(NETPROBE), *args], stdin=stdin, env=env)

    return run


def cannot_run(reason: str) -> NoReturn:
    """Skip the test that is running; in CI, where everything is installed, it fails."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def needs(program: str) -> None:
    """This test calls ``program``."""
    if shutil.which(program) is None:
        cannot_run(f"{program} is not installed")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without anything that steers netprobe or the terminal, plus ``extra``."""
    steering = ("NETPROBE_", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM")
    env = {k: v for k, v in os.environ.items() if not k.startswith(steering)}
    return {**env, "TERM": "xterm-256color", **(extra or {})}


def run_process(
    argv: Sequence[str], stdin: str | None = None, env: Mapping[str, str] | None = None, timeout: float = 60
) -> Ran:
    """Run ``argv`` to its end (``timeout`` seconds at most), with an empty stdin where none is given."""
    done = subprocess.run(
        argv,
        input=stdin or "",
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        env=clean_environment(env),
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def run_in_terminal(argv: Sequence[str], columns: int = 80, env: Mapping[str, str] | None = None) -> Ran:
    """Run ``argv`` with stdin, stdout and stderr on a pseudo-terminal of ``columns`` x 24; stderr is in stdout."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=clean_environment(env), start_new_session=True
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while chunk := _read_terminal(ours):
            shown += chunk
        status = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Ran(status, shown.decode("utf-8").replace("\r\n", "\n"), "")


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO: the last process has closed its side
        return b""
