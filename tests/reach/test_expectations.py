"""A matrix saved, read back, and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.errors import InvalidInputError
from netprobe.reach.agreement import agreements
from netprobe.reach.expectations import read, save
from netprobe.reach.records import Cell
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
    text = save(run, as_json=as_json)
    again = [replace(cell, port=5, rtt_ms=9.0, cause="other words") for cell in reversed(run)]
    assert save(again, as_json=as_json) == text
    assert read(text, "f").changes(again) == ()


def test_a_changed_a_new_and_a_missing_cell_are_told() -> None:
    expectations = read(save(cells(web1="reachable", web2="reachable")), "f")
    changes = expectations.changes(cells(web1="no_answer", web3="reachable"))
    assert [(x.expected, x.observed) for x in changes] == [
        ("reachable", "no-answer"),
        (None, "reachable"),
        ("reachable, and no cell fits", None),
    ]
    assert str(changes[0]) == (
        "- tcp 0.0.0.0 at 192.0.2.1 from web1: reachable\n+ tcp 0.0.0.0 at 192.0.2.1 from web1: no-answer"
    )


BY_HAND = """
[groups]
web = ["web1", "web2"]
[[cell]]
vantage = "group:web"
destination = "192.0.2.*"
observed = "reachable"
[[cell]]
observed = ["refused", "no-answer"]
"""


def test_a_file_by_hand_has_stars_groups_and_a_first_row_that_decides() -> None:
    expectations = read(BY_HAND, "f")
    assert expectations.changes(cells(web1="reachable", web2="reachable", db="refused", x="no_answer")) == ()
    assert [x.observed for x in expectations.changes(cells(web2="refused", db="reachable"))] == ["refused", "reachable"]


def test_groups_of_an_inventory_count_too() -> None:
    text = '[[cell]]\nvantage = "group:db"\nobserved = "refused"\n'
    assert read(text, "f").changes(cells(db1="refused"), {"db": ["db1"]}) == ()


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
        read(text, "f")


def test_vantages_that_agree_are_one_group() -> None:
    run = cells(**{f"web{number}": "reachable" for number in range(312)}, a="rejected", b="rejected", db3="not_tested")
    run = [replace(x, cause={"rejected": "by 10.0.0.1", "not-tested": "host key unknown"}.get(x.observed)) for x in run]
    (agreement,) = agreements(run)
    assert agreement.text == (
        "312 of 315 vantages: reachable; a, b: rejected (by 10.0.0.1); db3: not-tested (host key unknown)"
    )
