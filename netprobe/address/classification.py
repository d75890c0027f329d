"""One address, all that is known of it: the record of ``netprobe classify`` and how it is made."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.address.classes import AddressClass, class_of
from netprobe.address.embedded import embedded_ipv4
from netprobe.address.kinds import kind_of_number
from netprobe.address.number import BITS, address_text, reverse_name
from netprobe.address.prefix import Network, network_of
from netprobe.address.reader import Address, read_address, read_subject
from netprobe.address.registry import SpecialBlock, covering
from netprobe.address.roles import Role, role_of
from netprobe.errors import AddressError

__all__ = ["Classification", "Embedded", "classify", "kind_of"]


@dataclass(frozen=True, slots=True)
class Classification:
    """What an address is. ``class_`` and ``role`` are IPv4's, ``network`` needs a prefix, ``block`` a special block."""

    input: str
    address: str
    version: int
    kind: str
    class_: AddressClass | None
    block: SpecialBlock | None
    role: Role | None
    network: Network | None
    embedded: tuple[Embedded, ...]
    zone: str | None
    reverse_name: str
    integer: int

    @property
    def summary(self) -> str:
        """One sentence: ``class B, private (172.16.0.0/12, RFC 1918), a host of 172.20.0.0/16``."""
        parts = [f"class {self.class_.letter}"] if self.class_ else [f"IPv{self.version}"]
        if self.block is None:
            parts.append(self.kind)
        else:
            parts.append(f"{self.kind} ({', '.join([self.block.cidr, *self.block.rfc])})")
        place = self._place()
        if place:
            parts.append(place)
        parts += [f"{inside.form} of {inside.address} ({inside.inside.kind})" for inside in self.embedded]
        return ", ".join(parts)

    def _place(self) -> str | None:
        if self.network is not None:
            name = "a host" if self.network.position else (self.role.name if self.role else "the subnet-router anycast")
            return f"{name} of {self.network.network}"
        if self.class_ is None or self.role is None or self.class_.natural_prefix is None:
            return self.role.name if self.role and self.role.name not in self.kind.replace("-", " ") else None
        if self.class_.network in ("0.0.0.0", "127.0.0.0"):
            return self.role.name
        name = {"{net,host}": "a host", "{net,0}": "the address"}.get(self.role.notation, "the broadcast")
        return f"{name} of {self.class_.network}/{self.class_.natural_prefix}"

    def __str__(self) -> str:
        return f"{self.input}: {self.summary}"


@dataclass(frozen=True, slots=True)
class Embedded:
    """An address inside another: the ``form`` of the wrapping, and what the inner address is."""

    form: str
    address: str
    inside: Classification


def classify(text: str, prefix: int | None = None) -> Classification:
    """What is the address in ``text``: an address, ``address/prefix`` or ``address/netmask``.

    ``prefix`` (0 to 32 or 128 bits) is used where ``text`` names none. Raises AddressError, which is a ValueError.
    """
    subject = read_subject(text)
    version = subject.address.version
    if prefix is not None and not 0 <= prefix <= BITS[version]:
        raise AddressError(text, f"prefix {prefix} is out of range", f"IPv{version} prefixes are 0 to {BITS[version]}")
    return _classified(text, subject.address, prefix if subject.prefix is None else subject.prefix)


def kind_of(text: str) -> str:
    """The kind of one address, for those who want nothing else."""
    address = read_address(text)
    return kind_of_number(address.version, address.number)


def _classified(text: str, address: Address, prefix: int | None) -> Classification:
    version, number = address.version, address.number
    ipv4 = version == 4
    return Classification(
        input=text,
        address=address_text(version, number) + (f"%{address.zone}" if address.zone else ""),
        version=version,
        kind=kind_of_number(version, number),
        class_=class_of(number) if ipv4 else None,
        block=covering(version, number),
        role=role_of(number, prefix) if ipv4 else None,
        network=None if prefix is None else network_of(version, number, prefix),
        embedded=() if ipv4 else tuple(_inside(form, inner) for form, inner in embedded_ipv4(number)),
        zone=address.zone,
        reverse_name=reverse_name(version, number),
        integer=number,
    )


def _inside(form: str, number: int) -> Embedded:
    text = address_text(4, number)
    return Embedded(form, text, _classified(text, Address(4, number), None))
