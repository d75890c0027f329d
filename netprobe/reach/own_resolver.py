"""Names that are resolved on this host: those to bind, and those that ``--connect`` connects to.

The resolver is asked as a prober asks it at a vantage, in a thread: nothing else ends a wait for getaddrinfo(3), Ctrl-C
neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netprobe.errors import CannotRunError
from netprobe.prober.names import RESOLVE_S, look_up
from netprobe.reach.host_name import HostName
from netprobe.reach.messages import Message, Resolved, parse_message
from netprobe.reach.scoped_address import ScopedAddress

__all__ = ["bind_addresses", "resolve_here", "resolver_words"]

# RFC 3493 section 6.1, without the causes that it guesses at.
_WORDS = {
    "EAI_NONAME": "the name does not resolve",
    "EAI_NODATA": "the name has no address",
    "EAI_ADDRFAMILY": "the name has no address of the family asked for",
    "EAI_AGAIN": "the name could not be resolved at this time",
    "EAI_FAIL": "the resolver failed for good",
}


def bind_addresses(
    binds: Sequence[ScopedAddress | HostName], version: int | None = None, seconds: float = RESOLVE_S
) -> Mapping[ScopedAddress, str | None]:
    """The addresses to bind, each once, with the name that led to it if one did. Raises CannotRunError.

    With a ``version``, 4 or 6, a name's addresses of that family only.
    """
    names = [bind for bind in binds if isinstance(bind, HostName)]
    resolved = resolve_here(names, version, seconds)
    found: dict[ScopedAddress, str | None] = {}
    for bind in binds:
        if isinstance(bind, ScopedAddress):
            found.setdefault(bind, None)
            continue
        for address in resolved[bind].addresses:
            found[address] = found.get(address) or bind.text
    return found


def resolve_here(
    names: Sequence[HostName], version: int | None = None, seconds: float = RESOLVE_S
) -> Mapping[HostName, Resolved]:
    """What this host's resolver makes of each of ``names``. Raises CannotRunError where it has no address for one."""
    messages: list[Message] = []
    look_up([name.ascii for name in names], seconds, lambda report: messages.append(parse_message(report)))
    found: dict[HostName, Resolved] = {}
    for name, message in zip(names, messages, strict=True):
        assert isinstance(message, Resolved)
        resolved = message.of_version(version)
        if not resolved.addresses:
            raise CannotRunError(name.text, f"{resolver_words(resolved)}, says this host's resolver", _hint(name))
        found[name] = resolved
    return found


def _hint(name: HostName) -> str:
    return f"see: getent ahosts {name.ascii}"


def resolver_words(resolved: Resolved, seconds: float = RESOLVE_S) -> str:
    """Why a name has no address: what the resolver said, and nothing about why it did."""
    if resolved.error is None:
        return f"the resolver gave no answer within {seconds:g} s"
    return f"{_WORDS.get(resolved.error, 'the name could not be resolved')} ({resolved.error})"
