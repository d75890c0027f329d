"""What goes wrong in mid-run: addresses, links and descriptors go while silent cells wait."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conftest import NETPROBE
from tests.lab.conftest import BuildLab
from tests.lab.network import Host, Lab, describe
from tests.lab.test_facts import table

pytestmark = pytest.mark.lab

BINDS = ("--addr", "192.168.0.1", "--addr", "10.10.152.8", "--addr", "fd00:a::1")
SILENT = "tcp flags syn / syn,ack ip daddr 192.168.0.1 drop\ntcp flags syn / syn,ack ip6 daddr fd00:a::1 drop"
FOR_EACH_OF_TWO_LINKS = 2


@pytest.fixture
def network(lab: BuildLab) -> Lab:
    """pc1 and pc2, where pc1 drops what asks for its addresses on e0."""
    description = describe("pc1-pc2")
    description["links"][0]["ends"][0]["addresses"].append("fd00:a::1/64")
    description["links"][0]["ends"][1]["addresses"].append("fd00:a::2/64")
    built = lab(description)
    built["pc1"].run("nft", "-f", "-", input=table({"input": SILENT}))
    return built


def wait_for_questions(host: Host, sockets: int, process: subprocess.Popen[str]) -> None:
    """Until so many TCP cells of this host wait in vain."""
    while host.run("ss", "-Htn", "state", "syn-sent").stdout.count("\n") < sockets:
        assert process.poll() is None, "it ended before its cells had waited"


def run_with(network: Lab, vantage: str, action: tuple[str, ...]) -> tuple[int, list[dict[str, Any]], str]:
    """netprobe in pc1; ``action`` happens in pc1 while its silent cells wait."""
    source = "local" if vantage == "local" else f"pc2=netns:{network['pc2'].network}"
    options = ("--tcp", "--timeout", "3", "--from", source)
    process = network.start("pc1", str(NETPROBE), "bindtest", "--json", *BINDS, *options, stderr=subprocess.PIPE)
    wait_for_questions(network["pc1" if vantage == "local" else vantage], FOR_EACH_OF_TWO_LINKS, process)
    network["pc1"].run(*action)
    out, err = process.communicate(timeout=30)
    return process.returncode, json.loads(out)["results"], err


def own(cells: list[dict[str, Any]]) -> Mapping[str, dict[str, Any]]:
    """The cells that ask an address where it is bound."""
    return {cell["bind"]: cell for cell in cells if cell["bind"] == cell["destination"]}


@pytest.mark.parametrize("vantage", ["local", "pc2"])
@pytest.mark.parametrize(
    ("action", "said4", "said6"),
    [
        ("ip addr del 192.168.0.1/24 dev e0", "192.168.0.1 vanished from this host in mid-run", None),
        ("ip link set e0 down", "e0 went down in mid-run", "fd00:a::1 vanished from this host in mid-run"),
        ("ip link del e0", "192.168.0.1 vanished from this host in mid-run", "fd00:a::1 vanished from this host"),
    ],
)
def test_what_goes_in_mid_run_is_said_and_the_rest_is_complete(
    network: Lab, vantage: str, action: str, said4: str, said6: str | None
) -> None:
    status, cells, errors = run_with(network, vantage, tuple(action.split()))
    found = own(cells)
    assert status == 1, errors
    assert "Traceback" not in errors
    assert found["10.10.152.8"]["observed"] == "reachable"
    assert found["192.168.0.1"]["observed"] in ("no-answer", "unreachable")
    assert said4 in found["192.168.0.1"]["difference"]
    assert found["fd00:a::1"]["observed"] in ("no-answer", "unreachable")
    assert (said6 or "") in found["fd00:a::1"]["difference"]
    assert "vanished" not in (found["10.10.152.8"]["difference"] or "")
    assert network["pc1"].run("ss", "-Htln").stdout == ""


def test_ctrl_c_while_cells_wait_elsewhere_gives_what_is_known_and_leaves_nothing(network: Lab) -> None:
    options = ("--tcp", "--timeout", "60", "--from", f"pc2=netns:{network['pc2'].network}", "--from", "local")
    process = network.start("pc1", str(NETPROBE), "bindtest", "--json", *BINDS, *options, stderr=subprocess.PIPE)
    for host in ("pc1", "pc2"):
        wait_for_questions(network[host], FOR_EACH_OF_TWO_LINKS, process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    found = own([cell for cell in json.loads(out)["results"] if cell["vantage"] == "pc2"])
    assert found["192.168.0.1"]["observed"] == "not-tested"
    assert found["10.10.152.8"]["observed"] in ("reachable", "not-tested")
    for host in ("pc1", "pc2"):
        assert network[host].run("ss", "-Htan", "state", "listening", "state", "syn-sent").stdout == ""


@pytest.mark.parametrize("limit", [10, 20, 40])
def test_few_descriptors_are_enough_or_the_error_says_so(lab: BuildLab, limit: int) -> None:
    network = lab("pc1-pc2")
    command = f"ulimit -n {limit}; exec {NETPROBE} bindtest --json --addr 127.0.0.1 --addr 10.10.152.8 --addr 0.0.0.0"
    ran = network["pc1"].run("sh", "-c", command, check=False)
    assert "Traceback" not in ran.stderr
    cells = json.loads(ran.stdout)["results"] if ran.stdout else []
    assert ran.returncode == 3 or {cell["observed"] for cell in cells} == {"reachable", "refused"}
    if ran.returncode == 3:
        assert re.search("EMFILE|Too many open files|descriptors", ran.stderr), ran.stderr


def test_few_descriptors_at_the_vantage(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    binds = [word for number in range(2, 22) for word in ("--addr", f"127.0.0.{number}")]
    vantage = f"pc2=exec:nsenter --net={network['pc2'].network} sh -c 'ulimit -n 12; exec \"$@\"' sh"
    ran = network["pc1"].run(str(NETPROBE), "bindtest", "--json", "--tcp", *binds, "--from", vantage, check=False)
    cells = json.loads(ran.stdout)["results"]
    assert ran.returncode == 0, ran.stderr
    assert len(cells) > 64
    assert {cell["observed"] for cell in cells} == {"refused"}
