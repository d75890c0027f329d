"""What there is to say about a run itself: when, how long, with which command, on which host, from which vantages."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.reach.facts import HostFacts

__all__ = ["HostSummary", "OwnAddress", "RunFacts", "VantageSummary", "host_summary"]


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An address with its prefix, and the interface that it is on."""

    address: str
    interface: str | None


@dataclass(frozen=True, slots=True)
class HostSummary:
    """The host under test. ``system`` and ``release`` are platform.uname()'s."""

    name: str
    system: str
    release: str
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


def host_summary(facts: HostFacts) -> HostSummary:
    """The part of ``facts`` that a report shows; addresses of loopback are left out."""
    addresses = tuple(
        OwnAddress(f"{entry.address}" + (f"/{entry.prefix}" if entry.prefix is not None else ""), entry.interface)
        for entry in facts.addresses
        if not entry.address.is_loopback
    )
    return HostSummary(facts.host, facts.system, facts.release, addresses)
