"""Hundreds of ssh vantages from one process, on asyncssh (the extra ``netprobe-cli[fleet]``): the same seam.

All sessions share one event loop in one thread; each session's ``run`` waits in its own thread for its part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from netprobe.errors import NetprobeError
from netprobe.reach.hearing import Emit, Lines, Say, program
from netprobe.reach.session import START_S
from netprobe.reach.unusable import VantageError, unusable
from netprobe.reach.vantages import CONNECT_S, KEEP_ALIVE_S, Vantage

__all__ = ["Fleet", "FleetSession", "has_asyncssh"]

SSH_PORT = 22
CONNECTING_AT_ONCE = 20  # key exchanges cost this host's processor


def has_asyncssh() -> bool:
    """Is the extra installed?"""
    return find_spec("asyncssh") is not None


class Fleet:
    """The event loop of all fleet sessions; started by the first one, ended by :meth:`close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self.asyncssh: Any = None
        self.starting: asyncio.Semaphore

    def submit(self, work: Callable[[], Any]) -> Future[None]:
        """Run the coroutine that ``work`` makes on the loop."""
        with self._lock:
            if self._loop is None:
                self.asyncssh = import_module("asyncssh")
                self.asyncssh.set_log_level("CRITICAL")  # what it would log, the cells say
                self._loop = asyncio.new_event_loop()
                self.starting = asyncio.Semaphore(CONNECTING_AT_ONCE)
                threading.Thread(target=self._loop.run_forever, name="netprobe-fleet", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(work(), self._loop)

    def close(self) -> None:
        """End the loop."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._loop = None


class FleetSession:
    """A vantage behind a connection of asyncssh; the user's ssh configuration, known hosts and agent are used."""

    def __init__(self, vantage: Vantage, fleet: Fleet, noise: Say = lambda text: None) -> None:
        self.vantage = vantage
        self.name = vantage.name
        self._fleet = fleet
        self._noise = noise
        self._work: Future[None] | None = None
        self._stopped = False

    def run(self, request: Mapping[str, Any], emit: Emit) -> None:
        """Probe; returns when the connection is closed."""
        if self._stopped:
            return
        lines = Lines(self.name, request, emit, self._noise)
        self._work = self._fleet.submit(lambda: self._probe(request, lines))
        if self._stopped:
            self._work.cancel()
        with contextlib.suppress(CancelledError):
            self._work.result()

    def stop(self) -> None:
        """Cancel: the connection is aborted on the loop."""
        self._stopped = True
        if self._work is not None:
            self._work.cancel()

    async def _probe(self, request: Mapping[str, Any], lines: Lines) -> None:
        asyncssh = self._fleet.asyncssh
        options: dict[str, Any] = {"connect_timeout": CONNECT_S, "keepalive_interval": 2, "keepalive_count_max": 2}
        if self.vantage.port:
            options["port"] = self.vantage.port
        if self.vantage.user:
            options["username"] = self.vantage.user
        said = ""
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with self._fleet.starting:  # until the hello: a start is most of the work, on both sides
                    async with asyncio.timeout(START_S):
                        connection = await asyncssh.connect(self.vantage.host, **options)
                    stack.callback(connection.abort)
                    process = await connection.create_process(self.vantage.command, encoding=None)
                    process.stdin.write(program(request))
                    await self._hear(process, lines, START_S, until_hello=True)
                await self._hear(process, lines, float(request["timeout"]) + KEEP_ALIVE_S)
                said = await self._last_words(process, lines)
        except TimeoutError:
            reason = "link died" if lines.hello else "no answer"
            raise VantageError(self.name, reason, "nothing heard in time") from None
        except (OSError, asyncssh.Error) as error:
            raise self._error(error, lines) from None
        if not lines.ended:
            raise unusable(self.name, "ssh", said, None, lines.hello)

    async def _hear(self, process: Any, lines: Lines, silence_s: float, until_hello: bool = False) -> None:
        """Take lines to the end, or to the hello. Raises TimeoutError when nothing comes for ``silence_s``."""
        while not lines.ended and not (until_hello and lines.hello):
            async with asyncio.timeout(silence_s):
                data = await process.stdout.read(65536)
            if not data:
                return
            lines.feed(data)

    async def _last_words(self, process: Any, lines: Lines) -> str:
        """What was said on stderr, when it ended too early."""
        if lines.ended:
            return ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                return bytes(await process.stderr.read(16384)).decode("utf-8", "replace")
        return ""

    def _error(self, error: Exception, lines: Lines) -> NetprobeError:
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
        return VantageError(name, "link died" if lines.hello else "no connection", str(error) or kind)

    def _knows_a_key(self) -> bool:
        """Is another key known of this host? asyncssh has one error for a changed key and for an unknown one."""
        asyncssh = self._fleet.asyncssh
        more: dict[str, Any] = {"port": self.vantage.port} if self.vantage.port else {}
        config = Path("~/.ssh/config").expanduser()
        if config.is_file():
            more["config"] = [str(config)]
        try:
            options = asyncssh.SSHClientConnectionOptions(host=self.vantage.host, **more)
            known = options.known_hosts or str(Path("~/.ssh/known_hosts").expanduser())
            port = options.port if options.port != SSH_PORT else None
            return bool(asyncssh.match_known_hosts(known, options.host_key_alias or options.host, "", port)[0])
        except (OSError, ValueError, asyncssh.Error):
            return False
