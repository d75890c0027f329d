"""Hundreds of ssh vantages from one process, on asyncssh (the extra ``netprobe-cli[fleet]``): the same seam.

Why not OpenSSH for these, too: each ``ssh`` is a process with three pipes, and one run would start hundreds. Here all
sessions share one event loop in one thread, and each session's ``run`` waits for its part of it in the thread that it
has anyway. The price is a second implementation of the user's ssh configuration, which is why it is only used for the
hosts of an inventory, and only where the extra is installed. A login costs the same on both: most of it is the key
exchange (0.7 s up to the end of an empty request, in the lab, with client, sshd and prober on one busy machine).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from netprobe.errors import NetprobeError
from netprobe.prober import bundle
from netprobe.reach.messages import Request
from netprobe.reach.sessions.deadline import Deadline
from netprobe.reach.sessions.receiver import Emit, OnNoise, Receiver, ignore_noise
from netprobe.reach.vantage_errors import VantageError, vantage_error
from netprobe.reach.vantages import CONNECT_S, Vantage

__all__ = ["Fleet", "FleetSession", "has_asyncssh"]

SSH_PORT = 22
CONNECTING_AT_ONCE = 20  # key exchanges cost this host's processor
CLOSING_S = 1.0


def has_asyncssh() -> bool:
    """Is the extra installed?"""
    return find_spec("asyncssh") is not None


class Fleet:
    """The event loop of all fleet sessions, in a thread: started by the first of them, ended by :meth:`close`."""

    def __init__(self) -> None:
        self.asyncssh: Any = None
        self.starting: asyncio.Semaphore
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed: asyncio.Event
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def session(self, vantage: Vantage, on_noise: OnNoise = ignore_noise) -> FleetSession:
        """A session of this fleet."""
        return FleetSession(vantage, self, on_noise)

    def submit(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Run ``work`` on the loop."""
        with self._lock:
            if self._thread is None:
                self.asyncssh = import_module("asyncssh")
                self.asyncssh.set_log_level("CRITICAL")  # the cells say what it would log
                started = threading.Event()
                self._thread = threading.Thread(
                    target=asyncio.run, args=(self._serve(started),), name="netprobe-fleet", daemon=True
                )
                self._thread.start()
                started.wait()
            assert self._loop is not None
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, function: Callable[[], object]) -> None:
        """Call ``function`` on the loop, if there is one."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End the loop and its thread, and whatever still runs there."""
        with self._lock:
            if self._thread is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self._closed.set)
                self._thread.join(CLOSING_S)
                self._loop = self._thread = None

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self.starting = asyncio.Semaphore(CONNECTING_AT_ONCE)
        started.set()
        await self._closed.wait()


