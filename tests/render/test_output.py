"""One set of records, five forms."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass

import pytest

from netprobe.errors import AddressError, CannotRunError, Exit, InvalidInputError, NetprobeError
from netprobe.render.output import Document, Output, error_lines
from netprobe.render.terminal import Terminal
from netprobe.render.view import Column, View


@dataclass(frozen=True, slots=True)
class Inner:
    letter: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    class_: Inner | None
    open: bool
    rtt_ms: float | None
    tags: tuple[str, ...] = ()


RECORDS = [
    Record("2001:db8:1111:2222:3333:4444:5555:6666", Inner("A", 1), True, 0.25, ("x", "y")),
    Record('b, "c"', None, False, None),
]


def document(form: str, width: int = 80, colour: bool = False) -> Document[Record]:
    terminal = Terminal(stdin_tty=False, stdout_tty=False, stderr_tty=False, width=width, colour=colour)
    return Output(terminal, form).document("demo thing", Record)


def written(form: str, capsys: pytest.CaptureFixture[str], width: int = 80, colour: bool = False) -> str:
    with document(form, width, colour) as doc:
        for record in RECORDS:
            doc.add(record)
    return capsys.readouterr().out


def test_json_is_one_document_with_the_fields_in_declared_order(capsys: pytest.CaptureFixture[str]) -> None:
    parsed = json.loads(written("json", capsys))
    assert list(parsed) == ["schema", "results", "errors"]
    assert parsed["schema"] == "netprobe/demo-thing/1"
    assert list(parsed["results"][0]) == ["name", "class", "open", "rtt_ms", "tags"]
    assert parsed["results"][0]["class"] == {"letter": "A", "count": 1}
    assert parsed["results"][1]["class"] is None
    assert parsed["results"][1]["rtt_ms"] is None


def test_ndjson_is_one_record_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = written("ndjson", capsys).splitlines()
    assert [json.loads(line)["name"] for line in lines] == [record.name for record in RECORDS]


def test_csv_opens_nested_records_and_quotes_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", capsys))))
    assert list(rows[0]) == ["name", "class.letter", "class.count", "open", "rtt_ms", "tags"]
    assert rows[0]["class.letter"] == "A"
    assert rows[0]["tags"] == "x y"
    assert rows[1]["name"] == 'b, "c"'
    assert rows[1]["class.letter"] == rows[1]["rtt_ms"] == ""
    assert rows[1]["open"] == "false"


def test_plain_is_separated_by_tabs_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = written("plain", capsys, width=20).splitlines()
    assert first.split("\t") == [RECORDS[0].name, "A", "1", "yes", "0.25", "x, y"]
    assert second.split("\t") == ['b, "c"', "-", "-", "no", "-", "-"]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_table_never_cuts_an_address(capsys: pytest.CaptureFixture[str], width: int) -> None:
    terminal = Terminal(stdin_tty=False, stdout_tty=True, stderr_tty=False, width=width)
    columns = [Column("name", "ADDRESS", whole=True), Column("class.letter", "CLASS", 1), Column("tags", "TAGS", 2)]
    with Output(terminal, "table").document("demo", Record, View(columns)) as doc:
        for record in RECORDS:
            doc.add(record)
    out = capsys.readouterr().out
    assert RECORDS[0].name in out.replace("\n", "") if width < 39 else RECORDS[0].name in out
    assert "\x1b" not in out
    assert "…" not in out


def test_a_table_does_not_stretch_to_a_wide_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert max(len(line.rstrip()) for line in written("table", capsys, width=200).splitlines()) < 100


def test_a_narrow_table_drops_the_least_important_column_first(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(stdin_tty=False, stdout_tty=True, stderr_tty=False, width=46)
    columns = [Column("name", "ADDRESS", whole=True), Column("class.letter", "C", 1), Column("rtt_ms", "RTT-MS", 2)]
    with Output(terminal, "table").document("demo", Record, View(columns)) as doc:
        for record in RECORDS:
            doc.add(record)
    head = capsys.readouterr().out.splitlines()[0].split()
    assert head == ["ADDRESS", "C"]


def test_colour_is_what_the_terminal_says_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b[1m" in written("table", capsys, colour=True)
    assert "\x1b" not in written("table", capsys, colour=False)


def test_an_error_that_does_not_end_the_run_is_told_at_once_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with document("json") as doc:
        doc.add(RECORDS[0])
        doc.error(AddressError("1.2.3.300", "octet 300 is out of range", "octets run from 0 to 255"))
        doc.answer(Exit.NO)
    out, err = capsys.readouterr()
    assert err == "netprobe: 1.2.3.300: octet 300 is out of range\nhint: octets run from 0 to 255\n"
    assert json.loads(out)["errors"] == [
        {"what": "1.2.3.300", "why": "octet 300 is out of range", "hint": "octets run from 0 to 255"}
    ]
    assert doc.status == Exit.USAGE


@pytest.mark.parametrize("ending", [CannotRunError("port 80", "permission denied"), KeyboardInterrupt()])
def test_a_run_that_is_ended_still_prints_one_whole_document(
    capsys: pytest.CaptureFixture[str], ending: BaseException
) -> None:
    with pytest.raises(type(ending)), document("json") as doc:
        doc.add(RECORDS[0])
        raise ending
    parsed = json.loads(capsys.readouterr().out)
    assert len(parsed["results"]) == 1
    assert len(parsed["errors"]) == 1


def test_the_gravest_answer_is_the_exit_status() -> None:
    doc = document("json")
    for status, sum_ in [(Exit.NO, 1), (Exit.OK, 1), (Exit.CANNOT_RUN, 3), (Exit.NO, 3), (Exit.USAGE, 2)]:
        doc.answer(status)
        assert doc.status == sum_


def test_an_error_is_one_line_whatever_the_text_in_it() -> None:
    error = InvalidInputError("a\nb\x1b[31m", "bad\r\n")
    assert error_lines(str(error)) == "netprobe: a\\nb\\x1b[31m: bad\\r\\n"
    assert isinstance(error, NetprobeError)
