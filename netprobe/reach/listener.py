"""A listener of this run: how to open it, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["Listener", "ListenerOptions", "Protocol"]

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """How listeners are opened. ``port`` 0: a port of its own for each; ``v6only`` None: the system's default."""

    port: int = 0
    v6only: bool | None = None
    device: str | None = None
    reuse_port: bool = False
    freebind: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener: open with its port, or not, with the errno and the reason.

    ``v6only`` is read back from the open socket (None for IPv4). ``name`` led to the address, if one did.
    """

    id: str
    bind: ScopedAddress
    protocol: Protocol
    port: int
    errno: str | None = None
    cause: str | None = None
    v6only: bool | None = None
    name: str | None = None

    @property
    def is_open(self) -> bool:
        """Is it open?"""
        return self.errno is None
