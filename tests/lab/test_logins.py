"""The user's own ways to log in: a jump host from the ssh configuration, and keys that only the agent has."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.asking import bindtest
from tests.lab.conftest import BuildLab, StartSshd

pytestmark = pytest.mark.lab


@contextmanager
def agent(key: Path) -> Iterator[dict[str, str]]:
    """An ssh-agent that holds ``key``; the variables that lead to it."""
    output = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    variables = dict(re.findall(r"(SSH_\w+)=([^;]+);", output))
    env = {**os.environ, **variables}
    try:
        subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True)
        yield variables
    finally:
        subprocess.run(["ssh-agent", "-k"], env=env, capture_output=True, check=True)


def home_of(tmp_path: Path, config: str) -> str:
    """A home directory whose ssh configuration asyncssh reads."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/config").write_text(config.replace("GlobalKnownHostsFile none\n", ""), "utf-8")
    return str(home)


@pytest.mark.parametrize("client", ["openssh", "asyncssh"])
def test_a_host_behind_a_jump_host_is_reached_through_it(
    lab: BuildLab, sshd: StartSshd, tmp_path: Path, client: str
) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "127.0.0.1", 2203)  # from pc1 nobody gets there but through pc2
    keys.config.write_text(
        "Host inner\n  HostName 127.0.0.1\n  Port 2203\n  ProxyJump 192.168.0.2\n"
        f"Host *\n{keys.config.read_text('utf-8')}",
        "utf-8",
    )
    env = dict(keys.environment)
    if client == "openssh":
        # OpenSSH starts the jump by itself, with the configuration of its command line (ssh_config(5), ProxyJump).
        options = ["--from", "ssh:inner"]
    else:
        inventory = tmp_path / "hosts"
        inventory.write_text("[web]\ninner ansible_python_interpreter=/usr/bin/python3\n", "utf-8")
        options = ["--inventory", str(inventory), "--from", "group:web"]
        env["HOME"] = home_of(tmp_path, keys.config.read_text("utf-8"))
    status, document, errors = bindtest(network, "--addr", "192.168.0.1", "--tcp", *options, env=env)
    assert (status, document["errors"]) == (0, []), errors
    cells = {x["destination"]: (x["observed"], x["source"]) for x in document["results"] if x["vantage"] != "local"}
    assert cells["192.168.0.1"] == ("reachable", "192.168.0.2")


@pytest.mark.parametrize("client", ["openssh", "asyncssh"])
def test_a_key_that_only_the_agent_has_is_enough(lab: BuildLab, sshd: StartSshd, tmp_path: Path, client: str) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    config = "".join(line for line in keys.config.read_text("utf-8").splitlines(True) if not line.startswith("Identit"))
    keys.config.write_text(config, "utf-8")
    options = ["--from", "v=ssh:192.168.0.2"]
    with agent(keys.directory / "user") as variables:
        (keys.directory / "user").unlink()
        env = {**keys.environment, **variables}
        if client == "asyncssh":
            inventory = tmp_path / "hosts"
            inventory.write_text(
                "[web]\nv ansible_host=192.168.0.2 ansible_python_interpreter=/usr/bin/python3\n", "utf-8"
            )
            options = ["--inventory", str(inventory), "--from", "group:web"]
            env["HOME"] = home_of(tmp_path, config)
        status, document, errors = bindtest(network, "--addr", "192.168.0.1", "--tcp", *options, env=env)
    assert (status, document["errors"]) == (0, []), errors
    status, document, _ = bindtest(
        network, "--addr", "192.168.0.1", "--tcp", *options, env={**env, "SSH_AUTH_SOCK": ""}
    )
    assert status == 3
    assert {error["why"] for error in document["errors"]} == {"permission denied"}
