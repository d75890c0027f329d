"""What the bindtest command does with its options: a run, or one half of a run by hand."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from netprobe.commands.bindtest.head import head_of
from netprobe.commands.bindtest.vantages import Vantages, agreements_of
from netprobe.errors import Exit, InvalidInputError
from netprobe.files import write_text
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.conclude import conclude
from netprobe.reach.manual import Visit, connect, offers, parse_target, visit_of
from netprobe.reach.records import Address, BindOptions, Cell, Protocol
from netprobe.reach.responder import Arrival
from netprobe.reach.rules import RULES, Rule
from netprobe.reach.settings import Settings
from netprobe.render.output import Document, Output
from netprobe.render.terminal import Terminal
from netprobe.render.view import Column, View

__all__ = ["by_hand_connect", "by_hand_listen", "check", "run"]

Options = Mapping[str, Any]
LISTEN_ONLY_S = 600.0

COLUMNS = (
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


def check(options: Options) -> None:
    """Options that contradict each other."""
    if options["connect"] and not options["nonce"]:
        raise InvalidInputError("--connect", "needs the --nonce that --listen-only printed")
    if (options["connect"] or options["listen_only"]) and options["from"]:
        raise InvalidInputError("--from", "a run by hand has no vantages but the two machines")
    for name in ("save", "expect", "inventory", "svg", "html"):
        if (options["connect"] or options["listen_only"]) and options[name]:
            raise InvalidInputError(f"--{name}", "is for a whole run, not for one by hand")
    if options["connect"] and options["listen_only"]:
        raise InvalidInputError("--connect and --listen-only", "one machine listens, the other one connects")


def settings_of(options: Options) -> Settings:
    """The options as what the core takes."""
    return Settings(
        binds=tuple(dict.fromkeys(Address.parse(text) for text in options["addr"])),
        protocols=protocols_of(options),
        to=tuple(Address.parse(text) for text in options["to"]),
        source=Address.parse(options["source"]) if options["source"] else None,
        timeout=options["timeout"],
        patience=options["patience"],
        payload_size=options["payload"],
        options=BindOptions(
            port=options["port"],
            v6only=options["v6only"],
            device=options["device"],
            reuse_port=options["reuse_port"],
            freebind=options["freebind"],
        ),
        nonce=options["nonce"],
    )


def protocols_of(options: Options) -> tuple[Protocol, ...]:
    """``--tcp``, ``--udp``, or both."""
    if options["tcp"] == options["udp"]:
        return ("tcp", "udp")
    return ("tcp",) if options["tcp"] else ("udp",)


def run(output: Output, options: Options) -> Exit:
    """The whole test on this host."""
    strangers = Strangers(output)
    document = cells_document(output, options)
    with (
        document,
        Vantages(output, options) as vantages,
        Bindtest(settings_of(options), vantages.sessions, strangers) as test,
        interruptible(test.interrupt),
        output.progress() as progress,
    ):
        strangers.ports = {x.id: f"{x.bind} port {x.port}" for x in test.listening}
        for error in test.errors:
            document.error(error)
        test.errors.clear()
        cells: list[Cell] = []
        try:
            for cell in test.cells(lambda known, total: progress.show(f"{known} of {total} cells known")):
                cells.append(cell)
                progress.clear()
                add(document, cell, expected=not options["expect"])
        except KeyboardInterrupt:
            progress.clear()
            vantages.report(document, test)
            summarize(document, output, cells, options)
            vantages.interrupted()
            raise
        progress.clear()
        vantages.report(document, test)
        summarize(document, output, cells, options)
        vantages.compare(document, cells)
        if options["keep"]:
            document.finish()
            keep(output, options["keep"], [f"{x.bind} {x.port}/{x.protocol}" for x in test.listening if x.is_open])
    return document.status


def cells_document(output: Output, options: Options) -> Document[Cell]:
    """The document of the cells, with the matrix as its table."""

    def table(cells: Sequence[Cell], terminal: Terminal) -> None:
        from netprobe.render.matrix import print_matrix

        agreed = agreements_of(cells)
        print_matrix(
            cells if not agreed else (),
            terminal,
            conclusions=[*map(str, agreed), *(x.text for x in conclude(cells))],
            rules=rules_of(cells) if options["explain"] else (),
            wide=options["wide"],
        )

    return output.document("bindtest", Cell, View(columns=COLUMNS, table=table))


def add(document: Document[Cell], cell: Cell, expected: bool = True) -> None:
    """A cell, and what it means for the exit status where the prediction is what counts."""
    document.add(cell)
    if cell.differs and expected:
        document.answer(Exit.NO)


def summarize(document: Document[Cell], output: Output, cells: Sequence[Cell], options: Options) -> None:
    """Conclusions, rules and files, after the last cell."""
    conclusions = conclude(cells)
    agreed = agreements_of(cells)
    rules = rules_of(cells) if options["explain"] else None
    document.head = head_of(conclusions, agreed, rules)
    for agreement in agreed:
        document.remark(str(agreement))
    for conclusion in conclusions:
        document.detail(conclusion.text)
    for rule in rules or ():
        document.remark(f"{rule.id}: {rule.text} [{rule.source}]")
    for key in ("svg", "html"):
        if options[key]:
            from netprobe.render.matrix import exported

            picture = exported(
                cells,
                as_svg=key == "svg",
                conclusions=[x.text for x in conclusions],
                rules=rules or (),
                wide=options["wide"],
            )
            write_text(Path(options[key]), picture)


def rules_of(cells: Sequence[Cell]) -> list[Rule]:
    """The rules that had a say, each once."""
    return [RULES[name] for name in dict.fromkeys(name for cell in cells for name in cell.rules)]


class Strangers:
    """Reports everybody who comes to a listener and does not know the nonce."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.ports: dict[str, str] = {}

    def __call__(self, arrival: Arrival) -> None:
        where = self.ports.get(arrival.listener, arrival.local)
        who = f"{arrival.peer} port {arrival.peer_port}"
        self._output.say(f"netprobe: {where} ({arrival.protocol}): a foreign peer came from {who}")


