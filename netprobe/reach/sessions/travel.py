"""What travels to a vantage: the prober's text, and the first request behind it."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

from netprobe.reach.messages import Request

__all__ = ["program"]

STAY_S = 4.0  # how much longer than its time-out and its patience a prober may live anywhere
HEARTBEAT_S = 1.0


def program(request: Request) -> bytes:
    """The program text that travels: the prober, and the call of its main with the request."""
    source = resources.files("netprobe.prober").joinpath("payload.py").read_bytes()
    life = request.timeout + request.patience + STAY_S
    text = json.dumps(replace(request, life=life, heartbeat=HEARTBEAT_S).to_json())
    return source + b"\n\nmain(" + ascii(text).encode() + b")\n"
