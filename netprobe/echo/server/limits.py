"""What a server allows itself and its peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from netprobe.echo.messages import MAX_CONTENT

__all__ = ["BRIEF", "BUFFER_SIZE", "Limits"]

BUFFER_SIZE: Final = 256 * 1024
BRIEF: Final = 448  # bytes; a short message's receive: Python keeps objects up to 512 bytes in pools of its own


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server allows itself and its peers; sizes in bytes, times in seconds, None is without limit."""

    framed: bool = False
    log: bool = False
    max_connections: int | None = None
    idle_timeout: float | None = None
    max_buffer: int = BUFFER_SIZE
    max_content: int = MAX_CONTENT
    rate: float | None = None  # datagrams a second and peer; None: 1,000, and loopback without limit; 0: no limit
    drain_timeout: float = 2.0
    busy_poll: float = 0.0  # seconds that the loop looks before it sleeps, while messages follow each other closely
