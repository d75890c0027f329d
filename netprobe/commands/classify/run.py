"""``netprobe classify`` of arguments: one record each, as a card, a line or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from netprobe.address.classification import Classification
from netprobe.address.classification import classify as classified
from netprobe.address.prefix import comes_alone
from netprobe.errors import AddressError, Exit, InvalidInputError
from netprobe.render.view import Column, View

if TYPE_CHECKING:
    from netprobe.render.output import Document, Output
    from netprobe.render.terminal import Terminal

__all__ = ["arguments", "kinds", "question_of", "registry"]

PLAIN = ("input", "kind", "block.cidr")  # and the sentence


def arguments(output: Output, addresses: Sequence[str], options: Mapping[str, Any]) -> Exit:
    """Classify every argument; a bad one is told and the rest is answered."""
    if not addresses:
        raise click.UsageError("no address", click.get_current_context())
    question_of(options)
    relate = _relation() if options["here"] else None
    silent = bool(options["is"]) and (output.quiet or output.for_people)
    view = View(plain=_plain, table=partial(_print_cards, bits=options["bits"]))
    with output.document("classify", Classification, view) as document:
        found = [f for f in (_one(text, options, document) for text in addresses) if f is not None]
        if options["count"]:
            raise InvalidInputError("--count", "counts a stream", "use it with - or --file")
        for record in found:
            if _stays(record, options) and not silent:
                document.add(_with_here(record, relate))
            if options["is"]:
                _answer(record, options["is"], output, document)
    return document.status


def question_of(options: Mapping[str, Any]) -> None:
    """Check the words of ``--is``, ``--only`` and ``--not``. Raises InvalidInputError."""
    words = [*options["only"], *options["not"], *([options["is"]] if options["is"] else [])]
    if words:
        from netprobe.address.predicates import check_predicate

        for word in words:
            check_predicate(word)


def _one(text: str, options: Mapping[str, Any], document: Document[Classification]) -> Classification | None:
    try:
        prefix = options["prefix"] if comes_alone(text) else None
        return classified(text, prefix, options["nat64"], options["lenient"])
    except AddressError as error:
        document.error(error)
        return None


def _stays(record: Classification, options: Mapping[str, Any]) -> bool:
    if not options["only"] and not options["not"]:
        return True
    from netprobe.address.predicates import matches

    stays = not options["only"] or any(matches(record, word) for word in options["only"])
    return stays and not any(matches(record, word) for word in options["not"])


def _answer(record: Classification, word: str, output: Output, document: Document[Classification]) -> None:
    from netprobe.address.predicates import matches

    yes = matches(record, word)
    document.answer(Exit.OK if yes else Exit.NO)
    if not output.quiet:
        document.note(f"{record.input}\t{'yes' if yes else 'no'}\t{record.kind}")


def _relation() -> Callable[[Classification], Any]:
    """The function that places an address for this host; what the host has is asked once, its way to each address."""
    from netprobe import api
    from netprobe.address.here import HostRoute, LinkAddress, seen_from
    from netprobe.interfaces import route_to

    links = api.local_interfaces()
    held = [LinkAddress(a.address, a.prefix or 0, i.name) for i in links for a in i.addresses if a.prefix is not None]
    routes = [HostRoute(r.version, r.gateway, i.name) for i in links for r in i.default_routes]
    zones = {name: i.name for i in links for name in (i.name, str(i.index))}

    def relate(record: Classification) -> Any:
        interface = zones.get(record.zone) if record.zone else None
        near = [entry for entry in held if interface in (None, entry.interface)]

        def look_up() -> HostRoute | None:
            way = route_to(record.address, interface)
            return way and HostRoute(record.version, way.gateway, way.interface, way.own)

        try:
            return seen_from(record.version, record.integer, near, routes, look_up)
        except OSError:  # no netlink here
            return seen_from(record.version, record.integer, near, routes)

    return relate


def _with_here(record: Classification, relate: Callable[[Classification], Any] | None) -> Classification:
    if relate is None:
        return record
    from dataclasses import replace

    return replace(record, here=relate(record))


def _plain(record: Classification) -> str:
    from netprobe.render.classification import here_words, whole_words
    from netprobe.render.fields import plain_line

    said = [record.summary, whole_words(record), record.verdict and f"beware: {record.verdict}"]
    lines = [f"{plain_line(record, PLAIN)}\t{'; '.join(filter(None, said))}"]
    if record.here is not None:
        lines[0] += f"\t{here_words(record.here)}"
    if record.range is not None and len(record.range.pieces) > 1:
        lines += [f"{piece.first}-{piece.last}\t{piece.kind}\t{piece.block or '-'}" for piece in record.range.pieces]
    return "\n".join(lines)


def _print_cards(records: Sequence[Classification], terminal: Terminal, bits: bool) -> None:
    from netprobe.render.classification import print_classifications

    print_classifications(records, terminal, bits)


def registry(output: Output) -> Exit:
    """Every row of both registries."""
    from netprobe.address.registry import PAGE_DATE, SpecialBlock, special_blocks
    from netprobe.commands.classify.head import RegistryHead

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
    from netprobe.address.kinds import KINDS
    from netprobe.address.predicates import PREDICATES
    from netprobe.address.words import Word

    columns = (Column("word", "word", whole=True), Column("sort", "sort", 1), Column("meaning", "meaning"))
    with output.document("classify kinds", Word, View(columns)) as document:
        for word, meaning in KINDS.items():
            document.add(Word(word, "kind", meaning))
        for word, (meaning, _) in PREDICATES.items():
            document.add(Word(word, "predicate", meaning))
    return document.status
