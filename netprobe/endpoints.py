"""``HOST[:PORT]``, read and written in one place.

The form is that of a URI's authority (RFC 3986 section 3.2.2): an IPv6 address that has a port stands in brackets. A
bare IPv6 address may stand without them, since there a port could not be told from the last group.
"""

from __future__ import annotations

import socket
from typing import Final

from netprobe.errors import InvalidInputError

__all__ = ["DEFAULT_PORT", "format_endpoint", "host_name_error", "parse_endpoint", "parse_port"]

DEFAULT_PORT: Final = 65432  # what echo servers and clients use where none is given
_LONGEST_NAME: Final = 253  # characters: 255 octets with the lengths of its labels (RFC 1035 section 2.3.4)
_LONGEST_LABEL: Final = 63
_BRACKETS: Final = "an IPv6 address with a port is written [::1]:65432"


def parse_endpoint(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Host and port of ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address; port 1 to 65535.

    Anything else is an :class:`InvalidInputError` that names ``text``.
    """
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise InvalidInputError(text, "not HOST:PORT", _BRACKETS)
        digits = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, digits = text.partition(":")
    else:
        host, digits = text, None
    if not host:
        raise InvalidInputError(text or "''", "no host", "write HOST or HOST:PORT")
    if (":" in host or text.startswith("[")) and not _is_ipv6(host):
        raise InvalidInputError(text, "neither HOST:PORT nor an IPv6 address", _BRACKETS)
    why = None if ":" in host else host_name_error(host)
    if why is not None:
        raise InvalidInputError(text if len(text) <= _LONGEST_NAME else f"{text[:80]}…", f"not a host name: {why}")
    if digits is None:
        return host, default_port
    port = parse_port(digits)
    if port is None:
        raise InvalidInputError(text, f"port {digits or '(empty)'} is not a number from 1 to 65535")
    return host, port


def host_name_error(text: str) -> str | None:
    """Why ``text`` can be no host's name; None where it may be one.

    What would only be asked for in vain is left to the resolver (an underscore is fine in ``/etc/hosts``). What is
    refused is what no resolver can be asked for, what a person cannot see, and what could be taken for an option
    wherever the name is pasted (RFC 1123 section 2.1 has no hyphen in front either).
    """
    if not text.isprintable():
        return "it has characters that cannot be printed"
    if " " in text or "\u3000" in text:
        return "it has a space in it"
    if text.startswith("-"):
        return "it begins with a hyphen"
    try:
        labels = (text if text.isascii() else text.encode("idna").decode("ascii")).removesuffix(".").split(".")
    except UnicodeError:
        return "it has no form that a resolver can be asked for (IDNA)"
    if not all(1 <= len(label) <= _LONGEST_LABEL for label in labels):
        return f"each of its parts has 1 to {_LONGEST_LABEL} characters"
    if len(".".join(labels)) > _LONGEST_NAME:
        return f"it has more than {_LONGEST_NAME} characters"
    return None


def parse_port(text: str) -> int | None:
    """The port number in ``text``, 1 to 65535 in ASCII digits; None for anything else."""
    digits = text.lstrip("0")  # no number is made of more than 5: int() takes 4,300 at most
    if not (text.isascii() and text.isdigit() and 1 <= len(digits) <= 5):
        return None
    port = int(digits)
    return port if port <= 65535 else None


def format_endpoint(host: str, port: int | None) -> str:
    """``host:port`` with brackets around an IPv6 address; the host alone where there is no port."""
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_ipv6(host: str) -> bool:
    """An address of RFC 4291, with or without a zone (RFC 4007 section 11)."""
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):  # ValueError: a NUL or a surrogate in it
        return False
    return True
