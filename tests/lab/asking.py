"""bindtest run for real in a host of the lab, and a look at the probers that it sent away."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import NETPROBE
from tests.lab.network import Lab

__all__ = ["bindtest", "prober_count", "probers", "wait_until"]


def bindtest(lab: Lab, *options: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """Exit status, JSON document and stderr of ``netprobe bindtest --json`` in pc1."""
    ran = lab["pc1"].run(str(NETPROBE), "bindtest", "--json", *options, check=False, env=env or dict(os.environ))
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout), ran.stderr


def prober_count() -> int:
    """Travelled probers on this machine: each runs ``python -I -``."""
    return len(probers())


def probers() -> list[int]:
    """Their process ids."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
            except OSError:
                continue
            if words[-2:] == [b"-I", b"-"]:
                found.append(int(entry.name))
    return found


def wait_until(question: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again for so long; the last answer counts."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.05)
    return question()
