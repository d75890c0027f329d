"""Builds the C programs of this folder and starts servers for them to talk to."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import NETPROBE, clean_environment

__all__ = ["HERE", "Running", "build", "c_server", "ncat_server", "netprobe_server", "socat_server"]

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Running:
    """A server process and its port on 127.0.0.1."""

    pid: int
    port: int


def build(name: str, into: Path) -> Path:
    """Compile ``name``.c with cc -O2, no warning allowed."""
    program = into / name
    argv = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(HERE / f"{name}.c")]
    subprocess.run(argv, check=True)
    return program


@contextmanager
def netprobe_server(*options: str, descriptors: int = 20_000) -> Iterator[Running]:
    """``netprobe echo serve`` on a free port, with room for many connections."""
    argv = [str(NETPROBE), "echo", "serve", "--port", "0", "--json", "--tcp", *options]
    with _started(["prlimit", f"--nofile={descriptors}", *argv]) as process:
        assert process.stdout is not None
        event = json.loads(process.stdout.readline())
        yield Running(process.pid, event["port"])


@contextmanager
def c_server(program: Path, port: int = 0) -> Iterator[Running]:
    """The C epoll server; with the ``port`` of another one, it shares that."""
    with _started([str(program), str(port)]) as process:
        assert process.stdout is not None
        yield Running(process.pid, int(process.stdout.readline()))


@contextmanager
def socat_server() -> Iterator[Running]:
    """socat, a process a connection."""
    port = _free_port()
    listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,backlog=4096,reuseaddr,nodelay"
    with _started(["socat", listen, "PIPE"]) as process:
        yield _awaited(Running(process.pid, port))


@contextmanager
def ncat_server() -> Iterator[Running]:
    """ncat, a process a connection."""
    port = _free_port()
    argv = ["ncat", "-l", "-k", "--max-conns", "10000", "-e", shutil.which("cat") or "cat", "127.0.0.1", str(port)]
    with _started(argv) as process:
        yield _awaited(Running(process.pid, port))


@contextmanager
def _started(argv: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment()
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _awaited(running: Running) -> Running:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", running.port), 1).close()
            return running
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {running.port}")
