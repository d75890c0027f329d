"""What ``netprobe bindtest`` does: a whole run from this host, or one half of a manual one.

A whole run goes straight through: the options become the engine's settings and its sessions, cells are added to the
document as they come, and what they add up to is one :class:`Summary`, which the JSON document, the matrix on the
screen and the exported picture all show. A matrix is saved and compared only after a run that was not interrupted:
cells that were never probed would look like a changed network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netprobe.commands.bindtest.interrupts import interruptible
from netprobe.commands.bindtest.visits import StrangersLog, VisitsDocument
from netprobe.commands.command import detail_netifaces
from netprobe.errors import Exit, InvalidInputError
from netprobe.files import check_writable, read_text, write_text
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change, Expectations, dump_expectations, parse_expectations
from netprobe.reach.inventory import read_inventory, select_vantages
from netprobe.reach.listener import ListenerOptions
from netprobe.reach.manual import NONCE_VARIABLE, Visit, connect, offers, parse_target
from netprobe.reach.responder import ResponderError
from netprobe.reach.sessions.choice import session_for
from netprobe.reach.sessions.receiver import OnNoise
from netprobe.reach.sessions.session import Session
from netprobe.reach.settings import Settings, parse_settings
from netprobe.reach.summary import Summary, summarize
from netprobe.reach.vantages import LOCAL, Vantage
from netprobe.render.fields import escaped
from netprobe.render.output import Document, Output
from netprobe.render.terminal import Terminal
from netprobe.render.view import Column, View

__all__ = ["BindtestOptions", "run"]

_LISTEN_ONLY_S: Final = 600.0
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
    explain: bool
    svg: str | None
    html: str | None

    def __post_init__(self) -> None:
        if self.connect and not self.nonce:
            hint = f"'{NONCE_VARIABLE}=… netprobe bindtest --connect …', or --nonce in a script of one's own"
            raise InvalidInputError("--connect", "needs the nonce, as in the line that --listen-only printed", hint)
        if self.nonce is not None and not self.nonce.isprintable():
            raise InvalidInputError("--nonce", "has characters that cannot be printed")
        if not (self.connect or self.listen_only):
            return
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
        test = Bindtest(_settings(options), sessions)
        strangers = StrangersLog(output, test)
        stack.callback(strangers.finish)
        stack.enter_context(test)
        detail_netifaces(output)
        stack.enter_context(interruptible(test.interrupt))
        progress = stack.enter_context(output.progress())
        for error in test.errors:
            document.error(error)
        test.errors.clear()

        def meanwhile(known: int, total: int) -> None:
            strangers.tell()
            progress.show(f"{known} of {total} cells known")

        try:
            for cell in test.cells(meanwhile):
                progress.clear()
                report.add(cell)
        except (KeyboardInterrupt, ResponderError) as error:
            progress.clear()
            _report_vantages(output, document, test)
            report.finish()
            report.say_what_is_undone("was interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        progress.clear()
        _report_vantages(output, document, test)
        groups = inventory.all_members() if inventory else {}
        report.finish(expectations.changes(report.cells, groups) if expectations else None)
        report.save()
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


def _report_vantages(output: Output, document: Document[Cell], test: Bindtest) -> None:
    """Vantages that failed: status 1 if another one could be used, 3 if none could; and what failed here, always 3."""
    fault = test.take_fault()
    if fault is not None:
        document.error(fault)
    for error in test.errors:
        if test.hellos:
            error.exit_code = Exit.NO
        document.error(error)
    if output.debug:
        for name, trace in test.crashes.items():
            for line in trace.splitlines():
                output.say(f"{name}: {line}")
    for name, facts in test.hellos.items():
        output.detail(f"{name}: {facts.host}, {facts.system} {facts.release}, Python {facts.python}")


class _Report:
    """The document of the cells: the cells as they come, then what they add up to."""

    def __init__(self, output: Output, options: BindtestOptions) -> None:
        self._output = output
        self._options = options
        self._summary: Summary | None = None
        self.cells: list[Cell] = []
        self.document = output.document("bindtest", Cell, View(columns=_COLUMNS, table=self._print))

    def add(self, cell: Cell) -> None:
        """One cell; without an --expect file, a difference from the prediction means exit status 1."""
        self.cells.append(cell)
        self.document.add(cell)
        if cell.differs and not self._options.expect:
            self.document.answer(Exit.NO)

    def finish(self, changes: tuple[Change, ...] | None = None) -> None:
        """After the last cell: the summary, in the form that each format has for it, and the pictures.

        ``changes`` are the answer of a run with ``--expect``, so ``-q`` shows them, too.
        """
        document = self.document
        self._summary = summary = summarize(self.cells, with_rules=self._options.explain, changes=changes)
        document.head = summary
        for agreement in summary.agreements or ():
            document.remark(agreement.text)
        for conclusion in summary.conclusions:
            document.detail(conclusion.text)
        for rule in summary.rules or ():
            document.remark(str(rule))
        self._export()
        for change in changes or ():
            for line in str(escaped(change)).splitlines():
                self._output.always_say(line)
        if changes:
            document.answer(Exit.NO)

    def save(self) -> None:
        """The matrix as an expectation, where ``--save`` asks for it."""
        if self._options.save:
            path = Path(self._options.save)
            write_text(path, dump_expectations(self.cells, as_json=path.suffix == ".json"))

    def say_what_is_undone(self, what_the_run_did: str) -> None:
        """After Ctrl-C or a failure: a file saved before stays as it was."""
        for file, undone in ((self._options.save, "written"), (self._options.expect, "compared")):
            if file:
                self._output.always_say(f"netprobe: {file}: not {undone}, the run {what_the_run_did}")

    def _print(self, cells: Sequence[Cell], terminal: Terminal) -> None:
        """The table format."""
        from netprobe.render.bindtest import print_matrix

        print_matrix(cells, self._summary, terminal, wide=self._options.wide)

    def _export(self) -> None:
        """The pictures of ``--svg`` and ``--html``."""
        if self._options.svg or self._options.html:
            from netprobe.render.bindtest import matrix_as_html, matrix_as_svg

            wide = self._options.wide
            if self._options.svg:
                write_text(Path(self._options.svg), matrix_as_svg(self.cells, self._summary, wide=wide))
            if self._options.html:
                write_text(Path(self._options.html), matrix_as_html(self.cells, self._summary, wide=wide))


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
    report = _Report(output, options)
    with report.document as document, output.progress() as progress:
        progress.show("connecting")
        targets = [parse_target(text) for text in options.connect]
        for cell in connect(targets, options.nonce or "", _settings(options)):
            report.add(cell)
        report.finish()
    return document.status
