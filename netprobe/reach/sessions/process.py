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
from netprobe.reach.sessions.deadline import HELLO_S, Deadline
from netprobe.reach.sessions.receiver import Emit, OnNoise, Receiver, ignore_noise
from netprobe.reach.sessions.start_queue import StartQueue
from netprobe.reach.vantage_errors import VantageError, vantage_error
from netprobe.reach.vantages import Vantage

__all__ = ["START_S", "ProcessSession"]

START_S = HELLO_S
LOGINS_AT_ONCE = 10  # sshd drops strangers at random from the tenth on (sshd_config(5), MaxStartups 10:30:100)
STDERR_LIMIT = 16384  # bytes, the last ones
ENDING_S = 1.0

_LOGINS = StartQueue(LOGINS_AT_ONCE)
_AT_ONCE = StartQueue()


class ProcessSession:
    """One subprocess, started by ``run`` and gone after it. It is started when its turn in ``starts`` has come.

    Without ``starts``, ssh has a queue for all its logins, and nothing else waits.
    """

    def __init__(self, vantage: Vantage, on_noise: OnNoise = ignore_noise, starts: StartQueue | None = None) -> None:
        self.vantage = vantage
        self.name = vantage.name
        self._on_noise = on_noise
        self._starts = starts or (_LOGINS if vantage.kind == "ssh" else _AT_ONCE)
        self._stopped = threading.Event()
        self._wake: int | None = None  # the end of a pipe that wakes the reading loop, while there is one
        self._lock = threading.Lock()

    def run(self, request: Request, emit: Emit) -> None:
        """Start, ask, listen, and end it, whatever happens."""
        turn = self._starts.turn()
        waker, wake = os.pipe()
        try:
            with self._lock:
                self._wake = wake
            if turn.wait(self._stopped):
                self._run(request, Receiver(self.name, emit, self._on_noise), waker, turn.over)
        finally:
            turn.over()
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
        deadline = Deadline(receiver.name, request)
        while not self._stopped.is_set() and not receiver.has_ended:
            rest = deadline.rest()
            if not rest:
                raise deadline.error()
            for key, _ in self._selector.select(rest):
                if key.fileobj is self._stdin:
                    self._write()
                elif key.fileobj is self._stdout:
                    deadline.heard()
                    if not self._read(self._stdout, receiver.feed):
                        self._read_last_words()
                        return
                elif key.fileobj is self._stderr and not self._read(self._stderr, self._keep):
                    self._selector.unregister(self._stderr)
            if receiver.has_hello:
                deadline.has_hello()
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
