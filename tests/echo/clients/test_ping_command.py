"""``netprobe echo ping`` on the real script, against the real server."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys

import pytest

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
        (("--source", "::1"), "--source ::1: IPv6, but 127.0.0.1 is IPv4"),
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


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ("[fe80::1%nosuch]", "fe80::1%nosuch: this host has no interface nosuch"),
        ("[::1%lo]", "::1%lo: ::1 has no zone: only a link-local address has one"),
    ],
)
def test_an_impossible_zone_is_refused(destination: str, why: str, netprobe: Run) -> None:
    ran = netprobe("echo", "ping", destination, "--count", "1")
    assert (ran.status, ran.stdout) == (2, "")
    assert why in ran.stderr


def test_a_link_local_source_needs_a_zone(netprobe: Run) -> None:
    ran = netprobe("echo", "ping", "[::1]:9", "--source", "fe80::1", "--count", "1")
    assert (ran.status, ran.stdout) == (3, "")
    assert "a link-local source address needs a zone, as in fe80::1%eth0" in ran.stderr


def test_a_handshake_that_is_refused_needs_no_echo_server(netprobe: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{closed.getsockname()[1]}"
        ran = netprobe("echo", "ping", where, "--connect-only", "--count", "1")
    assert (ran.status, ran.stderr) == (1, "")
    assert "refused" in ran.stdout


def test_live_says_who_we_are_there_after_ctrl_c_too(framed_at: str) -> None:
    stopped = "import os, signal, sys, threading; threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start(); "
    program = stopped + "from netprobe.__main__ import script; script()"
    argv = ["--framed", "--live", "--count", "0", "--interval", "0.05"]
    ran = run_in_terminal([sys.executable, "-c", program, "echo", "ping", framed_at, *argv])
    assert ran.status == 130
    assert "you appear as 127.0.0.1:" in ran.stdout


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
    assert re.search(r"^[23] sent, [23] came back, .*% lost$", out, re.MULTILINE)  # a third may be on its way


def test_live_draws_a_sparkline_and_a_histogram(plain_at: str) -> None:
    ran = run_in_terminal(
        [str(NETPROBE), "echo", "ping", plain_at, "--live", "--count", "30", "--interval", "0"], columns=60
    )
    assert ran.status == 0
    assert "30 sent, 30 came back" in ran.stdout
    assert "█" in ran.stdout
    assert "p90 " in ran.stdout
    assert "p99" not in ran.stdout  # thirty samples do not carry it
    assert "it echoes: 30 of 30 came back unchanged" in ran.stdout
    assert "seq=" not in ran.stdout


def test_a_terminal_is_told_the_answer_and_the_same_failure_once(netprobe: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{closed.getsockname()[1]}"
        argv = [str(NETPROBE), "echo", "ping", where, "-i", "0", "--count", "3"]
        ran = run_in_terminal(argv, columns=100, env={"NO_COLOR": "1"})
        piped = netprobe(*argv[1:])
    assert (ran.status, piped.status) == (1, 1)
    assert "! 1 to 3  refused: " in ran.stdout
    assert "it does not echo: 0 of 3 came back\n\nNext, there:\n  netprobe echo serve --port" in ran.stdout
    assert "hint:" not in ran.stdout
    assert "\x1b" not in ran.stdout
    assert len([line for line in piped.stdout.splitlines() if " refused: " in line]) == 3
