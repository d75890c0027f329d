"""iptables-legacy, which no trace shows: whose counters moved while a probe ran.

Each of its rules and policies counts. Where the trace saw some packets vanish between the hooks, and exactly one of the
rules that could have stopped them moved, by as many packets, that is the one. On a busy host others move as well, or it
moves by more; then they are what there is to look at, and no more. Read with ``iptables-legacy-save -c`` only: ``-S``
and ``-L`` would make the table that they look for, and with it its hook. Nothing is run where no table is there
(``/proc/net/ip_tables_names``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Legacy", "LegacyCounters", "Moved", "parse_save", "read_legacy_counters"]

_NAMES: Final = {"iptables": Path("/proc/net/ip_tables_names"), "ip6tables": Path("/proc/net/ip6_tables_names")}
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_TIME_S: Final = 5.0
_MOST: Final = 8 << 20  # characters of a save
_RULE: Final = re.compile(r"\[(\d+):\d+\] (-A .+)")
_POLICY: Final = re.compile(r":(\S+) (ACCEPT|DROP) \[(\d+):\d+\]")
_STOPS: Final = re.compile(r"-j (DROP|REJECT|TARPIT|NFQUEUE)\b|^policy DROP")
_PROTOCOL: Final = re.compile(r"(?<!! )-p (\w+)")
_PORTS: Final = re.compile(r"(?<!! )--([sd])port (\d+)(?::(\d+))?")

Key = tuple[str, str, str, int]  # program, table, text, and which of several that are the same


@dataclass(frozen=True, slots=True)
class Moved:
    """A rule, or a policy, that counted: its own words, and how many packets more."""

    program: str
    table: str
    text: str
    packets: int

    @property
    def stops(self) -> bool:
        """Does it end a packet's way?"""
        return _STOPS.search(self.text) is not None

    @property
    def rejects(self) -> bool:
        """It sends a refusal, and does not only drop."""
        return "-j REJECT" in self.text

    def can_be_of(self, protocol: str, source_port: int | None, destination_port: int) -> bool:
        """Not where it names another protocol or port in plain words."""
        named = _PROTOCOL.search(self.text)
        if named is not None and named[1] not in (protocol, "all"):
            return False
        ports = {"s": source_port, "d": destination_port}
        return all(
            (port := ports[side]) is None or int(low) <= port <= int(high or low)
            for side, low, high in _PORTS.findall(self.text)
        )


@dataclass(frozen=True, slots=True)
class Legacy:
    """What of iptables-legacy can have stopped a packet: each rule that ``moved``; and how many of the run's were
    ``lost`` between the hooks, in the same direction. ``why_not``: nobody can look.
    """

    moved: tuple[Moved, ...] = ()
    lost: int = 0
    why_not: str | None = None

    @property
    def culprit(self) -> Moved | None:
        """The only one that can have done it."""
        return self.moved[0] if len(self.moved) == 1 and self.moved[0].packets == self.lost else None


@dataclass(frozen=True, slots=True)
class LegacyCounters:
    """All counters at one moment. ``why_not``: there are tables, and they cannot be read."""

    packets: Mapping[Key, int] = field(default_factory=dict)
    why_not: str | None = None

    def __bool__(self) -> bool:
        """Is there any iptables-legacy?"""
        return bool(self.packets) or self.why_not is not None

    def since(self, before: LegacyCounters) -> tuple[Moved, ...]:
        """What has moved; a rule that was not there before counts from 0."""
        return tuple(
            Moved(*key[:3], count - before.packets.get(key, 0))
            for key, count in self.packets.items()
            if count > before.packets.get(key, 0)
        )


def read_legacy_counters() -> LegacyCounters:
    """Those of this network namespace; none where iptables-legacy has no tables."""
    found: dict[Key, int] = {}
    for program, names in _NAMES.items():
        try:
            if not names.read_text("ascii", "replace").strip():
                continue
        except OSError:  # no such module, or only root may look
            continue
        saved = _save(program)
        if saved is None:
            return LegacyCounters(found, f"{program}-legacy has tables, and {program}-legacy-save -c cannot be run")
        found.update(parse_save(program, saved))
    return LegacyCounters(found)


def parse_save(program: str, text: str) -> dict[Key, int]:
    """The counters in what ``iptables-save -c`` prints."""
    found: dict[Key, int] = {}
    times: dict[tuple[str, str], int] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
            continue
        if (rule := _RULE.fullmatch(line)) is not None:
            words, packets = rule[2], int(rule[1])
        elif (policy := _POLICY.fullmatch(line)) is not None:
            words, packets = f"policy {policy[2]} of {policy[1]}", int(policy[3])
        else:
            continue
        times[table, words] = number = times.get((table, words), -1) + 1
        found[program, table, words, number] = packets
    return found


def _save(program: str) -> str | None:
    """What its save prints; the one without ``legacy`` in its name may be iptables-nft's, and is asked first."""
    for name in (f"{program}-legacy-save", f"{program}-save"):
        path = shutil.which(name) or shutil.which(name, path=_PATH)
        if path is None or (name == f"{program}-save" and "nf_tables" in (_run(path, "-V") or "nf_tables")):
            continue
        saved = _run(path, "-c")
        if saved is not None:
            return saved[:_MOST]
    return None


def _run(*argv: str) -> str | None:
    nothing = subprocess.DEVNULL
    try:
        ran = subprocess.run(argv, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing, timeout=_TIME_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.decode("utf-8", "replace") if ran.returncode == 0 else None
