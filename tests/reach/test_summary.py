"""What the cells of a run come to: one line a bind address, groups of vantages, the rules that applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change
from netprobe.reach.rules import BIND_ANY4
from netprobe.reach.summary import MANY_VANTAGES, AppliedRule, summarize
from netprobe.verdicts import Verdict

CELL = Cell(
    bind="0.0.0.0", port=41234, protocol="tcp", destination="127.0.0.1", vantage="local", expected=Verdict.REACHABLE,
    observed=Verdict.REACHABLE, because=None, cause=None, errno=None, source=None, replied_from=None, rtt_ms=1.0,
    differs=False, difference=None, icmp=None, observed_source=None, payload_bytes=None, rules=(),
)  # fmt: skip


def line(*cells: Cell) -> str:
    (conclusion,) = summarize(cells).conclusions
    return conclusion.text


def test_one_line_says_who_gets_in_where() -> None:
    nic = replace(CELL, destination="192.168.0.1")
    assert line(CELL, nic) == "0.0.0.0:41234 is open to this host on 127.0.0.1 and 192.168.0.1"
    assert line(CELL, replace(CELL, vantage="pc2")) == "0.0.0.0:41234 is open to this host and pc2"
    closed = replace(nic, vantage="pc2", observed=Verdict.REFUSED)
    assert line(CELL, closed) == "0.0.0.0:41234 is open to this host; not reachable from pc2"


def test_protocols_apart_where_they_differ() -> None:
    udp = replace(CELL, protocol="udp", port=5, observed=Verdict.NO_ANSWER, differs=True)
    text = line(CELL, udp)
    assert text == "0.0.0.0 (tcp 41234, udp 5) is open to this host on 127.0.0.1 by tcp only; 1 of 2 cells differs"
    elsewhere = replace(CELL, protocol="udp", destination="192.168.0.1")
    assert line(CELL, elsewhere).endswith("is open to this host, tcp on 127.0.0.1, udp on 192.168.0.1")


def test_many_addresses_are_counted_and_wildcards_are_no_addresses() -> None:
    many = [replace(CELL, destination=f"10.0.0.{n}") for n in range(9)]
    assert "on 9 addresses" in line(*many, replace(CELL, destination="0.0.0.0"))


def test_what_could_not_be_bound_or_tested() -> None:
    assert "could not be bound: taken" in line(replace(CELL, observed=Verdict.NOT_BINDABLE, cause="taken"))
    lost = replace(CELL, vantage="web1", observed=Verdict.NOT_TESTED, cause="host key unknown")
    assert line(lost) == "0.0.0.0:41234 was not tested: web1: host key unknown"
    assert line(lost, replace(lost, vantage="web2")).endswith("not tested: web1 and web2: host key unknown")
    assert line(CELL, lost).endswith("is open to this host; web1 was not asked: host key unknown")


def test_every_address_is_said_only_if_it_is_every_one() -> None:
    there = ("127.0.0.1", "192.168.0.1", "0.0.0.0")
    four = [replace(CELL, destination=x) for x in there]
    six = [replace(CELL, bind="::", destination=x) for x in ("::1", *there)]
    closed = [replace(six[0], destination=x, observed=Verdict.REFUSED) for x in there]
    own = ("127.0.0.1", "192.168.0.1", "::1")

    def said(cells: Sequence[Cell]) -> str:
        return summarize(cells, own=own).conclusions[0].text.partition(" is ")[2]

    assert said(four) == "open to this host on every IPv4 address it has"
    assert said([*four, replace(CELL, destination="192.0.2.9")]) == (
        "open to this host on 127.0.0.1, 192.168.0.1 and 192.0.2.9"
    )
    assert said([four[0], replace(four[1], observed=Verdict.REFUSED)]) == "open to this host on 127.0.0.1"
    assert said(six) == "open to this host on every address it has"
    assert said([six[0], *closed]) == "open to this host on every IPv6 address it has"
    assert said([replace(x, bind="127.0.0.1") for x in (four[0], *closed[1:])]) == "open to this host"


def test_a_file_is_what_cells_are_counted_against_if_there_is_one() -> None:
    change = Change("tcp 0.0.0.0 at 127.0.0.1 from local", "refused", "reachable")
    assert summarize([replace(CELL, differs=True)], changes=()).conclusions[0].text.endswith("this host on 127.0.0.1")
    assert summarize([CELL], changes=(change,)).conclusions[0].text.endswith("; 1 of 1 cell changed")


def test_vantages_that_agree_are_one_group() -> None:
    run = [replace(CELL, vantage=f"web{number}") for number in range(312)]
    run += [replace(CELL, vantage=name, observed=Verdict.REJECTED, cause="by 10.0.0.1") for name in ("a", "b")]
    run += [replace(CELL, vantage="db3", observed=Verdict.NOT_TESTED, cause="host key unknown")]
    agreements = summarize(run).agreements
    assert agreements is not None
    (agreement,) = agreements
    assert agreement.text == (
        "tcp 0.0.0.0 at 127.0.0.1: 312 of 315 vantages: reachable; a, b: rejected (by 10.0.0.1); "
        "db3: not-tested (host key unknown)"
    )


def test_few_vantages_are_columns_and_no_groups() -> None:
    few = [replace(CELL, vantage=f"web{number}") for number in range(MANY_VANTAGES - 1)]
    assert summarize(few).agreements is None


def test_a_rule_is_listed_once_and_only_if_asked_for() -> None:
    cells = [replace(CELL, rules=(BIND_ANY4.id,), destination=there) for there in ("127.0.0.1", "192.0.2.1")]
    assert summarize(cells).rules is None
    assert summarize(cells, with_rules=True).rules == (AppliedRule(BIND_ANY4.id, BIND_ANY4.text, BIND_ANY4.source),)


def test_an_interface_may_be_called_anything() -> None:
    assert line(replace(CELL, destination="fe80::1%{to}")).endswith("open to this host on fe80::1%{to}")
