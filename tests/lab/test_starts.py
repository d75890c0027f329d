"""Many logins at one sshd, which drops strangers when there are too many of them (sshd_config(5), MaxStartups)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.asking import bindtest
from tests.lab.conftest import BuildLab, StartSshd
from tests.lab.network import Lab
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.lab


def reached(network: Lab, keys: Sshd, tmp_path: Path, *lines: str) -> tuple[int, int, set[str]]:
    """Exit status, how many of the hosts in ``lines`` were tested, and why others were not."""
    inventory = tmp_path / "hosts"
    python = "ansible_python_interpreter=/usr/bin/python3"
    inventory.write_text("\n".join(["[web]", *lines, "[web:vars]", python, ""]), "utf-8")
    # TCP: probers behind one address share what pc1 allows a peer in ICMP errors, so closed UDP ports fall silent.
    options = ("--addr", "192.168.0.1", "--to", "192.168.0.1", "--tcp", "--inventory", str(inventory))
    status, document, _ = bindtest(network, *options, "--from", "group:web", env=keys.environment)
    observed = [x["observed"] for x in document["results"] if x["destination"] == "192.168.0.1"]
    return status, observed.count("reachable"), {error["why"] for error in document["errors"]}


def drops(keys: Sshd, name: str) -> int:
    """How many connections the sshd with this log has dropped."""
    return (keys.directory / name).read_text("utf-8").count("drop connection")


def sixty_hosts(keys: Sshd, startups: str) -> list[str]:
    """An inventory of sixty hosts behind one sshd, which is started with this ``MaxStartups``."""
    keys.start("pc2", "192.168.0.2", log="log", MaxStartups=startups)
    # Names of one host are one sshd, whatever they are called.
    keys.config.write_text(
        f"Host alias other\n  HostName 192.168.0.2\nHost *\n{keys.config.read_text('utf-8')}", "utf-8"
    )
    return ["web[1:20] ansible_host=192.168.0.2", "web[21:40] ansible_host=alias", "web[41:60] ansible_host=other"]


def test_sixty_hosts_behind_one_sshd_are_all_tested_and_none_is_dropped(
    lab: BuildLab, sshd: StartSshd, tmp_path: Path
) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    assert reached(network, keys, tmp_path, *sixty_hosts(keys, "10:100:10")) == (0, 60, set())
    assert drops(keys, "log") == 0


@pytest.mark.parametrize(("key", "value"), [("MaxStartups", "2:100:2"), ("PerSourceMaxStartups", "1")])
def test_who_is_dropped_tries_again(lab: BuildLab, sshd: StartSshd, tmp_path: Path, key: str, value: str) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2", 22, True, "log", **{key: value})
    assert reached(network, keys, tmp_path, "web[1:20] ansible_host=192.168.0.2") == (0, 20, set())
    assert drops(keys, "log") > 0


def test_a_jump_host_counts_as_what_it_is(lab: BuildLab, sshd: StartSshd, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    banner = tmp_path / "banner"
    banner.write_text("Welcome\nto all\n", "utf-8")
    keys.start("pc2", "192.168.0.2", log="log", MaxStartups="10:100:10", Banner=str(banner))
    for port in (2201, 2202, 2203):
        keys.start("pc2", "127.0.0.1", port, log=f"log{port}", MaxStartups="2:100:2")
    jumps = {2201: "ProxyJump 192.168.0.2", 2202: "ProxyJump 192.168.0.2", 2203: "ProxyJump 192.168.0.2"}
    hosts = "".join(
        f"Host h{port}\n  HostName 127.0.0.1\n  Port {port}\n  {through}\n" for port, through in jumps.items()
    )
    keys.config.write_text(f"{hosts}Host *\n{keys.config.read_text('utf-8')}", "utf-8")
    lines = [f"web{port}-[1:8] ansible_host=h{port}" for port in jumps]
    assert reached(network, keys, tmp_path, *lines) == (0, 24, set())
    assert drops(keys, "log") == 0
