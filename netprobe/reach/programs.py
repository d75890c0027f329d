"""Programs that netprobe starts, none of which outlives it: each has a process group, and all groups have a watchdog.

Whatever can be caught ends in :meth:`Program.end`, which ends the whole group, with all that the program has started.
That is not enough: SIGKILL and the OOM killer cannot be caught, a second Ctrl-C ends netprobe in the middle of the
cleaning, and a program that hangs or reads no stdin does not notice that netprobe is gone. So a small process waits for
the end of a pipe that only netprobe holds open, and then ends the groups that were still registered. It has a session
of its own and ignores the signals that a terminal or a service manager sends to everybody.

Between the start of a program and its registration nothing may be lost either. So what is started first is a gate: a
shell that waits for one line on the program's stdin and then becomes the program (``exec``; it interprets no word of
the command). The line is written after the registration. If netprobe dies before, the gate sees the end of its stdin
and ends; if netprobe dies after, the watchdog knows the group. A shell's ``read`` takes no byte beyond the line from a
pipe (POSIX, read), so the program finds its stdin untouched. The gate costs 1 ms.

What was looked at instead: PR_SET_PDEATHSIG needs code between fork and exec, which in a process with threads may
deadlock (subprocess, preexec_fn); it fires when the thread that forked ends, is lost across set-user-ID programs such
as sudo, is not inherited by what the program starts, and exists on Linux only (PR_SET_PDEATHSIG(2const)). A Python as
watchdog takes 10 MB and 20 ms, the shell 1 MB and 1 ms.

A group's number is free for others once its leader has been waited for and the group is empty. So the leader is only
waited for after the group was killed, and looked at with WNOWAIT before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final

__all__ = ["NO_ROOM", "Program", "run"]

NO_ROOM: Final = frozenset((errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM))
"""What a start fails with when processes, descriptors or memory have run out: later there may be room (fork(2))."""

_TERM_S: Final = 0.3  # from the request to end to SIGKILL
_LOOK_S: Final = 0.2  # how often a program that can be stopped looks whether it was
_REAP_S: Final = 1.0  # a killed process is only kept by the kernel (in a system call that cannot be interrupted)
# Without a terminal, ssh asks in a window: one that runs behind docker, or for a ProxyCommand, has no BatchMode. The
# first is for OpenSSH 8.4 and later (ssh(1), SSH_ASKPASS_REQUIRE), the second one for those before.
_NO_QUESTIONS: Final = {"SSH_ASKPASS_REQUIRE": "never", "SSH_ASKPASS": "false"}
_GATE: Final = 'read -r _ && exec "$@"'
_GATE_NAME: Final = "start"
_CANNOT_RUN: Final = (126, 127)  # of a shell whose exec failed (POSIX, exec)

# "+ GROUP" and "- GROUP" come in, and the end of the input is netprobe's. The trap kills however this shell ends.
_WATCH: Final = """\
trap '' HUP INT TERM
groups=
end() { for group in $groups; do kill -s "$1" -- "-$group"; done; }
trap 'end KILL' EXIT
while read -r what group; do
    case $what in
    +) groups="$groups $group" ;;
    -) rest=
       for other in $groups; do [ "$other" = "$group" ] || rest="$rest $other"; done
       groups=$rest ;;
    esac
