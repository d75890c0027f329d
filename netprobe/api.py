"""The public functions. Parts do not import each other: what needs two of them is joined here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netprobe.interfaces import Interface

__all__ = ["local_interfaces"]


def local_interfaces() -> tuple[Interface, ...]:
    """This host's interfaces in the kernel's order, each address with its prefix and ``kind``."""
    from netprobe.address import kind_of
    from netprobe.interfaces import local_interfaces as read

    return read(kind_of=kind_of)
