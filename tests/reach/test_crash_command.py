"""A prober that crashes at its vantage: one line says so, --debug shows where, and the others are complete."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.conftest import Run

# A Python without random numbers: the prober says hello and crashes at its first cell.
BROKEN = "import os, sys; os.urandom = None; exec(input())"


@pytest.mark.parametrize("debug", [True, False])
def test_a_crash_has_its_traceback_under_debug_only(netprobe: Run, tmp_path: Path, debug: bool) -> None:
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(BROKEN)}\n", "utf-8")
    python.chmod(0o755)
    ran = netprobe(
        *("bindtest", "--addr", "127.0.0.1", "--tcp", "--from", "broken=exec:env", "--from", "whole=exec:env"),
        *("--python", f"broken={python}", "--json", *(["--debug"] if debug else [])),
    )
    document = json.loads(ran.stdout)
    assert ran.status == 1
    ((what, why),) = [(x["what"], x["why"]) for x in document["errors"]]
    assert (what, why) == ("broken", "the prober crashed: TypeError: 'NoneType' object is not callable")
    assert f"netprobe: {what}: {why}" in ran.stderr.splitlines()
    untested = {x["vantage"]: x["cause"] for x in document["results"] if x["observed"] == "not-tested"}
    assert untested == {"broken": why}
    assert ("broken: Traceback (most recent call last):" in ran.stderr.splitlines()) == debug
    assert ("os.urandom(16).hex()" in ran.stderr) == debug
