"""``HOST[:PORT]`` as a person writes it."""

from __future__ import annotations

import socket
from typing import Final

from netprobe.errors import InvalidInputError

__all__ = ["DEFAULT_PORT", "place", "read_destination"]

DEFAULT_PORT: Final = 65432
_BRACKETS: Final = "an IPv6 address with a port is written [::1]:65432"


def read_destination(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Host and port of ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address; port 1 to 65535."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise InvalidInputError(text, "not HOST:PORT", _BRACKETS)
        port = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if not host:
        raise InvalidInputError(text or "''", "no host", "write HOST or HOST:PORT")
    if (":" in host or text.startswith("[")) and not _is_ipv6(host):
        raise InvalidInputError(text, "neither HOST:PORT nor an IPv6 address", _BRACKETS)
    if port is None:
        return host, default_port
    digits = port.lstrip("0")  # of more than 5 no number is made: int() takes no more than 4,300
    if not (port.isascii() and port.isdigit() and len(digits) <= 5 and 1 <= int(digits or 0) <= 65535):
        raise InvalidInputError(text, f"port {port or '(empty)'} is not a number from 1 to 65535")
    return host, int(digits)


def _is_ipv6(host: str) -> bool:
    """An address of RFC 4291, with or without a zone (RFC 4007 section 11)."""
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):  # ValueError: a NUL or a surrogate in it
        return False
    return True


def place(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
