"""Ansible inventories: the three readers agree, and what is wrong is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.prober import bundle
from netprobe.reach.inventory import parse_ini, parse_yaml, read_inventory

INI = """
# a comment
lone ansible_host=192.0.2.9
[web]
web[01:03].example ansible_port=2222
[db]
db-a ansible_host=2001:db8::1 ansible_user=ann   # a comment
[prod:children]
web
db
[web:vars]
ansible_python_interpreter=/opt/python3
"""
YAML = """
all:
  hosts: {lone: {ansible_host: 192.0.2.9}}
  children:
    prod:
      children:
        web:
          hosts: {"web[01:03].example": {ansible_port: 2222}}
          vars: {ansible_python_interpreter: /opt/python3}
        db: {hosts: {db-a: {ansible_host: "2001:db8::1", ansible_user: ann}}}
"""
PROD = ["web01.example", "web02.example", "web03.example", "db-a"]

SHELL = " ".join(["python3", *bundle.ARGUMENTS])


@pytest.fixture(params=["ini", "yaml", "ansible-ini", "ansible-yaml"])
def inventory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    by, _, form = request.param.rpartition("-")
    programs = Path(sys.executable).parent
    if by and not (programs / "ansible-inventory").exists():
        pytest.skip("ansible-core is not installed")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin" if by else "/nowhere")
    path = tmp_path / ("hosts.yml" if form == "yaml" else "hosts")
    path.write_text(YAML if form == "yaml" else INI, "utf-8")
    return path


def test_every_reader_finds_the_same_hosts(inventory: Path) -> None:
    found = read_inventory(inventory)
    assert sorted(found.members("prod")) == sorted(PROD)
    assert sorted(found.members("all")) == sorted([*PROD, "lone"])
    vantages = {vantage.name: vantage for vantage in found.vantages("all")}
    assert vantages["lone"].command_prefix[-2:] == ("--", "192.0.2.9")
    assert vantages["web02.example"].command_prefix[-4:] == ("-p", "2222", "--", "web02.example")
    assert vantages["web02.example"].python == "/opt/python3"
    assert vantages["db-a"].argv[-5:] == ("-l", "ann", "--", "2001:db8::1", SHELL)


@pytest.mark.parametrize(
    "text",
    [
        "web1 ansible_host=-oProxyCommand=x",
        "web1 ansible_user=-x",
        "-x",
        "web1 ansible_port=x",
        "a ansible_python_interpreter=-c",
    ],
)
def test_an_inventory_cannot_smuggle_an_option(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_ini(text, "f").vantages("all")


@pytest.mark.parametrize("text", ["[web:what]", "[:vars]", "web1 nothing", "web1 'x", "web[1:99999999]", "web[1:b]"])
def test_a_line_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_ini(text, "f")


def test_a_group_that_is_its_own_child_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="own child"):
        parse_ini("[a:children]\nb\n[b:children]\na\n", "f").members("a")


def test_an_unknown_group_names_the_known_ones() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_ini("[web]\nweb1\n", "f").members("wob")
    assert "web" in str(caught.value.hint)


def test_yaml_without_its_reader_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(CannotRunError) as caught:
        parse_yaml(YAML, "f")
    assert "netprobe-cli[yaml]" in str(caught.value.hint)
