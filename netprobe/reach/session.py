"""One subprocess for each vantage: the prober goes in, JSON lines come out, and nothing stays.

The prober goes to stdin with its first question behind it; stdin stays open, since its end ends the prober. What comes
before the first JSON line is a login shell's noise. Output, errors and time are bounded, and what is received is
checked: a vantage is not trusted.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from netprobe.errors import NetprobeError
from netprobe.reach.hearing import Emit, Lines, Say, program
from netprobe.reach.unusable import VantageError, unusable
from netprobe.reach.vantages import CONNECT_S, KEEP_ALIVE_S, Vantage

__all__ = ["START_S", "ProcessSession"]

AT_ONCE = 10  # sshd drops strangers at random from the tenth on (sshd_config(5), MaxStartups 10:30:100)
START_S = CONNECT_S + 10.0  # from the start of the program to the hello
SAID_LIMIT = 16384
ENDING_S = 1.0
STARTS = threading.BoundedSemaphore(AT_ONCE)


class ProcessSession:
    """A vantage behind a subprocess of its own, in a process group of its own."""

    def __init__(self, vantage: Vantage, noise: Say = lambda text: None) -> None:
        self.vantage = vantage
        self.name = vantage.name
        self._noise = noise
        self._stopped = threading.Event()
        self._waker, self._wake = os.pipe()
        self._closing = threading.Lock()

    def run(self, request: Mapping[str, Any], emit: Emit) -> None:
        """Start, feed, listen, and end it, whatever happens."""
        limited = self.vantage.kind == "ssh"
        while limited and not STARTS.acquire(timeout=0.2):
            if self._stopped.is_set():
                return
        started = [limited]

        def up() -> None:
            if started[0]:
                started[0] = False
                STARTS.release()

        try:
            if not self._stopped.is_set():
                self._run(request, emit, up)
        finally:
            up()
            with self._closing:
                os.close(self._waker)
                os.close(self._wake)
                self._wake = -1

    def stop(self) -> None:
        """End now: the reading loop wakes, kills the group and goes."""
        self._stopped.set()
        with self._closing:
            if self._wake >= 0:
                os.write(self._wake, b"x")

    def _run(self, request: Mapping[str, Any], emit: Emit, up: Callable[[], None]) -> None:
        argv = self.vantage.argv
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            # A folder of PATH that may not be read hides a missing program behind "permission denied" (execvp(3)).
            if isinstance(error, FileNotFoundError | PermissionError) and shutil.which(argv[0]) is None:
                raise VantageError(self.name, f"{argv[0]} is not installed here") from None
            raise VantageError(self.name, f"{argv[0]} cannot be run here", str(error)) from None
        lines = Lines(self.name, request, emit, self._noise)
        try:
            said = Conversation(process, lines, self._waker, self._stopped, up).hold(program(request), request)
            if not lines.ended and not self._stopped.is_set():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(ENDING_S)
                raise self._why(said, process.poll(), lines.hello)
            if process.stdin is not None:
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.0 if self._stopped.is_set() else ENDING_S)
        finally:
            end(process)

    def _why(self, said: str, status: int | None, heard: bool) -> NetprobeError:
        return unusable(self.name, self.vantage.kind, said, status, heard)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, and take its pipes away: what was not of the group ends on its next word."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.3)
            if number == signal.SIGTERM:
                continue
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.0)


class Conversation:
    """The reading and writing with one process, until its end, its last line, or its time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        lines: Lines,
        waker: int,
        stopped: threading.Event,
        up: Callable[[], None],
    ) -> None:
        self._process = process
        self._lines = lines
        self._stopped = stopped
        self._waker = waker
        self._up = up
        self._said = b""

    def hold(self, text: bytes, request: Mapping[str, Any]) -> str:
        """Give ``text``, read lines; the end of what was said on stderr comes back."""
        process = self._process
        assert process.stdin and process.stdout and process.stderr
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdin, process.stdout, process.stderr):
                os.set_blocking(stream.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            selector.register(self._waker, selectors.EVENT_READ)
            rest = memoryview(text)
            begun = heard = time.monotonic()
            silence = float(request["timeout"]) + KEEP_ALIVE_S
            while not self._stopped.is_set() and not self._lines.ended:
                now = time.monotonic()
                due = heard + silence if self._lines.hello else begun + START_S
                if now >= due:
                    self._overdue(silence)
                for key, _ in selector.select(min(due - now, 0.5)):
                    if key.fileobj is process.stdin:
                        rest = rest[give(key.fd, rest) :]
                        if not rest:
                            selector.unregister(process.stdin)
                    elif key.fd != self._waker and not self._read(key.fd, key.fileobj is process.stdout):
                        selector.unregister(key.fileobj)
                        if key.fileobj is process.stdout:
                            self._last_words(process.stderr.fileno())
                            return self._said.decode("utf-8", "replace")
                    elif key.fileobj is process.stdout:
                        heard = time.monotonic()
                if self._lines.hello:
                    self._up()
        return self._said.decode("utf-8", "replace")

    def _overdue(self, silence: float) -> None:
        name = self._lines.name
        if self._lines.hello:
            raise VantageError(name, "link died", f"nothing heard for {silence:g} s")
        raise VantageError(name, "no hello", f"no word from the prober within {START_S:g} s")

    def _read(self, number: int, of_stdout: bool) -> bool:
        """Take what waits; False at the end."""
        try:
            data = os.read(number, 65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if of_stdout:
            self._lines.feed(data)
        else:
            self._said = (self._said + data)[-SAID_LIMIT:]
        return bool(data)

    def _last_words(self, number: int) -> None:
        """stdout ended: stderr may have a moment more."""
        deadline = time.monotonic() + ENDING_S
        with selectors.DefaultSelector() as selector:
            selector.register(number, selectors.EVENT_READ)
            while (rest := deadline - time.monotonic()) > 0:
                if selector.select(rest) and not self._read(number, of_stdout=False):
                    return


def give(number: int, rest: memoryview) -> int:
    """Write what fits; a closed other side takes all (its exit status says why)."""
    try:
        return os.write(number, rest[:65536])
    except BlockingIOError:
        return 0
    except OSError:
        return len(rest)
