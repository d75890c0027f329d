"""What ``netprobe bindtest`` does: a whole run from this host, or one half of a manual one.

A whole run goes straight through: the options become the engine's settings and its sessions, cells are added to the
document as they come, and what they add up to is one :class:`Summary`, which the JSON document, the matrix on the
screen and the exported picture all show. A matrix is saved and compared only after a run that was not interrupted:
cells that were never probed would look like a changed network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netprobe.commands.bindtest.interrupts import interruptible
from netprobe.commands.bindtest.visits import StrangersLog, VisitsDocument
from netprobe.commands.command import detail_netifaces
from netprobe.commands.command_line import CommandLine
from netprobe.errors import Exit, InvalidInputError, NetprobeError
from netprobe.files import check_writable, read_text, write_text
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change, Expectations, dump_expectations, parse_expectations
from netprobe.reach.facts import HostFacts
from netprobe.reach.findings import (
    AUTOMATIC,
    MANUAL,
    Command,
    Finding,
    Places,
    findings_of,
    next_steps,
    untested_of,
    unusable,
)
from netprobe.reach.host import host_facts
from netprobe.reach.inventory import read_inventory, select_vantages
from netprobe.reach.listener import ListenerOptions
from netprobe.reach.manual import (
    NONCE_VARIABLE,
    Visit,
    connect,
    connect_remarks,
    offer_lines,
    offers,
    parse_targets,
)
from netprobe.reach.name_remarks import NameRemark
from netprobe.reach.responder import ResponderError
from netprobe.reach.run_facts import RunClock, host_summary, vantage_summaries
from netprobe.reach.sessions.choice import session_for
from netprobe.reach.sessions.receiver import OnNoise
from netprobe.reach.sessions.session import Session
from netprobe.reach.settings import Settings, parse_settings
from netprobe.reach.summary import Summary, summarize
from netprobe.reach.vantages import LOCAL, Vantage
from netprobe.render.bindtest_run import BindtestRun
from netprobe.render.fields import escaped
from netprobe.render.output import Output
from netprobe.render.terminal import Terminal
from netprobe.render.view import Column, View
from netprobe.render.writers import json_document

__all__ = ["BindtestOptions", "run"]

_LISTEN_ONLY_S: Final = 600.0
# Parameters that say who asks, and what becomes of the answer: not what is bound.
_NOT_OF_THE_BIND: Final = (
    *("from", "python", "inventory", "source", "to", "keep"),
    *("save", "expect", "svg", "html", "wide", "matrix", "explain"),
)
_PICTURE_WIDTH: Final = 100  # columns
_COLUMNS: Final = (
    Column("protocol", "proto"),
    Column("bind", "bound to", whole=True),
    Column("port", "port", align="right"),
    Column("destination", "to", whole=True),
    Column("vantage", "from"),
    Column("expected", "expected"),
    Column("observed", "observed"),
    Column("because", "because"),
    Column("cause", "cause"),
    Column("difference", "difference"),
)


@dataclass(frozen=True, slots=True)
class BindtestOptions:
    """The options by their names, ``vantages`` for ``--from``; contradictions among them are refused."""

    addr: tuple[str, ...]
    port: int
    tcp: bool
    udp: bool
    to: tuple[str, ...]
    vantages: tuple[str, ...]
    python: tuple[str, ...]
    inventory: str | None
    save: str | None
    expect: str | None
    source: str | None
    timeout: float
    patience: float
    payload: int
    v6only: bool | None
    device: str | None
    reuse_port: bool
    freebind: bool
    keep: float | None
    listen_only: bool
    connect: tuple[str, ...]
    nonce: str | None
    wide: bool
    matrix: bool
    explain: bool
    svg: str | None
    html: str | None
    trace: bool
    version: int | None  # 4 or 6 where only one is wanted
    command: CommandLine

    def __post_init__(self) -> None:
        if self.connect and not self.nonce:
            hint = f"'{NONCE_VARIABLE}=… netprobe bindtest --connect …', or --nonce in a script of one's own"
            raise InvalidInputError("--connect", "needs the nonce, as in the line that --listen-only printed", hint)
        if self.nonce is not None and not self.nonce.isprintable():
            raise InvalidInputError("--nonce", "has characters that cannot be printed")
        if not (self.connect or self.listen_only):
            return
        if self.trace:
            raise InvalidInputError("--trace", "is for a whole run, not for a manual one")
        if self.vantages:
            raise InvalidInputError("--from", "a manual run has no vantages but the two machines")
        whole_run_only = {
            "--save": self.save,
            "--expect": self.expect,
            "--inventory": self.inventory,
            "--svg": self.svg,
            "--html": self.html,
        }
        for name, file in whole_run_only.items():
            if file:
                raise InvalidInputError(name, "is for a whole run, not for a manual one")
        if self.connect and self.listen_only:
            raise InvalidInputError("--connect and --listen-only", "one machine listens, the other one connects")


def run(output: Output, options: BindtestOptions) -> Exit:
    """All that the options ask for."""
    os.environ.pop(NONCE_VARIABLE, None)  # it is in the options; what is started from here on has no use for it
    if options.connect:
        return _connect(output, options)
    if options.listen_only:
        return _listen(output, options)
    return _run(output, options)


# A whole run.


def _run(output: Output, options: BindtestOptions) -> Exit:
    """The whole test on this host."""
    report = _Report(output, options)
    with report.document as document, ExitStack() as stack:
        expectations = _expectations(options)
        inventory = read_inventory(Path(options.inventory)) if options.inventory else None
        vantages = select_vantages(options.vantages or (LOCAL,), options.python, inventory)
        sessions = _sessions(output, vantages)
        # Their noise is told once, by the sessions that ask.
        watchers = [session_for(x) for x in vantages if x.kind != LOCAL] if options.trace else []
        test = Bindtest(_settings(options), sessions, watchers)
        strangers = StrangersLog(output, test)
        stack.callback(strangers.finish)
        stack.enter_context(test)
        detail_netifaces(output)
        stack.enter_context(interruptible(test.interrupt))
        progress = stack.enter_context(output.progress())
        report.is_about(test, vantages)
        report.listener_errors()

        def meanwhile(known: int, total: int) -> None:
            strangers.tell()
            progress.show(f"{known} of {total} cells known")

        try:
            for cell in test.cells(meanwhile):
                progress.clear()
                report.add(cell)
        except (KeyboardInterrupt, ResponderError) as error:
            progress.clear()
            report.vantage_errors()
            _detail_vantages(output, test)
            report.finish(status=error.exit_code if isinstance(error, ResponderError) else Exit.INTERRUPTED)
            report.say_what_is_undone("failed" if isinstance(error, ResponderError) else "was interrupted")
            raise
        progress.clear()
        report.names = test.name_remarks(report.cells)
        report.vantage_errors()
        _detail_vantages(output, test)
        for line in test.untraced():
            output.say(f"netprobe: --trace: {line}")
        for detail in test.name_details():
            output.detail(str(detail))
        groups = inventory.all_members() if inventory else {}
        report.finish(expectations.changes(report.cells, groups) if expectations else None)
        if options.keep:
            document.finish()
            strangers.keep(options.keep, document.error)
    return document.status


def _expectations(options: BindtestOptions) -> Expectations | None:
    """What ``--expect`` names. A file that cannot be read, or written later, is refused before anything is probed."""
    found = parse_expectations(read_text(Path(options.expect)), options.expect) if options.expect else None
    for file in (options.save, options.svg, options.html):
        if file:
            check_writable(Path(file))
    return found


def _settings(options: BindtestOptions) -> Settings:
    """The options as what the engine takes; neither ``--tcp`` nor ``--udp`` means both."""
    tcp, udp = options.tcp or not options.udp, options.udp or not options.tcp
    return replace(
        parse_settings(options.addr, options.to, options.source, tcp=tcp, udp=udp),
        timeout=options.timeout,
        patience=options.patience,
        payload_size=options.payload,
        nonce=options.nonce,
        version=options.version,
        trace=options.trace,
        options=ListenerOptions(
            port=options.port,
            v6only=options.v6only,
            device=options.device,
            reuse_port=options.reuse_port,
            freebind=options.freebind,
        ),
    )


def _sessions(output: Output, vantages: Sequence[Vantage]) -> list[Session]:
    """One for each vantage."""
    return [session_for(vantage, _noise_of(vantage, output)) for vantage in vantages]


def _noise_of(vantage: Vantage, output: Output) -> OnNoise:
    """Shows with ``-v`` what a login prints before the prober speaks."""
    return lambda text: output.detail(f"{vantage.name}: {text}")


def _detail_vantages(output: Output, test: Bindtest) -> None:
    """What ``-v`` and ``--debug`` show of the vantages."""
    if output.debug:
        for name, trace in test.crashes.items():
            for line in trace.splitlines():
                output.say(f"{name}: {line}")
    if output.in_table:  # which has them
        return
    for name, facts in test.hellos.items():
        output.detail(f"{name}: {facts.host}, {facts.system} {facts.release}, Python {facts.python}")


class _Report:
    """The document of the cells: the cells as they come, then what they add up to."""

    def __init__(self, output: Output, options: BindtestOptions, places: Places = AUTOMATIC) -> None:
        self._output = output
        self._options = options
        self._places = places
        self._clock = RunClock()
        self._vantages: Sequence[Vantage] = ()
        self._test: Bindtest | None = None
        self._run: BindtestRun | None = None
        self._errors: list[NetprobeError] = []
        self.names: Sequence[NameRemark] = ()
        self.cells: list[Cell] = []
        self.document = output.document("bindtest", Cell, View(columns=_COLUMNS, table=self._print))

    def is_about(self, test: Bindtest, vantages: Sequence[Vantage]) -> None:
        """The test that the cells come from."""
        self._test, self._vantages = test, vantages

    def add(self, cell: Cell) -> None:
        """One cell; without an --expect file, a difference from the prediction means exit status 1."""
        self.cells.append(cell)
        self.document.add(cell)
        if cell.differs and not self._options.expect:
            self.document.answer(Exit.NO)

    def listener_errors(self) -> None:
        """Listeners that were asked for and could not be opened."""
        self._tell(None)

    def vantage_errors(self) -> None:
        """Vantages that could not be used: status 1 if another one could, 3 if none could; and what failed here."""
        assert self._test is not None
        fault = self._test.take_fault()
        if fault is not None:
            self._errors.append(fault)
            self.document.error(fault)
        self._tell(Exit.NO if self._test.hellos else None)

    def _tell(self, status: Exit | None) -> None:
        assert self._test is not None
        for error in self._test.errors:
            if status is not None:
                error.exit_code = status
            self._errors.append(error)
            self.document.error(error)
        self._test.errors.clear()

    def finish(self, changes: tuple[Change, ...] | None = None, status: Exit = Exit.OK) -> None:
        """After the last cell: the summary, in the form that each format has for it, and the files.

        ``changes`` are the answer of a run with ``--expect``, so ``-q`` shows them, too. ``status`` is how the run ends
        if nothing worse is known.
        """
        document = self.document
        document.answer(status)
        if changes:
            document.answer(Exit.NO)
        failure: NetprobeError | None = None
        if status == Exit.OK:
            failure = self._written(self._save)
        summary = self._summarize(changes)
        for name in summary.names or ():
            document.remark(str(name))
        for agreement in summary.agreements or ():
            document.remark(agreement.text)
        for conclusion in summary.conclusions:
            document.detail(conclusion.text)
        for rule in summary.rules or ():
            document.remark(str(rule))
        failure = self._written(self._draw, self._write_page) or failure
        if not self._output.in_table:
            for change in changes or ():
                for line in str(escaped(change)).splitlines():
                    self._output.always_say(line)
        if failure is not None:
            document.head = replace(summary, status=int(document.status))
            raise failure

    def say_what_is_undone(self, what_the_run_did: str) -> None:
        """After Ctrl-C or a failure: a file saved before stays as it was."""
        for file, undone in ((self._options.save, "written"), (self._options.expect, "compared")):
            if file:
                self._output.always_say(f"netprobe: {file}: not {undone}, the run {what_the_run_did}")

    def _summarize(self, changes: tuple[Change, ...] | None = None) -> Summary:
        """What the cells add up to; it is the head of the document, and what people are shown."""
        options, places = self._options, self._places
        host = self._test.host if self._test is not None else host_facts()
        hellos = self._test.hellos if self._test is not None else {LOCAL: host}
        own = {str(entry.address) for entry in host.addresses} if self._test is not None else set()
        lost = unusable(self.cells)
        errors = {error.what: error.why for error in self._errors if error.what in {x.name for x in self._vantages}}
        vantages = self._vantages or (Vantage("local", LOCAL),)
        facts = self._clock.facts(
            options.command.line(), host_summary(host), vantage_summaries(vantages, hellos, errors)
        )
        links = dict.fromkeys(
            entry.interface for entry in host.addresses if entry.interface and not entry.address.is_loopback
        )
        untested = untested_of(
            self.cells,
            lost,
            list(links),
            beyond_this_host=self._test is None or any(_is_elsewhere(facts, host) for facts in hellos.values()),
            payload=options.payload > 0,
            places=places,
        )
        summary = summarize(self.cells, own=own, places=places, with_rules=options.explain, changes=changes)
        summary = replace(summary, names=tuple(self.names) or None)
        self.document.head = summary = summary.of_run(facts, untested, int(self.document.status))
        findings = findings_of(self.cells, replace(places, system=host.system))
        self._run = BindtestRun(
            cells=tuple(self.cells),
            answers=tuple(conclusion.text for conclusion in summary.conclusions),
            names=tuple(str(name) for name in self.names),
            findings=findings,
            untested=untested,
            next_steps=(
                *next_steps(self.cells, findings, options.command.line(without=_NOT_OF_THE_BIND), places),
                *self._tracing(findings, host.system),
            ),
            facts=facts,
            status=int(self.document.status),
            changes=changes,
            expectation=options.expect,
            accept=self._accepting(),
            agreements=summary.agreements or (),
            rules=summary.rules or (),
            places=places,
        )
        return summary

    def _tracing(self, findings: Sequence[Finding], system: str) -> Iterator[Command]:
        """The command that would name the rule, where a rule of this host may be to blame."""
        places = self._places
        if self._options.trace or self._test is None or system != "linux":
            return
        may_be = any(
            cell.blame is not None
            and any("rule" in cause and places.listener in cause for cause in cell.blame.remaining)
            for finding in findings
            for cell in (self.cells[position] for position in finding.cells)
            if finding.differs
        )
        if may_be:
            line = self._options.command.line("--trace", without=("expect", "save", "svg", "html"))
            yield Command(f"sudo {line}")

    def _accepting(self) -> str | None:
        """The command that makes what is now the expectation."""
        if not self._options.expect:
            return None
        return self._options.command.line("--save", self._options.expect, without=("expect", "save", "svg", "html"))

    def _print(self, cells: Sequence[Cell], terminal: Terminal) -> None:
        """The table format."""
        from netprobe.render.bindtest import can_print, lines_of
        from netprobe.render.styled_lines import print_lines

        if self._run is None:  # ended by an error
            self._summarize()
        shown = escaped(self._run)
        assert shown is not None
        options = self._options
        lines = lines_of(
            shown,
            terminal.width,
            unicode=can_print("✓"),
            wide=options.wide,
            matrix=options.matrix,
            vantages=self._output.verbose > 0,
        )
        print_lines(lines, terminal)

    # The files. One that cannot be written ends in an error, but only after the others and the answer.

    def _written(self, *writes: Callable[[], None]) -> NetprobeError | None:
        """The first failure of these; it is the exit status."""
        first: NetprobeError | None = None
        for write in writes:
            try:
                write()
            except NetprobeError as error:
                first = first or error
                self.document.answer(error.exit_code)
        return first

    def _save(self) -> None:
        """The matrix as an expectation, where ``--save`` asks for it."""
        if self._options.save:
            path = Path(self._options.save)
            write_text(path, dump_expectations(self.cells, as_json=path.suffix == ".json"))

    def _draw(self) -> None:
        """The picture of ``--svg``. It has all cells: nobody can ask it for more."""
        if self._options.svg:
            from netprobe.render.bindtest import lines_of
            from netprobe.render.svg import as_svg

            shown = escaped(self._run)
            assert shown is not None
            lines = lines_of(shown, _PICTURE_WIDTH, wide=self._options.wide, matrix=True)
            write_text(Path(self._options.svg), as_svg(lines, "netprobe bindtest"))

    def _write_page(self) -> None:
        """The report of ``--html``, with the document that ``--json`` prints inside it."""
        if self._options.html and self._run is not None:
            from netprobe.render.bindtest import lines_of
            from netprobe.render.bindtest_report import bindtest_report
            from netprobe.render.report import page
            from netprobe.render.styled_lines import as_text

            run = replace(
                self._run,
                data=json_document("netprobe/bindtest/1", self.document.head, self.cells, self._errors),
                text=as_text(lines_of(escaped(self._run), _PICTURE_WIDTH, matrix=self._options.matrix)),
            )
            write_text(Path(self._options.html), page(bindtest_report(run)))


def _is_elsewhere(vantage: HostFacts, host: HostFacts) -> bool:
    """Has it a network stack of its own? One that does not say so (not Linux) is not this one."""
    return vantage is not host and (vantage.stack is None or vantage.stack != host.stack)


# A manual run, between two machines.


def _listen(output: Output, options: BindtestOptions) -> Exit:
    """``--listen-only``: the listening half. It ends after ``--keep`` seconds or with Ctrl-C, both a normal exit."""
    document = output.document("bindtest listen", Visit, View(plain=_visit_line, streams=True))
    test = Bindtest(_settings(options), sessions=())
    visits = VisitsDocument(output, document, test)
    with document, ExitStack() as stack:
        stack.callback(visits.finish)
        stack.enter_context(test)
        stack.enter_context(interruptible(visits.stop))
        for error in test.errors:
            document.error(error)
        if output.in_table:
            document.note(*offer_lines(test.listening, test.host, test.nonce, options.keep or _LISTEN_ONLY_S))
        else:
            for visit in offers(test.listening, test.host, test.nonce):
                document.add(visit)
        if any(listener.is_open for listener in test.listening):
            visits.keep(options.keep or _LISTEN_ONLY_S)
    return document.status


def _visit_line(visit: Visit) -> str:
    """A visit as a person reads it."""
    if visit.event == "command":
        return f"on the other machine: {visit.command}"
    if visit.count is not None:
        times = f"{visit.count:,} more time{'s' if visit.count > 1 else ''}"
        if visit.event == "more-arrivals":
            return f"the other side came {times}"
        return f"{'strangers' if visit.peer is None else f'the stranger {visit.peer}'} came {times}"
    where = f"{visit.bind} port {visit.port}/{visit.protocol}"
    if visit.event == "listening":
        return f"listening on {where}"
    who = "the other side" if visit.event == "arrival" else "a stranger"
    return f"{where}: reached by {who} from {visit.peer} port {visit.peer_port}"


def _connect(output: Output, options: BindtestOptions) -> Exit:
    """``--connect``: the connecting half."""
    report = _Report(output, options, MANUAL)
    with report.document as document, output.progress() as progress:
        progress.show("connecting")
        targets = parse_targets(options.connect, options.port or None, options.version)
        for cell in connect(targets, options.nonce or "", _settings(options)):
            report.add(cell)
        report.names = connect_remarks(targets, report.cells)
        report.finish()
    return document.status
