"""Interfaces for people: which addresses this host has, on what, and for whom they are. In a pipe a line an address.

Whom an address is for follows from its kind alone, and the last line says so: whether a firewall or a router lets
anybody through is measured by ``bindtest``, not known from an interface.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.text import Text

    from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress
    from netprobe.render.card import Row
    from netprobe.render.terminal import Terminal

__all__ = ["plain_lines", "print_interfaces"]

# For whom an address is, from the widest to the narrowest.
_THE_INTERNET, _INSIDE, _LINK, _HOST = _ORDER = ("the Internet", "inside networks", "its link", "this host")
_MOST_NAMED: Final = 3  # interfaces that are not up are named up to this number, more are counted
_FOR_WHOM: Final = {
    "public": _THE_INTERNET,
    **dict.fromkeys(("private", "shared", "unique-local", "site-local", "documentation", "benchmarking"), _INSIDE),
    "link-local": _LINK,
    "loopback": _HOST,
}
_FLAG_WORDS: Final = {
    "tentative": "tentative: duplicate address detection has not ended",
    "dadfailed": "unusable: another host has it (duplicate address detection)",
}
_LEGEND: Final = "by the kind of each address; no firewall and no router was asked"
_COMMANDS: Final = ("netprobe bindtest --addr 0.0.0.0",)


def print_interfaces(interfaces: Sequence[Interface], terminal: Terminal) -> None:
    """Several as a table with an answer above it; a single one as a card with all that is known of it."""
    from netprobe.render.card import Card, print_cards
    from netprobe.render.table import print_lines

    if len(interfaces) == 1:
        (link,) = interfaces
        print_cards([Card(link.name, f"{link.kind}, {link.state}", list(_card_rows(link)))], terminal)
    else:
        print_lines(_lines(interfaces, terminal.width), terminal)


def _lines(interfaces: Sequence[Interface], width: int) -> Iterator[Text]:
    from rich.text import Text

    from netprobe.render.card import next_lines
    from netprobe.render.grid import GridColumn, grid_lines, prose
    from netprobe.render.palette import ANSWER, LABEL

    columns = (
        GridColumn("address"),
        GridColumn("for whom"),
        GridColumn("kind", 1),
        GridColumn("interface"),
        GridColumn("state"),
        GridColumn("MAC", 2),
        GridColumn("MTU", 3),
        GridColumn("what else", below=True),
    )
    yield from prose(Text(_answer(interfaces), style=ANSWER), width, "")
    yield Text()
    yield from grid_lines(columns, [row for link in interfaces for row in _grid_rows(link)], width)
    for link in interfaces:
        for route in link.default_routes:
            family = "" if route.version == 4 else ", IPv6"
            text = Text(f"default {' '.join(_route_words(route))} on {link.name}{family}")
            yield from prose(text, width, "    ", "  ")
    yield from prose(Text(_LEGEND, style=LABEL), width, "  ")
    yield from next_lines(_COMMANDS)


def _answer(interfaces: Sequence[Interface]) -> str:
    """How many addresses are for whom, and which interfaces cannot be used now."""
    kinds = [address.kind for link in interfaces for address in link.addresses]
    counted = Counter(_FOR_WHOM.get(kind, "others") for kind in kinds)
    whom = ", ".join(f"{counted[name]} for {name}" for name in (*_ORDER, "others") if counted[name])
    states: dict[str, list[str]] = {}
    for link in interfaces:
        if link.state != "up":
            states.setdefault(link.state, []).append(link.name)
    unusable = [f"{_and(names)} {'is' if len(names) == 1 else 'are'} {state}" for state, names in states.items()]
    having = sum(bool(link.addresses) for link in interfaces)
    of = f" of {len(interfaces)}" if having != len(interfaces) else ""
    on = f" on {having}{of} interface{'s' if len(interfaces) != 1 else ''}"
    total = f"{len(kinds)} address{'es' if len(kinds) != 1 else ''}{on}"
    text = f"{total}: {whom}" if whom else total
    down = sum(map(len, states.values()))
    if down > _MOST_NAMED:
        return f"{text}; {down} interfaces are not up"
    return "; ".join([text, *unusable])


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _grid_rows(link: Interface) -> Iterator[tuple[Text, ...]]:
    from rich.text import Text

    from netprobe.render.palette import style_of_kind

    end = (Text(link.name), Text(link.state), Text(link.mac or ""), Text("" if link.mtu is None else str(link.mtu)))
    for address in link.addresses:
        kind = Text(address.kind, style=style_of_kind(address.kind))
        else_ = Text(", ".join((*_rest_words(address), *_link_words(link))))
        yield (Text(_cidr(address)), Text(_FOR_WHOM.get(address.kind, "-")), kind, *end, else_)
    if not link.addresses:
        yield (Text("-"), Text("-"), Text("-"), *end, Text(", ".join(_link_words(link))))


def plain_lines(link: Interface) -> str:
    """``name kind state address/prefix kind``, one line per address; one line with ``-`` where there is none."""
    head = f"{link.name}\t{link.kind}\t{link.state}"
    if not link.addresses:
        return f"{head}\t-\t-"
    return "\n".join(f"{head}\t{_cidr(address)}\t{address.kind or '-'}" for address in link.addresses)


def _card_rows(link: Interface) -> Iterator[Row]:
    from netprobe.render.card import Row

    if link.mac:
        yield Row("MAC", (link.mac,))
    if link.mtu:
        yield Row("MTU", (f"{link.mtu} bytes",))
    for name, value in (("port of", link.master), ("lies on", link.parent), ("alias", link.alias)):
        if value:
            yield Row(name, (value,))
    if link.altnames:
        yield Row("other names", (", ".join(link.altnames),))
    for address in link.addresses:
        words = [f"{_cidr(address)}  {address.kind}, for {_FOR_WHOM.get(address.kind, 'others')}"]
        if address.broadcast:
            words.append(f"broadcast {address.broadcast}")
        yield Row(f"inet{'6' if address.version == 6 else ''}", (", ".join((*words, *_rest_words(address))),))
    for route in link.default_routes:
        yield Row(f"default{'6' if route.version == 6 else ''}", (" ".join(_route_words(route)),))


def _rest_words(address: InterfaceAddress) -> Iterator[str]:
    if address.peer:
        yield f"peer {address.peer}"
    if address.label:
        yield f"label {address.label}"
    yield from (_FLAG_WORDS.get(flag, flag) for flag in address.flags if flag != "tentative" or not _failed(address))
    for word, seconds in (("preferred", address.preferred_s), ("valid", address.valid_s)):
        if seconds is not None and not (word == "preferred" and "deprecated" in address.flags):
            yield f"{word} for {seconds} s"


def _failed(address: InterfaceAddress) -> bool:
    """Has duplicate address detection failed? Such an address stays tentative, for ever."""
    return "dadfailed" in address.flags


def _link_words(link: Interface) -> Iterator[str]:
    if link.master:
        yield f"port of {link.master}"
    if link.parent:
        yield f"lies on {link.parent}"


def _route_words(route: DefaultRoute) -> Iterator[str]:
    yield f"via {route.gateway}" if route.gateway else "on-link"
    if route.metric:
        yield f"metric {route.metric}"
    if route.table not in (None, "main"):
        yield f"table {route.table}"


def _cidr(address: InterfaceAddress) -> str:
    zone = f"%{address.zone}" if address.zone else ""
    return f"{address.address}{zone}" + ("" if address.prefix is None else f"/{address.prefix}")
