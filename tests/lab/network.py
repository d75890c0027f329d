"""Networks described as data, built in namespaces, gone without a trace when their keeper's stdin closes.

Every host is a network namespace that lives as long as one small process, its keeper. The keeper waits on a pipe
from this process: when this process ends, also by SIGKILL, the pipe closes, the keeper ends, and the kernel takes
the namespace with its links, addresses, routes and rules away. As root the namespaces are made directly, anybody
else makes a user namespace first (``unshare -rn``), in which all of them live.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["NETWORKS", "Host", "Lab", "describe", "why_not"]

NETWORKS = Path(__file__).with_name("networks")
# When its stdin closes, a keeper ends whatever still runs in its namespace (daemons too), then itself.
_KEEP = """echo ready; read -r forever
for process in /proc/[0-9]*; do
    [ "$process" != /proc/$$ ] && [ "$process/ns/net" -ef /proc/$$/ns/net ] && kill -9 "${process#/proc/}"
done 2>/dev/null"""
# The death signal is asked for after the fork: who lost his parent before that must not start at all.
_ONLY_WITH_PARENT = '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"'
_NEEDED = ("ip", "unshare", "nsenter", "setpriv")


def describe(name: str) -> dict[str, Any]:
    """The description of a network: ``networks/<name>.toml``."""
    return tomllib.loads((NETWORKS / f"{name}.toml").read_text("utf-8"))


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
    """The lab cannot be built: the command, and what it said."""


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

    def run(self, *command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``command`` here to its end, 60 s at most."""
        options = {"capture_output": True, "text": True, "timeout": 60, "stdin": subprocess.DEVNULL, **options}
        done = subprocess.run(self.argv(command), check=False, **options)
        if check and done.returncode:
            raise LabError(f"{self.name}: {' '.join(command)}: {(done.stderr or done.stdout or '').strip()}")
        return done

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``command`` here; it is killed when this process ends, at the latest."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(self.argv(command), **options)


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
            process.kill()
        for keeper in self._keepers:
            assert keeper.stdin is not None
            keeper.stdin.close()
        for process in [*self._processes, *self._keepers]:
            process.wait(timeout=10)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def start(self, host: str, *command: str, ready: str | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start ``command`` in ``host`` for the life of the lab; wait until it prints the line ``ready``."""
        process = self.hosts[host].start(*command, **options)
        self._processes.append(process)
        if ready is not None:
            assert process.stdout is not None
            for line in process.stdout:
                if ready in line:
                    return process
            raise LabError(f"{host}: {' '.join(command)} ended before it said {ready!r}")
        return process

    def _build(self) -> None:
        enter: list[str] = []
        if os.geteuid() != 0:
            outer = self._keep(["unshare", "-rn", "sh", "-c", _KEEP])
            enter = ["nsenter", "-t", str(outer.pid), "-U", "--preserve-credentials", "--"]
        for name in self.description["hosts"]:
            keeper = self._keep([*enter, "unshare", "-n", "sh", "-c", _KEEP])
            self.hosts[name] = Host(name, keeper, user_namespace=bool(enter))
        for name, host in self.description["hosts"].items():
            self.hosts[name].run("ip", "link", "set", "lo", host.get("lo", "up"))
            for key, value in host.get("sysctl", {}).items():
                self._write_sysctl(name, key, value)
        for link in self.description.get("links", ()):
            self._link(link["ends"])
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

    def _link(self, ends: Sequence[Mapping[str, Any]]) -> None:
        """A veth pair between two hosts."""
        one, two = ends
        peer = self.hosts[two["host"]]
        self.hosts[one["host"]].run(
            *("ip", "link", "add", one["name"], "type", "veth"),
            *("peer", "name", two["name"], "netns", str(peer.pid)),
        )
        for end in ends:
            host = self.hosts[end["host"]]
            for address in end.get("addresses", ()):
                extra = ["nodad"] if ":" in address else []
                host.run("ip", "addr", "add", *address.split(), "dev", end["name"], *extra)
            if end.get("up", True):
                host.run("ip", "link", "set", end["name"], "up", "addrgenmode", end.get("addrgenmode", "none"))

    def _finish(self, name: str, host: Mapping[str, Any]) -> None:
        """Routes, firewall rules and free commands, once all links are there."""
        for route in host.get("routes", ()):
            family = ["-6"] if ":" in route else []
            self.hosts[name].run("ip", *family, "route", "add", *route.split())
        if "nft" in host:
            self.hosts[name].run("nft", "-f", "-", stdin=None, input=host["nft"])
        for command in host.get("run", ()):
            self.hosts[name].run("sh", "-c", command)
        for key, value in host.get("sysctl_after", {}).items():
            self._write_sysctl(name, key, value)

    def _write_sysctl(self, name: str, key: str, value: Any) -> None:
        path = f"/proc/sys/{key.replace('.', '/')}"
        self.hosts[name].run("sh", "-c", 'printf "%s\\n" "$2" > "$1"', "sh", path, str(value))
