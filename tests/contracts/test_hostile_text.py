"""Text from outside, in every field of every record, through every form there is, and parsed again by what reads it."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import netprobe as package
from netprobe.address.classification import Classification
from netprobe.bulk.stream import KindCount
from netprobe.echo.clients.ping import Reply
from netprobe.echo.clients.statistics import PingStatistics
from netprobe.echo.server.events import EVENT_TYPES
from netprobe.errors import NetprobeError
from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change
from netprobe.reach.findings import Command, Finding, Untested
from netprobe.reach.run_facts import RunFacts
from netprobe.reach.summary import Agreement, AppliedRule
from netprobe.render import classify, interfaces
from netprobe.render.bindtest import lines_of
from netprobe.render.bindtest_report import bindtest_report
from netprobe.render.bindtest_run import BindtestRun
from netprobe.render.fields import escaped, leaf_names
from netprobe.render.live_ping import LivePing
from netprobe.render.load import load_lines
from netprobe.render.output import Document, Output
from netprobe.render.ping import Asked, PingScreen, reply_line, summary_lines
from netprobe.render.progress import ProgressLine
from netprobe.render.report import page
from netprobe.render.send import header_line, sent_line
from netprobe.render.server_log import event_line
from netprobe.render.styled_lines import Line, as_text, print_lines
from netprobe.render.svg import as_svg
from netprobe.render.terminal import Terminal
from netprobe.render.view import View
from tests.conftest import NETPROBE, Run, clean_environment
from tests.contracts.test_writers import HOSTILE, RECORD_TYPES, record_type_at, sample, texts_in

STEERS = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\b\x7f\x00"
FORGES = "\n\x0b\x0c\x1c\x85\u2028\u2029\t"
HIDES = "\u202e\u2066\u200b\ufeff\u061c\U000e0041\u0378\ue000\ud800-\udcff\ufffe"
MARKUP = "[red]x[/red] [link=http://e.example]y[/link] :smile: <script>&\"'</script> ]]>"
NASTY = f"a{STEERS}{FORGES}{HIDES}{MARKUP}{HOSTILE}"
WIDE = Terminal(stdin_tty=False, stdout_tty=False, stderr_tty=False, width=100_000)
NARROW = Terminal(stdin_tty=False, stdout_tty=True, stderr_tty=False, width=40)

ASKED = Asked("host", 7, "host:7", "tcp", 64, 1.0, 4)


def visit_line(visit: Any) -> str:
    line: str = import_module("netprobe.commands.bindtest.run")._visit_line(visit)
    return line


def run_of(cells: Sequence[Cell], *, compared: bool = False) -> BindtestRun:
    """A run in which every text is hostile."""
    finding: Finding = sample(Finding, NASTY)
    return BindtestRun(
        cells=tuple(cells),
        answers=(NASTY,),
        findings=tuple(replace(finding, differs=differs, cells=(0,)) for differs in (True, False)),
        untested=(sample(Untested, NASTY),) * 2,
        next_steps=(sample(Command, NASTY),),
        facts=sample(RunFacts, NASTY),
        status=1,
        data="{}",
        changes=(sample(Change, NASTY),) if compared else None,
        expectation=NASTY,
        accept=NASTY,
        agreements=(sample(Agreement, NASTY),),
        rules=(sample(AppliedRule, NASTY),),
    )


def bindtest_lines(cells: Sequence[Cell], width: int, *, wide: bool = False) -> list[Line]:
    """What is shown of a run, and of one that is compared with a file."""
    runs = [escaped(run_of(cells, compared=compared)) for compared in (False, True)]
    return [line for run in runs for line in lines_of(run, width, wide=wide, matrix=True)]


def print_cells(cells: Sequence[Cell], terminal: Terminal) -> None:
    print_lines(bindtest_lines(cells, terminal.width), terminal)


VIEWS: dict[str, list[View[Any]]] = {
    "Classification": [
        View(plain=classify.plain_lines, table=partial(classify.print_classifications, bits=True)),
        View(plain=classify.plain_lines, table=classify.print_classifications),
    ],
    "KindCount": [View(plain=classify.count_line, table=classify.print_histogram)],
    "Interface": [View(plain=interfaces.plain_lines, table=interfaces.print_interfaces)],
    "Cell": [View(table=print_cells)],
    "Visit": [View(plain=visit_line, streams=True)],
    "Reply": [
        View(plain=reply_line, streams=True),
        View(plain=reply_line, screen=partial(PingScreen, ASKED)),
        View(plain=reply_line, screen=partial(LivePing, ASKED)),
    ],
    "LoadFigures": [View(plain=load_lines, streams=True)],
    "Sent": [View(plain=sent_line, streams=True), View(plain=header_line, streams=True)],
    **{kind.__name__: [View(plain=event_line, streams=True)] for kind in EVENT_TYPES},
}
EVERY_FIELD: View[Any] = View()
CASES = [(path, view) for path in RECORD_TYPES for view in [EVERY_FIELD, *VIEWS.get(path.rpartition(".")[2], [])]]


def hostile(record_type: type) -> Any:
    """A record with NASTY in every text but those that netprobe itself chooses from a few words."""
    record = sample(record_type, NASTY)
    if record_type is Classification:
        object.__setattr__(record, "kind", "private")
    for name, part, word in (("here", "relation", "on-link"), ("kernel", "source", "TCP_INFO")):
        if hasattr(getattr(record, name, None), part):
            object.__setattr__(getattr(record, name), part, word)
    return record


def opened(record_type: type, form: str, view: View[Any] | None = None, terminal: Terminal = WIDE) -> Document[Any]:
    return Output(terminal, form).document("demo", record_type, view)


def is_harmless(text: str, layout: str = "\n\t") -> bool:
    return all(c.isprintable() or c in layout for c in text)


def written(path: str, view: View[Any], form: str, terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> str:
    record_type = record_type_at(path)
    with opened(record_type, form, view, terminal) as document:
        document.add(hostile(record_type))
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_every_record_that_a_command_writes_is_tried() -> None:
    tried = {path.rpartition(".")[2] for path in RECORD_TYPES}
    found = {"SpecialBlock"}
    for file in (Path(package.__file__).parent / "commands").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "document":
                found.add(ast.unparse(node.args[1]))
    found.remove("EVENT_TYPES")
    assert found | {kind.__name__ for kind in EVENT_TYPES} == tried


@pytest.mark.parametrize("terminal", [WIDE, NARROW], ids=["pipe", "narrow"])
@pytest.mark.parametrize("form", ["table", "plain"])
@pytest.mark.parametrize(("path", "view"), CASES)
def test_people_are_shown_nothing_that_steers_or_forges(
    path: str, view: View[Any], form: str, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    text = written(path, view, form, terminal, capsys)
    assert is_harmless(text)
    if form == "plain" and view.plain is None:
        (line,) = text.splitlines()
        assert len(line.split("\t")) == len(leaf_names(record_type_at(path)))


@pytest.mark.parametrize("path", RECORD_TYPES)
def test_a_csv_reader_gets_one_row_and_harmless_cells(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = written(path, View(), "csv", WIDE, capsys)
    assert is_harmless(text, "\n")
    header, row = csv.reader(io.StringIO(text), strict=True)
    assert len(header) == len(row)


@pytest.mark.parametrize("nasty", [NASTY, NASTY.replace("\ud800", "").replace("\udcff", "")], ids=["any", "unicode"])
@pytest.mark.parametrize("form", ["json", "ndjson"])
@pytest.mark.parametrize("path", RECORD_TYPES)
def test_json_has_the_true_text_and_no_unprintable_character(
    path: str, form: str, nasty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record_type = record_type_at(path)
    with opened(record_type, form) as document:
        document.add(sample(record_type, nasty))
    text = capsys.readouterr().out
    text.encode("utf-8")
    assert is_harmless(text, "\n")
    assert nasty in list(texts_in(json.loads(text)))
    if form == "ndjson":
        assert len(text.splitlines()) == 1


# Cells that a spreadsheet would run.


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\uff1d1", "-", "=cmd|' /C calc'!A0"])
def test_a_text_cell_is_no_formula(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(KindCount, "csv") as document:
        document.add(KindCount(text, -5, -1.5))
    _, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert row == [f"'{text}", "-5", "-1.5"]


@pytest.mark.parametrize("text", ["10.0.0.1", "a-b", "a=b", "'=1", "", "fe80::1%eth0", "\\t=1"])
def test_any_other_cell_is_as_it_was(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(KindCount, "csv") as document:
        document.add(KindCount(text, 5, 1.5))
    _, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert row == [text, "5", "1.5"]


# Pictures.


def cells() -> list[Cell]:
    """Enough for a table, for letters in place of headings, and for lines."""
    return [sample(Cell, f"{number}{NASTY}") for number in range(3)]


@pytest.mark.parametrize("wide", [True, False])
def test_the_svg_is_xml_and_has_the_text_escaped(wide: bool) -> None:
    text = as_svg(bindtest_lines(cells(), 100, wide=wide), NASTY)
    assert is_harmless(text.replace("\xa0", " "), "\n")
    shown = "".join(ElementTree.fromstring(text).itertext()).replace("\xa0", " ")
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m" in shown.replace("\n", "")
    assert_no_markup(shown)
    assert "<script" not in text


def test_the_page_has_the_text_escaped_and_no_element_of_it() -> None:
    run = run_of(cells())
    text = page(bindtest_report(replace(run, text=as_text(bindtest_lines(cells(), 100)))))
    assert is_harmless(text, "\n")
    harmless = page(bindtest_report(run_of([sample(Cell, f"{number}x") for number in range(3)])))
    found, expected = Page(), Page()
    for parser, html in ((found, text), (expected, harmless)):
        parser.feed(html)
        parser.close()
    assert found.elements == expected.elements
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m" in found.text.replace("\n", "")
    assert_no_markup(found.text)


def assert_no_markup(shown: str) -> None:
    """Rich's markup and emoji codes are text like any other."""
    joined = re.sub(r"\s", "", shown)
    for piece in ("[red]x[/red]", "[link=http://e.example]y[/link]", ":smile:", "<script>"):
        assert piece in joined


