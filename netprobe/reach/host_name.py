"""A host's name, to bind or to connect to, and what may be one. Pure.

Names are not resolved here: what is bound is resolved on this host (:mod:`netprobe.reach.own_resolver`), a destination
where the client runs (:mod:`netprobe.prober.names`).

What ends in a number is no name, although getaddrinfo(3) would take it: ``127.1``, ``010.0.0.1`` and ``2130706433`` are
spellings of IPv4 addresses to inet_aton(3), and readers do not agree on which. No top-level domain is all digits
(RFC 3696 section 2), so such a text is an address that is mistyped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from netprobe.endpoints import host_name_error
from netprobe.errors import AddressError, InvalidInputError
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["HostName", "parse_host"]

_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HostName:
    """``text`` is the name as it was given, ``ascii`` what a resolver is asked for (A-labels, RFC 5890)."""

    text: str
    ascii: str

    def __str__(self) -> str:
        return self.text


def parse_host(text: str) -> ScopedAddress | HostName:
    """An address as :meth:`ScopedAddress.parse` reads it, or else a name. Raises AddressError and InvalidInputError."""
    try:
        return ScopedAddress.parse(text)
    except AddressError:
        if not text.strip() or any(character in text for character in ":[]%/") or _ENDS_IN_A_NUMBER.fullmatch(text):
            raise
    why = host_name_error(text)
    if why is not None:
        shown = text if len(text) <= 80 else f"{text[:80]}…"
        raise InvalidInputError(shown, f"neither an IP address nor a host name: {why}")
    return HostName(text, text if text.isascii() else text.encode("idna").decode("ascii"))
