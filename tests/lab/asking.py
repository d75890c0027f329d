"""bindtest run for real in a host of the lab, and a look at the probers that it sent away."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tests.conftest import NETPROBE
from tests.lab.network import Lab

__all__ = ["bindtest", "prober_count", "wait_until"]


def bindtest(lab: Lab, *options: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """Exit status, JSON document and stderr of ``netprobe bindtest --json`` in pc1."""
    ran = lab["pc1"].run(str(NETPROBE), "bindtest", "--json", *options, check=False, env=env or dict(os.environ))
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout), ran.stderr


def prober_count(lab: Lab) -> int:
    """Probers that run in the hosts of ``lab``. Other labs may have some at the same time; they are not counted."""
    namespaces = {Path(host.network).stat().st_ino for host in lab.hosts.values()}
    return sum(_runs_prober(process, namespaces) for process in Path("/proc").glob("[0-9]*"))


def _runs_prober(process: Path, namespaces: Collection[int]) -> bool:
    """Whether it is ``python -I …`` in one of these network namespaces: nothing else in a lab is isolated (-I)."""
    try:
        program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
        return b"python" in program and b"-I" in arguments and (process / "ns/net").stat().st_ino in namespaces
    except OSError:  # it has ended, or it is none of ours
        return False


def wait_until(question: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again for so long; the last answer counts."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.05)
    return question()
