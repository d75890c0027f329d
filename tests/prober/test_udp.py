"""The UDP probe: its time does not start again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from netprobe.prober import engine
from netprobe.prober.udp import UdpProbe
from netprobe.reach.listener import ListenerOptions
from netprobe.reach.responder import Responder
from netprobe.reach.scoped_address import ScopedAddress


def test_a_payload_that_never_leaves_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue of the device says EAGAIN to each of them."""
    send = UdpProbe._send

    def full(probe: UdpProbe, data: bytes) -> None:
        if probe.stage == "payload":
            raise BlockingIOError
        send(probe, data)

    monkeypatch.setattr(UdpProbe, "_send", full)
    lines: list[dict[str, Any]] = []
    until = time.monotonic() + 20
    with Responder("secret") as responder:
        (listener,) = responder.open([ScopedAddress.parse("127.0.0.1")], ("udp",), ListenerOptions())
        responder.start()
        cell = {"id": 0, "protocol": "udp", "address": "127.0.0.1", "port": listener.port}
        request = {"nonce": "secret", "timeout": 0.3, "payload": 10, "cells": [cell]}
        engine.run(request, lines.append, lambda: time.monotonic() > until)
    assert [(line["stage"], line["result"]) for line in lines if "cell" in line] == [("payload", "timeout")]
