"""A bindtest as a report page: the cells of a run, and what was found in them, laid out for :mod:`render.report`.

The page shows what the terminal shows, with each cell's evidence behind it, so everything that is said is made
elsewhere (:mod:`reach.summary`, :mod:`reach.findings`); here it is only put into its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from netprobe.endpoints import format_endpoint
from netprobe.reach.cells import Cell
from netprobe.reach.findings import Command, Finding, call_vantage, unusable
from netprobe.reach.run_facts import RunFacts
from netprobe.render import report
from netprobe.render.bindtest_run import BindtestRun
from netprobe.render.marks import DIFFERS, MARKS, REMARK
from netprobe.render.report import Address, Code, Report
from netprobe.verdicts import Verdict

__all__ = ["BindtestRun", "bindtest_report"]

_MOST_LINKS: Final = 12  # cells that a card links to; more are in the matrix
_ANSWERED: Final = frozenset({Verdict.NOT_TESTED, Verdict.NOT_BINDABLE})


def bindtest_report(run: BindtestRun) -> Report:
    """The page's content."""
    lost = unusable(run.cells)  # told in words; a column of dashes would say less
    asked = [cell for cell in run.cells if cell.vantage not in lost]
    numbers = _numbers(asked)
    cards = {position: number for number, finding in enumerate(run.findings, 1) for position in finding.cells}
    causes_of = {id(run.cells[position]): number for position, number in cards.items()}
    matrices = tuple(_matrices(asked, run.facts, numbers, causes_of))
    differing = sum(cell.differs for cell in asked)
    good = run.status == 0
    return Report(
        command="netprobe bindtest",
        title=run.answers[0] if run.answers else "nothing was tested",
        at=run.facts.at,
        host=run.facts.host.name,
        answer=report.Answer(
            flag=_flag(run, differing),
            as_expected=good,
            text=[run.answers[0] if run.answers else "Nothing was tested"],
            also=tuple([text] for text in (*run.answers[1:], *run.names)),
        ),
        tallies=tuple(_tallies(asked)),
        untested=tuple(report.Untested(entry.what, entry.why) for entry in run.untested),
        causes=tuple(_cause(finding, run, numbers) for finding in run.findings),
        changes_title=_changes_title(run),
        changes=None
        if run.changes is None
        else tuple(report.Change(x.where, x.expected, x.observed) for x in run.changes),
        matrices=matrices,
        legend=tuple(_legend(asked, any(not finding.differs for finding in run.findings))),
        vantages=_vantages(run.facts),
        facts=tuple(_facts(run)),
        commands=(
            *(_labelled(command) for command in run.next_steps),
            report.LabelledCommand("run it again", run.facts.command),
        ),
        text=run.text,
        data=run.data,
    )


def _flag(run: BindtestRun, differing: int) -> str:
    """Two or three words on how it ended."""
    if run.changes is not None:
        return "As in the file" if not run.changes and run.status == 0 else "Not as in the file"
    if differing:
        return "Not as expected"
    return "As expected" if run.status == 0 else "Not all was tested"


def _numbers(cells: Sequence[Cell]) -> dict[tuple[str, str, str], int]:
    """The number of each place on the page: protocols share one."""
    places = dict.fromkeys(_place(cell) for cell in cells)
    return {place: number for number, place in enumerate(places, 1)}


def _place(cell: Cell) -> tuple[str, str, str]:
    return (cell.bind or "?", cell.destination, cell.vantage)


def _tallies(cells: Sequence[Cell]) -> list[report.Tally]:
    """How many are not as expected, then what the others are."""
    found = []
    differing = sum(cell.differs for cell in cells)
    if differing:
        found.append(report.Tally(DIFFERS, "bad", differing, "not as expected"))
    for verdict, mark in MARKS.items():
        count = sum(cell.observed == verdict and not cell.differs for cell in cells)
        if count:
            expected = "" if verdict in _ANSWERED else ", as expected"
            kind = "ok" if verdict == Verdict.REACHABLE else ""
            found.append(report.Tally(mark, kind, count, f"{verdict}{expected}"))
    return found


