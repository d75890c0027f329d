"""The public functions. Parts do not import each other: what needs two of them is joined here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netprobe.address import classify, classify_many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netprobe.interfaces import Interface
    from netprobe.reach.cells import Cell

__all__ = ["bindtest", "classify", "classify_many", "local_interfaces"]


def bindtest(
    addresses: Sequence[str] = (),
    *,
    tcp: bool = True,
    udp: bool = True,
    port: int = 0,
    to: Sequence[str] = (),
    timeout: float = 2.0,
    vantages: Sequence[str] = ("local",),
) -> tuple[Cell, ...]:
    """Who can reach what is bound to ``addresses`` (none: every local one and both wildcards)?

    ``vantages`` are what ``netprobe bindtest --from`` takes: ``"local"``, ``"web=ssh:ann@web1:2222"``,
    ``"netns:blue"``, ``"docker:api"``, ``"exec:COMMAND"`` …, but no ``group:``. ``port`` is 0 (any free one) to
    65535, ``timeout`` the longest wait for a cell in seconds.

    Listeners are open only while this function runs. A listener that was asked for and cannot be opened raises
    :class:`netprobe.CannotRunError`, and so does a run of which no vantage could be used; the cells of a vantage that
    fails beside others are ``not-tested`` with the cause. What is no address raises :class:`netprobe.AddressError`;
    what is no vantage, or two of one name, :class:`netprobe.InvalidInputError`.
    """
    from netprobe.reach.bindtest import Bindtest
    from netprobe.reach.listener import ListenerOptions, Protocol
    from netprobe.reach.scoped_address import ScopedAddress
    from netprobe.reach.sessions.choice import session_for
    from netprobe.reach.settings import Settings
    from netprobe.reach.vantages import parse_vantages

    sessions = [session_for(vantage) for vantage in parse_vantages(vantages)]
    protocols: list[Protocol] = [*(["tcp"] if tcp else []), *(["udp"] if udp else [])]  # type: ignore[list-item]
    settings = Settings(
        binds=tuple(ScopedAddress.parse(text) for text in addresses),
        protocols=tuple(protocols),
        to=tuple(ScopedAddress.parse(text) for text in to),
        timeout=timeout,
        options=ListenerOptions(port=port),
    )
    with Bindtest(settings, sessions) as test:
        if test.errors:
            raise test.errors[0]
        cells = tuple(test.cells())
        if test.errors and not test.hellos:
            raise test.errors[0]
        return cells


def local_interfaces(refused: Callable[[str], None] | None = None) -> tuple[Interface, ...]:
    """This host's interfaces in the order of their index, each address with its prefix and ``kind``.

    Where the kernel's netlink cannot be asked, ``refused`` is told why and the ``netifaces`` module answers.
    """
    from netprobe.address import kind_of
    from netprobe.interfaces import local_interfaces as read

    return read(kind_of=kind_of, refused=refused)
