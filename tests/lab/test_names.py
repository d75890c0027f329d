"""Names at vantages whose resolvers differ: with files of their own in /etc, and name servers of the tests' own.

No name leaves a namespace: what its hosts file does not have is asked of a server inside it, or of nobody.
"""

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
from typing import Any

import pytest

from netprobe.reach.messages import Message, Replies, Request, Resolved
from netprobe.reach.sessions.choice import session_for
from netprobe.reach.vantages import parse_vantage
from tests.conftest import NETPROBE
from tests.lab.asking import bindtest
from tests.lab.conftest import BuildLab
from tests.lab.network import Host, Lab
from tests.lab.test_vantages import named

pytestmark = pytest.mark.lab

WITH_FILES = """set -e
for file in "$1"/*; do mount --bind "$file" "/etc/${file##*/}"; done
shift
exec "$@"
"""
LOCALHOST = "::1 localhost\n127.0.0.1 localhost\n"

# Answers every question with the response code of its argument (RFC 1035 section 4.1.1), or not at all.
NAME_SERVER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 53))
print("up", flush=True)
while True:
    data, peer = sock.recvfrom(512)
    print("asked", flush=True)
    if sys.argv[1] != "silent":
        sock.sendto(data[:2] + bytes([0x81, 0x80 | int(sys.argv[1])]) + data[4:], peer)
