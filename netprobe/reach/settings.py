"""The settings of a run, automatic or manual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from netprobe.prober.pacing import PATIENCE_S
from netprobe.reach.host_name import HostName, parse_host
from netprobe.reach.listener import ListenerOptions, Protocol
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["Settings", "parse_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """No ``binds``: every local address and both wildcards. A name among them is resolved here, one in ``to`` at each
    vantage. Times are in seconds.

    ``timeout`` is the longest wait for one cell. ``patience`` is how long silent cells of a host that limits its ICMP
    errors are asked again, in all. ``payload_size`` is how many bytes go through and back once a probe is answered.
    No ``nonce``: the run makes its own. ``version``: 4 or 6 where the other family is not asked about.
    ``trace``: name the rule that stops a probe, which takes CAP_NET_ADMIN.
    """

    binds: tuple[ScopedAddress | HostName, ...] = ()
    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    to: tuple[ScopedAddress | HostName, ...] = ()
    source: ScopedAddress | None = None
    timeout: float = 2.0
    patience: float = PATIENCE_S
    payload_size: int = 0
    options: ListenerOptions = field(default_factory=ListenerOptions)
    nonce: str | None = None
    version: int | None = None
    trace: bool = False


def parse_settings(
    addresses: Iterable[str], to: Iterable[str] = (), source: str | None = None, *, tcp: bool = True, udp: bool = True
) -> Settings:
    """Read the settings that are given as text; the rest keep their defaults. Raises InvalidInputError."""
    wanted: tuple[tuple[Protocol, bool], ...] = (("tcp", tcp), ("udp", udp))
    return Settings(
        binds=tuple(dict.fromkeys(parse_host(text) for text in addresses)),
        protocols=tuple(protocol for protocol, is_wanted in wanted if is_wanted),
        to=tuple(parse_host(text) for text in to),
        source=None if source is None else ScopedAddress.parse(source),
    )
