"""Reports to look at: of one cell, of an ordinary run, of a large one, and the same with names that mean harm."""

from __future__ import annotations

import json
from itertools import product
from typing import Final

from netprobe.render import report
from netprobe.render.report import Address, Code, Report
from netprobe.text import escape

__all__ = ["HARMLESS", "HOSTILE", "REPORTS", "many", "one", "ordinary"]

# Each would do something if it were taken for what it looks like: an element, an attribute, the end of an element, a
# comment, a template, a direction, a line end, a URL. Then names as long as they get (RFC 1035, section 2.3.4).
HOSTILE: Final = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</title></style></textarea><svg onload=alert(1)>",
    "\" onmouseover='alert(1)' style=\"position:fixed",
    "<!--<script>",
    "&lt;b&gt;&amp;#60;{{7*7}}${7*7}",
    "javascript:alert(1)//",
    "evil\u202egpj.exe\u2066\u200f\u061c",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\x1b]0;owned\x07\x00\ud800\u2028\u2029\n\r\t",
    "x" * 253,
    "2001:db8:1111:2222:3333:4444:5555:6666%" + "w" * 15,
)
HARMLESS: Final = ("this host", "pc2", "web1", "db", "cache", "mail", "backup", "edge", "lb", "ci", "git", "vpn")
_WORDS: Final = (
    ("✓", "ok", "reachable"),
    ("✓", "ok", "reachable"),
    ("R", "", "refused"),
    ("N", "", "no-answer"),
    ("X", "", "rejected"),
    ("U", "", "unreachable"),
    ("W", "", "wrong-responder"),
)
_WRONG: Final = ("N", "bad", "no-answer")


def one(names: tuple[str, ...] = HARMLESS) -> Report:
    """One bind address, one destination, one vantage, one protocol; all as expected."""
    return _report(("127.0.0.1",), ("127.0.0.1",), names[:1], ("tcp",), names, every=0)


def ordinary(names: tuple[str, ...] = HARMLESS) -> Report:
    """48 cells, some of which are not as expected, compared with a file."""
    binds = ("0.0.0.0", "2001:db8:1111:2222:3333:4444:5555:6666")
    destinations = ("127.0.0.1", "192.168.100.100", "fe80::5054:ff:fe12:3456%enp0s31f6", names[-1])
    return _report(binds, destinations, names[:3], ("tcp", "udp"), names, every=7)


def many(names: tuple[str, ...] = HARMLESS) -> Report:
    """2,000 cells: four bind addresses, 25 destinations, ten vantages."""
    binds = ("0.0.0.0", "::", "192.168.100.100", "2001:db8::1")
    destinations = (*(f"10.10.{number}.{number * 10}" for number in range(24)), names[-1])
    return _report(binds, destinations, names[:10], ("tcp", "udp"), names, every=23)


