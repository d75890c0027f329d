"""A listener of this run: how it is to be opened, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["Listener", "ListenerOptions", "Protocol"]

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """How listeners are opened. ``port`` 0: each its own; ``v6only`` None: as the system has it."""

    port: int = 0
    v6only: bool | None = None
    device: str | None = None
    reuse_port: bool = False
    freebind: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener: open with its port, or not, with the errno and the reason.

    ``v6only`` is what the system says of the open socket (None for IPv4).
    """

    id: str
    bind: ScopedAddress
    protocol: Protocol
    port: int
    errno: str | None = None
    cause: str | None = None
    v6only: bool | None = None

    @property
    def is_open(self) -> bool:
        """Could it be opened?"""
        return self.errno is None