def _legend(cells: Sequence[Cell], remarks: bool) -> list[report.Tally]:
    """The marks that occur, then how to read them."""
    present = {cell.observed for cell in cells}
    legend = [
        report.Tally(mark, "ok" if verdict == Verdict.REACHABLE else "", 0, str(verdict))
        for verdict, mark in MARKS.items()
        if verdict in present
    ]
    if any(cell.differs for cell in cells):
        legend.append(report.Tally(DIFFERS, "bad", 0, "filled: not as expected"))
    if remarks:
        legend.append(report.Tally("", "", 0, f"{REMARK} with a remark"))
    if len({cell.protocol for cell in cells}) > 1:
        legend.append(report.Tally("", "", 0, "tcp and udp where they differ"))
    legend.append(report.Tally("", "", 0, "Open a cell for its evidence."))
    return legend


# Causes.


def _cause(finding: Finding, run: BindtestRun, numbers: dict[tuple[str, str, str], int]) -> report.Cause:
    """A card."""
    cells = [run.cells[position] for position in finding.cells]
    links: dict[int, list[str]] = {}
    for cell in cells:
        number = numbers[_place(cell)]
        text = ["from ", call_vantage(cell.vantage), " to ", Address(cell.destination)]
        links.setdefault(number, text)
    return report.Cause(
        mark=MARKS[finding.observed],
        differs=finding.differs,
        title=[finding.title],
        cells=tuple(links.items())[:_MOST_LINKS],
        because=tuple([text] for text in finding.because),
        commands=tuple(_labelled(command) for command in finding.commands),
        more=max(0, len(links) - _MOST_LINKS),
    )


def _labelled(command: Command) -> report.LabelledCommand:
    return report.LabelledCommand(f"on {command.where}" if command.where else "on this host", command.line)


def _changes_title(run: BindtestRun) -> list[str]:
    """How many cells changed against which file."""
    if run.changes is None:
        return []
    name = run.expectation or "the expectation"
    if not run.changes:
        return ["All ", str(len(run.cells)), " cells are as ", Code(name), " has them."]
    count = len(run.changes)
    return ["Against ", Code(name), f": {count} {'change' if count == 1 else 'changes'} among {len(run.cells)} cells"]


# The matrix.


def _matrices(
    cells: Sequence[Cell],
    facts: RunFacts,
    numbers: dict[tuple[str, str, str], int],
    causes_of: dict[int, int],
) -> list[report.Matrix]:
    """One for each bind address."""
    grouped: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(_place(cell), []).append(cell)
    found = []
    for bind in _distinct(cells, lambda cell: cell.bind or "?"):
        own = [cell for cell in cells if (cell.bind or "?") == bind]
        vantages = _distinct(own, lambda cell: cell.vantage)
        destinations = _distinct(own, lambda cell: cell.destination)
        rows = []
        for destination in destinations:
            there = [grouped.get((bind, destination, vantage), []) for vantage in vantages]
            rows.append(
                report.Row(
                    name=[Address(destination)],
                    below=facts.host.link_of(destination),
                    cells=tuple(
                        (numbers.get((bind, destination, vantage), 0), _observations(same, causes_of))
                        for vantage, same in zip(vantages, there, strict=True)
                    ),
                    differs=any(cell.differs for same in there for cell in same),
                )
            )
        differing = sum(cell.differs for cell in own)
        found.append(
            report.Matrix(
                title=["bound to ", Address(_endpoint(own))],
                note=f"{differing} of {len(own)} cells not as expected"
                if differing
                else f"{len(own)} cells, all as expected",
                corner=report.Heading("to", "destination"),
                headings=tuple(
                    report.Heading(f"from {call_vantage(vantage)}", facts.spec_of(vantage)) for vantage in vantages
                ),
                rows=tuple(rows),
            )
        )
    return found


def _endpoint(cells: Sequence[Cell]) -> str:
    """``0.0.0.0:41234``; both ports where tcp and udp have ports of their own."""
    bind = cells[0].bind or "?"
    ports = dict.fromkeys(cell.port for cell in cells)
    if len(ports) == 1:
        return format_endpoint(bind, cells[0].port)
    return ", ".join(f"{bind} {cell.protocol} {cell.port}" for cell in {cell.port: cell for cell in cells}.values())


