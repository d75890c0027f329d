"""``netprobe echo ping`` on the real script, against the real server."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from netprobe.render.live_trips import bucket_of, sparkline
from tests.conftest import NETPROBE, Run, clean_environment, run_in_terminal


@pytest.mark.parametrize("how", ["--tcp", "--udp", "--connect-only"])
def test_the_summary_is_in_the_json(how: str, plain_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "ping", plain_at, how, "--count", "3", "--interval", "0", "--json")
    assert (ran.status, ran.stderr) == (0, "")
    document = json.loads(ran.stdout)
    assert document["schema"] == "netprobe/echo-ping/1"
    assert [reply["sequence"] for reply in document["results"]] == [1, 2, 3]
    summary = document["summary"]
    assert (summary["sent"], summary["received"], summary["loss_percent"]) == (3, 3, 0)
    assert summary["min_ms"] <= summary["p50_ms"] <= summary["p999_ms"] <= summary["max_ms"]


def test_framed_says_who_we_are_there(framed_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "ping", framed_at, "--framed", "--count", "2", "--interval", "0")
    assert ran.status == 0
    last = ran.stdout.splitlines()[-1]
    assert last.startswith("you appear as 127.0.0.1:")
    assert last.endswith("there (no NAT in between)")
    assert "medians: server " in ran.stdout


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--tcp", "--udp"), "one at a time"),
        (("--udp", "--framed"), "do not go together"),
        (("--framed", "--connect-only"), "do not go together"),
        (("--udp", "--size", "65508"), "at most 65507"),
        (("--live",), "needs a terminal"),
        (("--source", "here"), "not an address"),
    ],
)
def test_what_does_not_go_together_is_one_line_and_exit_2(options: tuple[str, ...], why: str, netprobe: Run) -> None:
    ran = netprobe("echo", "ping", "127.0.0.1:9", *options)
    assert (ran.status, ran.stdout) == (2, "")
    assert why in ran.stderr


def test_a_source_that_is_not_ours_cannot_be_asked_from(plain_at: str, netprobe: Run) -> None:
    ran = netprobe("echo", "ping", plain_at, "--source", "203.0.113.1", "--count", "1")
    assert (ran.status, ran.stdout) == (3, "")
    assert ran.stderr.startswith("netprobe: 203.0.113.1: ")


def test_ctrl_c_sums_up(plain_at: str) -> None:
    argv = [str(NETPROBE), "echo", "ping", plain_at, "--count", "0", "--interval", "0.01"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        assert process.stdout is not None
        assert "seq=1 " in process.stdout.readline()
        assert "seq=2 " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "netprobe: interrupted\n")
    assert "0% lost" in out


def test_live_draws_a_sparkline_and_a_histogram(plain_at: str) -> None:
    ran = run_in_terminal(
        [str(NETPROBE), "echo", "ping", plain_at, "--live", "--count", "30", "--interval", "0"], columns=60
    )
    assert ran.status == 0
    assert "30 sent, 0 lost; the last 30: " in ran.stdout
    assert "█" in ran.stdout
    assert "rtt p50/p90/p99/p99.9 " in ran.stdout
    assert "seq=" not in ran.stdout


def test_a_sparkline_has_a_character_a_value() -> None:
    assert sparkline([1.0, None, 8.0, 4.5]) == "▁×█▅"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([None]) == "×"
    assert sparkline([]) == ""


def test_buckets_of_the_histogram_double_in_two_steps() -> None:
    assert [bucket_of(ms) for ms in (0.0, 0.001, 0.0015, 0.002, 0.004, 1.024)] == [0, 0, 1, 2, 4, 20]
