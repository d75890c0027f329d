"""Vantages with real far sides: namespaces, Debian's sshd, and what happens when the link dies."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netprobe.prober import bundle
from tests.conftest import NETPROBE
from tests.lab.asking import bindtest, prober_count, wait_until
from tests.lab.conftest import BuildLab, StartSshd

pytestmark = pytest.mark.lab

# pc2's part of the measured table: what each bind address answers on pc1's two addresses.
TABLE = {
    "127.0.0.1": ("refused", "refused"),
    "192.168.0.1": ("reachable", "refused"),
    "10.10.152.8": ("refused", "reachable"),
    "0.0.0.0": ("reachable", "reachable"),
    "127.0.0.2": ("refused", "refused"),
}
DESTINATIONS = ("192.168.0.1", "10.10.152.8")
STAY_S = 10.0


@contextmanager
def named(pid: int) -> Iterator[str]:
    """A name for the network namespace of ``pid``, as ip-netns(8) keeps it; gone afterwards."""
    name = f"netprobe-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "attach", name, str(pid)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no named network namespace here: {made.stderr.strip()}")
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_a_namespace_is_entered_by_its_name_as_by_its_file(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    with named(network["pc2"].pid) as name:
        vantages = ("--from", f"netns:{name}", "--from", f"file=netns:/proc/{network['pc2'].pid}/ns/net")
        status, document, errors = bindtest(network, "--addr", "192.168.0.1", *vantages)
    assert (status, document["errors"]) == (0, []), errors
    seen = [(x["vantage"], x["protocol"], x["destination"], x["observed"], x["source"]) for x in document["results"]]
    assert ("netns:" + name, "tcp", "192.168.0.1", "reachable", "192.168.0.2") in seen
    assert [x[1:] for x in seen if x[0] == "file"] == [x[1:] for x in seen if x[0] != "file"]
    assert not Path("/run/netns", name).exists()


def test_a_namespace_a_login_and_a_command_agree_with_the_table(lab: BuildLab, sshd: StartSshd) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    path = f"/proc/{network['pc2'].pid}/ns/net"
    options = [word for address in TABLE for word in ("--addr", address)]
    vantages = (f"a=netns:{path}", "b=ssh:192.168.0.2", f"c=exec:nsenter --net={path}")
    options += [word for vantage in vantages for word in ("--from", vantage)]
    status, document, errors = bindtest(network, *options, env=keys.environment)
    cells = document["results"]
    assert status == 0, [x for x in cells if x["differs"]] or errors
    for name in "abc":
        for protocol in ("tcp", "udp"):
            mine = {
                (x["bind"], x["destination"]): x["observed"]
                for x in cells
                if (x["vantage"], x["protocol"]) == (name, protocol)
            }
            assert {bind: tuple(mine[bind, to] for to in DESTINATIONS) for bind in TABLE} == TABLE
    columns = [[(x["bind"], x["destination"], x["observed"]) for x in cells if x["vantage"] == n] for n in "abc"]
    assert columns[0] == columns[1] == columns[2]


def test_a_responder_of_the_vantages_own_is_not_taken_for_ours(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    server = (
        "import socket; s = socket.create_server(('127.0.0.1', 40001)); print('up', flush=True)\n"
        "while True:\n    c = s.accept()[0]; c.sendall(b'SSH-2.0-other\\r\\n'); c.close()"
    )
    network.start("pc2", sys.executable, "-u", "-c", server, ready="up")
    vantage = f"pc2=netns:/proc/{network['pc2'].pid}/ns/net"
    addresses = ("--addr", "0.0.0.0", "--port", "40001", "--tcp", "--to", "127.0.0.1")
    _, document, _ = bindtest(network, *addresses, "--from", vantage)
    observed = {x["destination"]: x["observed"] for x in document["results"]}
    assert observed["127.0.0.1"] == observed["0.0.0.0"] == "wrong-responder"
    assert observed["192.168.0.1"] == "reachable"


def test_failures_of_ssh_are_told_apart_and_do_not_sink_the_rest(lab: BuildLab, sshd: StartSshd) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys.directory / "other")], check=True)
    keys.start("pc2", "192.168.0.2", 2201, known=False, HostKey=str(keys.directory / "other"))
    keys.start("pc2", "192.168.0.2", 2202, AuthorizedKeysFile="none")
    keys.start("pc2", "192.168.0.2", 2203, ForceCommand="echo Welcome; echo '{ to all'; exec $SSH_ORIGINAL_COMMAND")
    keys.start("pc2", "192.168.0.2", 2204, known=False)
    other = (keys.directory / "other.pub").read_text("utf-8")
    with keys.known.open("a", encoding="utf-8") as file:
        file.write(f"[192.168.0.2]:2204 {other}")
    failures = {
        "good": (":22", None),
        "unknown-key": (":2201", "host key unknown"),
        "denied": (":2202", "permission denied"),
        "noisy": (":2203", None),
        "changed-key": (":2204", "host key changed"),
        "closed": (":2205", "connection refused"),
        "no-python": (":22", "no /nowhere/python3 there"),
    }
    options = [word for name, (port, _) in failures.items() for word in ("--from", f"{name}=ssh:192.168.0.2{port}")]
    options += ["--from", "nobody=ssh:nobody.invalid", "--python", "no-python=/nowhere/python3"]
    status, document, errors = bindtest(network, "--addr", "192.168.0.1", "--tcp", "-v", *options, env=keys.environment)
    assert status == 1
    causes = {x["what"]: x["why"] for x in document["errors"]}
    # Where the name service cannot be asked, nobody knows whether there is such a host.
    assert causes.pop("nobody") in ("host unknown", "name not resolved: Temporary failure in name resolution")
    assert causes == {name: why for name, (_, why) in failures.items() if why}
    tested = {x["vantage"] for x in document["results"] if x["observed"] != "not-tested"}
    assert tested == {"good", "noisy"}
    assert "noisy: Welcome" in errors and "noisy: { to all" in errors


def test_no_vantage_that_can_run_is_status_3(lab: BuildLab) -> None:
    status, document, _ = bindtest(lab("pc1-pc2"), "--addr", "192.168.0.1", "--from", "x=exec:false")
    assert status == 3
    assert {x["observed"] for x in document["results"]} == {"not-tested"}


def test_fifty_logins_in_one_run_are_all_answered(lab: BuildLab, sshd: StartSshd) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    options = [word for number in range(50) for word in ("--from", f"v{number}=ssh:192.168.0.2")]
    # TCP: 50 probers behind one address share what pc1 allows a peer in ICMP errors, so closed UDP ports fall silent.
    options += ["--addr", "192.168.0.1", "--tcp"]
    status, document, errors = bindtest(network, *options, env=keys.environment)
    differing = {(x["protocol"], x["destination"], x["observed"]) for x in document["results"] if x["differs"]}
    assert (status, differing, document["errors"]) == (0, set(), []), errors
    assert len({x["vantage"] for x in document["results"]}) == 50
    texts = [x["text"] for x in document["agreements"]]
    assert "tcp 192.168.0.1 at 192.168.0.1: all 50 vantages: reachable" in texts


def test_a_black_hole_in_mid_run_leaves_the_other_columns_complete(lab: BuildLab, sshd: StartSshd) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "10.10.152.9")
    # Cells of a silent destination take the whole time-out; the link goes as soon as both probers say hello.
    network["pc1"].run("nft", "add table inet lab; add chain inet lab in { type filter hook input priority 0; }")
    network["pc1"].run("nft", "add rule inet lab in ip daddr 192.168.0.1 tcp dport 41000 drop")
    options = ("--addr", "192.168.0.1", "--port", "41000", "--tcp", "--timeout", "3")
    command = ["bindtest", "--json", *options, "--from", "dead=ssh:192.168.0.2", "--from", "alive=ssh:10.10.152.9"]
    process = network["pc1"].start(str(NETPROBE), *command, env=keys.environment, stderr=subprocess.PIPE)
    try:
        assert wait_until(lambda: prober_count(network) == 2, 10)
        network["pc1"].run("nft", "add rule inet lab in ip saddr 192.168.0.2 drop")
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    document = json.loads(out)
    assert process.returncode == 1, err
    observed = {x["vantage"]: x["observed"] for x in document["results"] if x["destination"] == "192.168.0.1"}
    assert observed == {"dead": "not-tested", "alive": "no-answer"}
    ((what, why),) = [(x["what"], x["why"]) for x in document["errors"]]
    assert (what, why) in (("dead", "link died"), ("dead", "nothing received for 8 s"))
    assert wait_until(lambda: prober_count(network) == 0, 3 + STAY_S)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_stays_after_a_kill(lab: BuildLab, sshd: StartSshd, number: signal.Signals) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    network["pc1"].run("nft", "add table inet lab; add chain inet lab in { type filter hook input priority 0; }")
    network["pc1"].run("nft", "add rule inet lab in tcp dport 41000 drop")
    vantages = ("--from", "ssh:192.168.0.2", "--from", f"netns:/proc/{network['pc2'].pid}/ns/net")
    options = ("--addr", "192.168.0.1", "--port", "41000", "--tcp", "--timeout", "20")
    process = network["pc1"].start(
        str(NETPROBE), "bindtest", *options, *vantages, env=keys.environment, stderr=subprocess.PIPE
    )
    try:
        assert wait_until(lambda: prober_count(network) == 2, 10)
        process.send_signal(number)
        process.communicate(timeout=10)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        # Long before the time-out + 10 s: the next heartbeat finds nobody.
        assert wait_until(lambda: prober_count(network) == 0, 5)
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("program", "vantage", "argv"),
    [
        ("docker", "docker:api", "exec -i -- api"),
        ("podman", "podman:api", "exec -i -- api"),
        ("kubectl", "kubectl:shop/api:web", "exec -i --namespace=shop --container=web api --"),
    ],
)
def test_containers_are_entered_by_their_own_program(
    lab: BuildLab, tmp_path: Path, program: str, vantage: str, argv: str
) -> None:
    network = lab("pc1-pc2")
    stand_in = tmp_path / program
    count = len(argv.split())
    whole = " ".join([argv, "python3", *bundle.ARGUMENTS])
    stand_in.write_text(
        f'#!/bin/sh\n[ "$*" = {shlex.quote(whole)} ] || {{ echo "argv: $*" >&2; exit 9; }}\n'
        f'shift {count}\nexec nsenter --net=/proc/{network["pc2"].pid}/ns/net -- "$@"\n',
        "utf-8",
    )
    stand_in.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    status, document, errors = bindtest(network, "--addr", "192.168.0.1", "--from", vantage, env=env)
    assert (status, document["errors"]) == (0, []), errors
    assert {x["source"] for x in document["results"] if x["destination"] == "192.168.0.1"} == {"192.168.0.2"}


@pytest.mark.parametrize("group", ["web", "all"])
def test_a_fleet_of_an_inventory_says_where_it_agrees(
    lab: BuildLab, sshd: StartSshd, tmp_path: Path, group: str
) -> None:
    network = lab("pc1-pc2")
    keys = sshd(network)
    keys.start("pc2", "192.168.0.2")
    keys.start("pc2", "192.168.0.2", 2202, AuthorizedKeysFile="none")
    inventory = tmp_path / "hosts"
    inventory.write_text(
        "[web]\nweb[1:12] ansible_host=192.168.0.2 ansible_python_interpreter=/usr/bin/python3\n"
        "[db]\ndb1 ansible_host=192.168.0.2 ansible_port=2202\ndb2 ansible_host=192.168.0.2 ansible_port=2299\n",
        "utf-8",
    )
    options = ("--addr", "192.168.0.1", "--tcp", "--inventory", str(inventory), "--from", f"group:{group}")
    status, document, errors = bindtest(network, *options, env=keys.environment)
    text = next(x["text"] for x in document["agreements"] if x["destination"] == "192.168.0.1")
    if group == "web":
        assert (status, text) == (0, "tcp 192.168.0.1 at 192.168.0.1: all 12 vantages: reachable"), errors
    else:
        assert status == 1
        assert "12 of 14 vantages: reachable" in text
        assert {x["what"]: x["why"] for x in document["errors"]} == {
            "db1": "permission denied", "db2": "connection refused",
        }  # fmt: skip


@pytest.mark.parametrize("version", ["3.6.15", "3.7.16", "3.8.18"])
def test_an_old_python_is_good_enough(lab: BuildLab, version: str) -> None:
    old = Path.home() / f".pyenv/versions/{version}/bin/python3"
    if not old.exists():
        pytest.skip(f"no Python {version} here")
    network = lab("pc1-pc2")
    vantage = f"pc2=netns:/proc/{network['pc2'].pid}/ns/net"
    options = ("--addr", "0.0.0.0", "--from", vantage, "--python", str(old))
    status, document, errors = bindtest(network, *options)
    assert (status, document["errors"]) == (0, []), errors
