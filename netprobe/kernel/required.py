"""Asking for a constant that a user's option cannot do without. This one stays at home: it raises netprobe's error."""

from __future__ import annotations

from netprobe.errors import CannotRunError
from netprobe.kernel.constants import SYSTEM

__all__ = ["need"]


def need(name: str, value: int | None) -> int:
    """``value``, or a :class:`CannotRunError` which says that this system has no such socket option."""
    if value is None:
        raise CannotRunError(name, f"{SYSTEM} has no such socket option")
    return value
