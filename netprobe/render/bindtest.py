"""A bindtest for a person: the answer, what it rests on, what was not tested, what to do next. In this order.

It shows what was found (:mod:`netprobe.reach.summary`, :mod:`netprobe.reach.findings`), and works out nothing but how
it fits on the screen. Of the matrix, as much is shown as there is to see in it: of few bind addresses all, of many only
those of which a cell differs, since the others say the same as their line of the answer; ``--matrix`` shows all. No
width drops a column: headings become letters with a legend, and where even those do not fit, cells become lines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change, place_of
from netprobe.reach.findings import Command, Finding, call_vantage, commands_for, unusable
from netprobe.render import palette
from netprobe.render.bindtest_run import BindtestRun
from netprobe.render.marks import DIFFERS, MARKS, REMARK
from netprobe.render.styled_lines import Line, folded, line_width
from netprobe.verdicts import Verdict

__all__ = ["can_print", "lines_of"]

_ASCII_TICK: Final = "o"
_FEW_BINDS: Final = 3  # up to so many bind addresses are compared in a matrix, whatever is in it
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BLANK: Final[Line] = ()


def can_print(text: str) -> bool:
    """Can stdout's encoding represent it?"""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def lines_of(
    run: BindtestRun,
    width: int,
    *,
    unicode: bool = True,
    wide: bool = False,
    matrix: bool = False,
    vantages: bool = False,
) -> list[Line]:
    """All that there is to show, in lines of ``width``. ``run`` is escaped already.

    ``unicode``: a tick can be printed; ``wide``: words for marks; ``matrix``: the whole matrix, whatever is in it;
    ``vantages``: which vantage each column is, too.
    """
    page = _Page(run, width, unicode, wide)
    blocks = [page.answer(), page.changes(), page.vantages() if vantages else []]
    blocks += [page.matrix(whole=matrix), *page.findings()]
    blocks += [page.untested(), page.next_steps(), page.rules()]
    lines: list[Line] = []
    for block in blocks:
        if block:
            lines += [_BLANK, *block] if lines else block
    return lines


