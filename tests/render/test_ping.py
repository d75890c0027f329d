"""A ping on a terminal: replies one by one, the same failure once, the answer at the end; and the live picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from netprobe.commands.echo.serve.options import serve
from netprobe.echo.clients.ping import Reply
from netprobe.echo.clients.statistics import KernelTimes, PingStatistics, Samples, summarise
from netprobe.render.live_ping import LivePing, bucket_of, edge_ms, sparkline
from netprobe.render.ping import Asked, PingScreen, percentiles, summary_lines
from netprobe.render.terminal import Terminal
from netprobe.verdicts import Verdict

ASKED = Asked("127.0.0.1", 65432, "127.0.0.1:65432", "tcp", 64, 1.0, 4)
REFUSED = "nothing listens on port 65432 (or a firewall resets)"


@dataclass(frozen=True)
class Head:
    summary: PingStatistics


def terminal(width: int = 80, *, tty: bool = True, colour: bool = False, unicode: bool = True) -> Terminal:
    return Terminal(False, tty, True, width=width, colour=colour, unicode=unicode)


def reply(sequence: int, rtt_ms: float | None, **more: object) -> Reply:
    verdict = Verdict.REFUSED if rtt_ms is None else Verdict.REACHABLE
    cause = REFUSED if rtt_ms is None else None
    made = Reply(sequence, "127.0.0.1:65432", "tcp", 64, verdict, rtt_ms, cause)
    return replace(made, **more)  # type: ignore[arg-type]


def run(screen: PingScreen | LivePing, replies: Sequence[Reply], kernel: KernelTimes | None = None) -> None:
    samples = Samples(sent=sum(r.note is None for r in replies))
    for one in replies:
        screen.add(one)
        if one.rtt_ms is not None and one.note is None:
            samples.rtts_ms.append(one.rtt_ms)
    screen.end(Head(summarise(samples, kernel)))


def test_replies_come_one_by_one_and_the_answer_stands_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    times = [reply(at, ms) for at, ms in enumerate((0.412, 0.183, 0.195, 0.170), 1)]
    run(PingScreen(ASKED, terminal()), times, KernelTimes("TCP_INFO", 0.063, 0.006, 0.02, 0))
    assert capsys.readouterr().out == (
        "tcp 127.0.0.1:65432, 64 bytes, one a second\n"
        "  1  0.412 ms\n"
        "  2  0.183 ms\n"
        "  3  0.195 ms\n"
        "  4  0.170 ms\n"
        "it echoes: 4 of 4 came back unchanged\n"
        "round trip  min 0.170  median 0.183  max 0.412 ms\n"
        "tcp's own   0.063 ms, min 0.006 (kernel estimate)\n"
    )


def test_the_same_failure_is_one_line_whose_count_grows_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    run(PingScreen(ASKED, terminal()), [reply(at, None) for at in (1, 2, 3, 4)])
    _, failures, *rest = capsys.readouterr().out.split("\n")
    assert failures.split("\r")[-1] == f"! 1 to 4  refused: {REFUSED}"
    assert len(failures.split("\r")) == 4
    assert rest == [
        "it does not echo: 0 of 4 came back",
        "",
        "Next, there:",
        "  netprobe echo serve",
        "  ss -lntu 'sport = :65432'",
        "",
    ]


def test_where_the_failure_does_not_fit_its_repetitions_are_counted_below(capsys: pytest.CaptureFixture[str]) -> None:
    run(PingScreen(ASKED, terminal(40)), [reply(at, None) for at in (1, 2, 3)])
    lines = capsys.readouterr().out.split("\n")
    assert lines[2:5] == [
        "! 1  refused: nothing listens on port",
        "  65432 (or a firewall resets)",
        "! 2  the same\r! 2 to 3  the same",
    ]


def test_where_no_terminal_is_each_failure_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(PingScreen(ASKED, terminal(tty=False)), [reply(at, None) for at in (1, 2)])
    out = capsys.readouterr().out
    assert f"! 1  refused: {REFUSED}\n! 2  refused: {REFUSED}\n" in out
    assert "\r" not in out


def test_another_failure_and_a_reply_begin_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    silence = reply(2, None, verdict=Verdict.NO_ANSWER, cause="silence for 5 s")
    run(PingScreen(ASKED, terminal()), [reply(1, None), silence, reply(3, 0.2), reply(4, 9000.0, note="late")])
    lines = capsys.readouterr().out.split("\n")
    assert lines[1:6] == [
        f"! 1  refused: {REFUSED}",
        "! 2  no-answer: silence for 5 s",
        "  3  0.200 ms",
        "  4  9000.000 ms  (late)",
        "it echoes: 1 of 3 came back unchanged, 2 lost (66.7%)",
    ]
    assert "Next" not in "".join(lines)


@pytest.mark.parametrize(
    ("samples", "names"),
    [
        (9, []),
        (10, ["p90"]),
        (99, ["p90"]),
        (100, ["p90", "p99"]),
        (999, ["p90", "p99"]),
        (1000, ["p90", "p99", "p99.9"]),
    ],
)
def test_a_percentile_needs_its_samples(samples: int, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert [name for name, _ in percentiles(samples, (1.0, 2.0, 3.0))] == names
    times = Samples(sent=samples)
    for _ in range(samples):
        times.rtts_ms.append(1.0)
    statistics = summarise(times)
    assert f"\nrtt {'/'.join(['p50', *names])} " in summary_lines(statistics)
    PingScreen(ASKED, terminal()).end(Head(statistics))
    assert re.findall(r"p9[0-9.]+(?= )", capsys.readouterr().out) == names


def test_a_handshake_is_no_echo(capsys: pytest.CaptureFixture[str]) -> None:
    asked = replace(ASKED, how="connect-only", port=443, destination="127.0.0.1:443")
    run(PingScreen(asked, terminal()), [reply(1, None)])
    out = capsys.readouterr().out
    assert out.startswith("tcp handshakes with 127.0.0.1:443, one a second\n")
    assert "it does not accept connections: 0 of 1 handshakes completed\n" in out
    assert "netprobe echo serve" not in out


def test_what_to_run_there_is_reachable_from_here(capsys: pytest.CaptureFixture[str]) -> None:
    asked = replace(ASKED, host="192.0.2.7", destination="192.0.2.7:7", port=7, how="framed")
    run(PingScreen(asked, terminal()), [reply(1, None)])
    (command,) = re.findall(r"netprobe echo serve(.*)\n", capsys.readouterr().out)
    assert "--framed" in command
    assert serve.make_context("serve", command.split()) is not None


def test_a_cause_that_is_not_there_sends_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    run(PingScreen(ASKED, terminal()), [reply(1, None, verdict=Verdict.UNREACHABLE, cause="no route")])
    assert "Next" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("interval_s", "words"),
    [(0.2, "5 a second"), (0.0, "one after the other"), (5, "one every 5 s"), (0.3, "one every 0.3 s")],
)
def test_the_pace_in_words(interval_s: float, words: str) -> None:
    assert replace(ASKED, interval_s=interval_s).heading.endswith(f", {words}")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"server_ms": 0.1, "network_ms": 0.2, "appears_as": "192.0.2.1:40000", "translated": False}
    for screen in (PingScreen(ASKED, terminal(width)), LivePing(ASKED, terminal(width))):
        run(screen, [reply(1, 0.5, **more), reply(2, None), reply(3, None), reply(4, 0.5, **more)])
    for line in capsys.readouterr().out.split("\n"):
        assert max(map(len, line.split("\r"))) <= width


def test_a_failure_is_red_and_a_value_has_no_style(capsys: pytest.CaptureFixture[str]) -> None:
    run(PingScreen(ASKED, terminal(colour=True)), [reply(1, 0.5), reply(2, None)])
    out = capsys.readouterr().out
    assert "\x1b[1;31m! 2  refused" in out
    assert "  1  0.500 ms\n" in out
    assert "\x1b[1mit echoes: 1 of 2 came back unchanged, 1 lost (50%)\x1b[0m\n" in out


def test_live_draws_host_times_losses_and_figures(capsys: pytest.CaptureFixture[str]) -> None:
    replies = [reply(at, 0.16 if at % 8 else 0.26) for at in range(1, 101)]
    replies.append(reply(101, None, verdict=Verdict.NO_ANSWER, cause="silence for 5 s"))
    replies += [reply(101, 5001.0, note="late"), reply(102, 0.55)]
    run(LivePing(ASKED, terminal()), replies)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "127.0.0.1:65432 tcp   102 sent, 101 came back, 1 lost (1.0%)"
    assert lines[2].endswith("×█  last 0.550 ms")
    assert lines[3] == "  low 0.160, high 0.550 ms                       × lost, silence for 5 s"
    assert [line.split()[:2] for line in lines[5:10]] == [
        ["ms", "replies"],
        ["0.15–0.20", "88"],
        ["0.20–0.30", "12"],
        ["0.30–0.50", "0"],
        ["0.50–0.70", "1"],
    ]
    assert lines[11] == "  min 0.160   median 0.160   p90 0.260   p99 0.260   max 0.550 ms"
    assert lines[12] == "it echoes: 101 of 102 came back unchanged, 1 lost (0.98%)"


def test_live_is_redrawn_in_place_and_says_how_it_ends_until_then(capsys: pytest.CaptureFixture[str]) -> None:
    screen = LivePing(ASKED, terminal(colour=True))
    screen.add(reply(1, 0.5))
    first = capsys.readouterr().out
    assert "Ctrl-C ends it" in first
    screen.end(None)
    last = capsys.readouterr().out
    assert last.startswith(f"\r\x1b[{first.count(chr(10))}A\x1b[K")
    assert last.endswith("\x1b[J")  # nowhere else: a screen cleared from its first line is kept as history
    assert last.count("\x1b[J") == 1
    assert "Ctrl-C ends it" not in last


def test_a_loss_is_red_in_the_sparkline(capsys: pytest.CaptureFixture[str]) -> None:
    run(LivePing(ASKED, terminal(colour=True)), [reply(1, 0.5), reply(2, None), reply(3, 0.5)])
    assert "▁\x1b[1;31m×\x1b[0m▁" in capsys.readouterr().out


def test_an_ascii_terminal_gets_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    run(LivePing(ASKED, terminal(unicode=False)), [reply(1, 0.5), reply(2, None), reply(3, 1.5)])
    out = capsys.readouterr().out
    assert out.isascii()
    assert "_x#" in out


def test_the_picture_fits_a_low_screen(capsys: pytest.CaptureFixture[str]) -> None:
    low = terminal()._replace(height=15)
    screen = LivePing(ASKED, low)
    for at, ms in enumerate((0.01, 0.1, 1.0, 10.0, 100.0, 1000.0), 1):
        screen.add(reply(at, ms))
    screen.end(None)
    assert capsys.readouterr().out.count("\n") < low.height


def test_a_sparkline_has_a_character_a_value() -> None:
    assert sparkline([1.0, None, 8.0, 4.5]) == "▁×█▅"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([None]) == "×"
    assert sparkline([]) == ""
    assert sparkline([1.0, None, 8.0], unicode=False) == "_x#"


def test_buckets_begin_at_numbers_that_people_count_in() -> None:
    assert [edge_ms(bucket_of(ms)) for ms in (0.0, 0.16, 0.2, 0.299, 0.3, 1.0, 7.5, 1000.0)] == pytest.approx(
        [0.001, 0.15, 0.2, 0.2, 0.3, 1.0, 7.0, 1000.0]
    )
