"""The log of a server on a terminal: columns of time, peer and what became of it, at 80 columns and at 40."""

from __future__ import annotations

import pytest

from netprobe.echo.server.events import (
    AcceptPaused,
    ConnectionEnded,
    Draining,
    ListenerOpened,
    MemoryExceeded,
    ServerEvent,
    ServerSummary,
)
from netprobe.render.server_log import ServerScreen
from netprobe.render.terminal import Terminal

OPENED = ListenerOpened("tcp", "127.0.0.1", 65432, False, 4096, 4096, 1)
CLOSED = ConnectionEnded(
    "2026-11-26T03:12:35.123Z", "tcp", "127.0.0.1", 40796, 53100, 125592, None, 552.94, "closed", None
)
RESET = ConnectionEnded(
    "2026-11-26T03:12:36.001Z",
    "tcp",
    "2001:db8:1111:2222:3333:4444:5555:6666",
    39016,
    64,
    64,
    3,
    1.0,
    "reset",
    "ECONNRESET",
)
NEXT_DAY = ConnectionEnded("2026-11-27T00:00:01.000Z", "unix", "", None, 1, 1, None, 0.1, "closed", None)
PAUSED = AcceptPaused("2026-11-26T03:12:37.000Z", "EMFILE", 1000)
EXCEEDED = MemoryExceeded("2026-11-26T03:12:37.500Z", "127.0.0.1", 40798, 10, 9, None, 0)
DRAINING = Draining("2026-11-27T00:00:02.000Z", 0, 2.0)
SUMMARY = ServerSummary(
    duration_s=12.3,
    connections=1,
    received_bytes=192,
    sent_bytes=192,
    datagrams=3,
    datagrams_answered=2,
    datagrams_refused=1,
)
ALL = (OPENED, CLOSED, RESET, PAUSED, EXCEEDED, NEXT_DAY, DRAINING, SUMMARY)


def shown(capsys: pytest.CaptureFixture[str], *events: ServerEvent, width: int = 80, colour: bool = False) -> str:
    screen = ServerScreen(Terminal(False, True, True, width=width, colour=colour))
    for event in events:
        screen.add(event)
    screen.end(None)
    return capsys.readouterr().out


def test_80_columns_are_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, *ALL).splitlines() == [
        "listening on 127.0.0.1:65432 tcp, backlog 4096",
        "2026-11-26  peer                   via   ended     bytes in       out        ms",
        "03:12:35Z   127.0.0.1:40796        tcp   closed      53,100   125,592     552.9",
        "03:12:36Z   [2001:db8:1111:2222:3333:4444:5555:6666]:39016",
        "                                   tcp   reset           64        64       1.0",
        "                                   3 messages, ECONNRESET",
        "03:12:37Z   accept paused at 1000 connections: EMFILE",
        "03:12:37Z   127.0.0.1:40798 ended, it held 10 bytes: all peers together held",
        "            more than 9",
        "2026-11-27  peer                   via   ended     bytes in       out        ms",
        "00:00:01Z   local peer             unix  closed           1         1       0.1",
        "00:00:02Z   draining 0 connections, 2 s at most",
        "served 1 connection and 3 datagrams in 12.3 s",
        "  192 bytes in, 192 out, 2 datagrams answered",
        "* 1 datagram not answered",
    ]


def test_40_columns_are_two_lines_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, CLOSED, DRAINING, width=40).splitlines() == [
        "2026-11-26",
        "03:12:35Z  127.0.0.1:40796",
        "  tcp closed, 53,100 bytes in, 125,592",
        "  out, 552.9 ms",
        "2026-11-27",
        "00:00:02Z  draining 0 connections, 2 s",
        "  at most",
    ]


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_an_address_is_whole_at_every_width(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, *ALL, width=width).splitlines()
    peer = "[2001:db8:1111:2222:3333:4444:5555:6666]:39016"
    assert sum(peer in line for line in lines) == 1
    assert max(len(line) for line in lines if peer not in line) <= width


def test_what_did_not_end_well_stands_out(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, *ALL, colour=True)
    assert "\x1b[33mreset\x1b[0m" in out
    assert "\x1b[1;31m127.0.0.1:40798 ended, it held 10 bytes" in out
    assert "closed\x1b" not in out
    assert "\x1b[1mlistening on 127.0.0.1:65432 tcp" in out
