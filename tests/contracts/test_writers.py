"""What every writer owes every record: the same fields in the same order, the true text or a harmless one, no delay."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from importlib import import_module
from typing import Any

import click
import pytest

from netprobe.commands.command import command, output_options
from netprobe.errors import CannotRunError, Exit, NetprobeError
from netprobe.render.fields import as_json, key_of, leaf_names
from netprobe.render.output import Document, Output
from netprobe.render.terminal import Terminal
from netprobe.render.view import View
from tests.conftest import NETPROBE

RECORD_TYPES = [
    "netprobe.address.classification.Classification",
    "netprobe.address.registry.SpecialBlock",
    "netprobe.bulk.stream.KindCount",
    "netprobe.address.predicates.Word",
    "netprobe.interfaces.records.Interface",
    "netprobe.reach.cells.Cell",
    "netprobe.reach.manual.Visit",
    "netprobe.echo.clients.ping.Reply",
    "netprobe.echo.clients.load.LoadFigures",
    "netprobe.echo.clients.send.Sent",
    "netprobe.echo.server.events.ListenerOpened",
    "netprobe.echo.server.events.ConnectionEnded",
    "netprobe.echo.server.events.ServerSummary",
    "netprobe.echo.server.events.AcceptPaused",
    "netprobe.echo.server.events.AcceptResumed",
    "netprobe.echo.server.events.Draining",
    "netprobe.echo.server.events.EventsDropped",
    "netprobe.echo.server.events.MemoryExceeded",
    "netprobe.echo.server.events.WorkerEnded",
    "netprobe.echo.server.events.WorkerStarted",
]
FORMATS = ["table", "plain", "json", "ndjson", "csv"]
STREAMS = ["plain", "ndjson", "csv"]
HARMLESS = "plain text"
# A line feed and a tab that would forge lines and fields, a terminal sequence, a bidi override, a zero-width space,
# C1's CSI, an unassigned code point, and what a file name that is not UTF-8 becomes.
HOSTILE = "x\ny\tz\x1b[2J\u202e\u200b\x9b\u0378\udcff"
ESCAPED = "x\\ny\\tz\\x1b[2J\\u202e\\u200b\\x9b\\u0378\\udcff"


def record_type_at(path: str) -> type:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    assert isinstance(found, type)
    return found


def sample(record_type: type, text: str, depth: int = 0) -> Any:
    """A record with a value in every field, made of nothing but its types; every free text in it is ``text``."""
    record: Any = object.__new__(record_type)
    if not depth:
        leaf_names(record_type)  # loads the modules of nested records that are named for typing only
    module = import_module(record_type.__module__)
    hints = typing.get_type_hints(record_type, localns=_Names(vars(module)))
    for field in fields(record_type):
        object.__setattr__(record, field.name, _value(hints[field.name], text, depth))
    return record


class _Names(dict[str, Any]):
    """A module's names; those it imports for typing only are looked for in the modules that are loaded."""

    def __missing__(self, name: str) -> Any:
        for module in list(sys.modules.values()):
            if module.__name__.startswith("netprobe.") and isinstance(getattr(module, name, None), type):
                return getattr(module, name)
        raise KeyError(name)


