"""The record of ``netprobe echo send``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent and came back; ``received`` as UTF-8 text."""

    destination: str
    protocol: str
    sent_bytes: int
    received_bytes: int
    equal: bool
    received: str
