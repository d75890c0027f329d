"""The public functions. Parts do not import each other: what needs two of them is joined here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from netprobe.address import Classification
    from netprobe.errors import AddressError
    from netprobe.interfaces import Interface
    from netprobe.reach.cells import Cell

__all__ = ["bindtest", "classify_many", "local_interfaces", "locator"]


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

    A name among ``addresses`` is resolved here, one in ``to`` at each vantage by its own resolver.

    ``vantages`` are what ``netprobe bindtest --from`` takes, except ``group:``: ``"local"``,
    ``"web=ssh:ann@web1:2222"``, ``"netns:blue"``, ``"docker:api"``, ``"exec:COMMAND"`` … ``port`` is 0 (any free one)
    to 65535, ``timeout`` the longest wait for a cell in seconds.

    Listeners are open only while this function runs. A listener that was asked for and cannot be opened raises
    :class:`netprobe.CannotRunError`, and so does a run of which no vantage could be used; the cells of a vantage that
    fails beside others are ``not-tested`` with the cause, and so is a name that has no address there. What is neither
    an address nor a name, or no vantage, or two vantages of one name, raises :class:`netprobe.InvalidInputError`; a
    mistyped address is its :class:`netprobe.AddressError`.
    """
    from dataclasses import replace

    from netprobe.reach.bindtest import Bindtest
    from netprobe.reach.inventory import select_vantages
    from netprobe.reach.listener import ListenerOptions
    from netprobe.reach.sessions.choice import session_for
    from netprobe.reach.settings import parse_settings

    sessions = [session_for(vantage) for vantage in select_vantages(vantages)]
    settings = parse_settings(addresses, to, tcp=tcp, udp=udp)
    settings = replace(settings, timeout=timeout, options=ListenerOptions(port=port))
    with Bindtest(settings, sessions) as test:
        if test.errors:
            raise test.errors[0]
        cells = tuple(test.cells())
        if test.errors and not test.hellos:
            raise test.errors[0]
        return cells


def classify_many(lines: Iterable[str], *, lenient: bool = False) -> Iterator[Classification | AddressError]:
    """A full record for each line that is neither blank nor a comment; for a bad line the error, not raised.

    ``lines`` may end in line breaks.
    """
    from netprobe.bulk.stream import classify_many as many

    return many(lines, lenient=lenient)


def local_interfaces(refused: Callable[[str], None] | None = None) -> tuple[Interface, ...]:
    """This host's interfaces in the order of their index, each address with its prefix and ``kind``.

    Where the kernel's netlink cannot be asked, ``refused`` is told why and the ``netifaces`` module answers; where that
    cannot be loaded either, :class:`netprobe.CannotRunError` is raised.
    """
    from netprobe.address import kind_of
    from netprobe.interfaces import local_interfaces as read

    return read(kind_of=kind_of, refused=refused)


def locator() -> Callable[[Classification], Classification]:
    """A function that returns a classification with ``here``: where the address is for this host.

    This host's addresses and default routes are read once, now; the route to each address is looked up in the kernel
    where it can be asked.
    """
    from dataclasses import replace

    from netprobe.address.locality import HostRoute, LinkAddress, Locality, seen_from
    from netprobe.interfaces import route_to

    links = local_interfaces()
    addresses = [(entry, link.name) for link in links for entry in link.addresses]
    held = [LinkAddress(a.address, a.prefix, name, a.state) for a, name in addresses if a.prefix is not None]
    defaults = [HostRoute(r.version, r.gateway, link.name) for link in links for r in link.default_routes]
    zones = {name: link.name for link in links for name in (link.name, str(link.index))}

    def locality(found: Classification) -> Locality:
        interface = zones.get(found.zone) if found.zone else None
        near = [entry for entry in held if interface in (None, entry.interface)]

        def look_up() -> HostRoute | None:
            route = route_to(found.address, interface)
            return route and HostRoute(found.version, route.gateway, route.interface, route.own)

        try:
            return seen_from(found.version, found.integer, near, defaults, look_up)
        except OSError:  # no netlink here
            return seen_from(found.version, found.integer, near, defaults)

    return lambda found: replace(found, here=locality(found))
