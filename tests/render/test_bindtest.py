"""What a bindtest shows, word for word: each situation of a run, and what a width makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import dedent, indent
from xml.etree import ElementTree

import pytest

from netprobe.outcome.blame import Blame, Layer
from netprobe.outcome.evidence import Icmp
from netprobe.reach.cells import Cell
from netprobe.reach.expectations import Change, Expectations, dump_expectations, parse_expectations
from netprobe.reach.findings import MANUAL, Places, findings_of, next_steps, untested_of, unusable
from netprobe.reach.run_facts import HostSummary, RunFacts, VantageSummary
from netprobe.reach.summary import summarize
from netprobe.render import palette
from netprobe.render.bindtest import lines_of
from netprobe.render.bindtest_run import BindtestRun
from netprobe.render.styled_lines import Line, as_text, print_lines
from netprobe.render.svg import as_svg
from netprobe.render.terminal import Terminal
from netprobe.verdicts import Verdict

CELL = Cell(
    bind="0.0.0.0", port=41234, protocol="tcp", destination="127.0.0.1", vantage="local", expected=Verdict.REACHABLE,
    observed=Verdict.REACHABLE, because=None, cause=None, errno=None, source=None, replied_from=None, rtt_ms=1.0,
    differs=False, difference=None, icmp=None, observed_source=None, payload_bytes=None, rules=(),
)  # fmt: skip
OWN = ("127.0.0.1", "192.168.0.1", "10.10.152.8")
LINE = "netprobe bindtest --addr 0.0.0.0"
FACTS = RunFacts("2026-01-01T00:00:00Z", 2.0, "0.1.0", LINE, HostSummary("pc1", "linux", "6", "x86_64", ()), ())


def cells_of(vantages: dict[str, str], *, bind: str = "0.0.0.0") -> list[Cell]:
    """A letter for each destination: r(eachable), R(efused), or - (not tested)."""
    observed = {"r": Verdict.REACHABLE, "R": Verdict.REFUSED, "-": Verdict.NOT_TESTED}
    return [
        replace(
            CELL,
            bind=bind,
            vantage=vantage,
            destination=there,
            protocol=protocol,
            expected=observed[letter],
            observed=observed[letter],
            cause="host key unknown" if letter == "-" else None,
        )
        for vantage, letters in vantages.items()
        for there, letter in zip((*OWN, "0.0.0.0"), letters, strict=True)
        for protocol in ("tcp", "udp")
    ]


def run_of(
    cells: Sequence[Cell],
    *,
    changes: tuple[Change, ...] | None = None,
    beyond: bool = True,
    places: Places | None = None,
) -> BindtestRun:
    places = places or Places()
    findings = findings_of(cells, places)
    summary = summarize(cells, own=OWN, places=places, changes=changes)
    return BindtestRun(
        cells=tuple(cells),
        answers=tuple(conclusion.text for conclusion in summary.conclusions),
        findings=findings,
        untested=untested_of(
            cells, unusable(cells), ("eth0", "eth1"), beyond_this_host=beyond, payload=False, places=places
        ),
        next_steps=next_steps(cells, findings, LINE),
        facts=FACTS,
        status=0,
        changes=changes,
        expectation="before.toml" if changes is not None else None,
        accept=f"{LINE} --from pc2=ssh:pc2 --save before.toml",
        agreements=summary.agreements or (),
        places=places,
    )


def shown(run: BindtestRun, width: int = 80, *, unicode: bool = True, wide: bool = False, matrix: bool = False) -> str:
    return as_text(lines_of(run, width, unicode=unicode, wide=wide, matrix=matrix)) + "\n"


def text(block: str) -> str:
    return dedent(block).lstrip("\n")


NEVER_ARRIVED = Blame(
    place=None,
    layer=Layer.UNKNOWN,
    what="never arrived",
    evidence=("The question never reached the listener; udp on that path was answered.",),
    remaining=("a rule for tcp at pc2, on the path, or on this host",),
    command="sudo nft -a list ruleset",
)
HERE = cells_of({"local": "rrrr"})
BOTH = cells_of({"local": "rrrr", "pc2": "RrrR"})


def dropped(cells: Sequence[Cell], destination: str = "10.10.152.8", seconds: str = "2") -> list[Cell]:
    """The same where pc2's tcp to one address is silent."""
    return [
        replace(
            cell,
            observed=Verdict.NO_ANSWER,
            differs=True,
            cause=f"silence for {seconds} s",
            blame=NEVER_ARRIVED,
        )
        if (cell.vantage, cell.destination, cell.protocol) == ("pc2", destination, "tcp")
        else cell
        for cell in cells
    ]


