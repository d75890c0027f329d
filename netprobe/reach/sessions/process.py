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

from netprobe.reach.messages import Request
from netprobe.reach.sessions.receiver import Emit, OnNoise, Receiver, ignore_noise
from netprobe.reach.sessions.travel import program
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
        """End now: the reading loop wakes, kills the group and goes."""
        self._stopped.set()
        with self._lock:
            if self._wake is not None:
                os.write(self._wake, b".")

    def _run(self, request: Request, receiver: Receiver, waker: int, on_hello: Callable[[], None]) -> None:
        process = self._start()
        try:
            conversation = _Conversation(process, receiver, waker, self._stopped)
            conversation.ask(request, on_hello)
            if not receiver.has_ended and not self._stopped.is_set():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(ENDING_S)
                raise vantage_error(
                    self.name, self.vantage.kind, conversation.stderr, process.poll(), had_hello=receiver.has_hello
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.0 if self._stopped.is_set() else ENDING_S)
        finally:
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
    """The writing and reading with one process. stdin stays open: its end would end the prober."""

    def __init__(
        self, process: subprocess.Popen[bytes], receiver: Receiver, waker: int, stopped: threading.Event
    ) -> None:
        self._process = process
        self._receiver = receiver
        self._waker = waker
        self._stopped = stopped
        self._stderr = b""

    @property
    def stderr(self) -> str:
        """The end of what came on stderr."""
        return self._stderr.decode("utf-8", "replace")

    def ask(self, request: Request, on_hello: Callable[[], None]) -> None:
        """Send a request and read until it is done, the process says no more, or we are stopped."""
        process, receiver = self._process, self._receiver
        assert process.stdin and process.stdout and process.stderr
        receiver.expect(request)
        unsent = memoryview(program(request))
        begun = heard = time.monotonic()
        silence_s = request.timeout + KEEP_ALIVE_S
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdin, process.stdout, process.stderr):
                os.set_blocking(stream.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            selector.register(self._waker, selectors.EVENT_READ)
            while not self._stopped.is_set() and not receiver.has_ended:
                now = time.monotonic()
                due = heard + silence_s if receiver.has_hello else begun + START_S
                if now >= due:
                    raise self._overdue(silence_s)
                for key, _ in selector.select(min(due - now, 0.5)):
                    if key.fileobj is process.stdin:
                        unsent = unsent[_write(key.fd, unsent) :]
                        if not unsent:
                            selector.unregister(process.stdin)
                            process.stdin.close()
                    elif key.fileobj is process.stdout:
                        heard = time.monotonic()
                        if not self._read(key.fd, receiver.feed):
                            self._read_last_of_stderr()
                            return
                    elif key.fileobj is process.stderr and not self._read(key.fd, self._keep):
                        selector.unregister(process.stderr)
                if receiver.has_hello:
                    on_hello()

    def _overdue(self, silence_s: float) -> VantageError:
        name = self._receiver.name
        if self._receiver.has_hello:
            return VantageError(name, "link died", f"nothing heard for {silence_s:g} s")
        return VantageError(name, "no hello", f"no word from the prober within {START_S:g} s")

    @staticmethod
    def _read(number: int, take: Callable[[bytes], None]) -> bool:
        """Take what waits; False at the end."""
        try:
            data = os.read(number, 65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        take(data)
        return bool(data)

    def _keep(self, data: bytes) -> None:
        self._stderr = (self._stderr + data)[-STDERR_LIMIT:]

    def _read_last_of_stderr(self) -> None:
        """stdout has ended: the reason may come a moment later."""
        assert self._process.stderr
        deadline = time.monotonic() + ENDING_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stderr, selectors.EVENT_READ)
            while (rest := deadline - time.monotonic()) > 0:
                if selector.select(rest) and not self._read(self._process.stderr.fileno(), self._keep):
                    return


def _write(number: int, data: memoryview) -> int:
    """Write what fits. A far side that no longer reads takes all: its exit status says why."""
    try:
        return os.write(number, data[:65536])
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)


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
