"""A vantage behind OpenSSH: a subprocess like the others, which waits for its turn and tries again when it is dropped.

There is one meaning of ssh here, OpenSSH's, for one host and for hundreds. asyncssh was the second one, for the hosts
of an inventory: one process with one event loop in place of an ``ssh`` for each. It needed a second reading of the
user's configuration, and the two did not agree where it matters: to asyncssh ``UserKnownHostsFile none`` was a licence
to trust any key, and it ignored ``StrictHostKeyChecking``. What it saved was measured: 200 hosts behind 20 sshds
(OpenSSH 9.2, all on the same two busy processors), 20 logins at once with asyncssh as it was, 64 with ssh and at most
ten at each sshd, alternating, three rounds. asyncssh took 16.0, 16.6 and 20.2 s, ssh 25.6, 26.1 and 30.3 s: 1.5 to 1.6
times, and no host was lost. ssh cost this host 125 ms of processor a login in place of 15; 100 of them are the
post-quantum key exchange, which asyncssh left out.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from netprobe.reach.messages import Hello, Message, Request
from netprobe.reach.sessions.process import ProcessSession
from netprobe.reach.sessions.receiver import Emit, OnNoise, ignore_noise
from netprobe.reach.sessions.ssh_destination import Destination, read_destination
from netprobe.reach.sessions.start_queue import StartQueue, Turn
from netprobe.reach.vantage_errors import DROPPED, DROPPED_HINT, PIPE_ENDED, VantageError
from netprobe.reach.vantages import Vantage

__all__ = ["LoginSession"]


class LoginSession:
    """One login, or several in a row while an sshd that it passes drops it. ``queue`` is shared with all others."""

    def __init__(self, vantage: Vantage, queue: StartQueue, on_noise: OnNoise = ignore_noise) -> None:
        self.vantage = vantage
        self.name = vantage.name
        self._queue = queue
        self._on_noise = on_noise
        self._stopped = threading.Event()
        self._session: ProcessSession | None = None
        self._lock = threading.Lock()

    def run(self, request: Request, emit: Emit) -> None:
        """Log in when it is our turn, and ask."""
        destination = read_destination(self.vantage.command_prefix, self._stopped)
        turn = self._queue.turn(destination.sshds)
        drops, since = 0, time.monotonic()
        while not self._stopped.is_set():
            try:
                self._log_in(destination, turn, request, emit)
                return
            except VantageError as error:
                # A jump host's banner is no reason; what else of ssh's would be one has a reason of its own.
                if error.reason != DROPPED and not (destination.only_jumps and error.reason == PIPE_ENDED):
                    raise
                drops += 1
                pause = turn.dropped()
                if pause is None:
                    raise self._given_up(drops, time.monotonic() - since) from None
            self._stopped.wait(pause)

    def stop(self) -> None:
        """End now, or never start."""
        self._stopped.set()
        with self._lock:
            if self._session is not None:
                self._session.stop()

    def _log_in(self, destination: Destination, turn: Turn, request: Request, emit: Emit) -> None:
        """One session, from its turn to its end."""

        def emit_and_yield(message: Message) -> None:
            if isinstance(message, Hello):
                turn.arrived()
            emit(message)

        try:
            if turn.wait(self._stopped):
                session = ProcessSession(replace(self.vantage, command_prefix=destination.prefix), self._on_noise)
                with self._lock:
                    self._session = session
                if not self._stopped.is_set():  # set before stop() looked at the session
                    session.run(request, emit_and_yield)
        finally:
            turn.over()

    def _given_up(self, drops: int, seconds: float) -> VantageError:
        often = f"{drops} times in {seconds:.0f} s" if drops > 1 else "once"
        return VantageError(self.name, DROPPED, f"the connection was {DROPPED}, {often}", DROPPED_HINT)
