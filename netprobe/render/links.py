"""What a text names, as links on a terminal that takes them (OSC 8): RFCs, manual pages, IANA's registries.

The text itself stays as it is, so nothing is lost where a terminal, a log or a copy drops the link. Links are styles of
rich, which writes none without colour; :attr:`Terminal.hyperlinks` adds the tty and terminals that print the sequence
instead of obeying it. Only netprobe's own words are linked: a host's or a peer's text decides no address.
"""

from __future__ import annotations

import re
from typing import Final

from rich.style import Style
from rich.text import Text

from netprobe.render.terminal import Terminal

__all__ = ["linked", "registry_of", "url_of"]

_RFC: Final = re.compile(r"\bRFC (?P<number>[1-9]\d{0,4})(?: section (?P<section>\d+(?:\.\d+)*))?")
_MAN: Final = re.compile(r"\b(?P<page>[a-z_][a-z0-9_.-]*)\((?P<chapter>[1-8])\)", re.IGNORECASE)


def linked(text: Text, terminal: Terminal) -> Text:
    """``text`` with its RFCs and manual pages as links, if the terminal takes them; the same object."""
    if terminal.hyperlinks:
        for pattern in (_RFC, _MAN):
            for found in pattern.finditer(text.plain):
                text.stylize(Style(link=_url(found)), *found.span())
    return text


def url_of(reference: str) -> str | None:
    """The page of ``RFC 6052 section 2.2`` or ``inet_aton(3)``; None for anything else."""
    found = _RFC.fullmatch(reference) or _MAN.fullmatch(reference)
    return None if found is None else _url(found)


def registry_of(version: int) -> str:
    """The page of IANA's special-purpose addresses of a family."""
    return f"https://www.iana.org/assignments/iana-ipv{version}-special-registry"


def _url(found: re.Match[str]) -> str:
    if "number" in found.groupdict():
        part = f"#section-{found['section']}" if found["section"] else ""
        return f"https://www.rfc-editor.org/rfc/rfc{found['number']}{part}"
    return f"https://man7.org/linux/man-pages/man{found['chapter']}/{found['page']}.{found['chapter']}.html"