class FleetSession:
    """A vantage behind a connection of asyncssh; the user's ssh configuration, known hosts and agent are used."""

    def __init__(self, vantage: Vantage, fleet: Fleet, on_noise: OnNoise = ignore_noise) -> None:
        self.vantage = vantage
        self.name = vantage.name
        self._fleet = fleet
        self._on_noise = on_noise
        self._stopped = threading.Event()
        self._task: asyncio.Task[None] | None = None

    def run(self, request: Request, emit: Emit) -> None:
        """Ask; returns when the connection is closed."""
        self._fleet.submit(self._until_stopped(request, Receiver(self.name, emit, self._on_noise))).result()

    def stop(self) -> None:
        """Cancel the conversation. It sets the flag first, and the conversation looks at it once it has its task."""
        self._stopped.set()
        if self._task is not None:
            self._fleet.call(self._task.cancel)

    async def _until_stopped(self, request: Request, receiver: Receiver) -> None:
        self._task = asyncio.current_task()
        if not self._stopped.is_set():
            try:
                await self._converse(request, receiver)
            except asyncio.CancelledError:
                if not self._stopped.is_set():
                    raise VantageError(self.name, "link died", "the fleet was closed") from None

    async def _converse(self, request: Request, receiver: Receiver) -> None:
        asyncssh = self._fleet.asyncssh
        login = {"username": self.vantage.user} if self.vantage.user else {}
        keepalive = {"keepalive_interval": 2, "keepalive_count_max": 2}
        stderr = ""
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with self._fleet.starting:  # until the hello: a start is most of the work, on both sides
                    deadline = Deadline(self.name, request)
                    async with asyncio.timeout(deadline.rest()):
                        connection = await asyncssh.connect(
                            self.vantage.host, connect_timeout=CONNECT_S, **self._port(), **login, **keepalive
                        )
                    stack.push_async_callback(self._disconnect, connection)
                    process = await connection.create_process(self.vantage.command, encoding=None)
                    receiver.expect(request)
                    process.stdin.write(bundle.program() + bundle.question(request.for_a_far_prober().to_json()))
                    await self._receive(process, receiver, deadline, until_hello=True)
                await self._receive(process, receiver, deadline)
                if not receiver.has_ended:
                    stderr = await self._read_stderr(process)
        except TimeoutError:
            raise deadline.error() from None
        except (OSError, asyncssh.Error) as error:
            raise self._error(error, receiver) from None
        if not receiver.has_ended:
            raise vantage_error(self.name, "ssh", stderr, None, had_hello=receiver.has_hello)

    @staticmethod
    async def _disconnect(connection: Any) -> None:
        connection.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await connection.wait_closed()

    @staticmethod
    async def _receive(process: Any, receiver: Receiver, deadline: Deadline, until_hello: bool = False) -> None:
        """Read to the end, or to the hello. Raises TimeoutError when the time is over."""
        while not receiver.has_ended and not (until_hello and receiver.has_hello):
            async with asyncio.timeout(deadline.rest()):
                data = await process.stdout.read(65536)
            if not data:
                return
            deadline.heard()
            receiver.feed(data)
            if receiver.has_hello:
                deadline.has_hello()

    @staticmethod
    async def _read_stderr(process: Any) -> str:
        """The reason that came there, when it ended too early."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                return bytes(await process.stderr.read(16384)).decode("utf-8", "replace")
        return ""

    def _error(self, error: Exception, receiver: Receiver) -> NetprobeError:
        """asyncssh's errors in the words of the table."""
        name, kind = self.name, type(error).__name__
        no_common_key = kind == "KeyExchangeFailed" and "host key" in str(error)
        if kind == "HostKeyNotVerifiable" or no_common_key:
            if no_common_key or self._knows_a_key():
                return VantageError(name, "host key changed", hint="ssh-keygen -R HOST, once you know why")
            return VantageError(name, "host key unknown", hint="log in once with ssh by hand, or ssh-keyscan")
        if kind == "PermissionDenied":
            return VantageError(
                name, "permission denied", hint="ssh must get in without a question: a key, or an agent"
            )
        if isinstance(error, ConnectionRefusedError):
            return VantageError(name, "connection refused")
        if kind == "gaierror":
            return VantageError(name, "host unknown")
        return VantageError(name, "link died" if receiver.has_hello else "no connection", str(error) or kind)

    def _port(self) -> dict[str, int]:
        """Only where the vantage names one: otherwise the user's configuration does."""
        return {"port": self.vantage.port} if self.vantage.port else {}

    def _knows_a_key(self) -> bool:
        """Is another key known of this host? asyncssh has one error for a changed key and for an unknown one."""
        asyncssh = self._fleet.asyncssh
        config = Path("~/.ssh/config").expanduser()
        files = {"config": [str(config)]} if config.is_file() else {}
        try:
            options = asyncssh.SSHClientConnectionOptions(host=self.vantage.host, **self._port(), **files)
            known = options.known_hosts or str(Path("~/.ssh/known_hosts").expanduser())
            port = options.port if options.port != SSH_PORT else None
            return bool(asyncssh.match_known_hosts(known, options.host_key_alias or options.host, "", port)[0])
        except (OSError, ValueError, asyncssh.Error):
            return False