def test_a_silence_that_was_asked_again_is_no_cause_of_its_own() -> None:
    (finding,) = findings_of(dropped(dropped(BOTH), "192.168.0.1", "4.52"))
    assert finding.title == (
        "tcp from pc2 to 192.168.0.1 and 10.10.152.8 (2 cells): expected reachable, no answer in 2 to 4.5 s"
    )


def test_between_which_hops_it_was_lost_comes_first() -> None:
    blame = replace(NEVER_ARRIVED, layer=Layer.PATH, what="silent behind 192.0.2.7 (hop 2)")
    cells = [replace(cell, blame=blame if cell.blame else None) for cell in dropped(BOTH)]
    (finding,) = findings_of(cells)
    assert finding.because[0] == "Silent behind 192.0.2.7 (hop 2)."
    (finding,) = findings_of(dropped(BOTH))
    assert finding.because[0].startswith("The question never reached the listener")


def test_which_vantage_a_column_is_can_be_shown() -> None:
    vantage = VantageSummary("pc2", "ssh:pc2", "linux", "6.1.0", "3.11.2", (), None)
    lost = VantageSummary("web1", "ssh:web1", None, None, None, (), "host key unknown")
    run = replace(run_of(BOTH), facts=replace(FACTS, vantages=(vantage, lost)))
    said = "  pc2: ssh:pc2, linux 6.1.0, Python 3.11.2\n  web1: ssh:web1, host key unknown\n"
    assert said in as_text(lines_of(run, 80, vantages=True))
    assert "ssh:pc2" not in as_text(lines_of(run, 80)).partition("Next")[0]


def test_one_address_asked_from_this_host() -> None:
    assert shown(run_of(HERE, beyond=False)) == text("""
        0.0.0.0:41234 is open to this host on every IPv4 address it has
        ✓ all 8 cells as expected

          to           this host
          127.0.0.1    ✓
          192.168.0.1  ✓
          10.10.152.8  ✓
          0.0.0.0      ✓
          ✓ reachable, tcp and udp alike

        Not tested: other hosts. What a host sends to itself passes no network card and
        no rule for eth0 or eth1, so this says nothing about the network.

        Next:
          netprobe bindtest --addr 0.0.0.0 --from ssh:HOST
          netprobe bindtest --addr 0.0.0.0 --listen-only
        """)


def test_a_loopback_address_is_not_offered_to_another_machine() -> None:
    cells = [replace(cell, bind="127.0.0.1") for cell in HERE]
    assert [command.line for command in next_steps(cells, [], "netprobe bindtest 127.0.0.1")] == [
        "netprobe bindtest 127.0.0.1 --from ssh:HOST"
    ]


def test_by_hand_nothing_is_offered_that_does_not_go_with_connect() -> None:
    assert next_steps(HERE, [], "netprobe bindtest --connect 192.168.0.1:4000", MANUAL) == ()


def test_a_firewall_that_rejects_at_each_address_is_told_once() -> None:
    def rejected(cell: Cell) -> Cell:
        at = cell.destination
        return replace(
            cell, expected=Verdict.REACHABLE, observed=Verdict.REJECTED, differs=True, cause=f"prohibited by {at}",
            icmp=Icmp(3, 13, "prohibited", at), difference=f"a firewall rule at {at}, or a route",
        )  # fmt: skip

    (finding,) = findings_of([rejected(cell) for cell in BOTH if cell.vantage == "pc2" and cell.protocol == "udp"][:2])
    assert finding.because == (
        "Prohibited by the address that was asked.",
        "A firewall rule at the address that was asked, or a route.",
    )
    elsewhere = replace(rejected(BOTH[-1]), destination="192.0.2.7")
    (finding,) = findings_of([elsewhere])
    assert finding.because[0] == f"Prohibited by {BOTH[-1].destination}."