class Page(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        assert not {name for name, _ in attrs if name.startswith("on") or name == "src"}
        assert all((value or "").startswith("#") for name, value in attrs if name == "href")

    def handle_data(self, data: str) -> None:
        self.text += data


# Besides the records.


class TerminalText(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_line_has_nothing_but_its_own_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    err = TerminalText()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr("netprobe.render.progress._DELAY_S", 0)
    with ProgressLine(True, 1000) as line:
        line.show(NASTY)
    assert is_harmless(err.getvalue().replace("\r\x1b[K", ""), "")
    assert "\\x1b]0;owned" in err.getvalue()


def test_the_live_view_shows_why_a_message_was_lost_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    reply = sample(Reply, NASTY)
    object.__setattr__(reply, "rtt_ms", None)
    object.__setattr__(reply, "note", None)
    with opened(Reply, "table", View(screen=partial(LivePing, ASKED))) as document:
        document.add(reply)
    text = capsys.readouterr().out
    assert is_harmless(text, "\n")
    assert "\\x1b]0;owned" in text


def test_the_sum_of_a_ping_has_no_more_lines_than_its_own() -> None:
    statistics, reply = hostile(PingStatistics), sample(Reply, NASTY)
    shown = summary_lines(statistics, reply)
    assert is_harmless(shown)
    object.__setattr__(reply, "appears_as", "x")
    assert len(summary_lines(statistics, reply).splitlines()) == len(shown.splitlines())


@pytest.mark.parametrize("form", ["table", "plain", "json", "ndjson", "csv"])
def test_remarks_errors_and_hints_are_a_line_each(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(WIDE, form, verbose=2)
    with opened(KindCount, form) as document:
        document.error(NetprobeError(NASTY, NASTY, NASTY))
        for say in (output.say, output.always_say, output.detail):
            say(NASTY)
    err = capsys.readouterr().err
    assert is_harmless(err, "\n")
    assert len(err.splitlines()) == 5


def test_a_line_about_an_error_is_cut_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    with opened(KindCount, "json") as document:
        document.error(NetprobeError("x" * 1_000_000, "is not an address"))
    out, err = capsys.readouterr()
    assert len(err) < 1100
    assert err.startswith("netprobe: xxx")
    assert err.endswith("x: is not an address\n")
    assert json.loads(out)["errors"][0]["what"] == "x" * 1_000_000


def test_the_errors_of_a_document_have_a_budget(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netprobe.render.output._MOST_ERRORS", 3)
    with opened(KindCount, "json") as document:
        for number in range(10):
            document.error(NetprobeError(f"line {number}", "bad"))
    out, err = capsys.readouterr()
    assert [error["what"] for error in json.loads(out)["errors"]] == ["line 0", "line 1", "line 2", "7 further errors"]
    assert len(err.splitlines()) == 10


@pytest.mark.parametrize(
    "argv",
    [
        ["{}"],
        ["--{}"],
        ["classify", "{}"],
        ["classify", "--{}"],
        ["classify", "--format", "{}", "1.1.1.1"],
        ["classify", "--prefix", "{}", "1.1.1.1"],
        ["classify", "--is", "{}", "1.1.1.1"],
        ["classify", "--nat64", "{}", "1.1.1.1"],
        ["classify", "--file", "/nonexistent/{}"],
        ["classify", "--debug", "--file", "/nonexistent/{}"],
        ["completion", "{}"],
        ["echo", "{}"],
        ["echo", "ping", "127.0.0.1:{}"],
        ["echo", "ping", "--count", "{}", "127.0.0.1"],
        ["echo", "send", "x", "--output", "/nonexistent/{}"],
        ["echo", "send", "--hex", "{}"],
        ["bindtest", "--addr", "{}"],
        ["bindtest", "--addr", "127.0.0.1", "--expect", "/nonexistent/{}"],
        ["bindtest", "--addr", "127.0.0.1", "--html", "/nonexistent/{}"],
        ["bindtest", "--addr", "127.0.0.1", "--inventory", "/nonexistent/{}"],
        ["bindtest", "--addr", "127.0.0.1", "--from", "{}:x"],
    ],
)
def test_an_argument_is_quoted_escaped(argv: list[str]) -> None:
    hostile = NASTY.replace("\x00", "").replace("\ud800", "").encode("utf-8", "surrogateescape")
    done = subprocess.run(
        [os.fsencode(NETPROBE), *(word.encode().replace(b"{}", hostile) for word in argv)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode in (2, 3)
    assert is_harmless(out + err, "\n")
    assert "internal error" not in err
    assert "\\x1b]0;owned" in err
    if "--debug" not in argv:
        assert len(err.splitlines()) <= 2
        assert "Traceback" not in err


def test_an_environment_variable_is_quoted_escaped(netprobe: Run) -> None:
    for variable in ("NETPROBE_CLASSIFY_FORMAT", "NETPROBE_CLASSIFY_COLOR", "NETPROBE_CLASSIFY_PREFIX"):
        ran = netprobe("classify", "1.1.1.1", env={variable: NASTY.replace("\x00", "").replace("\ud800", "")})
        assert ran.status == 2
        assert is_harmless(ran.stderr, "\n")
    assert netprobe("classify", "1.1.1.1", env={"COLUMNS": "9" * 5000}).status == 0
