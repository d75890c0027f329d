"""The public functions. Parts do not import each other: what needs two of them is joined here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netprobe.address import classify, classify_many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netprobe.interfaces import Interface
    from netprobe.reach.records import Cell

__all__ = ["bindtest", "classify", "classify_many", "local_interfaces"]


def bindtest(
    addresses: Sequence[str] = (),
    *,
    tcp: bool = True,
    udp: bool = True,
    port: int = 0,
    to: Sequence[str] = (),
    timeout: float = 2.0,
) -> tuple[Cell, ...]:
    """Who on this host can reach what is bound to ``addresses`` (none: every local one and both wildcards).

    Listeners are open only while this function runs. A listener that was asked for and cannot be opened raises
    :class:`netprobe.CannotRunError`; what is no address, :class:`netprobe.AddressError`.
    """
    from netprobe.reach.bindtest import Bindtest, Settings
    from netprobe.reach.records import Address, BindOptions, Protocol

    protocols: list[Protocol] = [*(["tcp"] if tcp else []), *(["udp"] if udp else [])]  # type: ignore[list-item]
    settings = Settings(
        binds=tuple(Address.parse(text) for text in addresses),
        protocols=tuple(protocols),
        to=tuple(Address.parse(text) for text in to),
        timeout=timeout,
        options=BindOptions(port=port),
    )
    with Bindtest(settings) as test:
        if test.errors:
            raise test.errors[0]
        return tuple(test.cells())


def local_interfaces(refused: Callable[[str], None] | None = None) -> tuple[Interface, ...]:
    """This host's interfaces in the order of their index, each address with its prefix and ``kind``.

    Where the kernel's netlink cannot be asked, ``refused`` is told why and the ``netifaces`` module answers.
    """
    from netprobe.address import kind_of
    from netprobe.interfaces import local_interfaces as read

    return read(kind_of=kind_of, refused=refused)
