"""The user's own ways to log in, and what an ssh configuration or an inventory may say about them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.asking import bindtest, wait_until
from tests.lab.conftest import BuildLab, StartSshd
from tests.lab.network import Lab
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.lab

PYTHON = "ansible_python_interpreter=/usr/bin/python3"


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


@pytest.fixture
def pair(lab: BuildLab, sshd: StartSshd) -> tuple[Lab, Sshd]:
    """pc1 asks; keys of an sshd in pc2, which each test starts as it needs it."""
    network = lab("pc1-pc2")
    return network, sshd(network)


def ask(network: Lab, keys: Sshd, *options: str, **env: str) -> tuple[int, set[str], set[str]]:
    """Exit status, what was observed from elsewhere, and why vantages failed."""
    status, document, _ = bindtest(network, "--addr", "192.168.0.1", "--tcp", *options, env={**keys.environment, **env})
    cells = {
        x["observed"] for x in document["results"] if x["destination"] == "192.168.0.1" and x["vantage"] != "local"
    }
    return status, cells, {error["why"] for error in document["errors"]}


def configure(keys: Sshd, before: str) -> None:
    """Lines in front of what the configuration has: ssh takes the first value of each option (ssh_config(5))."""
    keys.config.write_text(f"{before}\nHost *\n{keys.config.read_text('utf-8')}", "utf-8")


def hosts(tmp_path: Path, *lines: str) -> tuple[str, ...]:
    """The options for an inventory with these lines."""
    inventory = tmp_path / "hosts"
    inventory.write_text("\n".join(["[web]", *lines, "[web:vars]", PYTHON, ""]), "utf-8")
    return ("--inventory", str(inventory), "--from", "group:web")


def test_a_host_behind_a_jump_host_is_reached_through_it(pair: tuple[Lab, Sshd], tmp_path: Path) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "127.0.0.1", 2203)  # from pc1 nobody gets there but through pc2
    configure(keys, "Host inner\n  HostName 127.0.0.1\n  Port 2203\n  ProxyJump 192.168.0.2")
    assert ask(network, keys, "--from", "ssh:inner") == (0, {"reachable"}, set())
    assert ask(network, keys, *hosts(tmp_path, "inner")) == (0, {"reachable"}, set())


def test_two_jump_hosts_are_passed_in_their_order(pair: tuple[Lab, Sshd]) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "127.0.0.1", 2203)
    keys.start("pc2", "127.0.0.1", 2204)
    configure(
        keys,
        "Host inner\n  HostName 127.0.0.1\n  Port 2204\n  ProxyJump outer,middle\n"
        "Host outer\n  HostName 192.168.0.2\nHost middle\n  HostName 127.0.0.1\n  Port 2203",
    )
    assert ask(network, keys, "--from", "ssh:inner") == (0, {"reachable"}, set())
    configure(keys, "Host inner\n  ProxyJump middle\nHost middle\n  ProxyJump outer")
    assert ask(network, keys, "--from", "ssh:inner") == (0, {"reachable"}, set())


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder in which a socket's path has room (unix(7): 108 bytes, of which ``%C`` and ssh's suffix take 58)."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_no_master_connection_stays_behind_not_even_at_a_jump_host(pair: tuple[Lab, Sshd], short_path: Path) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "127.0.0.1", 2203)
    configure(
        keys,
        f"Host *\n  ControlMaster auto\n  ControlPersist 60\n  ControlPath {short_path}/%C\n"
        "Host inner\n  HostName 127.0.0.1\n  Port 2203\n  ProxyJump 192.168.0.2",
    )
    options = ("--from", "ssh:inner", "--from", "ssh:192.168.0.2")
    assert ask(network, keys, *options) == (0, {"reachable"}, set())
    assert not list(short_path.glob("?" * 40))  # the socket of a master, named by a SHA-1 (ssh_config(5), TOKENS)
    assert wait_until(lambda: not network["pc1"].run("ss", "-Hnt", "state", "established", "dport", "22").stdout, 10)


def test_a_refusal_behind_a_jump_host_is_its_own_and_not_a_drop(pair: tuple[Lab, Sshd]) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "192.168.0.2", 2204, AllowTcpForwarding="no")
    configure(
        keys,
        "Host closed\n  HostName 127.0.0.1\n  Port 2299\n  ProxyJump 192.168.0.2\n"
        "Host unforwarded\n  HostName 127.0.0.1\n  ProxyJump 192.168.0.2:2204\n"
        "Host away\n  HostName 127.0.0.1\n  ProxyJump 192.168.0.2:2298\n"
        "Host broken\n  ProxyCommand sh -c 'echo the gateway is closed >&2; exit 1'",
    )
    names = ("closed", "unforwarded", "away", "broken")
    status, cells, why = ask(network, keys, *(word for name in names for word in ("--from", f"ssh:{name}")))
    assert (status, cells) == (3, {"not-tested"})
    assert why == {
        "connection refused, says the jump host",
        "jump host does not forward",
        "connection refused",
        "what connects ssh has ended: the gateway is closed",
    }


@pytest.mark.parametrize("file", ["none", "/dev/null", "{0}/empty", "{0}/absent", "{0}"])
@pytest.mark.parametrize("checking", ["yes", "ask", "accept-new"])
def test_a_key_file_without_keys_is_no_licence(
    pair: tuple[Lab, Sshd], tmp_path: Path, file: str, checking: str
) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    (tmp_path / "empty").touch()
    configure(keys, f"UserKnownHostsFile {file.format(tmp_path)}\nStrictHostKeyChecking {checking}")
    status, cells, why = ask(network, keys, *hosts(tmp_path, "192.168.0.2"))
    if checking == "accept-new" and file != "none":  # as the user says, who has a file for it
        assert (status, cells, why) == (0, {"reachable"}, set())
    else:
        assert (status, cells, why) == (3, {"not-tested"}, {"host key unknown"})


def test_what_a_configuration_may_say_takes_neither_input_nor_output_away(pair: tuple[Lab, Sshd]) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    configure(
        keys,
        "RequestTTY force\nRemoteCommand sleep 600\nSessionType none\nStdinNull yes\nForkAfterAuthentication yes\n"
        "ForwardAgent yes\nForwardX11 yes\nForwardX11Trusted yes\nLocalForward 127.0.0.1:4141 127.0.0.1:22\n"
        "PermitLocalCommand yes\nLocalCommand echo noise; exit 1\nLogLevel QUIET\nDynamicForward 4142\n"
        "ExitOnForwardFailure yes\nIgnoreUnknown SessionType,StdinNull,ForkAfterAuthentication",
    )
    assert ask(network, keys, "--from", "ssh:192.168.0.2") == (0, {"reachable"}, set())
    refused = ("--from", "ssh:192.168.0.2:2299")
    assert ask(network, keys, *refused) == (3, {"not-tested"}, {"connection refused"})


def test_neither_agent_nor_display_is_forwarded(pair: tuple[Lab, Sshd], tmp_path: Path) -> None:
    network, keys = pair
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nenv > {tmp_path}/environment\nexec /usr/bin/python3 "$@"\n', "utf-8")
    python.chmod(0o755)
    keys.start("pc2", "192.168.0.2", X11Forwarding="yes", X11UseLocalhost="yes")
    configure(keys, "ForwardAgent yes\nForwardX11 yes\nForwardX11Trusted yes")
    options = ("--from", "v=ssh:192.168.0.2", "--python", f"v={python}")
    with agent(keys.directory / "user") as variables:
        assert ask(network, keys, *options, **variables, DISPLAY=":9") == (0, {"reachable"}, set())
    there = (tmp_path / "environment").read_text("utf-8")
    assert "SSH_CONNECTION=" in there
    assert "SSH_AUTH_SOCK=" not in there
    assert "DISPLAY=" not in there


def test_nothing_is_asked_in_a_window(pair: tuple[Lab, Sshd], tmp_path: Path) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2", known=False)
    window = tmp_path / "askpass"
    window.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\necho no\n", "utf-8")
    window.chmod(0o755)
    jump = f"ssh -F {keys.config} -o StrictHostKeyChecking=ask -W %h:%p 192.168.0.2"
    configure(keys, f"Host inner\n  ProxyCommand {jump}\n  HostName 127.0.0.1\nHost jumped\n  ProxyJump 192.168.0.2")
    options = ("--from", "ssh:inner", "--from", "ssh:192.168.0.2", "--from", "ssh:jumped")
    status, cells, why = ask(network, keys, *options, DISPLAY=":9", SSH_ASKPASS=str(window))
    assert (status, cells, why) == (3, {"not-tested"}, {"host key unknown"})
    assert not (tmp_path / "asked").exists()


def test_the_key_file_and_the_arguments_of_an_inventory_are_used(pair: tuple[Lab, Sshd], tmp_path: Path) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "127.0.0.1", 2203)
    (keys.directory / "user").rename(tmp_path / "the key")
    (keys.directory / "known_hosts").rename(tmp_path / "known")
    key = f"ansible_ssh_private_key_file='{tmp_path}/the key'"
    known = f"-o UserKnownHostsFile={tmp_path}/known"
    way = f"ProxyCommand=\\\"ssh -i '{tmp_path}/the key' {known} -W %h:%p 192.168.0.2\\\""
    lines = (
        f'near ansible_host=192.168.0.2 {key} ansible_ssh_common_args="{known} -A -t -o ControlPersist=60s"',
        f"behind ansible_host=127.0.0.1 ansible_port=2203 {key} "
        f'ansible_ssh_common_args="{known}" ansible_ssh_extra_args="-o {way}"',
    )
    assert ask(network, keys, *hosts(tmp_path, *lines)) == (0, {"reachable"}, set())
    missing = f'near ansible_host=192.168.0.2 ansible_ssh_private_key_file=/no/key ansible_ssh_common_args="{known}"'
    assert ask(network, keys, *hosts(tmp_path, missing))[2] == {
        "permission denied, and the key file /no/key cannot be read"
    }


def test_a_key_that_only_the_agent_has_is_enough(pair: tuple[Lab, Sshd]) -> None:
    network, keys = pair
    keys.start("pc2", "192.168.0.2")
    config = "".join(line for line in keys.config.read_text("utf-8").splitlines(True) if not line.startswith("Identit"))
    keys.config.write_text(config, "utf-8")
    options = ("--from", "v=ssh:192.168.0.2")
    with agent(keys.directory / "user") as variables:
        (keys.directory / "user").unlink()
        assert ask(network, keys, *options, **variables) == (0, {"reachable"}, set())
    assert ask(network, keys, *options, SSH_AUTH_SOCK="") == (3, {"not-tested"}, {"permission denied"})
