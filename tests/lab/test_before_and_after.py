"""A firewall changes between two runs: --save before, --expect after; and Ctrl-C in between."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import NETPROBE, clean_environment
from tests.lab.asking import bindtest
from tests.lab.conftest import BuildLab
from tests.lab.network import Lab

pytestmark = pytest.mark.lab

CHAIN = "add table inet lab; add chain inet lab in { type filter hook input priority 0; }"
OPTIONS = ("--addr", "0.0.0.0", "--port", "41000", "--tcp", "--timeout", "0.5", "--patience", "0")


def plan(network: Lab) -> tuple[str, ...]:
    return (*OPTIONS, "--from", "local", "--from", f"pc2=netns:/proc/{network['pc2'].pid}/ns/net")


def test_a_new_firewall_rule_is_the_only_change_and_gone_with_the_rule(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    file = str(tmp_path / "before.toml")
    status, _, errors = bindtest(network, *plan(network), "--save", file)
    assert status == 0, errors
    network["pc1"].run("nft", CHAIN)
    network["pc1"].run("nft", "add rule inet lab in ip daddr 10.10.152.8 tcp dport 41000 iifname e1 drop")
    status, document, errors = bindtest(network, *plan(network), "--expect", file)
    where = "tcp 0.0.0.0 at 10.10.152.8 from pc2"
    assert status == 1
    assert [(x["where"], x["expected"]) for x in document["changes"]] == [(where, "reachable")]
    assert errors.startswith(f"- {where}: reachable\n+ {where}: no-answer (")
    network["pc1"].run("nft", "flush ruleset")
    status, document, errors = bindtest(network, *plan(network), "--expect", file)
    assert (status, document["changes"], errors) == (0, [], "")


def test_half_a_run_is_neither_saved_nor_compared(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    file = tmp_path / "before.toml"
    assert bindtest(network, *plan(network), "--save", str(file))[0] == 0
    before = file.read_text("utf-8")
    network["pc1"].run("nft", CHAIN)
    network["pc1"].run("nft", "add rule inet lab in ip daddr 192.168.0.1 tcp dport 41000 iifname e0 drop")
    long = ("--timeout", "30", "--save", str(file), "--expect", str(file), "--format", "ndjson", "-q")
    process = network["pc1"].start(
        *(str(NETPROBE), "bindtest", *plan(network), *long), stderr=subprocess.PIPE, env=clean_environment()
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()  # one cell is known, the silent one is not
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "not-tested" in {json.loads(line)["observed"] for line in (first + out).splitlines()}
    assert file.read_text("utf-8") == before
    assert f"netprobe: {file}: not written, the run was interrupted" in err.splitlines()
    assert f"netprobe: {file}: not compared, the run was interrupted" in err.splitlines()