def _value(hint: Any, text: str, depth: int) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        first = next(argument for argument in arguments if argument is not type(None))
        return None if depth > 2 and type(None) in arguments else _value(first, text, depth)
    if origin is typing.Literal:
        return arguments[0]
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return () if depth > 2 else (_value(arguments[0], text, depth + 1),)
        return tuple(_value(argument, text, depth + 1) for argument in arguments)
    if origin is list:
        return [_value(arguments[0], text, depth + 1)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {text: _value(arguments[1], text, depth + 1)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and is_dataclass(hint):
        return sample(hint, text, depth + 1)
    return {bool: True, int: 7, float: 1.5}.get(hint, text)


def document_of(record_type: type, form: str, view: View[Any] | None = None) -> Document[Any]:
    terminal = Terminal(stdin_tty=False, stdout_tty=False, stderr_tty=False, width=200)
    return Output(terminal, form).document("demo", record_type, view)


def written(path: str, form: str, capsys: pytest.CaptureFixture[str], text: str = HARMLESS) -> str:
    """Two records of a type in a format."""
    record_type = record_type_at(path)
    with document_of(record_type, form) as document:
        for _ in range(2):
            document.add(sample(record_type, text))
    return capsys.readouterr().out


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from texts_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts_in(entry)


def test_the_formats_are_those_that_the_option_offers() -> None:
    @command()
    @output_options
    def demo(output: Output) -> Exit:
        return Exit.OK

    (kind,) = [parameter.type for parameter in demo.params if parameter.name == "format"]
    assert isinstance(kind, click.Choice)
    assert list(kind.choices) == FORMATS


@pytest.mark.parametrize("path", RECORD_TYPES)
def test_json_has_every_field_in_declared_order(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    parsed = json.loads(written(path, "json", capsys))
    assert list(parsed) == ["schema", "results", "errors"]
    assert parsed["errors"] == []
    assert [list(result) for result in parsed["results"]] == 2 * [
        [key_of(field.name) for field in fields(record_type_at(path))]
    ]


@pytest.mark.parametrize("path", RECORD_TYPES)
def test_ndjson_has_the_same_objects_one_a_line(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    results = json.loads(written(path, "json", capsys))["results"]
    text = written(path, "ndjson", capsys)
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    assert [json.loads(line) for line in lines] == results
    assert [list(json.loads(line)) for line in lines] == [list(result) for result in results]


@pytest.mark.parametrize("path", RECORD_TYPES)
def test_csv_has_the_leaves_as_header_and_a_row_a_record(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    header, *rows = csv.reader(io.StringIO(written(path, "csv", capsys)))
    assert tuple(header) == leaf_names(record_type_at(path))
    assert [len(row) for row in rows] == 2 * [len(header)]
    top_level = list(dict.fromkeys(name.partition(".")[0] for name in header))
    assert top_level == [key_of(field.name) for field in fields(record_type_at(path))]


@pytest.mark.parametrize("path", RECORD_TYPES)
def test_plain_has_a_line_a_record_and_the_leaves_between_tabs(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(path, "plain", capsys).splitlines()
    assert [len(line.split("\t")) for line in lines] == 2 * [len(leaf_names(record_type_at(path)))]


@pytest.mark.parametrize("form", ["table", "plain", "csv"])
@pytest.mark.parametrize("path", RECORD_TYPES)
def test_a_human_or_line_format_shows_every_unprintable_character_escaped(
    path: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = written(path, form, capsys, HOSTILE)
    assert "".join(c for c in text if not c.isprintable()).strip("\n\t") == ""
    if form != "table":  # which folds
        assert ESCAPED in text
        assert len(text.splitlines()) == 2 + (form == "csv")


@pytest.mark.parametrize("form", ["json", "ndjson"])
@pytest.mark.parametrize("path", RECORD_TYPES)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_carries_the_true_text_in_whatever_encoding_stdout_has(
    path: str, form: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_type = record_type_at(path)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace"))
    with document_of(record_type, form) as document:
        document.add(sample(record_type, HOSTILE))
    parsed = json.loads(raw.getvalue().decode(encoding))
    found = parsed["results"][0] if form == "json" else parsed
    assert found == json.loads(json.dumps(as_json(sample(record_type, HOSTILE))))
    assert HOSTILE in list(texts_in(found))


@dataclass(frozen=True, slots=True)
class Inner:
    name: str


@dataclass(frozen=True, slots=True)
class Named:
    """A record with nested text, for views that write it as it is handed to them."""

    name: str
    aliases: tuple[str, ...]
    labels: dict[str, str]
    inside: Inner | None = None


NASTY = Named(HOSTILE, (HOSTILE,), {HOSTILE: HOSTILE}, Inner(HOSTILE))


@pytest.mark.parametrize("form", ["table", "plain"])
@pytest.mark.parametrize("streams", [True, False])
def test_a_view_is_only_ever_handed_escaped_text(form: str, streams: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def line(record: Named) -> str:
        assert record.inside is not None
        return "\n".join([record.name, *record.aliases, *record.labels, *record.labels.values(), record.inside.name])

    view: View[Named] = View(plain=line, table=lambda records, terminal: print(*map(line, records)), streams=streams)
    with document_of(Named, form, view) as document:
        document.add(NASTY)
    assert capsys.readouterr().out == f"{ESCAPED}\n" * 5
    assert NASTY.name == HOSTILE  # the record itself is as it was


def test_a_record_without_anything_to_escape_is_handed_on_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Named] = []
    record = Named("a", ("b",), {"c": "d"}, Inner("e"))

    def line(shown: Named) -> str:
        seen.append(shown)
        return shown.name

    with document_of(Named, "plain", View(plain=line)) as document:
        document.add(record)
    assert seen[0] is record


@pytest.mark.parametrize("form", FORMATS)
def test_errors_and_notes_are_escaped_on_every_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with document_of(Named, form) as document:
        document.error(NetprobeError(HOSTILE, HOSTILE, HOSTILE))
        document.note(HOSTILE)
        document.remark(HOSTILE)
    out, err = capsys.readouterr()
    reported = f"netprobe: {ESCAPED}: {ESCAPED}\nhint: {ESCAPED}\n"
    assert err == reported + (f"{ESCAPED}\n" if form in STREAMS else "")
    if form == "json":
        assert json.loads(out)["errors"] == [{"what": HOSTILE, "why": HOSTILE, "hint": HOSTILE}]
    else:
        assert out == {
            "table": ESCAPED.replace("\\t", "\t") + "\n",
            "plain": ESCAPED.replace("\\t", "\t") + "\n",
            "csv": "name,aliases,labels,inside.name\n",
        }.get(form, "")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("ending", [CannotRunError("port 80", "permission denied"), KeyboardInterrupt()])
def test_a_run_that_ends_early_has_written_what_it_had(
    form: str, ending: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(ending)), document_of(Named, form) as document:
        document.add(Named("first", (), {}))
        raise ending
    out = capsys.readouterr().out
    assert "first" in out
    if form == "json":
        parsed = json.loads(out)
        assert (len(parsed["results"]), len(parsed["errors"])) == (1, 1)


class Watched(io.StringIO):
    """A stdout that knows how much of its text was flushed."""

    flushed = 0

    def flush(self) -> None:
        self.flushed = len(self.getvalue())


@pytest.mark.parametrize("form", [*STREAMS, "table"])
def test_a_stream_is_flushed_record_by_record(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Watched()
    monkeypatch.setattr(sys, "stdout", out)
    with document_of(Named, form, View(streams=True)) as document:
        for name in ("one", "two", "three"):
            document.add(Named(name, (), {}))
            assert name in out.getvalue()[: out.flushed]


class Closed(io.StringIO):
    """A stdout whose reader is gone."""

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("form", FORMATS)
def test_no_writer_hides_that_the_reader_is_gone(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError), document_of(Named, form) as document:
        document.add(Named("one", (), {}))


@pytest.mark.parametrize("form", FORMATS)
def test_a_closed_pipe_ends_a_command_in_silence(form: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [NETPROBE, "classify", "--format", form, "10.0.0.1", "::1"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
