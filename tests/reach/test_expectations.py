"""A matrix saved, read back, and compared."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.files import read_text
from netprobe.reach.cells import Cell
from netprobe.reach.expectations import dump_expectations, parse_expectations
from netprobe.verdicts import Verdict

CELL = Cell(
    *("0.0.0.0", 40000, "tcp", "192.0.2.1", "web1", Verdict.REACHABLE, Verdict.REACHABLE, None, None, None, None, None),
    *(0.2, False, None, None, None, None, ()),
)


def cells(**observed: str) -> list[Cell]:
    return [replace(CELL, vantage=name, observed=Verdict(said.replace("_", "-"))) for name, said in observed.items()]


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_saved_expects_itself_whatever_the_port_and_the_order(as_json: bool) -> None:
    run = cells(web1="reachable", web2="no_answer", db="refused")
    text = dump_expectations(run, as_json=as_json)
    again = [replace(cell, port=5, rtt_ms=9.0, cause="other words") for cell in reversed(run)]
    assert dump_expectations(again, as_json=as_json) == text
    assert parse_expectations(text, "f").changes(again) == ()


# Lone surrogates are undecodable bytes of an argument or an interface's name (PEP 383).
NAMES = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))


@settings(deadline=None)
@given(one=NAMES, other=NAMES, bind=NAMES)
@example(one="a*b", other="axb", bind="?")
@example(one="*", other="**", bind="[a]")
@example(one="group:web", other="group:?", bind="group:")
@example(one="\udcff", other="\udc80\udcff", bind="\\udcff")
@example(one="\"'\\", other="\x00\x1b\x7f\x85\u2028\r\n", bind="#")
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_saved_is_read_back_and_expects_itself_whatever_anything_is_called(
    one: str, other: str, bind: str, as_json: bool
) -> None:
    run = [
        replace(CELL, vantage=one, bind=bind),
        replace(CELL, vantage=other, bind=bind, destination=one, observed=Verdict.REFUSED),
        replace(CELL, vantage=other + "x", bind=None, observed=Verdict.NO_ANSWER),
    ]
    text = dump_expectations(run, as_json=as_json)
    assert text.encode("utf-8").decode("utf-8") == text
    if "group:" in (one, other):
        return  # no vantage is called so; a row would be a group without a name
    expectations = parse_expectations(text, "f")
    assert {(row.bind, row.destination, row.vantage) for row in expectations.rows} == {
        ((cell.bind or "",), (cell.destination,), (cell.vantage,)) for cell in run
    }
    assert expectations.changes(run) == ()


@settings(deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=4), comment=st.booleans())
def test_a_file_as_it_was_saved_means_what_its_toml_means(names: list[str], comment: bool) -> None:
    text = dump_expectations([replace(CELL, vantage=name) for name in names])
    if text.startswith("{"):
        return
    parsed = parse_expectations(text + ("# edited\n" if comment else ""), "f") if "group:" not in names else None
    assert parsed is None or [{"vantage": x.vantage[0]} for x in parsed.rows] == [
        {"vantage": row["vantage"]} for row in tomllib.loads(text)["cell"]
    ]


@pytest.mark.parametrize("name", ["x" * 1_000_000, "\U0001f600" * 1_000_000, "\x1b" * 1_000_000, "\udcff" * 1_000_000])
def test_a_long_name_is_read_back(name: str) -> None:
    run = [replace(CELL, vantage=name)]
    assert parse_expectations(dump_expectations(run), "f").changes(run) == ()


def test_a_name_that_toml_cannot_hold_is_saved_as_json() -> None:
    text = dump_expectations([replace(CELL, destination="fe80::1%\udcff")])
    assert json.loads(text)["cell"][0]["destination"] == "fe80::1%\udcff"


def test_a_matrix_larger_than_what_can_be_read_is_refused() -> None:
    with pytest.raises(CannotRunError, match="16 MiB"):
        dump_expectations([replace(CELL, vantage="x" * (17 << 20))])


@given(
    text=st.text("ab*?[", max_size=8),
    pattern=st.text("ab*?", max_size=8),
)
def test_stars_and_question_marks_are_as_in_a_shell(text: str, pattern: str) -> None:
    row = f'[[cell]]\nobserved = "reachable"\nvantage = {json.dumps(pattern)}'
    changes = parse_expectations(row, "f").changes([replace(CELL, vantage=text)])
    assert (changes == ()) == fnmatchcase(text, pattern)


def test_many_stars_do_not_multiply() -> None:
    row = f'[[cell]]\nobserved = "refused"\nvantage = "{"*a" * 2000}*b"'
    assert len(parse_expectations(row, "f").changes([replace(CELL, vantage="a" * 3000)])) == 1


def test_the_row_that_is_exactly_the_cell_goes_before_a_pattern() -> None:
    rows = [
        '[[cell]]\nvantage = "*"\nobserved = "refused"',
        '[[cell]]\nprotocol = "tcp"\nbind = "0.0.0.0"\ndestination = "192.0.2.1"\nvantage = "web1"\n'
        'observed = "reachable"',
    ]
    for text in ("\n".join(rows), "\n".join(reversed(rows))):
        assert parse_expectations(text, "f").changes(cells(web1="reachable", web2="refused")) == ()


def test_many_cells_are_read_and_compared(tmp_path: Path) -> None:
    run = [replace(CELL, vantage=f"ssh:ann@web{n}.example:2222") for n in range(30_000)]
    for as_json in (True, False):
        (tmp_path / "f").write_text(dump_expectations(run, as_json=as_json), "utf-8")
        expectations = parse_expectations(read_text(tmp_path / "f"), "f")
        assert (len(expectations.rows), expectations.changes(run)) == (30_000, ())


def test_a_large_file_that_was_edited_says_where_more_is_read() -> None:
    text = dump_expectations([replace(CELL, vantage=f"web{n}") for n in range(40_000)]) + "# edited\n"
    with pytest.raises(InvalidInputError) as caught:
        parse_expectations(text, "f")
    assert "--save" in str(caught.value.hint)


def test_a_changed_a_new_and_a_missing_cell_are_reported() -> None:
    expectations = parse_expectations(dump_expectations(cells(web1="reachable", web2="reachable")), "f")
    changes = expectations.changes(cells(web1="no_answer", web3="reachable"))
    assert [(x.expected, x.observed) for x in changes] == [
        ("reachable", "no-answer"),
        (None, "reachable"),
        ("reachable, but no cell matches", None),
    ]
    assert str(changes[0]) == (
        "- tcp 0.0.0.0 at 192.0.2.1 from web1: reachable\n+ tcp 0.0.0.0 at 192.0.2.1 from web1: no-answer"
    )


HANDWRITTEN = """
[groups]
web = ["web1", "web2"]
[[cell]]
vantage = "group:web"
destination = "192.0.2.*"
observed = "reachable"
[[cell]]
observed = ["refused", "no-answer"]
"""


def test_a_handwritten_file_has_stars_groups_and_a_first_row_that_decides() -> None:
    expectations = parse_expectations(HANDWRITTEN, "f")
    assert expectations.changes(cells(web1="reachable", web2="reachable", db="refused", x="no_answer")) == ()
    assert [x.observed for x in expectations.changes(cells(web2="refused", db="reachable"))] == ["refused", "reachable"]


def test_groups_of_an_inventory_count_too() -> None:
    text = '[[cell]]\nvantage = "group:db"\nobserved = "refused"\n'
    assert parse_expectations(text, "f").changes(cells(db1="refused"), {"db": ["db1"]}) == ()


@pytest.mark.parametrize(
    "text",
    [
        *("", "x = [", "{", 'schema = "other"', "cell = 1", "cell = [1]", '[[cell]]\nobserved = "open"'),
        *('[[cell]]\nfrom = "x"\nobserved = "refused"', "[[cell]]\nobserved = 1", "[[cell]]", "more = 1", "groups = 1"),
        '[groups]\nweb = "web1"\n[[cell]]\nobserved = "refused"',
        '[groups]\nweb = [1]\n[[cell]]\nobserved = "refused"',
        'complete = nan\n[[cell]]\nobserved = "refused"',
        'complete = "no"\n[[cell]]\nobserved = "refused"',
        "schema = 0x" + "f" * 200,
        '{"schema": NaN}',
        '{"cell": [{"observed": [["reachable"]]}]}',
        '{"cell": {"observed": "reachable"}}',
        '{"cell": [{"observed": []}]}',
        '{"cell": [{"observed": "refused", "vantage": null}]}',
        '{"cell": [{"observed": "refused", "vantage": "group:"}]}',
        '{"cell": [{"observed": "refused", "observed": "reachable"}]}',
        '{"' + "x" * 1_000_000 + '": 1}',
        '{"schema": "' + "x" * 1_000_000 + '"}',
        '{"cell": [{"observed": "' + "x" * 1_000_000 + '"}]}',
        '{"cell": [' + ",".join('{"observed": "refused", "vantage": "*"}' for _ in range(10_001)) + "]}",
        *("[]", "[1]", "null", '"cell"', "\x00", "\ufffe"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_expectations(text, "f")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


# Names: a cell is its addresses.

NAMED = [
    replace(CELL, destination="192.0.2.1", destination_name="web.internal"),
    replace(CELL, destination="192.0.2.2", destination_name="web.internal", observed=Verdict.REFUSED),
    replace(CELL, bind="127.0.0.1", bind_name="localhost"),
    replace(CELL, destination="gone.internal", destination_name="gone.internal", observed=Verdict.NOT_TESTED),
]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_resolvers_order_is_no_change_and_neither_is_another_name(as_json: bool) -> None:
    text = dump_expectations(NAMED, as_json=as_json)
    expected = parse_expectations(text, "f")
    assert expected == parse_expectations(f"{text}\n", "f")  # the long way, as after an edit
    assert expected.changes(reversed(NAMED)) == ()
    assert expected.changes([replace(cell, destination_name=None) for cell in NAMED]) == ()
    assert dump_expectations(reversed(NAMED), as_json=as_json) == text


def test_a_saved_row_has_its_names_last_and_only_where_there_are_some() -> None:
    rows = json.loads(dump_expectations([CELL, *NAMED], as_json=True))["cell"]
    assert all(list(row)[:5] == ["protocol", "bind", "destination", "vantage", "observed"] for row in rows)
    assert [{key: row[key] for key in list(row)[5:]} for row in rows] == [
        {},
        {"destination_name": "web.internal"},
        {"destination_name": "web.internal"},
        {},
        {"bind_name": "localhost"},
    ]


def test_a_name_that_moves_is_a_change_and_the_change_says_the_name() -> None:
    expected = parse_expectations(dump_expectations(NAMED[:1]), "f")
    moved, missing = expected.changes([replace(NAMED[0], destination="192.0.2.9")])
    assert str(moved) == "+ tcp 0.0.0.0 at 192.0.2.9 (web.internal) from web1: reachable"
    assert "no cell matches" in str(missing)


def test_a_name_that_resolves_again_is_compared_with_its_row() -> None:
    expected = parse_expectations(dump_expectations(NAMED[3:]), "f")
    (change,) = expected.changes([replace(NAMED[3], destination="192.0.2.7", observed=Verdict.REACHABLE)])
    assert (change.expected, change.observed) == ("not-tested", "reachable")


def test_a_row_by_hand_may_name_what_it_is_about() -> None:
    rows = [{"destination": "*.internal", "observed": "reachable"}, {"bind": "localhost", "observed": "refused"}]
    changed = parse_expectations(json.dumps({"cell": rows}), "f").changes(NAMED[:3])
    assert [change.where for change in changed] == [
        "tcp 0.0.0.0 at 192.0.2.2 (web.internal) from web1",
        "tcp 127.0.0.1 (localhost) at 192.0.2.1 from web1",
    ]


def test_the_row_of_an_address_goes_before_the_row_of_its_name() -> None:
    keys = {"protocol": "tcp", "bind": "0.0.0.0", "vantage": "web1"}
    rows = [
        {**keys, "destination": "web.internal", "observed": "refused"},
        {**keys, "destination": "192.0.2.1", "observed": "reachable"},
    ]
    assert parse_expectations(json.dumps({"cell": rows}), "f").changes(NAMED[:1]) == ()


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="cell 1: bind_name: must be a string"):
        parse_expectations('[[cell]]\nobserved = "refused"\nbind_name = 5', "f")
