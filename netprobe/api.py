"""The public functions. Parts do not import each other: what needs two of them is joined here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netprobe.address import classify

if TYPE_CHECKING:
    from netprobe.interfaces import Interface

__all__ = ["classify", "local_interfaces"]


def local_interfaces(refused: Callable[[str], None] | None = None) -> tuple[Interface, ...]:
    """This host's interfaces in the order of their index, each address with its prefix and ``kind``.

    Where the kernel's netlink cannot be asked, ``refused`` is told why and the ``netifaces`` module answers.
    """
    from netprobe.address import kind_of
    from netprobe.interfaces import local_interfaces as read

    return read(kind_of=kind_of, refused=refused)
