"""Hosts of an inventory through asyncssh: failures in the words of the OpenSSH vantages, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import NETPROBE
from tests.lab.asking import bindtest, prober_count, wait_until
from tests.lab.conftest import BuildLab, StartSshd
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.lab

PYTHON = "ansible_python_interpreter=/usr/bin/python3"


def at_home(keys: Sshd, home: Path) -> dict[str, str]:
    """An environment whose ~/.ssh is that of ``keys``: asyncssh reads the configuration there."""
    (home / ".ssh").mkdir(parents=True)
    text = keys.config.read_text("utf-8").replace("GlobalKnownHostsFile none\n", "")
    (home / ".ssh/config").write_text(text, "utf-8")
    return {**keys.environment, "HOME": str(home)}


def test_a_changed_host_key_is_told_apart_from_an_unknown_one(lab: BuildLab, sshd: StartSshd, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys.directory / "new")], check=True)
    keys.start("pc2", "192.168.0.2", 2201, HostKey=str(keys.directory / "new"))
    known = keys.known.read_text("utf-8").splitlines(keepends=True)
    keys.known.write_text("".join(line for line in known if line.startswith("[")), "utf-8")
    inventory = tmp_path / "hosts"
    lines = [f"{name} ansible_host=192.168.0.2 ansible_port={port} {PYTHON}" for name, port in
             (("unknown", 22), ("changed", 2201))]  # fmt: skip
    inventory.write_text("\n".join(["[all]", *lines]) + "\n", "utf-8")
    options = ("--addr", "192.168.0.1", "--tcp", "--inventory", str(inventory), "--from", "group:all")
    status, document, errors = bindtest(network, *options, env=at_home(keys, tmp_path / "home"))
    assert status == 3, errors
    assert {x["what"]: x["why"] for x in document["errors"]} == {
        "unknown": "host key unknown", "changed": "host key changed",
    }  # fmt: skip


def test_nothing_of_a_fleet_stays_after_a_kill(lab: BuildLab, sshd: StartSshd, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    inventory = tmp_path / "hosts"
    inventory.write_text(f"[web]\nweb[1:3] ansible_host=192.168.0.2 {PYTHON}\n", "utf-8")
    network["pc1"].run("nft", "add table inet lab; add chain inet lab in { type filter hook input priority 0; }")
    network["pc1"].run("nft", "add rule inet lab in tcp dport 41000 drop")
    options = ("--addr", "192.168.0.1", "--port", "41000", "--tcp", "--timeout", "20", "--patience", "0")
    process = network["pc1"].start(
        *(str(NETPROBE), "bindtest", *options, "--inventory", str(inventory), "--from", "group:web"),
        env=at_home(keys, tmp_path / "home"),
        stderr=subprocess.PIPE,
    )
    try:
        assert wait_until(lambda: prober_count(network) == 3, 10)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        assert wait_until(lambda: prober_count(network) == 0, 5)
    finally:
        process.kill()


def test_a_link_that_dies_takes_only_its_own_host_along(lab: BuildLab, sshd: StartSshd, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "10.10.152.9")
    inventory = tmp_path / "hosts"
    inventory.write_text(
        f"[web]\ndead ansible_host=192.168.0.2 {PYTHON}\nalive ansible_host=10.10.152.9 {PYTHON}\n", "utf-8"
    )
    network["pc1"].run("nft", "add table inet lab; add chain inet lab in { type filter hook input priority 0; }")
    network["pc1"].run("nft", "add rule inet lab in ip daddr 192.168.0.1 tcp dport 41000 drop")
    options = ("--addr", "192.168.0.1", "--port", "41000", "--tcp", "--timeout", "3", "--json")
    process = network["pc1"].start(
        *(str(NETPROBE), "bindtest", *options, "--inventory", str(inventory), "--from", "group:web"),
        env=at_home(keys, tmp_path / "home"),
        stderr=subprocess.PIPE,
    )
    try:
        assert wait_until(lambda: prober_count(network) == 2, 15)
        network["pc1"].run("nft", "add rule inet lab in ip saddr 192.168.0.2 drop")
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    document = json.loads(out)
    assert process.returncode == 1, err
    observed = {x["vantage"]: x["observed"] for x in document["results"] if x["destination"] == "192.168.0.1"}
    assert observed == {"dead": "not-tested", "alive": "no-answer"}
    ((what, why),) = [(x["what"], x["why"]) for x in document["errors"]]
    assert what == "dead"
    assert why in ("Server not responding to keepalive", "nothing heard in time")  # whichever is noticed first
    assert wait_until(lambda: prober_count(network) == 0, 3 + 10)
