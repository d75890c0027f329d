"""Ways to ask the prober in tests: in this process, and by its program in another one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from netprobe.prober import bundle, engine

__all__ = ["ask", "converse", "run", "travelling"]


def run(cells: list[dict[str, Any]], timeout: float, **more: Any) -> list[dict[str, Any]]:
    """All lines of a request with the nonce ``secret``."""
    lines: list[dict[str, Any]] = []
    engine.run({"nonce": "secret", "timeout": timeout, "cells": cells, **more}, lines.append)
    return lines


def ask(port: int, protocol: str = "tcp", *, address: str = "127.0.0.1", timeout: float = 1.0) -> dict[str, Any]:
    """What is said of one port."""
    cell = {"id": 0, "protocol": protocol, "address": address, "port": port}
    return next(line for line in run([cell], timeout) if "cell" in line)


@contextmanager
def travelling(argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The prober's program running in ``argv`` and waiting for a question; it is killed at the end."""
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            assert process.stdin is not None
            process.stdin.write(bundle.program())
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def converse(
    argv: Sequence[str],
    *requests: dict[str, Any],
    until: Callable[[dict[str, Any]], bool] = lambda line: "done" in line or "crash" in line,
) -> list[dict[str, Any]]:
    """Ask one request after the other, each once the one before it is done; all lines that were said."""
    lines: list[dict[str, Any]] = []
    with travelling(argv) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for request in requests:
            process.stdin.write(bundle.question(request))
            process.stdin.flush()
            for text in process.stdout:
                lines.append(json.loads(text))
                if until(lines[-1]):
                    break
        process.stdin.close()
        assert process.stderr.read() == b""
        process.wait(30)
    return lines
