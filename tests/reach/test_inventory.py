"""Ansible inventories: the three readers agree, and what is wrong is refused."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.prober import bundle
from netprobe.reach.formats import ExcessError
from netprobe.reach.inventory import Inventory, _split, parse_ini, parse_list, parse_yaml, read_inventory

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


@settings(deadline=None)
@given(st.text("ab'\"\\# \t=", min_size=1))
def test_a_line_is_split_as_a_shell_would(line: str) -> None:
    try:
        wanted = shlex.split(line, comments=True)
    except ValueError:
        wanted = []
    if wanted and wanted[0]:
        assert _split(line, "f") == wanted
    else:
        with pytest.raises(InvalidInputError):
            _split(line, "f")


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("web", ["web"]),
        ("web[8:10]", ["web8", "web9", "web10"]),
        ("web[08:10].x", ["web08.x", "web09.x", "web10.x"]),
        ("x[0:10:5]", ["x0", "x5", "x10"]),
        ("[a:c]", ["a", "b", "c"]),
        ("[y:B]", ["y", "z", "A", "B"]),
        ("[a:b][1:2]", ["a1", "a2", "b1", "b2"]),
    ],
)
def test_ranges_are_counted_as_ansible_does(pattern: str, hosts: list[str]) -> None:
    assert list(parse_ini(pattern, "f").hosts) == hosts
    assert list(parse_yaml(f'all: {{hosts: {{"{pattern}": }}}}', "f").hosts) == hosts


def diamond(layers: int) -> str:
    pairs = (f"[l{n}:children]\nl{n + 1}\nm{n + 1}\n[m{n}:children]\nl{n + 1}\nm{n + 1}\n" for n in range(layers))
    return "".join(pairs) + f"[l{layers}]\nh\n[m{layers}]\nh\n"


def bomb() -> str:
    layers = (f"a{n}: &a{n} {{children: {{{', '.join(f'c{i}: *a{n - 1}' for i in range(9))}}}}}\n" for n in range(1, 9))
    return "a0: &a0 {hosts: {h1: {}}}\n" + "".join(layers)


EXCESS: dict[str, tuple[Callable[[str, str], Inventory], Callable[[], str]]] = {
    "a range": (parse_ini, lambda: "web[1:999999999]"),
    "digits": (parse_ini, lambda: f"web[0:{'9' * 200}]"),
    "a width": (parse_ini, lambda: f"web[{'0' * 200}1:2]"),
    "a step": (parse_ini, lambda: f"web[1:2:{'9' * 200}]"),
    "ranges of ranges": (parse_ini, lambda: "web[1:9999][1:9999][1:9999]"),
    "letters of letters": (parse_yaml, lambda: "g: {hosts: {'[a:z][a:z][a:z][a:z]': }}"),
    "ranges again and again": (parse_ini, lambda: "web[1:9999]\n" * 100),
    "hosts": (parse_ini, lambda: "h\n" * 200_000),
    "groups": (parse_ini, lambda: "".join(f"[g{n}]\n" for n in range(200_000))),
    "lines": (parse_ini, lambda: "#\n" * 1_000_000),
    "quotes": (parse_ini, lambda: "h" + "''" * 1_000_000),
    "size": (parse_ini, lambda: " " * (9 << 20)),
    "members": (parse_ini, lambda: "[a]\nh[1:90000]\n" + "".join(f"[b{n}:children]\na\n" for n in range(20))),
    "paths": (parse_ini, lambda: diamond(40)),
    "a chain, from above": (parse_ini, lambda: "".join(f"[g{n}:children]\ng{n + 1}\n" for n in range(999)) + "[g999]"),
    "a chain, from below": (
        parse_ini,
        lambda: "[g0]\n" + "".join(f"[g{n + 1}:children]\ng{n}\n" for n in range(999)),
    ),
    "aliases": (parse_yaml, bomb),
}


@pytest.mark.parametrize("what", EXCESS)
def test_what_is_too_much_is_refused_before_it_costs_anything(what: str) -> None:
    parse, make = EXCESS[what]
    with pytest.raises(ExcessError):
        parse(make(), "f").check()


WRONG_INI = ["[a:children]\nb\n[b:children]\na\n", "[a:children]\na", "[a:children]\nnone", "''", '"', "a\\"]
WRONG_INI += ["x" * 300, "[" + "x" * 300 + "]", "web[9:1]", "web[b:a]", "h " + "a=b " * 100_000]
WRONG_YAML = ["", "1", "[]", "a: 1", "a: {hosts: 1}", "a: {hosts: {h: 1}}", "a: {hosts: [h]}", "a: {children: [b]}"]
WRONG_YAML += ["a: {hosts: {h: {ansible_port: [1]}}}", "a: {vars: {ansible_user: {b: c}}}", "a: {vars: [b]}"]
WRONG_YAML += ["? [a]\n: b", "a: {children: {a: }}", "a: {children: {b: {children: {a: }}}}", "a: {other: 1}"]
WRONG_LIST = ["", "[]", "1", "{", '{"_meta": 1}', '{"_meta": {"hostvars": []}}', '{"_meta": {"hostvars": {"h": 1}}}']
WRONG_LIST += [
    '{"a": 1}',
    '{"a": {"hosts": "h"}}',
    '{"a": {"hosts": [1]}}',
    '{"a": {"children": {}}}',
    '{"a":' * 99_999,
]
WRONG_LIST += [
    '{"_meta": {"hostvars": {"h": {"ansible_host": {}}}}}',
    '{"a": 1' + "0" * 9999,
]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_ini, text) for text in WRONG_INI),
        *((parse_yaml, text) for text in WRONG_YAML),
        *((parse_list, text) for text in WRONG_LIST),
    ],
)
def test_an_inventory_that_is_wrong_is_refused_in_a_line(parse: Callable[[str, str], Inventory], text: str) -> None:
    with pytest.raises((InvalidInputError, CannotRunError)) as caught:
        parse(text, "f").check()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_groups_that_meet_again_have_each_member_once() -> None:
    found = parse_ini(diamond(10), "f")
    found.check()
    assert found.members("l0") == ("h",)


def test_no_host_of_an_inventory_is_this_host() -> None:
    with pytest.raises(InvalidInputError, match="local is this host"):
        parse_ini("local", "f").vantages("all")


@pytest.mark.parametrize("text", [INI, YAML])
def test_an_inventory_out_of_a_pipe_is_read_without_ansible(text: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text, "utf-8"))
    writer.start()
    found = read_inventory(tmp_path / "pipe")
    writer.join()
    assert sorted(found.members("prod")) == sorted(PROD)


@pytest.fixture
def ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a shell script in the place of ansible-inventory, and makes an inventory that only it can read."""

    def make(script: str) -> Path:
        program = tmp_path / "bin" / "ansible-inventory"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        (tmp_path / "hosts").write_text("[web]\nonly ansible's\n", "utf-8")
        return tmp_path / "hosts"

    return make


