"""What ``netprobe bindtest`` does: a whole run from this host, or one half of a manual one.

A whole run goes one way: the options become the engine's settings and its sessions, cells are added to the document
as they come, and what all of them come to is one :class:`Summary`, which the JSON document, the matrix on the screen
and the exported picture show alike. A matrix is only saved, and compared, after a run that nobody interrupted: half a
matrix would pass for a changed network.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from netprobe.commands.bindtest.interrupts import interruptible, wait_for_interrupt
from netprobe.commands.bindtest.options import BindtestOptions
from netprobe.errors import Exit
from netprobe.files import check_writable, read_text, write_text
from netprobe.reach.bindtest import Bindtest, Settings
from netprobe.reach.byhand import Visit, connect, offers, target_of, visit_of
from netprobe.reach.expectations import dump_expectations, parse_expectations
from netprobe.reach.fleet import Fleet, FleetSession, has_asyncssh
from netprobe.reach.inventory import Inventory, read_inventory, select_vantages
from netprobe.reach.listen import Arrival
from netprobe.reach.probe import LOCAL, LocalSession, Session
from netprobe.reach.records import Address, BindOptions, Cell, Protocol
from netprobe.reach.session import ProcessSession
from netprobe.reach.summary import Summary, summarize
from netprobe.reach.vantages import Vantage
from netprobe.render.fields import escaped
from netprobe.render.output import Document, Output
from netprobe.render.terminal import Terminal
from netprobe.render.view import Column, View

__all__ = ["run"]

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


def run(output: Output, options: BindtestOptions) -> Exit:
    """All that the options ask for."""
    if options.connect:
        return _connect_manually(output, options)
    if options.listen_only:
        return _listen_manually(output, options)
    return _run_whole(output, options)


def _run_whole(output: Output, options: BindtestOptions) -> Exit:
    """The whole test on this host."""
    report = _Report(output, options)
    strangers = _Strangers(output)
    with report.document as document, ExitStack() as stack:
        expectations = None
        if options.expect:
            expectations = parse_expectations(read_text(Path(options.expect)), options.expect)
        for file in (options.save, options.svg, options.html):
            if file:
                check_writable(Path(file))
        inventory = read_inventory(Path(options.inventory)) if options.inventory else None
        sessions = _sessions(output, options, inventory, stack)
        test = stack.enter_context(Bindtest(_settings(options), sessions, strangers.report))
        stack.enter_context(interruptible(test.interrupt))
        progress = stack.enter_context(output.progress())

        strangers.listeners = {x.id: f"{x.bind} port {x.port}" for x in test.listening}
        for error in test.errors:
            document.error(error)
        test.errors.clear()
        cells: list[Cell] = []
        interrupted = True
        try:
            for cell in test.cells(lambda known, total: progress.show(f"{known} of {total} cells known")):
                progress.clear()
                cells.append(cell)
                report.add(cell)
            interrupted = False
        finally:
            progress.clear()
            if interrupted:
                _report_vantages(output, document, test)
                report.finish(cells)
                report.say_not_compared()
        _report_vantages(output, document, test)
