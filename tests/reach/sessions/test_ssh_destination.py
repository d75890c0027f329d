"""What ssh says about a destination: the sshds that are passed, and the argv of a login through them."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path

import pytest

from netprobe.reach.sessions.ssh_destination import Destination, read_destination
from netprobe.reach.vantages import parse_vantage
from tests.conftest import needs

CONFIG = """
Host alias other
  HostName 192.0.2.1
  Port 2222
Host inner* deep
  HostName 10.0.0.1
Host inner
  ProxyJump ann@jump:2200
Host inner2
  ProxyJump 192.0.2.9:2200
Host inner6
  ProxyJump [2001:db8::1]:2200
Host deep
  ProxyJump inner,middle
Host jump
  HostName 192.0.2.9
Host middle
  HostName 10.0.0.2
  ProxyJump never-used
Host commanded
  ProxyCommand nc -X 5 %h %p
Host endless
  ProxyJump endless
Host odd
  ProxyJump -oProxyCommand=x
Host tunnel
  SessionType none
  StdinNull yes
  ForkAfterAuthentication yes
"""


@pytest.fixture(autouse=True)
def _ssh() -> None:
    needs("ssh")


def destination(tmp_path: Path, host: str, *options: str) -> Destination:
    config = tmp_path / "a config"
    config.write_text(CONFIG, "utf-8")
    prefix = parse_vantage(f"ssh:{host}").command_prefix
    return read_destination((prefix[0], f"-F{config}", *options, *prefix[1:]), threading.Event())


def proxy(found: Destination) -> list[str]:
    """The words of the jump."""
    (command,) = [word for word in found.prefix if word.startswith("-oProxyCommand=")]
    return shlex.split(command.partition("=")[2])


@pytest.mark.parametrize("host", ["alias", "other", "192.0.2.1:2222"])
def test_one_sshd_is_known_by_whatever_name(tmp_path: Path, host: str) -> None:
    found = destination(tmp_path, host)
    assert (found.sshds, found.only_jumps) == (("192.0.2.1 port 2222",), False)


@pytest.mark.parametrize("host", ["inner", "inner2"])
def test_a_jump_host_is_counted_and_passed_with_the_options_of_every_login(tmp_path: Path, host: str) -> None:
    found = destination(tmp_path, host)
    jump = "192.0.2.9 port 2200"
    assert found.sshds == (jump, f"10.0.0.1 port 22 through {jump}")
    assert found.only_jumps
    words = proxy(found)
    assert words[0] == "ssh"
    assert {"-oBatchMode=yes", "-oControlMaster=no", "-a", "-x", f"-F{tmp_path}/a config"} <= set(words)
    assert words[-4:-1] == ["-W", "[%h]:%p", "--"]
    assert ("ann" in words) == (host == "inner")
    assert found.prefix[-2:] == ("--", host)


def test_an_ipv6_jump_host_is_one(tmp_path: Path) -> None:
    assert destination(tmp_path, "inner6").sshds[0] == "2001:db8::1 port 2200"


def test_jump_hosts_in_a_row_are_passed_in_their_order(tmp_path: Path) -> None:
    found = destination(tmp_path, "deep")
    assert [name.partition(" ")[0] for name in found.sshds] == ["192.0.2.9", "10.0.0.1", "10.0.0.2", "10.0.0.1"]
    outer = proxy(found)
    assert outer[-1] == "middle"
    (inner,) = [shlex.split(word.partition("=")[2]) for word in outer if word.startswith("-oProxyCommand=")]
    assert (inner[-1], inner[-3]) == ("inner", "[%%h]:%%p")
    (first,) = [shlex.split(word.partition("=")[2]) for word in inner if word.startswith("-oProxyCommand=")]
    assert (first[-1], first[-3]) == ("jump", "[%%%%h]:%%%%p")


def test_the_users_own_command_is_left_alone_and_counted(tmp_path: Path) -> None:
    found = destination(tmp_path, "commanded")
    assert found.sshds == ("nc -X 5 %h %p", "commanded port 22 through nc -X 5 %h %p")
    assert not found.only_jumps
    assert not [word for word in found.prefix if word.startswith("-oProxyCommand=")]


@pytest.mark.parametrize("host", ["endless", "odd"])
def test_what_cannot_be_followed_is_left_to_ssh(tmp_path: Path, host: str) -> None:
    found = destination(tmp_path, host)
    assert found.sshds
    assert "-oProxyCommand=x" not in found.prefix


def test_a_command_runs_where_the_configuration_wants_none(tmp_path: Path) -> None:
    found = destination(tmp_path, "tunnel")
    assert found.prefix[1:4] == ("-osessiontype=default", "-ostdinnull=no", "-oforkafterauthentication=no")


def test_a_configuration_that_cannot_be_read_is_the_logins_to_complain_about(tmp_path: Path) -> None:
    found = destination(tmp_path, "alias", "-oNoSuchOption=1")
    assert found.prefix[-2:] == ("--", "alias")
    assert found.sshds == (" ".join(found.prefix),)