def _report(
    binds: tuple[str, ...],
    destinations: tuple[str, ...],
    vantages: tuple[str, ...],
    protocols: tuple[str, ...],
    names: tuple[str, ...],
    *,
    every: int,
) -> Report:
    """Of all cells, one of ``every`` is not as expected (0: none)."""
    name = names[0]
    command = f"netprobe bindtest {' '.join(binds)} --port 41234 --from '{name}'"
    wrong: list[tuple[int, str, str]] = []  # number of the cell, vantage, destination
    matrices = []
    number = asked = 0
    for bind in binds:
        rows = []
        for destination in destinations:
            cells = []
            for vantage in vantages:
                number += 1
                seen = []
                for protocol in protocols:
                    asked += 1
                    bad = bool(every) and asked % every == 0
                    if bad:
                        wrong.append((number, vantage, destination))
                    seen.append(_observation(number, vantage, destination, protocol if every else "", len(wrong), bad))
                same = seen[0].word == seen[-1].word and not any(x.expected for x in seen)
                cells.append((number, (seen[0],) if same else tuple(seen)))
            differs = any(observation.expected for _, observations in cells for observation in observations)
            rows.append(report.Row([Address(destination)], f"eth0 of {name}", tuple(cells), differs))
        endpoint = f"[{bind}]:41234" if ":" in bind else f"{bind}:41234"
        matrices.append(
            report.Matrix(
                ["bound to ", Address(endpoint)],
                "some cells not as expected" if any(row.differs for row in rows) else "all cells as expected",
                report.Heading("to", "destination"),
                tuple(report.Heading(f"from {vantage}", f"ssh:{vantage}") for vantage in vantages),
                tuple(rows),
            )
        )
    causes = tuple(
        report.Cause(
            mark="N",
            differs=True,
            title=["tcp from ", names[(at + 1) % len(names)], " to ", Address(destination), ": no answer in 2 s"],
            cells=tuple((n, [f"from {where} to ", Address(to)]) for n, where, to in wrong[at::4][:12]),
            because=([f"Silence for 2 s. Others that were asked at the same time, such as {name}, answered."],),
            commands=(
                report.LabelledCommand("on this host", "sudo nft -a list ruleset"),
                report.LabelledCommand(f"on {name}", f"ip route get {destination} # '{name}'" + " and more" * 12),
            ),
        )
        for at, (_, _, destination) in enumerate(wrong[:4])
    )
    if causes:
        remark = [f"Reached, but through an address translation at {name}"]
        because = ([f"{name} sends from ", Address("10.20.0.5"), ", and is seen as ", Address("192.168.0.254")],)
        causes += (report.Cause("*", False, remark, ((1, [f"from {name}"]),), because, ()),)
    changes = (
        None
        if not every
        else tuple(
            report.Change(f"{protocol} {binds[0]} at {destination} from {vantage}", "reachable", now)
            for (protocol, destination, vantage), now in zip(
                product(protocols, destinations, names), ("no-answer", None, "rejected"), strict=False
            )
        )
    )
    document = {
        "schema": "netprobe/bindtest/1",
        "results": [{"number": at, "vantage": names[at % len(names)]} for at in range(asked)],
        "errors": list(names),
    }
    good = not wrong
    return Report(
        command="netprobe bindtest",
        title=f"{binds[0]} is open to {name}",
        at="2026-11-25T14:16:03Z",
        host=name,
        answer=report.Answer(
            "As expected" if good else "Not as expected",
            good,
            [Address(f"[{binds[-1]}]:41234"), f" is open to {', '.join(vantages[:3])}; {len(wrong)} of {asked} differ"],
            () if good else ([Address("192.168.0.1:41235"), " is open to the same."],),
        ),
        tallies=(
            *(() if good else (report.Tally("!", "bad", len(wrong), "not as expected"),)),
            report.Tally("✓", "ok", asked - len(wrong), "reachable, as expected"),
        ),
        untested=(
            report.Untested("other hosts", f"What {name} sends to itself passes no network card and no rule for one."),
            report.Untested(name, "could not be used: the connection was refused"),
        ),
        causes=causes,
        changes_title=["Against ", Code(f"{name}.toml"), ": 3 changes"] if changes else [],
        changes=changes,
        matrices=tuple(matrices),
        legend=(
            *(report.Tally(mark, kind, 0, word) for mark, kind, word in dict.fromkeys(_WORDS)),
            report.Tally("!", "bad", 0, "filled: not as expected"),
            report.Tally("", "", 0, "Open a cell for its evidence."),
        ),
        vantages=report.Table(
            ("vantage", "reached by", "system", "its addresses"),
            tuple(
                ([vantage], [Code(f"ssh:{vantage}")], ["Linux 6.1.0, Python 3.11.2"], [Address(x), " ", Address("::1")])
                for vantage, x in zip(vantages, destinations * 10, strict=False)
            ),
        ),
        facts=(
            report.Fact("tested", ["2026-11-25 14:16:03 UTC, in 2.41 s"]),
            report.Fact("command", [Code(command)]),
            report.Fact("host", [f"{name}: ", Address("192.168.0.1/24"), f" on {name}"]),
            report.Fact("exit status", ["0" if good else "1"]),
        ),
        commands=(report.LabelledCommand("run it again", command),),
        text=f"{binds[0]} is open to {name}\n" + "".join(f"  {escape(row)}\n" for row in names),
        data=json.dumps(document, ensure_ascii=True),
    )


def _observation(
    number: int, vantage: str, destination: str, protocol: str, card: int, bad: bool
) -> report.Observation:
    mark, kind, word = _WRONG if bad else _WORDS[number % len(_WORDS)]
    return report.Observation(
        mark,
        kind,
        word,
        (
            report.Detail("expected", ["reachable" if bad else word]),
            report.Detail("because", [f"{destination} is one of {vantage}'s addresses"]),
            report.Detail("source", [Address(destination), f", seen as {vantage}"]),
            report.Detail("rules", [Code("wildcard-binds-every-address, to-loopback")]),
        ),
        protocol,
        "reachable" if bad else "",
        remarkable=not bad and number % 10 == 1,
        cause=min(card, 4) if bad else 0,
    )


REPORTS: Final = {
    "one": one(),
    "ordinary": ordinary(),
    "many": many(),
    "one-hostile": one(HOSTILE),
    "ordinary-hostile": ordinary(HOSTILE),
    "many-hostile": many(HOSTILE),
}
