"""The report page of ``--html``: one value in, one self-contained page out; no template engine, no library.

What a page must survive decided its form. It is opened from a mail, from a ticket or from a CI server's artefacts, so
nothing is loaded from elsewhere and a content security policy (W3C CSP3) says so: its only exceptions are the hashes of
the style and the script that the page carries. Where a server adds a stricter policy and takes both away, what is left
is headings, lists and tables in reading order, and complete: details open, no text only in colour, in a picture or in
script. Names in it come from other machines. :func:`element` is the only thing here that makes a ``<``, and it escapes
every text and every attribute; ids are counters, never made of names.

A template engine was weighed against it: autoescaping is what one would be for, and 20 lines do that; the page has no
layout that a designer would edit apart from its style, which is a file of its own.

:class:`Report` is what a page shows, whichever command made it. Its texts are sequences of plain strings and
:class:`Address` or :class:`Code`, strings that are set in another face.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from netprobe.text import escape
from netprobe.version import __version__

__all__ = [
    "Address",
    "Answer",
    "Cause",
    "Change",
    "Code",
    "Detail",
    "Fact",
    "Heading",
    "LabelledCommand",
    "Matrix",
    "Observation",
    "Report",
    "Row",
    "Table",
    "Tally",
    "Text",
    "Untested",
    "page",
]

_FEW: Final = 4  # columns of a matrix up to which its cells have room for their details


class Address(str):
    """An address, a port or a pair of them: set in the fixed face, never broken."""

    __slots__ = ()


class Code(str):
    """A command, a file name or a rule's own text: set in the fixed face."""

    __slots__ = ()


Text = Sequence[str]  # pieces of one text: plain, Address or Code


@dataclass(frozen=True, slots=True)
class Answer:
    """The page's first words. ``flag`` is two words of what they mean, ``also`` further sentences."""

    flag: str
    as_expected: bool
    text: Text
    also: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cells: ``mark`` is a letter, ``kind`` one of ``bad``, ``ok``, ``note`` or nothing."""

    mark: str
    kind: str
    count: int
    text: str


@dataclass(frozen=True, slots=True)
class Untested:
    """Something that was not asked, and what that means."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class LabelledCommand:
    """A command to paste, and the few words above it that say where, or what for."""

    label: str
    line: str


