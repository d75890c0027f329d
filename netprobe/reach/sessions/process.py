"""A vantage behind a subprocess of its own: ssh, docker exec, nsenter, or whatever ``exec:`` names.

The prober goes in through stdin, messages come out of stdout, and stderr says why when it ends too early. Nothing is
installed at the vantage and nothing stays there. The far side is not trusted: bytes, lines and time are bounded, and
everything that the process started ends with it (:mod:`netprobe.reach.programs`).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from netprobe.prober import bundle
from netprobe.reach.messages import Request
from netprobe.reach.programs import NO_ROOM, Program
from netprobe.reach.sessions.deadline import Deadline
from netprobe.reach.sessions.receiver import Emit, OnNoise, Receiver, ignore_noise
from netprobe.reach.vantage_errors import VantageError, vantage_error
from netprobe.reach.vantages import Vantage

__all__ = ["ProcessSession"]

STDERR_LIMIT = 16384  # bytes, the last ones
ENDING_S = 1.0


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
        """Start, ask, listen, and end it, whatever happens."""
        waker, wake = os.pipe()
        try:
            with self._lock:
                self._wake = wake
            if not self._stopped.is_set():
                self._run(request, Receiver(self.name, emit, self._on_noise), waker)
        finally:
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

    def _run(self, request: Request, receiver: Receiver, waker: int) -> None:
        program = self._start()
        try:
            with _Conversation(program, receiver, waker, self._stopped) as conversation:
                conversation.send(bundle.program(traces=request.trace is not None))
                asked: Request | None = request
                while asked is not None:
                    conversation.ask(asked)
                    asked = receiver.follow_up()
                conversation.close_stdin()
                status = program.status(0.0 if self._stopped.is_set() else ENDING_S)
                if not receiver.has_ended and not receiver.only_adds and not self._stopped.is_set():
                    raise self._early_end(program, conversation.last_words, status, receiver)
        finally:
            program.end()

    def _start(self) -> Program:
        argv = self.vantage.argv
        try:
            return Program(argv)
        except FileNotFoundError:
            raise VantageError(self.name, f"{argv[0]} is not installed here") from None
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise  # for who asks: there may be room when another session has ended
            raise VantageError(self.name, f"{argv[0]} cannot be run here", str(error)) from None

    def _early_end(self, program: Program, words: str, status: int | None, receiver: Receiver) -> VantageError:
        why = program.failed_to_start(status, words)
        if why is not None:
            return VantageError(self.name, f"{self.vantage.argv[0]} cannot be run here", why)
        return vantage_error(self.vantage, words, status, had_hello=receiver.has_hello, said=receiver.first_noise)


class _Conversation:
    """The writing and reading with one process: first the prober goes in, then requests, while messages come out.

    stdin stays open between the requests, and its end is the prober's end.
    """

    def __init__(self, program: Program, receiver: Receiver, waker: int, stopped: threading.Event) -> None:
        self._stdin, self._stdout, self._stderr = program.stdin, program.stdout, program.stderr
        self._receiver = receiver
        self._stopped = stopped
        self._unsent = bytearray()
        self._last_words = b""
        self._deadline: Deadline | None = None
        self._selector = selectors.DefaultSelector()
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
        for readable in (self._stdout, self._stderr, waker):
            self._selector.register(readable, selectors.EVENT_READ)

    @property
    def last_words(self) -> str:
        """The end of what came on stderr."""
        return self._last_words.decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()

    def close_stdin(self) -> None:
        """End the prober's input, and with it the prober."""
        if self._stdin in self._selector.get_map():
            self._selector.unregister(self._stdin)
        with contextlib.suppress(OSError):
            self._stdin.close()

    def ask(self, request: Request) -> None:
        """Send a request and read until it is done, the process says no more, or we are stopped.

        The end of the time is no error where the request only adds to what is there.
        """
        receiver = self._receiver
        receiver.expect(request)
        self.send(bundle.question(request.for_a_far_prober().to_json()))
        deadline = self._deadline = Deadline(receiver.name, request, before=self._deadline)
        while not self._stopped.is_set() and not receiver.has_ended:
            # With no time left it is still looked at what has come: to read it took this side's time, and while that
            # went by the other side was not silent. The absolute ends hold all the same.
            ready = self._selector.select(deadline.rest())
            if not deadline.rest() and (not ready or deadline.is_over()):
                if request.only_adds:
                    return
                raise deadline.error()
            for key, _ in ready:
                if key.fileobj is self._stdin:
                    self._write()
                elif key.fileobj is self._stdout:
                    deadline.heard()
                    if not self._read(self._stdout, receiver.feed):
                        self._read_last_words()
                        return
                elif key.fileobj is self._stderr:
                    deadline.heard()  # or it would be said that nothing was received
                    if not self._read(self._stderr, self._keep):
                        self._selector.unregister(self._stderr)
            if receiver.has_hello:
                deadline.said_hello()

    def send(self, data: bytes) -> None:
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
        for stream in (self._stdin, self._stdout):
            if stream in self._selector.get_map():
                self._selector.unregister(stream)
        deadline = time.monotonic() + ENDING_S
        while self._stderr in self._selector.get_map() and not self._stopped.is_set():
            rest = deadline - time.monotonic()
            if rest <= 0:
                return
            for key, _ in self._selector.select(rest):
                if key.fileobj is self._stderr and not self._read(self._stderr, self._keep):
                    return
