"""``netprobe classify --registry`` and ``--kinds``: the tables that netprobe carries, printed."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.address.predicates import Word, words
from netprobe.address.registry import PAGE_DATE, SpecialBlock, special_blocks
from netprobe.errors import Exit
from netprobe.render.output import Output
from netprobe.render.view import Column, View

__all__ = ["kinds", "registry"]


@dataclass(frozen=True, slots=True)
class RegistryHead:
    """The further top-level keys of the document of ``--registry``: the date of IANA's page."""

    page_date: str


def registry(output: Output) -> Exit:
    """Every row of both registries."""
    columns = (
        Column("cidr", "block", whole=True),
        Column("name", "name"),
        Column("rfc", "RFC", 3),
        Column("source", "source", 2),
        Column("destination", "dest", 2),
        Column("forwardable", "fwd", 2),
        Column("globally_reachable", "global", 1),
        Column("reserved_by_protocol", "reserved", 2),
    )
    with output.document("classify registry", SpecialBlock, View(columns)) as document:
        document.head = RegistryHead(PAGE_DATE)
        output.say(f"IANA special-purpose address registries, pages of {PAGE_DATE}")
        for version in (4, 6):
            for block in special_blocks(version):
                document.add(block)
    return document.status


def kinds(output: Output) -> Exit:
    """The closed list of kinds, and the further words that --is, --only and --not take."""
    columns = (Column("word", "word", whole=True), Column("sort", "sort", 1), Column("meaning", "meaning"))
    with output.document("classify kinds", Word, View(columns)) as document:
        for word in words():
            document.add(word)
    return document.status