@dataclass(frozen=True, slots=True)
class _Page:
    """What is shown, how wide, with which tick, and whether words replace the symbols."""

    run: BindtestRun
    width: int
    unicode: bool
    wide: bool

    # The answer.

    def answer(self) -> list[Line]:
        """A line for each bind address, then whether all is as it should be."""
        lines: list[Line] = []
        for text in self.run.answers:
            _, semicolon, off = text.rpartition("; ")
            is_off = off.endswith((" differs", " differ", " changed"))
            lines += _with_tail(folded(text, self.width, palette.ANSWER), off if semicolon and is_off else "")
        return [*lines, *self.tally(), *self.names(), *self.agreements()]

    def tally(self) -> list[Line]:
        """``✓ all 8 cells as expected``, if they are."""
        asked = [cell for cell in self.run.cells if cell.observed not in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE)]
        compared = self.run.changes is not None
        if not asked or self.run.changes or (not compared and any(cell.differs for cell in asked)):
            return []
        many = f"all {len(asked)} cells" if len(asked) > 1 else "the one cell"
        if any(cell.observed == Verdict.NOT_TESTED for cell in self.run.cells):
            many += f" that {'were' if len(asked) > 1 else 'was'} asked"
            if not compared:
                many += " are" if len(asked) > 1 else " is"
        rest = f"{many} as in {self.run.expectation}" if compared else f"{many} as expected"
        tick = self.tick(Verdict.REACHABLE)
        first, *more = folded(rest, self.width - 2)
        return [((tick, palette.EXPECTED), (" ", ""), *first), *(((("  "), ""), *line) for line in more)]

    def names(self) -> list[Line]:
        """``~ localhost at pc2 is that host itself, not this one: 127.0.0.1``."""
        found: list[Line] = []
        for text in self.run.names:
            first, *more = folded(text, self.width - 2)
            found += [((f"{REMARK} ", palette.FINDING), *first), *((("  ", ""), *line) for line in more)]
        return found

    def agreements(self) -> list[Line]:
        """Many vantages are no columns: what they agree on, and who does not."""
        lines = [
            line for agreement in self.run.agreements for line in folded(agreement.text, self.width, indent=4, first=2)
        ]
        return [_BLANK, *lines] if lines else []

    # Against an expectation.

    def changes(self) -> list[Line]:
        """What is not as the file has it, each once."""
        lines: list[Line] = []
        name = self.run.expectation or "the expectation"
        for change in self.run.changes or ():
            lines += [*folded(change.where, self.width, indent=2), *self.change(change, name), _BLANK]
        changed = {change.where for change in self.run.changes or ()}
        others = sum(place_of(cell) not in changed and cell.observed != Verdict.NOT_TESTED for cell in self.run.cells)
        if lines and others:
            lines.append(((f"  {others} other cell{'s' if others > 1 else ''} as in {name}", palette.VALUE),))
        return lines[:-1] if lines and lines[-1] == _BLANK else lines

    def change(self, change: Change, name: str) -> list[Line]:
        """What was, and where it is written; what is, and what was seen of it."""
        observed, _, cause = (change.observed or "").partition(" (")
        expected, _, unmatched = (change.expected or "").partition(", ")
        margin = max(len(expected), len(observed), 12) + 2
        where = f"{name}, line {change.line}" if change.line else name
        rows = []
        if change.expected:
            rows.append(("- ", expected, f"{unmatched}: {where}" if unmatched else where, palette.VALUE))
        elif change.observed:
            rows.append(("- ", "nothing", name, palette.VALUE))
        if change.observed:
            rows.append(("+ ", observed, cause.removesuffix(")"), palette.FAILURE))
        lines: list[Line] = []
        for sign, verdict, note, style in rows:
            if note and 4 + margin + cell_len(note) > self.width:
                lines += [(("  ", ""), (sign + verdict, style)), *folded(note, self.width, palette.LABEL, indent=4)]
            else:
                lines.append((("  ", ""), (sign + verdict.ljust(margin if note else 0), style), (note, palette.LABEL)))
        if change.blame:
            lines += folded(change.blame, self.width, indent=4)
        return lines

    # The matrix.

    def vantages(self) -> list[Line]:
        """``pc2: ssh:pc2, Linux 6.1.0, Python 3.11.2``, for each column."""
        lines: list[Line] = []
        for vantage in self.run.facts.vantages:
            system = " ".join(text for text in (vantage.system, vantage.release) if text)
            python = f"Python {vantage.python}" if vantage.python else None
            text = ", ".join(text for text in (vantage.spec, system, python, vantage.error) if text)
            lines += folded(f"{call_vantage(vantage.name, self.run.places)}: {text}", self.width, indent=4, first=2)
        return lines

    def matrix(self, *, whole: bool) -> list[Line]:
        """Sections and their legend: all of it, or what there is to see."""
        shown = self.cells(whole=whole)
        if not shown:
            return []
        remarks = {p for finding in self.run.findings if not finding.differs for p in finding.cells}
        noted = frozenset(id(self.run.cells[position]) for position in remarks)
        matrix = _Matrix(self, shown, noted, len({self.bind_of(cell) for cell in self.run.cells}) > 1)
        return [*matrix.sections(), *matrix.legend()]

    def cells(self, *, whole: bool) -> list[Cell]:
        """The cells that the matrix shows: none of a vantage or an address that could not be used."""
        lost = unusable(self.run.cells)
        cells = [x for x in self.run.cells if x.observed != Verdict.NOT_BINDABLE and x.vantage not in lost]
        if whole or self.wide:
            return cells
        if self.run.changes is not None or self.run.agreements:
            return []
        if len({self.bind_of(cell) for cell in self.run.cells}) <= _FEW_BINDS:
            return cells
        differing = {cell.bind for cell in cells if cell.differs}
        return [cell for cell in cells if cell.bind in differing]

    def bind_of(self, cell: Cell) -> str:
        """The bind address; in a manual run it is the other machine's, and only known of what has answered."""
        return "" if self.run.places.away else cell.bind or "?"

    def tick(self, verdict: Verdict) -> str:
        """The mark of a verdict."""
        mark = MARKS[verdict]
        return mark if self.unicode or mark.isascii() else _ASCII_TICK

    # What was found.

    def findings(self) -> list[list[Line]]:
        """Each cause; against a file, what the file says counts, and not what the rules say."""
        if self.run.changes is not None:
            return []
        return [self.finding(finding) for finding in self.run.findings]

    def finding(self, finding: Finding) -> list[Line]:
        """The mark and what happened; below it, what was seen."""
        sign, style = (DIFFERS, palette.FAILURE) if finding.differs else (REMARK, palette.FINDING)
        lines = folded(f"{sign} {finding.title}", self.width, style, indent=2, first=0)
        return lines + [line for text in finding.because for line in folded(text, self.width, indent=2)]

    def untested(self) -> list[Line]:
        """What the run says nothing of."""
        entries = self.run.untested
        if not entries:
            return []
        if len(entries) == 1:
            (entry,) = entries
            why = entry.why
            return _with_head(folded(f"Not tested: {entry.what}. {why}", self.width), "Not tested:")
        lost = unusable(self.run.cells)
        names = [call_vantage(entry.what, self.run.places) for entry in entries]
        names = [f"{name} (--payload)" if name == "large packets" else name for name in names]
        if names[-1] == "other hosts" and all(entry.what in lost for entry in entries[:-1]):
            what = f"{', '.join(names[:-1])} and all other hosts"
        else:
            what = ", ".join(names)
        return _with_head(folded(f"Not tested: {what}.", self.width), "Not tested:")

    def next_steps(self) -> list[Line]:
        """Commands to look with where something differs, else those that ask from elsewhere. They are never folded."""
        if self.run.changes is not None:
            return self.after_changes()
        if not any(cell.observed not in (Verdict.NOT_TESTED, Verdict.NOT_BINDABLE) for cell in self.run.cells):
            return []
        looks = any(finding.differs for finding in self.run.findings)
        return _commands("Look yourself" if looks else "Next", self.run.next_steps)

    def after_changes(self) -> list[Line]:
        """What shows more of the cells that changed, and how to accept what is."""
        changed = {change.where for change in self.run.changes or ()}
        if not changed:
            return []
        cells = [cell for cell in self.run.cells if place_of(cell) in changed and cell.observed != Verdict.REACHABLE]
        found = dict.fromkeys(command for cell in cells for command in commands_for([cell], self.run.places))
        lines = _commands("Look yourself", tuple(found))
        if self.run.accept:
            lines += _commands("If the change is meant", [Command(self.run.accept)])
        return lines

    def rules(self) -> list[Line]:
        """The rules that applied, for --explain."""
        lines: list[Line] = []
        for rule in self.run.rules:
            lines += folded(str(rule), self.width, indent=4, first=2)
        return [(("Rules that applied:", palette.HEADING),), *lines] if lines else []