done
[ -z "$groups" ] || { end TERM; sleep 1; }
"""


class Program:
    """A program that runs, with pipes to its stdin, stdout and stderr, until :meth:`end`.

    Raises FileNotFoundError where there is no such program, another OSError (of :data:`NO_ROOM`, above all) where it
    cannot be started, ValueError for words that no program can be given. That a program which exists cannot be
    executed turns out later: see :meth:`failed_to_start`.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        if shutil.which(argv[0]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
        self._ended = False
        self._watchdog = _watchdog()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, _GATE_NAME, *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                env={**os.environ, **_NO_QUESTIONS},
            )
        except BaseException:
            self._watchdog.release()
            raise
        assert self._process.stdin and self._process.stdout and self._process.stderr  # they are pipes
        self.stdin: IO[bytes] = self._process.stdin
        self.stdout: IO[bytes] = self._process.stdout
        self.stderr: IO[bytes] = self._process.stderr
        try:
            self._watchdog.add(self._process.pid)
            with contextlib.suppress(BrokenPipeError):  # it has ended already: its status says why
                self.stdin.write(b"\n")
        except BaseException:
            self.end()
            raise

    def status(self, seconds: float) -> int | None:
        """Its exit status, negative for a signal, waited for at most ``seconds``; None while it runs.

        It stays a zombie, so that its number is not another's.
        """
        pause, until = 0.001, time.monotonic() + seconds
        while (status := self._status_now()) is None and (rest := until - time.monotonic()) > 0:
            time.sleep(min(pause, rest))
            pause = min(2 * pause, 0.05)
        return status

    def failed_to_start(self, status: int | None, words: str) -> str | None:
        """Why the program was never executed, from its ``status`` and what came on stderr; None if it was."""
        if status not in _CANNOT_RUN or not words.startswith(f"{_GATE_NAME}: "):
            return None
        return words.splitlines()[0].rpartition(": ")[2]

    def end(self) -> None:
        """End the whole group. What has left the group sees the end of its pipes. Safe to call twice."""
        if self._ended:
            return
        self._ended = True
        for stream in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        self._signal(signal.SIGTERM)
        self.status(_TERM_S)
        self._signal(signal.SIGKILL)  # what is left of the group, whether or not its leader has ended
        self.status(_REAP_S)
        self._watchdog.remove(self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0)
        self._watchdog.release()

    def _status_now(self) -> int | None:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll()
        try:
            found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:  # SIGCHLD is ignored here: the kernel has waited for it
            return self._process.poll()
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _signal(self, number: int) -> None:
        """PermissionError: all that is left of the group runs as another user (sudo), or is a zombie (macOS)."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ran to its end: its exit status and all that it printed."""

    status: int
    stdout: bytes
    stderr: bytes


def run(argv: Sequence[str], seconds: float, most: int, stopped: threading.Event | None = None) -> Finished:
    """Run a program with an empty stdin to its end, and end what it left.

    Raises what :class:`Program` raises, TimeoutError after ``seconds`` or soon after ``stopped`` is set, and
    OverflowError beyond ``most`` bytes.
    """
    until = time.monotonic() + seconds
    program = Program(argv)
    stdout, stderr = bytearray(), bytearray()
    try:
        program.stdin.close()
        with selectors.DefaultSelector() as selector:
            for stream, text in ((program.stdout, stdout), (program.stderr, stderr)):
                selector.register(stream, selectors.EVENT_READ, text)
            while selector.get_map():
                rest = _rest(until, seconds)
                if stopped is not None:
                    if stopped.is_set():
                        raise TimeoutError("stopped before its end")
                    rest = min(rest, _LOOK_S)
                for key, _ in selector.select(rest):
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                    key.data.extend(data)
                if len(stdout) + len(stderr) > most:
                    raise OverflowError(f"more than {most} bytes of output")
        while (status := program.status(_rest(until, seconds))) is None:
            pass
    finally:
        program.end()
    return Finished(status, bytes(stdout), bytes(stderr))


def _rest(until: float, seconds: float) -> float:
    rest = until - time.monotonic()
    if rest <= 0:
        raise TimeoutError(f"no end within {seconds:g} s")
    return rest


class _Watchdog:
    """The process that ends registered groups once this one is gone; it lives while programs do."""

    def __init__(self) -> None:
        reading, self._pipe = os.pipe()
        self._users = 0
        try:
            # Its stdout and stderr are the pipe's end, too, which takes no byte: it must not keep ours open.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH], stdin=reading, stdout=reading, stderr=reading, start_new_session=True
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(reading)

    def retain(self) -> None:
        """One more program; called with the lock."""
        self._users += 1

    def release(self) -> None:
        """One program less. The last one ends it."""
        global _shared
        with _lock:
            self._users -= 1
            if self._users:
                return
            if _shared is self:
                _shared = None
        os.close(self._pipe)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)

    def add(self, group: int) -> None:
        """End this group, too. Raises OSError when the watchdog itself is gone."""
        self._tell(f"+ {group}\n")

    def remove(self, group: int) -> None:
        """The group has been ended, and its number may be another's soon."""
        with contextlib.suppress(OSError):  # it is gone itself, and will end nobody
            self._tell(f"- {group}\n")

    def is_alive(self) -> bool:
        """Has nobody killed it?"""
        return self._process.poll() is None

    def _tell(self, line: str) -> None:
        os.write(self._pipe, line.encode("ascii"))  # so short that it is written whole (pipe(7), PIPE_BUF)


_shared: _Watchdog | None = None
_lock = threading.Lock()


def _watchdog() -> _Watchdog:
    """The one that watches for the programs that run now; a new one where there is none, or it was killed."""
    global _shared
    with _lock:
        if _shared is None or not _shared.is_alive():
            _shared = _Watchdog()
        _shared.retain()
        return _shared