def _distinct(cells: Sequence[Cell], key: Callable[[Cell], str]) -> list[str]:
    return list(dict.fromkeys(key(cell) for cell in cells))


def _observations(cells: Sequence[Cell], causes_of: dict[int, int]) -> tuple[report.Observation, ...]:
    """One where the protocols agree, else one for each."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        key = (cell.observed, cell.differs, cell.expected, cell.because, cell.cause, causes_of.get(id(cell)))
        groups.setdefault(key, []).append(cell)
    alone = len(groups) == 1
    return tuple(_observation(same, causes_of, named=not alone) for same in groups.values())


def _observation(cells: Sequence[Cell], causes_of: dict[int, int], *, named: bool) -> report.Observation:
    cell = cells[0]
    kind = "bad" if cell.differs else "ok" if cell.observed == Verdict.REACHABLE else ""
    return report.Observation(
        mark=MARKS[cell.observed],
        kind=kind,
        word=str(cell.observed),
        details=tuple(_details(cells)),
        protocol=cell.protocol if named else "",
        expected=str(cell.expected) if cell.differs and cell.expected else "",
        remarkable=id(cell) in causes_of and not cell.differs,
        cause=causes_of.get(id(cell), 0),
    )


def _details(cells: Sequence[Cell]) -> list[report.Detail]:
    """A cell's evidence, as far as there is any."""
    cell = cells[0]
    seen = f", seen as {cell.observed_source}" if cell.observed_source not in (None, cell.source) else ""
    icmp = cell.icmp
    times = ", ".join(f"{x.protocol} {x.rtt_ms:.3f} ms" for x in cells if x.rtt_ms is not None)
    lines: list[tuple[str, Sequence[str] | None]] = [
        ("expected", [str(cell.expected)] if cell.expected else ["no rule knows"]),
        ("observed", [str(cell.observed)]),
        ("because", [cell.because] if cell.because else None),
        ("cause", [cell.cause] if cell.cause else None),
        ("explanation", [cell.difference] if cell.difference else None),
        ("icmp", [f"type {icmp.type} code {icmp.code}, {icmp.name}, from {icmp.offender or '?'}"] if icmp else None),
        ("errno", [Code(cell.errno)] if cell.errno else None),
        ("round trip", [times] if times else None),
        ("source", [Address(cell.source), seen] if cell.source else None),
        ("replied from", [Address(cell.replied_from)] if cell.replied_from else None),
        ("payload", [f"{cell.payload_bytes} bytes came back"] if cell.payload_bytes else None),
        ("rules", [Code(", ".join(cell.rules))] if cell.rules else None),
    ]
    return [report.Detail(name, text) for name, text in lines if text is not None]


# The run.


def _vantages(facts: RunFacts) -> report.Table:
    """Where was asked from."""
    rows = []
    for vantage in facts.vantages:
        addresses: list[str] = []
        for address in vantage.addresses:
            addresses += [" " if addresses else "", Address(address)]
        system = f"{vantage.system} {vantage.release}, Python {vantage.python}" if vantage.release else "–"
        state = f"not asked: {vantage.error}" if vantage.error else system
        rows.append(([call_vantage(vantage.name)], [Code(vantage.spec)], [state], addresses or ["–"]))
    return report.Table(("vantage", "reached by", "system", "its addresses"), tuple(rows))


def _facts(run: BindtestRun) -> list[report.Fact]:
    """When, what, where."""
    facts, host = run.facts, run.facts.host
    addresses: list[str] = []
    for entry in host.addresses:
        addresses += [
            ", " if addresses else "",
            Address(entry.address),
            f" on {entry.interface}" if entry.interface else "",
        ]
    return [
        report.Fact("tested", [f"{facts.at.replace('T', ' ').replace('Z', ' UTC')}, in {facts.took_s:.2f} s"]),
        report.Fact("command", [Code(facts.command)]),
        report.Fact("netprobe", [facts.version]),
        report.Fact("host", [f"{host.name}: ", *addresses]),
        report.Fact("kernel", [f"{host.system} {host.release}"]),
        report.Fact("exit status", [str(run.status)]),
    ]