def test_what_only_ansible_understands_is_what_ansible_says(ansible: Callable[[str], Path]) -> None:
    said = json.dumps({"_meta": {"hostvars": {"h": {"ansible_port": 22}}}, "web": {"hosts": ["h"]}})
    assert read_inventory(ansible(f"echo '{said}'")).members("web") == ("h",)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no >&2; exit 1", "hosts: line 2: no closing quotation"),
        ("cat /dev/zero", "ansible-inventory: more than"),
        ("sleep 1000 & echo $! >&2; echo {; kill -9 $$", "ansible-inventory: no end within 1 s"),
        ("printf '\\377'", "ansible-inventory: 'utf-8' codec can't decode"),
        ("echo '[1]'", "hosts: ansible-inventory printed something else"),
    ],
)
def test_an_ansible_that_goes_wrong_is_one_line(
    script: str, why: str, ansible: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netprobe.reach.inventory._WAIT_S", 1)
    with pytest.raises((InvalidInputError, CannotRunError)) as caught:
        read_inventory(ansible(script))
    assert why in str(caught.value)


def test_what_ansible_started_is_gone_when_the_inventory_is_read(
    ansible: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netprobe.reach.inventory._WAIT_S", 1)
    with pytest.raises(CannotRunError):
        read_inventory(ansible(f"sleep 1000 & echo $! >{tmp_path}/pid; wait"))
    pid = int((tmp_path / "pid").read_text("utf-8"))
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").split()[2] != "Z"  # killed; init has yet to notice
    except FileNotFoundError:
        return False


def test_a_file_that_is_too_much_is_not_given_to_ansible(ansible: Callable[[str], Path], tmp_path: Path) -> None:
    path = ansible(f"touch {tmp_path}/asked; echo '{{}}'")
    path.write_text(diamond(40), "utf-8")
    with pytest.raises(ExcessError):
        read_inventory(path)
    assert not (tmp_path / "asked").exists()


def unreadable(kind: str, path: Path) -> Path:
    """A path of which nothing can be read, to somebody who would wait for it."""
    if kind in ("/proc/kmsg", "/dev", "/proc"):
        if not Path(kind).exists():
            pytest.skip(f"no {kind} here")
        return Path(kind)
    path.write_text("web1\n", "utf-8")
    if kind == "no right":
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("root may read any file")
        return path
    if kind == "bytes":
        path.write_bytes(b"\xff\xfe")
        return path
    directory = path.with_name("directory")
    (directory / "inside").mkdir(parents=True)
    if kind == "FIFO":
        os.mkfifo(directory / "inside" / "pipe")
    elif kind == "device":
        (directory / "inside" / "zero").symlink_to("/dev/zero")
    elif kind == "loop":
        (directory / "inside" / "a").symlink_to(directory)
        (directory / "inside" / "b").symlink_to(directory)
    elif kind == "large":
        for number in range(3):
            with (directory / "inside" / str(number)).open("wb") as file:
                file.truncate(8 << 20)
    return directory


@pytest.mark.parametrize(
    "kind", ["/proc/kmsg", "/dev", "/proc", "no right", "bytes", "FIFO", "device", "loop", "large"]
)
def test_what_cannot_be_read_is_not_given_to_ansible(kind: str, ansible: Callable[[str], Path], tmp_path: Path) -> None:
    path = unreadable(kind, ansible(f"touch {tmp_path}/asked; echo '{{}}'"))
    with pytest.raises((InvalidInputError, CannotRunError)):
        read_inventory(path)
    assert not (tmp_path / "asked").exists()


def test_a_directory_is_what_ansible_says(ansible: Callable[[str], Path], tmp_path: Path) -> None:
    said = json.dumps({"_meta": {"hostvars": {"h": {}}}, "web": {"hosts": ["h"]}})
    ansible(f"echo '{said}'")
    directory = tmp_path / "inventory"
    (directory / "host_vars").mkdir(parents=True)
    (directory / "hosts").symlink_to(tmp_path / "hosts")
    (directory / "host_vars" / "h.yml").write_text("a: 1\n", "utf-8")
    assert read_inventory(directory).members("web") == ("h",)


def test_a_group_that_ansible_lists_nowhere_but_as_a_child_is_empty() -> None:
    listed = '{"_meta": {"hostvars": {"h": {}}}, "all": {"children": ["ungrouped", "web"]}, "web": {"hosts": ["h"]}}'
    members = parse_list(listed, "f").all_members()
    assert (members["ungrouped"], members["web"]) == ((), ("h",))