def test_a_silence_that_counts_as_expected_is_a_remark() -> None:
    """A port behind an ICMP rate limit: a reader of "all as expected" must see that some of it is not settled."""
    cells = [
        replace(cell, observed=Verdict.NO_ANSWER, cause="silence; a longer --patience would settle it")
        if (cell.vantage, cell.protocol, cell.expected) == ("pc2", "udp", Verdict.REFUSED)
        else cell
        for cell in BOTH
    ]
    (finding,) = findings_of(cells)
    assert not finding.differs
    assert finding.title == "udp from pc2 to 127.0.0.1 and 0.0.0.0 (2 cells): silence, which may be a refusal"
    assert "R/N*" in shown(run_of(cells))
    assert "Silence; a longer --patience would settle it." in shown(run_of(cells))


def test_a_firewall_that_drops_is_told_once_and_nothing_is_claimed_that_was_not_seen() -> None:
    assert shown(run_of(dropped(BOTH))) == text("""
        0.0.0.0:41234 is open to this host and pc2; 1 of 16 cells differs

          to           this host  pc2
          127.0.0.1    ✓          R
          192.168.0.1  ✓          ✓
          10.10.152.8  ✓          N!/✓
          0.0.0.0      ✓          R
          ✓ reachable  R refused  N no-answer  ! not as expected
          tcp/udp where they differ

        ! tcp from pc2 to 10.10.152.8: expected reachable, no answer in 2 s
          The question never reached the listener; udp on that path was answered.
          What remains: a rule for tcp at pc2, on the path, or on this host.

        Not tested: other hosts, other ports, IPv6, large packets (--payload).

        Look yourself:
          sudo nft -a list ruleset
        Look yourself, on pc2:
          sudo nft -a list ruleset
        """)


def test_one_cause_of_many_cells_is_one_finding_however_long_each_wait_was() -> None:
    cells = dropped(dropped(BOTH, seconds="2.09"), "192.168.0.1", seconds="2.01")
    (finding,) = findings_of(cells)
    assert finding.title == (
        "tcp from pc2 to 192.168.0.1 and 10.10.152.8 (2 cells): expected reachable, no answer in 2 s"
    )
    assert [cells[position].destination for position in finding.cells] == ["192.168.0.1", "10.10.152.8"]


@pytest.mark.parametrize(("number", "where"), [(2, "pc0 and pc1"), (9, "pc0")])
def test_one_cause_at_several_vantages_is_looked_at_on_each_of_them(number: int, where: str) -> None:
    cells = [replace(cell, vantage=f"pc{n}") for n in range(number) for cell in dropped(BOTH) if cell.vantage == "pc2"]
    (finding,) = findings_of(cells)
    assert [command.where for command in finding.commands] == [None, where]


def test_a_nat_is_one_remark_for_all_its_cells() -> None:
    seen = {"192.168.0.1": "192.168.0.254", "10.10.152.8": "10.10.152.1"}
    cells = [
        replace(cell, source="10.20.0.5", observed_source=seen[cell.destination])
        if cell.vantage == "pc2" and cell.observed == Verdict.REACHABLE
        else cell
        for cell in BOTH
    ]  # fmt: skip
    assert text("""
        * from pc2 to 192.168.0.1 and 10.10.152.8 (4 cells): reached through a NAT
          pc2 sends from 10.20.0.5; this host sees 192.168.0.254 and 10.10.152.1.
        """) in shown(run_of(cells))
    assert "10.10.152.8  ✓          ✓*" in shown(run_of(cells))


def test_an_answer_from_elsewhere_is_a_remark() -> None:
    cells = [
        replace(
            CELL,
            protocol="udp",
            destination=there,
            cause=f"answered from 127.0.0.1, not from {there}: a connected client would see silence",
        )
        for there in ("127.0.0.2", "127.0.0.3")
    ]
    assert text("""
        * udp from this host to 127.0.0.2 and 127.0.0.3 (2 cells): answered from
          127.0.0.1
          A connected client would see silence.
        """) in shown(run_of(cells, beyond=False))