def keep(output: Output, seconds: float, names: Sequence[str]) -> None:
    """Leave the listeners open; Ctrl-C ends it early, as an end that was wished."""
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()  # an Event's lock could be ours when the signal comes
    with interruptible(lambda: ended.put(None)), suppress(queue.Empty):
        output.say(f"netprobe: still listening for {seconds:g} s on {', '.join(names)}; Ctrl-C ends it")
        ended.get(timeout=seconds)


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call ``interrupt``; a second one is a KeyboardInterrupt at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupt()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def by_hand_listen(output: Output, options: Options) -> Exit:
    """``--listen-only``: the listening half. It ends after ``--keep`` seconds or with Ctrl-C, as wished."""
    arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
    document = output.document("bindtest listen", Visit, View(plain=visit_line, streams=True))
    with (
        document,
        Bindtest(settings_of(options), sessions=(), on_stranger=arrivals.put, on_arrival=arrivals.put) as test,
        interruptible(lambda: arrivals.put(None)),
    ):
        for error in test.errors:
            document.error(error)
        for visit in offers(test.listening, test.host, test.nonce):
            document.add(visit)
        if not any(listener.is_open for listener in test.listening):
            return document.status
        deadline = time.monotonic() + (options["keep"] or LISTEN_ONLY_S)
        while (rest := deadline - time.monotonic()) > 0:
            try:
                arrival = arrivals.get(timeout=rest)
            except queue.Empty:
                break
            if arrival is None:
                break
            document.add(visit_of(arrival, test.listening))
    return document.status


def visit_line(visit: Visit) -> str:
    """A visit as a person reads it."""
    if visit.event == "command":
        return f"on the other machine: {visit.command}"
    where = f"{visit.bind} port {visit.port}/{visit.protocol}"
    if visit.event == "listening":
        return f"listening on {where}"
    who = "the other side" if visit.event == "arrival" else "a foreign peer"
    return f"{where}: {who} came from {visit.peer} port {visit.peer_port}"


def by_hand_connect(output: Output, options: Options) -> Exit:
    """``--connect``: the connecting half."""
    document = cells_document(output, options)
    with document, output.progress() as progress:
        progress.show("connecting")
        cells = []
        for cell in connect(
            [parse_target(text) for text in options["connect"]], options["nonce"], settings_of(options)
        ):
            cells.append(cell)
            add(document, cell)
        summarize(document, output, cells, options)
    return document.status
