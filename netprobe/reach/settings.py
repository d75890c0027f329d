"""What a run is asked for, whether it runs by itself or one half of it by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from netprobe.prober.pacing import PATIENCE_S
from netprobe.reach.listener import ListenerOptions, Protocol
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["Settings", "parse_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """No ``binds``: every local address and both wildcards. Times are in seconds.

    ``timeout`` is the longest wait for one cell. ``patience`` is how long silent cells of a host that limits its ICMP
    errors are asked again, in all. ``payload_size`` is how many bytes go through and back once a probe is answered.
    No ``nonce``: a run by itself makes its own.
    """

    binds: tuple[ScopedAddress, ...] = ()
    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    to: tuple[ScopedAddress, ...] = ()
    source: ScopedAddress | None = None
    timeout: float = 2.0
    patience: float = PATIENCE_S
    payload_size: int = 0
    options: ListenerOptions = field(default_factory=ListenerOptions)
    nonce: str | None = None


def parse_settings(
    addresses: Iterable[str], to: Iterable[str] = (), source: str | None = None, *, tcp: bool = True, udp: bool = True
) -> Settings:
    """The settings that come as text; the rest has its defaults. What is no address is an ``AddressError``."""
    wanted: tuple[tuple[Protocol, bool], ...] = (("tcp", tcp), ("udp", udp))
    return Settings(
        binds=tuple(dict.fromkeys(ScopedAddress.parse(text) for text in addresses)),
        protocols=tuple(protocol for protocol, is_wanted in wanted if is_wanted),
        to=tuple(ScopedAddress.parse(text) for text in to),
        source=None if source is None else ScopedAddress.parse(source),
    )