def test_what_was_refused_is_no_proof_that_nothing_listens() -> None:
    cause = "nothing listens on port 41234 (or its firewall rejects it): port unreachable from 192.168.0.1"
    why = "the port was reported closed although the listener is open: a firewall, or another host at that address"
    off = replace(CELL, protocol="udp", observed=Verdict.REFUSED, differs=True, cause=cause, difference=why)
    (finding,) = findings_of([off])
    assert finding.because[0] == "Port unreachable from 192.168.0.1."
    assert "nothing listens" not in " ".join(finding.because).lower()


def test_a_vantage_that_could_not_be_used_has_no_column() -> None:
    assert shown(run_of(cells_of({"local": "rrrr", "web1": "----"}), beyond=False)) == text("""
        0.0.0.0:41234 is open to this host; web1 was not asked: host key unknown
        ✓ all 8 cells that were asked are as expected

          to           this host
          127.0.0.1    ✓
          192.168.0.1  ✓
          10.10.152.8  ✓
          0.0.0.0      ✓
          ✓ reachable, tcp and udp alike

        Not tested: web1 and all other hosts.
        """)


def test_a_vantage_that_was_lost_on_the_way_keeps_its_column() -> None:
    cells = cells_of({"local": "rrrr", "pc2": "Rr--"})
    assert "10.10.152.8  ✓          -" in shown(run_of(cells))
    assert "Not tested: 4 cells, other hosts, other ports," in shown(run_of(cells))


def test_a_file_that_is_met() -> None:
    assert shown(run_of(BOTH, changes=())) == text("""
        0.0.0.0:41234 is open to this host and pc2
        ✓ all 16 cells as in before.toml

        Not tested: other hosts, other ports, IPv6, large packets (--payload).
        """)


def saved(cells: Sequence[Cell], *, as_json: bool = False) -> Expectations:
    return parse_expectations(dump_expectations(cells, as_json=as_json), "before.toml")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_cell_that_changed_is_told_with_its_line(as_json: bool) -> None:
    text_of_file = dump_expectations(BOTH, as_json=as_json)
    cells = dropped(BOTH)
    changes = saved(BOTH, as_json=as_json).changes(cells)
    (change,) = changes
    assert change.line is not None
    row = text_of_file.split("\n")[change.line - 1 : change.line + 5]
    assert row[0].strip() in ("[[cell]]", "{")
    assert [name in " ".join(row) for name in ("tcp", "10.10.152.8", "pc2")] == [True] * 3
    assert shown(run_of(cells, changes=changes)) == text(f"""
        0.0.0.0:41234 is open to this host and pc2; 1 of 16 cells changed

          tcp 0.0.0.0 at 10.10.152.8 from pc2
          - reachable     before.toml, line {change.line}
          + no-answer     silence for 2 s
            never arrived: The question never reached the listener; udp on that path was
            answered. What remains: a rule for tcp at pc2, on the path, or on this host.

          15 other cells as in before.toml

        Not tested: other hosts, other ports, IPv6, large packets (--payload).

        Look yourself:
          sudo nft -a list ruleset
        Look yourself, on pc2:
          sudo nft -a list ruleset
          ip route get 10.10.152.8
        If the change is meant:
          {LINE} --from pc2=ssh:pc2 --save before.toml
        """)


def test_a_row_of_a_handwritten_file_has_its_line_where_it_has_one() -> None:
    rows = '# mine\n[[cell]]\nobserved = "reachable"\n\n [[ cell ]]\nvantage = "web9"\nobserved = "refused"\n'
    changes = parse_expectations(rows, "x").changes(HERE)
    assert [(change.where, change.line) for change in changes] == [("vantage=web9", 5)]
    inline = 'cell = [{ observed = "reachable" }, { vantage = "web9", observed = "refused" }]\n'
    assert [change.line for change in parse_expectations(inline, "x").changes(HERE)] == [None]
    unmatched = "  vantage=web9\n  - refused       but no cell matches: before.toml, line 5\n"
    assert unmatched in shown(run_of(HERE, changes=changes))


def many_binds() -> list[Cell]:
    """What this host sees of five listeners, each with a port of its own."""
    found: list[Cell] = []
    for port, bind in enumerate((*OWN, "127.0.0.2", "0.0.0.0"), 5000):
        letters = "".join("r" if bind in (there, "0.0.0.0") else "R" for there in (*OWN, "0.0.0.0"))
        found += [replace(cell, port=port) for cell in cells_of({"local": letters}, bind=bind)]
    return found