def _with_head(lines: list[Line], head: str) -> list[Line]:
    """The first line with its first words as a heading."""
    margin, (text, style) = lines[0]
    return [(margin, (head, palette.HEADING), (text.removeprefix(head), style)), *lines[1:]]


def _with_tail(lines: list[Line], tail: str) -> list[Line]:
    """The same with ``tail`` as a failure, as far as it is on the last line."""
    margin, (text, style) = lines[-1]
    if not tail or not text.endswith(tail):
        return lines
    return [*lines[:-1], (margin, (text.removesuffix(tail), style), (tail, palette.FAILURE))]


def _commands(heading: str, commands: Iterable[Command]) -> list[Line]:
    """A heading and the commands below it; those for another host below a heading of theirs."""
    places: dict[str | None, list[str]] = {}
    for command in commands:
        places.setdefault(command.where, []).append(command.line)
    lines: list[Line] = []
    for where, there in sorted(places.items(), key=lambda place: place[0] is not None):
        lines.append(((f"{heading}, on {where}:" if where else f"{heading}:", palette.HEADING),))
        lines += [((f"  {line}", palette.VALUE),) for line in there]
    return lines


@dataclass(frozen=True, slots=True)
class _Matrix:
    """``cells`` in tables. ``noted`` are those with a remark, by identity; ``named``: the run has several binds."""

    page: _Page
    cells: Sequence[Cell]
    noted: frozenset[int]
    named: bool

    def sections(self) -> list[Line]:
        """Bind addresses across where there is one vantage; else a table for each bind address, vantages across."""
        if len(_distinct(self.cells, _vantage_of)) == 1 and len(_distinct(self.cells, self.page.bind_of)) > 1:
            lines: list[Line] = []
            for six in (False, True):
                part = [cell for cell in self.cells if (":" in cell.destination) == six]
                if part:
                    lines += [_BLANK] if lines else []
                    title = f"from {self.call(part[0])}, bound to"
                    lines += self.section(part, self.page.bind_of, _distinct(part, self.page.bind_of), title)
            return lines
        lines = []
        for bind in _distinct(self.cells, self.page.bind_of):
            part = [cell for cell in self.cells if self.page.bind_of(cell) == bind]
            lines += [_BLANK] if lines else []
            headings = [call_vantage(name, self.page.run.places) for name in _distinct(part, _vantage_of)]
            lines += self.section(part, _vantage_of, headings, f"bound to {bind}" if self.named else "")
        return lines

    def call(self, cell: Cell) -> str:
        return call_vantage(cell.vantage, self.page.run.places)

    def section(
        self, cells: Sequence[Cell], across: Callable[[Cell], str], headings: list[str], title: str
    ) -> list[Line]:
        """One table; headings that are too wide become letters with a legend."""
        columns = _distinct(cells, across)
        protocols = _distinct(cells, lambda cell: cell.protocol) if self.page.wide else [""]
        rows = [(row, protocol) for row in _distinct(cells, _destination_of) for protocol in protocols]
        grouped: dict[tuple[str, str, str], list[Cell]] = {}
        for cell in cells:
            protocol = cell.protocol if self.page.wide else ""
            grouped.setdefault((_destination_of(cell), protocol, across(cell)), []).append(cell)
        contents = {(*row, column): self.content(grouped.get((*row, column), ())) for row in rows for column in columns}
        head: list[Line] = [((f"  {title}", palette.HEADING),)] if title else []
        for names, legend in ((headings, False), ([_letter(x) for x in range(len(columns))], True)):
            first = max(cell_len("to"), *(cell_len(row) for row, _ in rows))
            pairs = list(zip(names, columns, strict=True))
            widths = [max(cell_len(n), *(line_width(contents[*r, c]) for r in rows)) for n, c in pairs]
            second = [len(protocol) for protocol in protocols if protocol]
            if 2 + first + sum(width + 2 for width in (*widths, max(second, default=-2))) <= self.page.width:
                table = self.table(rows, columns, names, contents, [first, max(second, default=0), *widths])
                if legend:
                    meanings = zip(names, headings, strict=True)
                    return [*head, *table, *(((f"  {n} = {h}", palette.VALUE),) for n, h in meanings)]
                return [*head, *table]
        return [*head, *self.listing(rows, columns, headings, contents)]

    @staticmethod
    def table(
        rows: Sequence[tuple[str, str]],
        columns: Sequence[str],
        names: Sequence[str],
        contents: dict[tuple[str, str, str], Line],
        widths: Sequence[int],
    ) -> list[Line]:
        """Rows and columns, blanks between them."""
        first, second, *rest = widths
        middle = second + 2 if second else 0
        head: list[tuple[str, str]] = [("  " + "to".ljust(first + 2) + " " * middle, palette.LABEL)]
        head += [
            (name + " " * (width + 2 - cell_len(name)), palette.HEADING)
            for name, width in zip(names, rest, strict=True)
        ]
        lines: list[Line] = [_trimmed(head)]
        before = ""
        for row, protocol in rows:
            shown = row if row != before else ""
            before = row
            pieces = [("  " + shown + " " * (first + 2 - cell_len(shown)), palette.VALUE)]
            if second:
                pieces.append((protocol.ljust(middle), palette.VALUE))
            for column, width in zip(columns, rest, strict=True):
                content = contents[row, protocol, column]
                pieces += [*content, (" " * (width + 2 - line_width(content)), "")]
            lines.append(_trimmed(pieces))
        return lines

    @staticmethod
    def listing(
        rows: Sequence[tuple[str, str]],
        columns: Sequence[str],
        headings: Sequence[str],
        contents: dict[tuple[str, str, str], Line],
    ) -> list[Line]:
        """Where no table fits: each destination on a line, its cells indented below it."""
        lines: list[Line] = []
        before = ""
        for row, protocol in rows:
            if row != before:
                lines.append(((f"  to {row}", palette.VALUE),))
            before = row
            for column, heading in zip(columns, headings, strict=True):
                content = contents[row, protocol, column]
                if content:
                    word = f"    {protocol} " if protocol else "    "
                    lines.append(((word, ""), *content, (f" {heading}", palette.VALUE)))
        return lines

    def content(self, cells: Sequence[Cell]) -> Line:
        """The protocols' marks, or one where they agree."""
        marks = [self.mark(cell) for cell in cells]
        if len(set(marks)) <= 1:
            return marks[0] if marks else ()
        found: list[tuple[str, str]] = []
        for mark in marks:
            found += [("/", ""), *mark] if found else mark
        return tuple(found)

    def mark(self, cell: Cell) -> Line:
        """One cell: a symbol that reads without colour, and ``!`` where it is not as expected."""
        text = str(cell.observed) if self.page.wide else self.page.tick(cell.observed)
        if cell.differs:
            return ((f"{text} (expected {cell.expected})" if self.page.wide else text + DIFFERS, palette.FAILURE),)
        style = palette.EXPECTED if cell.observed == Verdict.REACHABLE and not self.page.wide else palette.VALUE
        return ((text, style), (REMARK, palette.FINDING)) if id(cell) in self.noted else ((text, style),)

    def legend(self) -> list[Line]:
        """The marks that occur, and how to read two in one place."""
        protocols = _distinct(self.cells, lambda cell: cell.protocol)
        parts = []
        if not self.page.wide:
            present = {cell.observed for cell in self.cells}
            parts = [f"{self.page.tick(verdict)} {verdict}" for verdict in MARKS if verdict in present]
            if any(cell.differs for cell in self.cells):
                parts.append(f"{DIFFERS} not as expected")
        if any(id(cell) in self.noted for cell in self.cells):
            parts.append(f"{REMARK} see below")
        if not self.page.wide:
            if len(protocols) == 1:
                parts.append(f"{protocols[0]} only")
            elif self.protocols_differ():
                parts.append("tcp/udp where they differ")
            else:
                parts[-1] += ", tcp and udp alike" if len(parts) == 1 else ""
                parts += ["tcp and udp alike"] if len(parts) > 1 else []
        lines: list[str] = []
        for part in parts:
            if lines and cell_len(lines[-1]) + 2 + cell_len(part) <= self.page.width:
                lines[-1] += f"  {part}"
            else:
                lines.append(f"  {part}")
        return [((line, palette.LABEL),) for line in lines]

    def protocols_differ(self) -> bool:
        """Does any place show two marks?"""
        marks: dict[tuple[str, str, str], set[Line]] = {}
        for cell in self.cells:
            marks.setdefault((self.page.bind_of(cell), _destination_of(cell), cell.vantage), set()).add(self.mark(cell))
        return any(len(each) > 1 for each in marks.values())


def _trimmed(pieces: Sequence[tuple[str, str]]) -> Line:
    """Without the blanks at its end."""
    kept = list(pieces)
    while kept and not kept[-1][0].strip():
        kept.pop()
    return (*kept[:-1], (kept[-1][0].rstrip(), kept[-1][1])) if kept else ()


def _letter(number: int) -> str:
    """A, B … Z, A1, B1 …"""
    return _LETTERS[number % 26] + (str(number // 26) if number >= 26 else "")


def _distinct(cells: Sequence[Cell], key: Callable[[Cell], str]) -> list[str]:
    """Each value once, in order."""
    return list(dict.fromkeys(key(cell) for cell in cells))


def _vantage_of(cell: Cell) -> str:
    """The vantage."""
    return str(cell.vantage)


def _destination_of(cell: Cell) -> str:
    """The destination, and the name that led to it."""
    name = cell.destination_name
    return cell.destination if name in (None, cell.destination) else f"{cell.destination} ({name})"
