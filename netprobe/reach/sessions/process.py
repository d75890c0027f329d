"""A vantage behind a subprocess of its own: ssh, docker exec, nsenter, or whatever ``exec:`` names.

The prober goes in through stdin, messages come out of stdout, and stderr says why when it ends too early. Nothing is
installed at the vantage and nothing stays there. The far side is not trusted: bytes, lines and time are bounded, and
the process has a group of its own, so that everything it started can be ended with it.
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
from collections.abc import Callable
from typing import IO

from netprobe.prober import bundle
from netprobe.reach.messages import Request
from netprobe.reach.sessions.receiver import Emit, OnNoise, Receiver, ignore_noise
from netprobe.reach.vantage_errors import VantageError, vantage_error
from netprobe.reach.vantages import CONNECT_S, KEEP_ALIVE_S, Vantage

__all__ = ["START_S", "ProcessSession"]

LOGINS_AT_ONCE = 10  # sshd drops strangers at random from the tenth on (sshd_config(5), MaxStartups 10:30:100)
START_S = CONNECT_S + 10.0  # from the start of the program to the hello
STDERR_LIMIT = 16384  # bytes, the last ones
ENDING_S = 1.0

_logins = threading.BoundedSemaphore(LOGINS_AT_ONCE)


class ProcessSession:
    """One subprocess, started by ``run`` and gone after it."""

    def __init__(self, vantage: Vantage, on_noise: OnNoise = ignore_noise) -> None:
        self.vantage = vantage
        self.name = vantage.name
        self._on_noise = on_noise
        self._stopped = threading.Event()
        self._wake: int | None = None  # the end of a pipe that wakes the reading loop, while there is one
        self._lock = threading.Lock()

    def run(self, request: Request, emit: Emit) -> None:
        """Start, ask, listen, and end it, whatever happens. Logins wait for their turn."""
        login = _Login(self.vantage.kind == "ssh")
        waker, wake = os.pipe()
        try:
            with self._lock:
                self._wake = wake
            if login.wait(self._stopped):
                self._run(request, Receiver(self.name, emit, self._on_noise), waker, login.over)
        finally:
            login.over()
            with self._lock:
                self._wake = None
            os.close(waker)
            os.close(wake)

    def stop(self) -> None:
        """End now: the reading loop wakes, kills the group and returns."""
        self._stopped.set()
        with self._lock:
            if self._wake is not None:
                os.write(self._wake, b".")

    def _run(self, request: Request, receiver: Receiver, waker: int, on_hello: Callable[[], None]) -> None:
        process = self._start()
        conversation = _Conversation(process, receiver, waker, self._stopped)
        try:
            conversation.ask(request, on_hello)
            conversation.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.0 if self._stopped.is_set() else ENDING_S)
            if not receiver.has_ended and not self._stopped.is_set():
                status = process.poll()
                raise vantage_error(
                    self.name, self.vantage.kind, conversation.last_words, status, had_hello=receiver.has_hello
                )
        finally:
            conversation.close()
            _end(process)

    def _start(self) -> subprocess.Popen[bytes]:
        argv = self.vantage.argv
        try:
            return subprocess.Popen(
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


class _Login:
    """One of the few places among the logins that are under way, given back at the hello."""

    def __init__(self, limited: bool) -> None:
        self._limited = limited
        self._held = False

    def wait(self, stopped: threading.Event) -> bool:
        """True when it is our turn, False when we were stopped before it came."""
        while not stopped.is_set():
            if not self._limited or _logins.acquire(timeout=0.2):
                self._held = self._limited
                return True
        return False

    def over(self) -> None:
        """Let the next one log in; safe to call twice."""
        if self._held:
            self._held = False
            _logins.release()


class _Conversation:
    """The writing and reading with one process: first the prober goes in, then requests, while messages come out.

    stdin stays open between the requests, and its end is the prober's end.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], receiver: Receiver, waker: int, stopped: threading.Event
    ) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._receiver = receiver
        self._stopped = stopped
        self._unsent = bytearray(bundle.program())
        self._last_words = b""
        self._selector = selectors.DefaultSelector()
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
        for readable in (self._stdout, self._stderr, waker):
            self._selector.register(readable, selectors.EVENT_READ)

    @property
    def last_words(self) -> str:
        """The end of what came on stderr."""
        return self._last_words.decode("utf-8", "replace")

    def close(self) -> None:
        """End the prober's input, and with it the prober."""
        self._selector.close()
        with contextlib.suppress(OSError):
            self._stdin.close()

    def ask(self, request: Request, on_hello: Callable[[], None]) -> None:
        """Send a request and read until it is done, the process says no more, or we are stopped."""
        receiver = self._receiver
        receiver.expect(request)
        self._send(bundle.question(request.for_a_far_prober().to_json()))
        begun = received = time.monotonic()
        silence_s = request.timeout + KEEP_ALIVE_S
        while not self._stopped.is_set() and not receiver.has_ended:
            now = time.monotonic()
            due = received + silence_s if receiver.has_hello else begun + START_S
            if now >= due:
                raise self._overdue(silence_s)
            for key, _ in self._selector.select(min(due - now, 0.5)):
                if key.fileobj is self._stdin:
                    self._write()
                elif key.fileobj is self._stdout:
                    received = time.monotonic()
                    if not self._read(self._stdout, receiver.feed):
                        self._read_last_words()
                        return
                elif key.fileobj is self._stderr and not self._read(self._stderr, self._keep):
                    self._selector.unregister(self._stderr)
            if receiver.has_hello:
                on_hello()

    def _send(self, data: bytes) -> None:
        """Have ``data`` written as the process reads it."""
        self._unsent += data
        if self._stdin not in self._selector.get_map():
            self._selector.register(self._stdin, selectors.EVENT_WRITE)

    def _write(self) -> None:
        """Write what fits. What a far side no longer reads is dropped: its exit status says why."""
        try:
            del self._unsent[: os.write(self._stdin.fileno(), self._unsent[:65536])]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if not self._unsent:
            self._selector.unregister(self._stdin)

    def _overdue(self, silence_s: float) -> VantageError:
        name = self._receiver.name
        if self._receiver.has_hello:
            return VantageError(name, "link died", f"nothing received for {silence_s:g} s")
        return VantageError(name, "no hello", f"no hello from the prober within {START_S:g} s")

    @staticmethod
    def _read(stream: IO[bytes], take: Callable[[bytes], None]) -> bool:
        """Take what waits; False at the end."""
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        take(data)
        return bool(data)

    def _keep(self, data: bytes) -> None:
        self._last_words = (self._last_words + data)[-STDERR_LIMIT:]

    def _read_last_words(self) -> None:
        """stdout has ended: the reason may come a moment later."""
        deadline = time.monotonic() + ENDING_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._stderr, selectors.EVENT_READ)
            while (rest := deadline - time.monotonic()) > 0:
                if selector.select(rest) and not self._read(self._stderr, self._keep):
                    return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, and take its pipes away: what has left the group ends when it next writes or reads."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.3)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.0)