def test_of_many_bind_addresses_each_has_a_line_and_the_matrix_only_those_that_differ() -> None:
    calm = shown(run_of(many_binds(), beyond=False))
    assert calm.startswith(
        text("""
        127.0.0.1:5000 is open to this host
        192.168.0.1:5001 is open to this host
        10.10.152.8:5002 is open to this host
        127.0.0.2:5003 is not reachable from this host
        0.0.0.0:5004 is open to this host on every IPv4 address it has
        ✓ all 40 cells as expected

        Not tested: other hosts.""")
    )
    whole = shown(run_of(many_binds(), beyond=False), matrix=True)
    assert "  to           127.0.0.1  192.168.0.1  10.10.152.8  127.0.0.2  0.0.0.0\n" in whole
    off = [
        replace(cell, observed=Verdict.NO_ANSWER, differs=True, cause="silence for 2 s")
        if (cell.bind, cell.destination) == ("0.0.0.0", "10.10.152.8")
        else cell
        for cell in many_binds()
    ]
    assert indent(
        text("""
          bound to 0.0.0.0
          to           this host
          127.0.0.1    ✓
          192.168.0.1  ✓
          10.10.152.8  N!
          0.0.0.0      ✓
        """),
        "  ",
    ) in shown(run_of(off, beyond=False))


def test_few_bind_addresses_are_compared() -> None:
    cells = [cell for cell in many_binds() if cell.bind in ("127.0.0.1", "0.0.0.0")]
    assert indent(
        text("""
          from this host, bound to
          to           127.0.0.1  0.0.0.0
          127.0.0.1    ✓          ✓
          192.168.0.1  R          ✓
          10.10.152.8  R          ✓
          0.0.0.0      R          ✓
          ✓ reachable  R refused  tcp and udp alike
        """),
        "  ",
    ) in shown(run_of(cells, beyond=False))


def test_wide_has_words_and_a_row_for_each_protocol() -> None:
    assert indent(
        text("""
          to                this host  pc2
          127.0.0.1    tcp  reachable  refused
                       udp  reachable  refused
          192.168.0.1  tcp  reachable  reachable
                       udp  reachable  reachable
          10.10.152.8  tcp  reachable  no-answer (expected reachable)
                       udp  reachable  reachable
          0.0.0.0      tcp  reachable  refused
                       udp  reachable  refused
        """),
        "  ",
    ) in shown(run_of(dropped(BOTH)), wide=True)


def test_what_could_not_be_bound_is_said_and_has_no_matrix() -> None:
    cells = [replace(x, observed=Verdict.NOT_BINDABLE, expected=None, cause="port 80 is already in use") for x in HERE]
    assert shown(run_of(cells, beyond=False)).startswith(
        "0.0.0.0:41234 could not be bound: port 80 is already in use\n\nNot tested: everything."
    )


def test_a_row_of_the_matrix_has_the_name_that_led_to_its_address() -> None:
    cells = [replace(cell, destination_name="web.internal") for cell in cells_of({"pc2": "Rr-r"})]
    assert "192.168.0.1 (web.internal)" in shown(run_of(cells), matrix=True)


def test_an_interrupted_run_says_what_it_did_not_ask() -> None:
    cells = [replace(x, observed=Verdict.NOT_TESTED, cause="interrupted by Ctrl-C") for x in HERE]
    assert shown(run_of(cells, beyond=False)).startswith("0.0.0.0:41234 was not tested: interrupted by Ctrl-C\n")
    half = shown(run_of([HERE[0], *cells[1:]], beyond=False))
    assert "Not tested: 7 cells, other hosts." in half
    assert "✓ the one cell that was asked is as expected" in half


def test_a_run_of_which_no_vantage_could_be_used() -> None:
    assert shown(run_of(cells_of({"web1": "----"}))) == text("""
        0.0.0.0:41234 was not tested: web1: host key unknown

        Not tested: web1 and all other hosts.
        """)


def test_vantages_that_are_many_are_told_by_what_they_agree_on() -> None:
    cells = [replace(cell, vantage=f"web{n}") for n in range(20) for cell in HERE[:2]]
    said = shown(run_of(cells))
    assert "is open to web0, web1, web2, web3, web4, web5, web6, web7 and 12 more" in said.replace("\n", " ")
    assert "  tcp 0.0.0.0 at 127.0.0.1: all 20 vantages: reachable\n" in said
    assert "web19" not in said
    assert "web19" in shown(run_of(cells), matrix=True)


