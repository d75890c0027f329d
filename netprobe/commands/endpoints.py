"""What a command line names: the addresses that are bound, and the peer, each as an argument or as an option.

What is bound is ``[ADDRESS…]`` or ``--addr``, a peer is ``[HOST[:PORT]]`` or ``--to``, and ``--port`` is the port of
either. So an address can be said in two places, and a port in two; what is typed in both must agree, because whatever
else was done (the last one, the union) would surprise somebody. What is typed wins over the environment, as always.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from netprobe.endpoints import format_endpoint, parse_endpoint
from netprobe.errors import InvalidInputError

__all__ = ["bound_addresses", "check_version", "chosen_version", "peer"]


def bound_addresses(ctx: click.Context, arguments: Sequence[str], port: int) -> tuple[tuple[str, ...], int]:
    """The addresses to bind, from the arguments or ``--addr``, and their port, from them or ``--port``.

    A port that stands behind an address (``0.0.0.0:8080``, ``[::]:8080``) is that of all of them: there is one.
    """
    options: Sequence[str] = ctx.params["addr"]
    if arguments and options and _typed(ctx, "addr") and set(arguments) != set(options):
        raise InvalidInputError(
            f"{' '.join(arguments)} and --addr {' '.join(options)}",
            "the addresses to bind are given in two ways that differ",
            "give all of them as arguments, or each with --addr",
        )
    found = [_split(text) for text in arguments or options]
    ports = {given: text for (_, given), text in zip(found, arguments or options, strict=True) if given is not None}
    if _typed(ctx, "port"):
        ports = {port: f"--port {port}", **ports}
    if len(ports) > 1:
        one, other = list(ports.values())[:2]
        raise InvalidInputError(f"{one} and {other}", "two ports, where all addresses have the same one", "give one")
    return tuple(host for host, _ in found), next(iter(ports), port)


def peer(ctx: click.Context, argument: str | None, to: str | None, port: int | None) -> str:
    """``HOST:PORT`` of the peer, from the argument or ``--to``, and from ``--port`` where that has none."""
    if argument is not None and to is not None and _typed(ctx, "to") and argument != to:
        raise InvalidInputError(f"{argument} and --to {to}", "two peers", "give one of them")
    text = argument or to or "127.0.0.1"
    host, given = parse_endpoint(text, 0)
    if given and port is not None and _typed(ctx, "port") and port != given:
        raise InvalidInputError(f"{text} and --port {port}", "two ports", "give one of them")
    return format_endpoint(*parse_endpoint(text)) if given or port is None else format_endpoint(host, port)


def chosen_version(ipv4: bool, ipv6: bool) -> int | None:
    """4 or 6 where one of ``-4`` and ``-6`` is given; None, for both, where neither is or both are."""
    return None if ipv4 == ipv6 else 4 if ipv4 else 6


def check_version(texts: Sequence[str], version: int | None) -> None:
    """Refuse an address that ``-4`` or ``-6`` excludes. ``::`` takes IPv4, too; a name has yet to show what it is."""
    for text in texts:
        its = 6 if ":" in text else 4 if text.replace(".", "").isdigit() else version
        if version is not None and its != version and text != "::":
            raise InvalidInputError(
                text, f"is IPv{its}, and -{version} asks for IPv{version} only", "leave one of them out"
            )


def _split(text: str) -> tuple[str, int | None]:
    """An address and the port behind it. What is neither is for whoever reads the address to refuse."""
    if not text.startswith("[") and text.count(":") != 1:
        return text, None
    host, port = parse_endpoint(text, 0)
    return host, port or None


def _typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
