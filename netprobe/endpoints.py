"""``HOST[:PORT]``, read and written in one place.

The form is that of a URI's authority (RFC 3986 section 3.2.2): an IPv6 address that has a port stands in brackets. A
bare IPv6 address may stand without them, since there a port could not be told from the last group.
"""

from __future__ import annotations

import socket
from typing import Final

from netprobe.errors import InvalidInputError

__all__ = ["DEFAULT_PORT", "format_endpoint", "parse_endpoint", "parse_port"]

DEFAULT_PORT: Final = 65432  # what echo servers and clients use where none is given
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
    if digits is None:
        return host, default_port
    port = parse_port(digits)
    if port is None:
        raise InvalidInputError(text, f"port {digits or '(empty)'} is not a number from 1 to 65535")
    return host, port


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