def test_by_hand_this_side_is_this_machine_and_the_reply_says_where_the_other_one_is_bound() -> None:
    silent = replace(CELL, bind=None, destination="192.168.0.1", protocol="udp", differs=True,
                     observed=Verdict.NO_ANSWER, cause="silence for 2 s")  # fmt: skip
    cells = [replace(CELL, destination="192.168.0.1"), silent]
    assert shown(run_of(cells, places=MANUAL)) == text("""
        192.168.0.1:41234 (bound to 0.0.0.0) is open to this machine by tcp only; 1 of 2
        cells differs

          to           this machine
          192.168.0.1  ✓/N!
          ✓ reachable  N no-answer  ! not as expected  tcp/udp where they differ

        ! udp from this machine to 192.168.0.1: expected reachable, no answer in 2 s
          tcp on that path was answered.

        Not tested: other hosts, other ports, IPv6, large packets (--payload).

        Look yourself:
          sudo nft -a list ruleset
        Look yourself, on the other machine:
          sudo nft -a list ruleset
        """)


RUNS = {
    "here": run_of(HERE, beyond=False),
    "dropped": run_of(dropped(BOTH)),
    "changed": run_of(dropped(BOTH), changes=saved(BOTH).changes(dropped(BOTH))),
    "lost": run_of(cells_of({"local": "rrrr", "web1": "----"}), beyond=False),
    "many": run_of(many_binds(), beyond=False),
    "long": run_of([replace(x, destination="2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff") for x in dropped(BOTH)]),
}


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("width", [20, 40, 80, 100, 200])
@pytest.mark.parametrize("name", RUNS)
def test_only_prose_is_folded_and_nothing_is_cut(name: str, width: int, matrix: bool) -> None:
    run = RUNS[name]
    lines = shown(run, width, matrix=matrix).splitlines()
    commands = {command.line for command in run.next_steps} | ({run.accept or ""} if run.changes else set())
    if run.changes is None:
        assert {f"  {command}" for command in commands} <= set(lines)
    else:
        assert f"  {run.accept}" in lines
    for line in lines:
        whole = any(part in line for part in commands) or "ssh:" in line or len(line.split()) == 1 or "ruleset" in line
        assert len(line) <= width or whole or width < 40 or "2001:db8" in line, line
    assert "…" not in "".join(lines)
    for cell in run.cells:
        assert cell.destination in " ".join(lines) or (not matrix and name in ("many", "changed"))


def test_an_ascii_terminal_has_another_tick() -> None:
    said = shown(RUNS["here"], unicode=False)
    assert said.isascii()
    assert "o all 8 cells as expected" in said and "  o reachable, tcp and udp alike" in said


def test_colours_say_what_the_marks_say(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(RUNS["dropped"], 80)
    styles = {text: style for line in lines for text, style in line}
    assert styles["N!"] == palette.FAILURE
    assert styles["1 of 16 cells differs"] == palette.FAILURE
    assert styles["✓"] == palette.EXPECTED
    assert styles["R"] == palette.VALUE
    assert (
        styles["sudo nft -a list ruleset" if "sudo nft -a list ruleset" in styles else "  sudo nft -a list ruleset"]
        == ""
    )
    for colour in (True, False):
        print_lines(lines, Terminal(True, True, True, 80, colour))
        assert ("\x1b[" in capsys.readouterr().out) == colour


def test_the_picture_has_no_font_and_no_ground_of_its_own() -> None:
    lines: list[Line] = lines_of(RUNS["dropped"], 100, matrix=True)
    picture = as_svg(lines, "netprobe bindtest")
    assert "prefers-color-scheme: dark" in picture
    for foreign in ("http", "@font-face", "url(", "<image", "<script"):
        assert foreign not in picture.replace("http://www.w3.org/2000/svg", "")
    rows = ["".join(row.itertext()) for row in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert len(rows) == sum(bool(line) for line in as_text(lines).splitlines())
    assert "tcp from pc2 to 10.10.152.8: expected reachable, no answer in 2 s" in "\n".join(rows)