"""


def entering(directory: Path, hosts: str = LOCALHOST, resolv: str = "nameserver 127.0.0.1\n") -> list[str]:
    """The words before a command that has these files in /etc."""
    script, files = directory / "with-files", directory / f"etc-{len(list(directory.iterdir()))}"
    script.write_text(WITH_FILES, "utf-8")
    files.mkdir()
    files.joinpath("hosts").write_text(hosts, "utf-8")
    if Path("/etc/resolv.conf").exists():
        files.joinpath("resolv.conf").write_text(resolv, "utf-8")
    if Path("/etc/nsswitch.conf").exists():
        files.joinpath("nsswitch.conf").write_text("hosts: files dns\n", "utf-8")
    return ["unshare", "--mount", "--", "sh", str(script), str(files)]


def at(host: Host, words: list[str]) -> str:
    """``host`` as a vantage that pc1 reaches, its commands after ``words``."""
    return f"{host.name}=exec:{shlex.join(['nsenter', f'--net={host.network}', '--', *words])}"


def named_cells(document: dict[str, Any]) -> list[tuple[str, str, str, str | None]]:
    return [
        (cell["vantage"], cell["destination"], cell["observed"], cell["errno"])
        for cell in document["results"]
        if cell["destination_name"]
    ]


def test_localhost_is_told_as_what_it_is_here_and_at_a_vantage(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    words = entering(tmp_path)
    arguments = ["bindtest", "--addr", "127.0.0.1", "--tcp", "--to", "localhost", "--from", "local"]
    arguments += ["--from", at(network["pc2"], words)]
    ran = network["pc1"].run(*words, str(NETPROBE), *arguments, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines() == [
        "localhost at this host is ::1 first, then 127.0.0.1; you bound 127.0.0.1 only",
        "localhost at pc2 is that host itself, not this one: ::1 and 127.0.0.1",
    ]
    lines = [line.split("\t") for line in ran.stdout.splitlines()]
    here = [(x[3], x[6]) for x in lines if x[4] == "local"]
    assert here[-2:] == [("::1", "refused"), ("127.0.0.1", "reachable")]
    assert [(x[3], x[6]) for x in lines if x[4] == "pc2"][-2:] == [("::1", "refused"), ("127.0.0.1", "refused")]


def test_a_name_is_bound_at_all_of_its_addresses_here(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    command = (*entering(tmp_path), str(NETPROBE), "bindtest", "--json", "--addr", "localhost", "--udp")
    document = json.loads(network["pc1"].run(*command).stdout)
    binds = dict.fromkeys((cell["bind"], cell["bind_name"]) for cell in document["results"])
    assert list(binds) == [("::1", "localhost"), ("127.0.0.1", "localhost")]
    assert not any(cell["differs"] for cell in document["results"])


def test_of_a_name_with_two_addresses_each_is_asked_in_the_order_there(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    words = entering(tmp_path, "192.168.0.1 web.internal\n10.10.152.8 web.internal\n")
    program = "import socket; print(*(x[4][0] for x in socket.getaddrinfo('web.internal', 1, 0, socket.SOCK_STREAM)))"
    order = network["pc2"].run(*words, sys.executable, "-c", program).stdout.split()
    assert sorted(order) == ["10.10.152.8", "192.168.0.1"]
    refuses, answers = order
    status, document, errors = bindtest(
        network, "--addr", answers, "--tcp", "--to", "web.internal", "--from", at(network["pc2"], words)
    )
    assert (status, document["errors"]) == (0, []), errors
    assert named_cells(document) == [
        ("pc2", refuses, "refused", "ECONNREFUSED"),
        ("pc2", answers, "reachable", None),
    ]


@pytest.mark.parametrize(
    ("server", "error", "words"),
    [
        ("3", "EAI_NONAME", "the name does not resolve"),
        ("2", "EAI_AGAIN", "the name could not be resolved at this time"),
        (None, "EAI_AGAIN", "the name could not be resolved at this time"),
    ],
)
def test_a_name_that_does_not_resolve_there_is_not_tested_with_the_resolvers_error(
    lab: BuildLab, tmp_path: Path, server: str | None, error: str, words: str
) -> None:
    network = lab("pc1-pc2")
    if server is not None:
        network.start("pc2", sys.executable, "-u", "-c", NAME_SERVER, server, ready="up")
    there = at(network["pc2"], entering(tmp_path))
    status, document, _ = bindtest(network, "--addr", "192.168.0.1", "--tcp", "--to", "no.invalid", "--from", there)
    assert status == 1
    assert named_cells(document) == [("pc2", "no.invalid", "not-tested", error)]
    assert [(x["what"], x["why"]) for x in document["errors"]] == [("no.invalid at pc2", f"{words} ({error})")]
    others = [cell for cell in document["results"] if not cell["destination_name"]]
    assert {cell["observed"] for cell in others if cell["destination"] == "192.168.0.1"} == {"reachable"}


def test_a_resolver_that_says_nothing_is_given_up_and_the_vantage_goes_on(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    network.start("pc2", sys.executable, "-u", "-c", NAME_SERVER, "silent", ready="up")
    words = entering(tmp_path, resolv="nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    session = session_for(parse_vantage(f"pc2=exec:{shlex.join(network['pc2'].argv(words))}"))
    emitted: list[Message] = []
    follows: list[tuple[Resolved, ...]] = []

    def nothing_more(replies: Replies) -> Request:
        follows.append(replies.resolved)
        return Request("n", 1.0)

    names = ("localhost", "no.invalid")
    session.run(Request("n", 1.0, names=names, resolve=1.0, follow_up=nothing_more), emitted.append)
    told = [message for message in emitted if isinstance(message, Resolved)]
    assert [(x.name, bool(x.addresses), x.error) for x in told] == [
        ("localhost", True, None),
        ("no.invalid", False, None),
    ]
    assert follows == [tuple(told)]


@pytest.mark.parametrize("option", ["--addr", "--to"])
def test_ctrl_c_does_not_wait_for_a_resolver(lab: BuildLab, tmp_path: Path, option: str) -> None:
    network = lab("pc1-pc2")
    server = network.start("pc1", sys.executable, "-u", "-c", NAME_SERVER, "silent", ready="up")
    words = entering(tmp_path, resolv="nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    command = (*words, str(NETPROBE), "bindtest", "--tcp", "--json", option, "no.invalid")
    with network["pc1"].start(*command, stderr=subprocess.PIPE) as running:
        assert server.stdout is not None
        assert server.stdout.readline() == "asked\n"
        os.killpg(running.pid, signal.SIGINT)
        out, _ = running.communicate(timeout=30)
    assert running.returncode == 130
    document = json.loads(out)
    named = [(cell["observed"], cell["cause"]) for cell in document["results"] if cell["destination_name"]]
    assert set(named) == ({("not-tested", "interrupted by Ctrl-C")} if option == "--to" else set())


def test_connect_tries_every_address_of_a_name_and_says_which_answered(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    words = entering(tmp_path, "192.168.0.1 web.internal\n10.10.152.8 web.internal\n")
    secret = {**os.environ, "NETPROBE_BINDTEST_NONCE": "5d41"}
    listens = ("bindtest", "--listen-only", "--addr", "192.168.0.1", "--port", "41234", "--tcp")
    network.start("pc1", str(NETPROBE), *listens, ready="listening", env=secret)
    connects = (str(NETPROBE), "bindtest", "--tcp", "--json", "--connect", "web.internal:41234")
    ran = network["pc2"].run(*words, *connects, env=secret, check=False)
    assert ran.returncode == 0, ran.stderr
    cells = json.loads(ran.stdout)["results"]
    found = {(x["destination"], x["destination_name"], x["bind"], x["expected"], x["observed"]) for x in cells}
    assert found == {
        ("192.168.0.1", "web.internal", "192.168.0.1", "reachable", "reachable"),
        ("10.10.152.8", "web.internal", None, None, "refused"),
    }


# A named namespace.


@contextmanager
def files_of(name: str) -> Iterator[Path]:
    """The directory of the namespace's own files, as ip-netns(8) looks for it; gone afterwards."""
    directory = Path("/etc/netns", name)
    had_others = directory.parent.exists()
    directory.mkdir(parents=True)
    try:
        yield directory
    finally:
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
        if not had_others:
            with_others = list(directory.parent.iterdir())
            if not with_others:
                directory.parent.rmdir()


def named_in(network: Lab, name: str) -> list[tuple[str, str, str, str | None]]:
    options = ("--addr", "192.168.0.1", "--tcp", "--to", "web.internal", "--from", f"pc2=netns:{name}")
    status, document, errors = bindtest(network, *options)
    assert status in (0, 1), errors
    return named_cells(document)


@pytest.mark.skipif(os.geteuid() != 0, reason="the files of a namespace are root's")
def test_a_named_namespace_has_its_own_files_as_for_ip_netns_exec(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    with named(network["pc2"].pid) as name, files_of(name) as directory:
        directory.joinpath("hosts").write_text("192.168.0.1 web.internal\n", "utf-8")
        asked = ["ip", "netns", "exec", name, "getent", "ahosts", "web.internal"]
        assert "192.168.0.1" in subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        assert named_in(network, name) == [("pc2", "192.168.0.1", "reachable", None)]
        assert "web.internal" not in Path("/etc/hosts").read_text("utf-8")