@dataclass(frozen=True, slots=True)
class Cause:
    """One card. ``cells`` are links to cells: their number and what the link says; ``more`` are not linked."""

    mark: str
    differs: bool
    title: Text
    cells: tuple[tuple[int, Text], ...]
    because: tuple[Text, ...]
    commands: tuple[LabelledCommand, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that is not as an expectation has it: what the file says, and what is."""

    where: str
    before: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's name, and the words below it."""

    name: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """A line of a cell's evidence."""

    name: str
    text: Text


@dataclass(frozen=True, slots=True)
class Observation:
    """What a cell says of one protocol, or of both where they agree (``protocol`` is empty then).

    ``cause`` is the number of the card that explains it, from 1; 0 for none.
    """

    mark: str
    kind: str
    word: str
    details: tuple[Detail, ...]
    protocol: str = ""
    expected: str = ""
    remarkable: bool = False
    cause: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A destination, and for each column its number on the page and what was observed (nothing: not asked)."""

    name: Text
    below: str
    cells: tuple[tuple[int, tuple[Observation, ...]], ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """A table of observations."""

    title: Text
    note: str
    corner: Heading
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]

    @property
    def differs(self) -> bool:
        """Is any cell not as expected?"""
        return any(row.differs for row in self.rows)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; the first of each row is its heading."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A line about the run."""

    name: str
    text: Text


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a page shows. ``at`` is UTC, ISO 8601; ``data`` the run's JSON document."""

    command: str
    title: str
    at: str
    host: str
    answer: Answer
    tallies: tuple[Tally, ...]
    untested: tuple[Untested, ...]
    causes: tuple[Cause, ...]
    changes_title: Text
    changes: tuple[Change, ...] | None
    matrices: tuple[Matrix, ...]
    legend: tuple[Tally, ...]
    vantages: Table
    facts: tuple[Fact, ...]
    commands: tuple[LabelledCommand, ...]
    text: str
    data: str


class _Markup(str):
    """Text that is HTML already; only :func:`element` and the constants of this module make it."""

    __slots__ = ()


_VOID: Final = frozenset({"meta", "br"})
_NOTHING: Final = _Markup("")
_DOCTYPE: Final = "<!DOCTYPE html>\n"


def page(report: Report) -> str:
    """The whole page, as text to be written in UTF-8."""
    style, script = (files("netprobe.render").joinpath(f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    policy = (
        f"default-src 'none'; style-src '{_hash_of(style)}'; script-src '{_hash_of(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        element("meta", {"name": "robots", "content": "noindex"}),
        element("meta", {"name": "generator", "content": f"netprobe {__version__}"}),
        element("title", {}, f"{report.title} · {report.command}"),
        element("style", {}, _Markup(style)),
    )
    body = element(
        "body",
        {},
        element("div", {"class": "page"}, _top(report), _main(report), _footer()),
        element("script", {"type": "application/json", "id": "netprobe-data"}, _data(report.data)),
        element("script", {}, _Markup(script)),
    )
    return _DOCTYPE + element("html", {"lang": "en"}, head, body) + "\n"


def element(name: str, attributes: dict[str, str], *children: str) -> _Markup:
    """``<name …>children</name>``: text and attributes escaped, what is markup already as it is."""
    words = "".join(f' {key}="{html.escape(escape(value))}"' for key, value in attributes.items())
    if name in _VOID:
        return _Markup(f"<{name}{words}>")
    return _Markup(f"<{name}{words}>{''.join(_escaped(child) for child in children)}</{name}>")


def _escaped(child: str) -> str:
    return child if isinstance(child, _Markup) else html.escape(escape(child))


def _lines(text: str) -> _Markup:
    """A text of several lines; anywhere else a line feed is escaped, since a command that holds one would be two."""
    return _Markup(html.escape(escape(text, keep="\n")))


def _data(document: str) -> _Markup:
    """The JSON document, with what could end its element written as JSON's own escapes (only strings hold these)."""
    for character in "&<>\u2028\u2029":
        document = document.replace(character, f"\\u{ord(character):04x}")
    return _Markup(document)


def _hash_of(text: str) -> str:
    """A source expression of CSP3, section 2.3.1."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _join(parts: Iterable[str]) -> _Markup:
    return _Markup("".join(_escaped(part) for part in parts))


def _inline(text: Text) -> _Markup:
    """The pieces of a text."""
    return _join(_piece(piece) for piece in ([text] if isinstance(text, str) else text))


def _piece(piece: str) -> str:
    if isinstance(piece, Address):
        return element("span", {"class": "addr"}, str(piece))
    return element("code", {}, str(piece)) if isinstance(piece, Code) else piece


def _mark(mark: str, kind: str) -> _Markup:
    """A letter in a box. It is hidden from screen readers: the word beside it says the same."""
    return element("span", {"class": f"m {kind}".rstrip(), "aria-hidden": "true"}, mark)


# What, when, the answer.


def _top(report: Report) -> _Markup:
    """The line above everything, with links to the parts that this page has."""
    parts = [
        ("differences", "Causes", bool(report.causes)),
        ("changes", "Changes", report.changes is not None),
        ("matrix", "Matrix", bool(report.matrices)),
        ("vantages", "Vantages", True),
        ("run", "Run", True),
    ]
    links = _Markup("\n").join(element("a", {"href": f"#{key}"}, name) for key, name, is_there in parts if is_there)
    return element(
        "header",
        {"class": "top"},
        element("span", {"class": "what"}, report.command),
        _Markup("\n"),
        element("time", {"datetime": report.at}, report.at.replace("T", " ").replace("Z", " UTC")),
        _Markup("\n"),
        element("span", {"class": "run"}, f"on {report.host}"),
        _Markup("\n"),
        element("nav", {"aria-label": "Sections"}, _Markup(links)),
    )


def _main(report: Report) -> _Markup:
    """The answer first, then causes, tables, the run, and the same as text."""
    return element(
        "main",
        {},
        _answer(report),
        _causes(report.causes),
        _changes(report),
        _matrices(report),
        _section("vantages", "From where", _table(report.vantages, "Vantages")),
        element(
            "div",
            {"class": "cols"},
            _facts(report.facts),
            _section("next", "Look yourself", *_commands(report.commands)),
        ),
        element(
            "section",
            {},
            element(
                "details",
                {"class": "text"},
                element("summary", {}, "As text, for a ticket"),
                element("pre", {}, _lines(report.text)),
            ),
        ),
    )


def _footer() -> _Markup:
    return element(
        "footer",
        {},
        f"Written by netprobe {__version__}. This page is its own data: ",
        element("code", {}, "#netprobe-data"),
        " holds the same document as ",
        element("code", {}, "--json"),
        ". Nothing is loaded from elsewhere.",
    )


def _section(name: str, heading: str, *children: str) -> _Markup:
    return element("section", {"id": name}, element("h2", {}, heading), *children)


def _answer(report: Report) -> _Markup:
    """Beside the answer what it does not cover."""
    answer = report.answer
    flag = element(
        "p",
        {"class": "flag ok" if answer.as_expected else "flag"},
        _mark("✓" if answer.as_expected else "!", ""),
        f" {answer.flag}",
    )
    tallies = [
        element("li", {}, _mark(x.mark, x.kind), " ", element("span", {}, element("b", {}, str(x.count)), f" {x.text}"))
        for x in report.tallies
    ]
    untested = [
        element("li", {}, element("b", {}, f"{x.what[:1].upper()}{x.what[1:]}."), f" {x.why}") for x in report.untested
    ]
    return element(
        "section",
        {"class": "answer", "aria-label": "The answer"},
        element(
            "div",
            {},
            flag,
            element("h1", {}, _inline(answer.text)),
            *(element("p", {"class": "also"}, _inline(text)) for text in answer.also),
            element("ul", {"class": "tally"}, *tallies),
        ),
        element("div", {"class": "untested"}, element("h2", {}, "Not tested"), element("ul", {}, *untested))
        if untested
        else "",
    )


# Causes.


def _causes(causes: Sequence[Cause]) -> _Markup:
    """A card each."""
    if not causes:
        return _NOTHING
    cards = [_card(cause, f"f{number}") for number, cause in enumerate(causes, 1)]
    heading = "What is not as expected, by cause" if any(x.differs for x in causes) else "What is worth knowing"
    return _section("differences", heading, element("div", {"class": "causes"}, *cards))


def _card(cause: Cause, name: str) -> _Markup:
    links: list[str] = []
    for position, (number, text) in enumerate(cause.cells):
        links += [", " if position else "", element("a", {"href": f"#c{number}"}, _inline(text))]
    if cause.more:
        links.append(f" and {cause.more} more")
    count = len(cause.cells) + cause.more
    header = element(
        "header",
        {},
        _mark(cause.mark, "bad" if cause.differs else "note"),
        element(
            "div",
            {},
            element("h3", {}, _inline(cause.title)),
            element("p", {}, f"{count} {'cell' if count == 1 else 'cells'}: ", *links),
        ),
    )
    parts = []
    if cause.because:
        paragraphs = [element("p", {}, _inline(text)) for text in cause.because]
        parts.append(element("div", {}, element("h4", {}, "Cause"), *paragraphs))
    if cause.commands:
        parts.append(element("div", {}, element("h4", {}, "Look yourself"), *_commands(cause.commands)))
    kind = "cause" if cause.differs else "cause note"
    return element("article", {"class": kind, "id": name}, header, element("div", {"class": "body"}, *parts))


def _commands(commands: Sequence[LabelledCommand]) -> list[_Markup]:
    """Whole, on one line each, so that copying them works."""
    parts = []
    for command in commands:
        parts.append(element("p", {"class": "tried"}, command.label))
        parts.append(element("pre", {"class": "cmd"}, element("code", {}, command.line)))
    return parts


# Tables. Their roles are said aloud because ``display: block``, for narrow screens, takes them away.


def _scrolling(label: str, table: _Markup, *, same: bool = False) -> _Markup:
    attributes = {"class": "scroll same" if same else "scroll", "role": "region", "tabindex": "0", "aria-label": label}
    return element("div", attributes, table)


def _head(headings: Iterable[_Markup]) -> _Markup:
    cells = [element("th", {"scope": "col", "role": "columnheader"}, heading) for heading in headings]
    return element("thead", {"role": "rowgroup"}, element("tr", {"role": "row"}, *cells))


def _body(rows: Iterable[_Markup]) -> _Markup:
    return element("tbody", {"role": "rowgroup"}, *rows)


def _row_heading(*children: str) -> _Markup:
    return element("th", {"scope": "row", "role": "rowheader"}, *children)


def _cell(heading: str, *children: str, **attributes: str) -> _Markup:
    """A cell; on a narrow screen its column's name stands before it."""
    return element(
        "td",
        {"role": "cell", **attributes},
        element("span", {"class": "who"}, heading),
        " ",
        element("div", {}, *children),
    )


def _table(table: Table, label: str) -> _Markup:
    rows = [
        element(
            "tr",
            {"role": "row"},
            _row_heading(_inline(first)),
            *(_cell(heading, _inline(text)) for heading, text in zip(table.headings[1:], rest, strict=True)),
        )
        for first, *rest in table.rows
    ]
    head = _head(element("span", {}, heading) for heading in table.headings)
    return _scrolling(label, element("table", {"class": "stack plain", "role": "table"}, head, _body(rows)))


def _changes(report: Report) -> _Markup:
    """What an expectation has otherwise."""
    if report.changes is None:
        return _NOTHING
    if not report.changes:
        return _section("changes", "What changed", element("p", {}, _inline(report.changes_title)))
    rows = [
        element(
            "tr",
            {"role": "row"},
            _row_heading(element("code", {}, change.where)),
            _cell("in the file", element("span", {"class": "was"}, f"− {change.before}" if change.before else "–")),
            _cell("now", element("span", {"class": "now"}, f"+ {change.now}" if change.now else "–")),
        )
        for change in report.changes
    ]
    caption = element("caption", {}, _inline(report.changes_title))
    head = _head(element("span", {}, heading) for heading in ("cell", "in the file", "now"))
    table = element("table", {"class": "stack plain", "role": "table"}, caption, head, _body(rows))
    return _section("changes", "What changed", _scrolling("Changes", table))


def _matrices(report: Report) -> _Markup:
    """The tables of observations, with their legend and the filter that script shows."""
    if not report.matrices:
        return _NOTHING
    button = element("button", {"type": "button", "id": "only", "aria-pressed": "false"}, "Only differences")
    tools = element(
        "div",
        {"class": "tools", "hidden": ""},
        button,
        element("span", {"class": "soft", "id": "shown", "role": "status"}),
    )
    legend = [element("li", {}, *([_mark(x.mark, x.kind), " "] if x.mark else []), x.text) for x in report.legend]
    tables = [_matrix(matrix) for matrix in report.matrices]
    return _section("matrix", "Who reached what", tools, element("ul", {"class": "legend"}, *legend), *tables)


def _matrix(matrix: Matrix) -> _Markup:
    caption = element("caption", {}, _inline(matrix.title), " ", element("span", {"class": "soft"}, matrix.note))
    head = _head(
        _join([heading.name, element("small", {}, heading.below) if heading.below else ""])
        for heading in (matrix.corner, *matrix.headings)
    )
    rows = []
    for row in matrix.rows:
        below = element("small", {}, row.below) if row.below else _NOTHING
        cells = [
            _observed(heading.name, number, observations)
            for heading, (number, observations) in zip(matrix.headings, row.cells, strict=True)
        ]
        attributes = {"role": "row"} if row.differs else {"role": "row", "class": "same"}
        rows.append(element("tr", attributes, _row_heading(_inline(row.name), below), *cells))
    count = len(matrix.headings)
    size = f"few of-{count}" if count <= _FEW else "many"
    table = element("table", {"class": f"stack matrix {size}", "role": "table"}, caption, head, _body(rows))
    title = "".join(matrix.title)
    return _scrolling(title, table, same=not matrix.differs)


def _observed(heading: str, number: int, observations: Sequence[Observation]) -> _Markup:
    if not observations:
        return _cell(heading, element("span", {"class": "soft"}, "not asked"))
    attributes = {"id": f"c{number}"}
    if any(observation.expected for observation in observations):
        attributes["class"] = "diff"
    return _cell(heading, *(_observation(observation) for observation in observations), **attributes)


def _observation(seen: Observation) -> _Markup:
    """A line that opens to its evidence."""
    word = [seen.word, element("span", {"class": "p"}, " *")] if seen.remarkable else [seen.word]
    line = [_mark(seen.mark, seen.kind), element("span", {"class": "w"}, *word), " "]
    if seen.protocol:
        line.append(element("span", {"class": "p"}, seen.protocol))
    parts: list[str] = [element("span", {"class": "v"}, *line)]
    if seen.expected:
        parts += [" ", element("span", {"class": "exp"}, f"expected {seen.expected}")]
    details: list[str] = []
    for detail in seen.details:
        details += [element("dt", {}, detail.name), element("dd", {}, _inline(detail.text))]
    if seen.cause:
        link = element("a", {"href": f"#f{seen.cause}"}, "the cause, with commands to look with")
        details += [element("dt", {}, "why"), element("dd", {}, link)]
    return element("details", {}, element("summary", {}, *parts), element("dl", {}, *details))


def _facts(facts: Sequence[Fact]) -> _Markup:
    parts: list[str] = []
    for fact in facts:
        parts += [element("dt", {}, fact.name), element("dd", {}, _inline(fact.text))]
    return _section("run", "This run", element("dl", {"class": "facts"}, *parts))
