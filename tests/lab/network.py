"""Networks described as data, built in namespaces, gone without a trace when their keeper's stdin closes.

Every host is a network namespace that lives as long as one small process, its keeper. The keeper waits on a pipe
from this process: when this process ends, also by SIGKILL, the pipe closes, the keeper ends, and the kernel takes
the namespace with its links, addresses, routes and rules away. As root the namespaces are made directly, anybody
else makes a user namespace first (``unshare -rn``), in which all of them live.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

__all__ = ["NETWORKS", "Host", "Lab", "LabError", "describe", "why_not"]

NETWORKS = Path(__file__).with_name("networks")
# When its stdin closes, a keeper ends whatever still runs in its namespace (daemons too), then itself.
_KEEP = """echo ready; read -r forever
for process in /proc/[0-9]*; do
    [ "$process" != /proc/$$ ] && [ "$process/ns/net" -ef /proc/$$/ns/net ] && kill -9 "${process#/proc/}"
done 2>/dev/null"""
# The death signal is asked for after the fork: who lost his parent before that must not start at all.
_ONLY_WITH_PARENT = '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"'
_NEEDED = ("ip", "ss", "nft", "unshare", "nsenter", "setpriv")
_RUN_S = 60.0  # for a command that a test runs
_READY_S = 10.0  # for a server to listen, and for a command that prepares a host; on a busy machine both take under 1 s


def describe(name: str) -> dict[str, Any]:
    """The description of a network: ``networks/<name>.toml``."""
    return tomllib.loads((NETWORKS / f"{name}.toml").read_text("utf-8"))


@cache
def why_not() -> str | None:
    """Why no lab can be built here; None where one can."""
    missing = [tool for tool in _NEEDED if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    try:
        with Lab({"hosts": {"only": {}}}):
            return None
    except LabError as error:
        return str(error)


class LabError(Exception):
    """A lab or a server in it cannot be had: the host, the command, and what it said."""


class Host:
    """One namespace. ``run`` and ``start`` execute a command inside it."""

    def __init__(self, name: str, keeper: subprocess.Popen[str], user_namespace: bool) -> None:
        self.name = name
        self.keeper = keeper
        flags = ["-U", "--preserve-credentials"] if user_namespace else []
        self._enter = ["nsenter", "-t", str(keeper.pid), *flags, "-n", "--", "setpriv", "--pdeathsig", "KILL", "--"]
        self._enter += ["sh", "-c", _ONLY_WITH_PARENT, "sh", str(os.getpid())]

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self.keeper.pid

    @property
    def network(self) -> str:
        """The file that is the namespace, as ``--from netns:`` and ``nsenter --net=`` take it."""
        return f"/proc/{self.pid}/ns/net"

    def argv(self, command: Sequence[str]) -> list[str]:
        """``command`` as it is run inside this host; it dies with its parent."""
        return [*self._enter, *command]

    def run(
        self,
        *command: str,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = _RUN_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``command`` here to its end; after ``timeout`` s it is killed with all that it started, and it failed."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self.start(*command, stdin=stdin, stderr=subprocess.PIPE, env=env)
        try:
            out, err = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name}: {' '.join(command)}: had not ended after {timeout:g} s") from None
        finally:
            if process.returncode is None:
                end(process)
        if check and process.returncode:
            raise LabError(f"{self.name}: {' '.join(command)}: {(err or out).strip()}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def prepare(self, commands: Iterable[str]) -> None:
        """Run shell commands that set this host up."""
        for command in commands:
            self.run("sh", "-c", command, timeout=_READY_S)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``command`` here, in a session of its own; it is killed when this process ends, at the latest."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(self.argv(command), start_new_session=True, **options)


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process that leads a session, with its children, and close our ends of its pipes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextmanager
def _killed_if_late(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a session when its leader is not ready in time, so that waiting for its output or its listener ends."""

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = Timer(_READY_S, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class Lab:
    """A network of hosts, as described by a mapping (see README.md); a context manager."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self.description = description
        self.hosts: dict[str, Host] = {}
        self._keepers: list[subprocess.Popen[str]] = []
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def close(self) -> None:
        """End every process of the lab; the namespaces go with them."""
        for process in reversed(self._processes):
            end(process)
        for keeper in self._keepers:
            assert keeper.stdin is not None
            keeper.stdin.close()
        for keeper in self._keepers:
            keeper.wait(timeout=10)
            for stream in (keeper.stdout, keeper.stderr):
                assert stream is not None
                stream.close()

    def start(self, host: str, *command: str, ready: str | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start ``command`` in ``host`` for the life of the lab; wait until it prints a line with ``ready`` in it."""
        process = self.hosts[host].start(*command, **options)
        self._processes.append(process)
        if ready is not None:
            assert process.stdout is not None
            with _killed_if_late(process):
                if not any(ready in line for line in process.stdout):
                    raise self._not_ready(host, process, command)
        return process

    def serve(self, host: str, *command: str, listens: str) -> subprocess.Popen[str]:
        """The same for a program that does not say when it is ready: ``listens`` is as in ``tcp 192.0.2.1:80``."""
        process = self.start(host, *command, stdout=subprocess.DEVNULL)
        protocol, endpoint = listens.split()
        with _killed_if_late(process):
            while not self.hosts[host].run("ss", "-Hln", f"--{protocol}", "src", endpoint).stdout:
                if process.poll() is not None:
                    raise self._not_ready(host, process, [*command, f"({listens})"])
                time.sleep(0.02)
        return process

    @staticmethod
    def _not_ready(host: str, process: subprocess.Popen[str], command: Sequence[str]) -> LabError:
        status = process.wait()
        late = f"was not ready after {_READY_S:g} s"
        how = late if status == -signal.SIGKILL else f"ended with status {status} and was never ready"
        return LabError(f"{host}: {' '.join(command)}: {how}")

    def _build(self) -> None:
        enter: list[str] = []
        if os.geteuid() != 0:
            outer = self._keep(["unshare", "-rn", "sh", "-c", _KEEP])
            enter = ["nsenter", "-t", str(outer.pid), "-U", "--preserve-credentials", "--"]
        for name in self.description["hosts"]:
            keeper = self._keep([*enter, "unshare", "-n", "sh", "-c", _KEEP])
            self.hosts[name] = Host(name, keeper, user_namespace=bool(enter))
        for name, host in self.description["hosts"].items():
            for key, value in host.get("sysctl", {}).items():
                self._write_sysctl(name, key, value)
        self._link()
        for name, host in self.description["hosts"].items():
            self._finish(name, host)

    def _keep(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        keeper = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._keepers.append(keeper)
        assert keeper.stdout is not None and keeper.stderr is not None
        if keeper.stdout.readline() != "ready\n":
            raise LabError(f"{' '.join(argv[:2])}: {keeper.stderr.read().strip() or 'no namespace'}")
        return keeper

    def _link(self) -> None:
        """Loopback, veth pairs and addresses: two batches a host, since starting ``ip`` takes longer than its work."""
        links = [link["ends"] for link in self.description.get("links", ())]
        makes = {name: [f"link set lo {host.get('lo', 'up')}"] for name, host in self.description["hosts"].items()}
        sets: dict[str, list[str]] = {name: [] for name in makes}
        for one, two in links:
            peer = f"peer name {two['name']} netns {self.hosts[two['host']].pid}"
            makes[one["host"]].append(f"link add {one['name']} type veth {peer}")
        for end in chain.from_iterable(links):
            for address in end.get("addresses", ()):
                nodad = "nodad" if ":" in address else ""
                sets[end["host"]].append(f"addr add {address} dev {end['name']} {nodad}")
            if end.get("up", True):
                mode = end.get("addrgenmode", "none")
                sets[end["host"]].append(f"link set {end['name']} up addrgenmode {mode}")
        for batches in (makes, sets):
            for name, lines in batches.items():
                if lines:
                    self.hosts[name].run("ip", "-batch", "-", input="\n".join([*lines, ""]))

    def _finish(self, name: str, host: Mapping[str, Any]) -> None:
        """Routes, firewall rules and free commands, once all links are there."""
        for route in host.get("routes", ()):
            family = ["-6"] if ":" in route else []
            self.hosts[name].run("ip", *family, "route", "add", *route.split())
        if "nft" in host:
            self.hosts[name].run("nft", "-f", "-", input=host["nft"])
        self.hosts[name].prepare(host.get("run", ()))
        for key, value in host.get("sysctl_after", {}).items():
            self._write_sysctl(name, key, value)

    def _write_sysctl(self, name: str, key: str, value: Any) -> None:
        path = f"/proc/sys/{key.replace('.', '/')}"
        self.hosts[name].run("sh", "-c", 'printf "%s\\n" "$2" > "$1"', "sh", path, str(value))
