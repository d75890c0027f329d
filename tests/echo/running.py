"""A real server of the installed script, for one test."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from tests.conftest import NETPROBE, clean_environment

__all__ = ["Server", "exactly"]


class Server:
    """A running ``netprobe echo serve --port 0 --json``."""

    def __init__(self, *options: str, prefix: Sequence[str] = (), pass_fds: Sequence[int] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, str(NETPROBE), "echo", "serve", "--port", "0", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
            pass_fds=pass_fds,
        )
        assert self.process.stdout is not None
        self.listening: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.port: int = self.listening["port"]

    def connect(self) -> socket.socket:
        return socket.create_connection((self.listening["host"], self.port), timeout=20)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, Any]], str]:
        """End it; its exit status, the events since the last one that was read, and its stderr.

        Not by communicate(): that reads from the pipe itself, past what readline() has taken from it and not returned.
        """
        assert self.process.stdout is not None and self.process.stderr is not None
        with ThreadPoolExecutor(1) as reader:
            err = reader.submit(self.process.stderr.read)
            self.process.send_signal(number)
            late = threading.Timer(20, self.process.kill)
            late.start()
            out = self.process.stdout.read()
            late.cancel()
            status = self.process.wait(20)
            errors = err.result()
        self.process.stdout.close()
        self.process.stderr.close()
        return status, [json.loads(line) for line in out.splitlines()], errors

    def event(self, *names: str) -> dict[str, Any]:
        """The next event of one of these names; waits for it."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            event: dict[str, Any] = json.loads(line)
            if event["event"] in names:
                return event
        raise AssertionError(f"the server ended before any of {names}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def exactly(sock: socket.socket, size: int) -> bytes:
    """``size`` bytes, however they come."""
    data = bytearray()
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more, f"closed after {len(data)} of {size} bytes"
        data += more
    return bytes(data)
