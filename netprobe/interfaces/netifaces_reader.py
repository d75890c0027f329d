"""This host's interfaces through the ``netifaces`` module: everywhere, with what getifaddrs(3) tells."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

from netprobe.interfaces.records import DefaultRoute, Interface, InterfaceAddress

__all__ = ["read_interfaces"]


def read_interfaces(kind_of: Callable[[str], str]) -> tuple[Interface, ...]:
    """Every interface that getifaddrs(3) knows; its labels (``eth0:1``) are put back to their interface.

    State and MTU are not known here (``unknown``, None). A broadcast is taken only where it is neither the own
    address nor without a host part: getifaddrs invents those (a /31 and a /32 have none, RFC 3021).
    """
    import netifaces

    found: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for name in netifaces.interfaces():
        link, _, _ = name.partition(":")
        families = found.setdefault(link, {})
        for family, entries in netifaces.ifaddresses(name).items():
            families.setdefault(family, []).extend(entry | {"label": name} for entry in entries)
    gateways = netifaces.gateways()
    made = [_interface(name, families, gateways, kind_of, netifaces) for name, families in found.items()]
    return tuple(sorted(made, key=lambda interface: interface.index or 0))


def _interface(
    name: str, families: dict[int, list[dict[str, Any]]], gateways: Any, kind_of: Callable[[str], str], netifaces: Any
) -> Interface:
    mac = next((entry.get("addr") for entry in families.get(netifaces.AF_LINK, [])), None)
    addresses = [
        *(_ipv4(entry, name, kind_of) for entry in families.get(netifaces.AF_INET, []) if "addr" in entry),
        *(_ipv6(entry, name, kind_of) for entry in families.get(netifaces.AF_INET6, []) if "addr" in entry),
    ]
    loopback = any(address.kind == "loopback" for address in addresses)
    return Interface(
        name=name,
        index=_index(name),
        kind="loopback" if loopback else "other",
        state="unknown",
        mtu=None,
        mac=mac if mac and mac.count(":") == 5 and mac.strip("0:") else None,
        addresses=tuple(dict.fromkeys(addresses)),
        default_routes=tuple(_default_routes(name, gateways, netifaces)),
    )


def _index(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def _ipv4(entry: dict[str, Any], name: str, kind_of: Callable[[str], str]) -> InterfaceAddress:
    address = entry["addr"]
    prefix = _prefix(entry.get("netmask"), socket.AF_INET)
    broadcast = entry.get("broadcast")
    real = broadcast not in (None, address) and prefix is not None and prefix < 31
    return InterfaceAddress(
        address=address,
        version=4,
        prefix=prefix,
        kind=kind_of(address),
        broadcast=broadcast if real else None,
        peer=entry.get("peer") if entry.get("peer") != address else None,
        label=entry["label"] if entry["label"] != name else None,
    )


def _ipv6(entry: dict[str, Any], name: str, kind_of: Callable[[str], str]) -> InterfaceAddress:
    address, _, zone = entry["addr"].partition("%")
    return InterfaceAddress(
        address=address,
        version=6,
        prefix=_prefix(entry.get("netmask"), socket.AF_INET6),
        kind=kind_of(address),
        zone=(zone or name) if kind_of(address) == "link-local" else None,
    )


def _prefix(mask: str | None, family: int) -> int | None:
    """The prefix of a netmask, which netifaces writes as ``255.0.0.0``, ``ffff::`` or ``ffff::/16``."""
    if not mask:
        return None
    text, _, bits = mask.partition("/")
    if bits.isdigit():
        return int(bits)
    try:
        return int.from_bytes(socket.inet_pton(family, text)).bit_count()
    except OSError:
        return None


def _default_routes(name: str, gateways: Any, netifaces: Any) -> Iterator[DefaultRoute]:
    for family, version in ((netifaces.AF_INET, 4), (netifaces.AF_INET6, 6)):
        for entry in gateways.get(family, []):
            gateway, link, is_default = entry[0], entry[1], entry[2] if len(entry) > 2 else True
            if link == name and is_default:
                yield DefaultRoute(version, gateway.partition("%")[0])
