"""A text in, a :class:`Classification` out: which of netprobe's tables apply to an address, and in which order.

Pure: the answer depends on the text alone. Modules that only some addresses need are imported
where such an address is met (their cost: netprobe/address/classification.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netprobe.address.classful import class_of, roles_of
from netprobe.address.classification import Classification, Embedded, warning_of
from netprobe.address.ip import BITS, address_text, net_mask, reverse_name
from netprobe.address.kinds import globally_reachable, kind_of_number
from netprobe.address.reader import (
    ParsedAddress,
    Subject,
    is_reverse_name,
    read_reverse_name,
    read_subject,
)
from netprobe.address.registry import covering
from netprobe.address.services import service_at
from netprobe.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netprobe.address.embedded import Nat64Prefix
    from netprobe.address.interface_id import Teredo, UniqueLocal
    from netprobe.address.multicast import Multicast
    from netprobe.address.ranges import Network, Range
    from netprobe.address.space import Space
    from netprobe.address.spellings import Reading

__all__ = ["classify"]


def classify(text: str, prefix: int | None = None, nat64: Iterable[str] = (), lenient: bool = False) -> Classification:
    """Say what the address, prefix or range in ``text`` is.

    ``text``: an address, ``address/prefix``, ``address/netmask``, ``address/wildcard mask``, a range ``a-b``, or a
    reverse name (``5.1.20.172.in-addr.arpa``). ``prefix`` (0 to 32 or 128 bits) is used where ``text`` has none.
    ``nat64``: NAT64 prefixes of the caller's network (RFC 6052). ``lenient``: accept every spelling that inet_aton(3)
    does. Raises AddressError, which is a ValueError.
    """
    prefixes: tuple[Nat64Prefix, ...] = ()
    if nat64:
        from netprobe.address.embedded import read_nat64_prefix

        prefixes = tuple(read_nat64_prefix(entry) for entry in nat64)
    if "-" in text and not is_reverse_name(text) and (pair := _range_ends(text)) is not None:
        return _of_range(text, *pair, prefixes)
    subject, lenient_spelling = _read(text, lenient)
    version = subject.address.version
    if prefix is not None and not 0 <= prefix <= BITS[version]:
        raise AddressError(text, f"prefix {prefix} is out of range", f"IPv{version} prefixes are 0 to {BITS[version]}")
    bits = prefix if subject.prefix is None else subject.prefix
    return _classified(text, subject.address, bits, prefixes, lenient_spelling)


def _read(text: str, lenient: bool) -> tuple[Subject, str | None]:
    """The subject, and the spelling where it was a legacy one."""
    if is_reverse_name(text):
        return Subject(text, read_reverse_name(text)), None
    try:
        return read_subject(text), None
    except AddressError as error:
        from netprobe.address.spellings import lenient_subject, with_readings

        if lenient and (subject := lenient_subject(text)) is not None:
            return subject, text
        raise with_readings(error, text) from None


def _range_ends(text: str) -> tuple[ParsedAddress, ParsedAddress] | None:
    """The two ends of ``a-b``; None where the dash is part of something else."""
    first, _, last = text.partition("-")
    if "%" in first:
        return None
    one, two = (_read(end.strip(), lenient=False)[0] for end in (first, last))
    if one.prefix is not None or two.prefix is not None:
        raise AddressError(text, "a range has no prefix", "write the first and the last address: a-b")
    if one.address.version != two.address.version:
        raise AddressError(text, "one end of the range is IPv4, the other IPv6")
    if one.address.number > two.address.number:
        raise AddressError(text, "the last address is lower than the first", f"write {last}-{first}")
    return one.address, two.address


def _of_range(text: str, first: ParsedAddress, last: ParsedAddress, nat64: tuple[Nat64Prefix, ...]) -> Classification:
    """The first address of a range, with the range itself and its kind."""
    from dataclasses import replace

    from netprobe.address.ranges import range_of

    whole = range_of(first.version, first.number, last.number)
    return replace(
        _classified(text, first, None, nat64, None),
        kind=whole.kind,
        globally_reachable=whole.globally_reachable,
        range=whole,
        addresses_text=str(whole.addresses),
    )


def _classified(
    text: str, address: ParsedAddress, prefix: int | None, nat64: tuple[Nat64Prefix, ...], spelling: str | None
) -> Classification:
    version, number = address.version, address.number
    kind, reachable = kind_of_number(version, number), globally_reachable(version, number)
    network, whole = _with_prefix(version, number, prefix)
    if whole is not None and number & net_mask(version, prefix or 0) == number:
        kind, reachable = whole.kind, whole.globally_reachable  # no host bits: the prefix as a whole is meant
    roles = roles_of(number, prefix) if version == 4 else ()
    six = _ipv6_facts(number, nat64) if version == 6 else _NO_FACTS
    return Classification(
        input=text,
        address=address_text(version, number) + (f"%{address.zone}" if address.zone else ""),
        version=version,
        kind=kind,
        class_=class_of(number) if version == 4 else None,
        block=covering(version, number),
        role=roles[0] if roles else None,
        network=network,
        embedded=six.embedded,
        zone=address.zone,
        reverse_name=reverse_name(version, number),
        integer=number,
        globally_reachable=reachable,
        roles=roles,
        verdict=six.warning,
        range=whole,
        space=six.space,
        multicast=_multicast(version, number),
        teredo=six.teredo,
        unique_local=six.unique_local,
        mac=six.mac,
        solicited_node=six.solicited_node,
        spelling=spelling,
        readings=() if spelling is None else _readings(spelling),
        warning=six.warning,
        integer_text=str(number),
        hosts_text=None if network is None else str(network.hosts),
        addresses_text=None if whole is None else str(whole.addresses),
        service=service_at(version, number),
    )


def _with_prefix(version: int, number: int, prefix: int | None) -> tuple[Network | None, Range | None]:
    """What a prefix makes of an address: its network, and the range that the prefix is, where it is more than one."""
    if prefix is None:
        return None, None
    from netprobe.address.ranges import network_of, prefix_range

    network = network_of(version, number, prefix)
    return network, prefix_range(version, number, prefix) if prefix < BITS[version] else None


def _multicast(version: int, number: int) -> Multicast | None:
    if number >> (BITS[version] - 4) < 0xE:  # below 224.0.0.0/4 and ff00::/8
        return None
    from netprobe.address.multicast import multicast_of

    return multicast_of(version, number)


def _readings(spelling: str) -> tuple[Reading, ...]:
    from netprobe.address.spellings import readings_of

    return readings_of(spelling.partition("/")[0])


class _Ipv6Facts(NamedTuple):
    """The fields of a classification that only IPv6 addresses have."""

    embedded: tuple[Embedded, ...] = ()
    warning: str | None = None
    space: Space | None = None
    teredo: Teredo | None = None
    unique_local: UniqueLocal | None = None
    mac: str | None = None
    solicited_node: str | None = None


_NO_FACTS = _Ipv6Facts()


def _ipv6_facts(number: int, nat64: tuple[Nat64Prefix, ...]) -> _Ipv6Facts:
    from netprobe.address.embedded import carried_by
    from netprobe.address.interface_id import mac_of, solicited_node, teredo_of, unique_local_of
    from netprobe.address.space import space_of

    embedded = tuple(
        Embedded(
            carried.form,
            inner := address_text(4, carried.number),
            carried.rfc,
            _classified(inner, ParsedAddress(4, carried.number), None, (), None),
        )
        for carried in carried_by(number, nat64)
    )
    return _Ipv6Facts(
        embedded=embedded,
        warning=warning_of(globally_reachable(6, number), embedded),
        space=space_of(number),
        teredo=teredo_of(number),
        unique_local=unique_local_of(number),
        mac=mac_of(number),
        solicited_node=solicited_node(number) if number > 1 and number >> 120 != 0xFF else None,
    )
