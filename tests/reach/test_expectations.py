"""A matrix saved, read back, and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InvalidInputError
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


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_saved_is_read_back_whatever_a_vantage_is_called(name: str, as_json: bool) -> None:
    run = [replace(CELL, vantage=name)]
    expectations = parse_expectations(dump_expectations(run, as_json=as_json), "f")
    assert [row.vantage for row in expectations.rows] == [(name,)]
    assert expectations.changes(run) == ()


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
    ],
)
def test_a_file_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_expectations(text, "f")
