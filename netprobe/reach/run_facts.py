"""What there is to say about a run itself: when, how long, with which command, on which host, from which vantages."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netprobe.reach.facts import HostFacts
from netprobe.reach.vantages import Vantage
from netprobe.version import __version__

__all__ = ["HostSummary", "OwnAddress", "RunClock", "RunFacts", "VantageSummary", "host_summary", "vantage_summaries"]


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An address with its prefix, and the interface that it is on."""

    address: str
    interface: str | None


@dataclass(frozen=True, slots=True)
class HostSummary:
    """The host on which netprobe ran. ``system``, ``release`` and ``machine`` are platform.uname()'s."""

    name: str
    system: str
    release: str
    machine: str
    addresses: tuple[OwnAddress, ...]

    def link_of(self, address: str) -> str:
        """The interface that has ``address``; nothing where none has."""
        for entry in self.addresses:
            if entry.address.partition("/")[0] == address.partition("%")[0] and entry.interface:
                return f"{entry.interface} of {self.name}"
        return ""


@dataclass(frozen=True, slots=True)
class VantageSummary:
    """A vantage as it was given (``spec``), and what it said of itself, or why it could not be used (``error``)."""

    name: str
    spec: str
    system: str | None
    release: str | None
    python: str | None
    addresses: tuple[str, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """``at`` is when the run began, UTC, ISO 8601; ``took_s`` how long it was, in seconds.

    ``command`` is the command line, quoted for a POSIX shell, without any secret.
    """

    at: str
    took_s: float
    version: str
    command: str
    host: HostSummary
    vantages: tuple[VantageSummary, ...]

    def spec_of(self, name: str) -> str:
        """How the vantage ``name`` was given."""
        return next((vantage.spec for vantage in self.vantages if vantage.name == name), name)


class RunClock:
    """Started with the run: its date from the system's clock, its length from one that nobody sets."""

    def __init__(self) -> None:
        self._at = time.gmtime()
        self._started = time.monotonic()

    def facts(self, command: str, host: HostSummary, vantages: tuple[VantageSummary, ...]) -> RunFacts:
        """All that there is to say, now."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", self._at)
        return RunFacts(at, round(time.monotonic() - self._started, 3), __version__, command, host, vantages)


def host_summary(facts: HostFacts) -> HostSummary:
    """The part of this host's ``facts`` that a report shows; addresses of loopback are left out."""
    addresses = tuple(
        OwnAddress(f"{entry.address}" + (f"/{entry.prefix}" if entry.prefix is not None else ""), entry.interface)
        for entry in facts.addresses
        if not entry.address.is_loopback
    )
    return HostSummary(facts.host, facts.system, facts.release, platform.machine(), addresses)


def vantage_summaries(
    vantages: Sequence[Vantage], hellos: Mapping[str, HostFacts], errors: Mapping[str, str]
) -> tuple[VantageSummary, ...]:
    """The vantages in their order, with what they said and what went wrong."""
    return tuple(_vantage_summary(vantage, hellos.get(vantage.name), errors.get(vantage.name)) for vantage in vantages)


def _vantage_summary(vantage: Vantage, hello: HostFacts | None, error: str | None) -> VantageSummary:
    if hello is None:
        return VantageSummary(vantage.name, vantage.spec, None, None, None, (), error)
    own = tuple(str(entry.address) for entry in hello.addresses if not entry.address.is_loopback)
    return VantageSummary(vantage.name, vantage.spec, hello.system, hello.release, hello.python, own, error)
