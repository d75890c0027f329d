"""Ansible inventories: which hosts and groups there are, and how to get in.

``ansible-inventory --list`` is asked where Ansible is installed: it knows plugins, group_vars and vaults. Elsewhere
plain INI and YAML host lists are read here; YAML needs PyYAML, which comes with the extra ``netprobe-cli[fleet]``.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from netprobe.endpoints import parse_port
from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.reach.vantages import HOST, USER, Vantage, check_python, checked, ssh_way

__all__ = ["Inventory", "from_ini", "from_list", "read"]

WAIT_S = 60
MOST_HOSTS = 10_000
RANGE = re.compile(r"\[([0-9]+|[a-z]|[A-Z]):([0-9]+|[a-z]|[A-Z])(?::([0-9]+))?\]")
FORM = "ansible_host, ansible_port, ansible_user and ansible_python_interpreter are read"


@dataclass(slots=True)
class Inventory:
    """Hosts with their variables, groups with their hosts and children."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def members(self, group: str, above: tuple[str, ...] = ()) -> tuple[str, ...]:
        """All hosts of a group and its children, each once; ``all`` is every host."""
        if group == "all":
            return tuple(self.hosts)
        if group in above:
            raise InvalidInputError(f"group {group}", "is its own child")
        if group not in self.groups and group not in self.children:
            known = ", ".join(sorted({*self.groups, *self.children, "all"}))
            raise InvalidInputError(f"group {group}", "the inventory has no such group", f"groups are {known}")
        found = list(self.groups.get(group, ()))
        for child in self.children.get(group, ()):
            found += self.members(child, (*above, group))
        return tuple(dict.fromkeys(found))

    def all_groups(self) -> dict[str, tuple[str, ...]]:
        """Every group with its members."""
        return {name: self.members(name) for name in {**self.groups, **self.children, "all": None}}

    def vantages(self, group: str) -> tuple[Vantage, ...]:
        """The hosts of a group as ssh vantages, named as in the inventory."""
        return tuple(self._vantage(name) for name in self.members(group))

    def _vantage(self, name: str) -> Vantage:
        said: dict[str, Any] = {}
        for group in ("all", *(g for g in {**self.groups, **self.children} if name in self.members(g))):
            said |= self.variables.get(group, {})
        said |= self.hosts.get(name, {})
        host = str(said.get("ansible_host") or name)
        checked(HOST, f"[{host}]" if ":" in host else host, f"inventory host {name}", "host", FORM)
        user = str(said["ansible_user"]) if said.get("ansible_user") else None
        if user is not None:
            checked(USER, user, f"inventory host {name}", "user", FORM)
        port = str(said.get("ansible_port") or "")
        if port and parse_port(port) is None:
            raise InvalidInputError(f"inventory host {name}", f"'{port}' is no port", FORM)
        vantage = replace(ssh_way(host, user, int(port) if port else None), name=name)
        python = str(said.get("ansible_python_interpreter") or "")
        if python and not python.startswith("auto"):
            check_python(python)
            vantage = replace(vantage, python=python)
        return vantage


def read(path: Path) -> Inventory:
    """Read ``path``, by Ansible where it is installed."""
    if not path.exists():
        raise InvalidInputError(str(path), "no such inventory")
    program = shutil.which("ansible-inventory")
    if program is not None:
        return from_list(ask_ansible(program, path))
    if path.is_dir() or path.stat().st_mode & 0o111:
        raise CannotRunError(str(path), "a directory or a program as inventory needs ansible-inventory")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(str(path), f"cannot be read: {error}") from None
    if path.suffix in (".yml", ".yaml"):
        return from_yaml(text, str(path))
    return from_ini(text, str(path))


def ask_ansible(program: str, path: Path) -> Mapping[str, Any]:
    """What ``ansible-inventory --list`` prints."""
    try:
        done = subprocess.run(
            [program, "--inventory", str(path.resolve()), "--list"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise CannotRunError("ansible-inventory", str(error)) from None
    if not isinstance(found, dict):
        raise InvalidInputError(str(path), f"ansible-inventory: {done.stderr.strip()[-300:] or 'no list'}")
    return found


def from_list(data: Mapping[str, Any]) -> Inventory:
    """The JSON form: ``{"_meta": {"hostvars": …}, group: {"hosts": […], "children": […]}}``."""
    found = Inventory()
    found.hosts = {str(name): dict(said or {}) for name, said in data.get("_meta", {}).get("hostvars", {}).items()}
    for group, said in data.items():
        if group == "_meta" or not isinstance(said, dict):
            continue
        found.groups[group] = [str(name) for name in said.get("hosts", ())]
        found.children[group] = [str(name) for name in said.get("children", ())]
    for name in (name for names in found.groups.values() for name in names):
        found.hosts.setdefault(name, {})
    return found


def from_yaml(text: str, name: str) -> Inventory:
    """``all: {hosts: …, children: {web: {hosts: {web1: {…}}}}}``."""
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        hint = "pip install 'netprobe-cli[fleet]', or install Ansible, or write it as INI"
        raise CannotRunError(name, "a YAML inventory needs PyYAML", hint) from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(name, f"not YAML: {error}") from None
    found = Inventory()
    if not isinstance(data, dict):
        raise InvalidInputError(name, "not a mapping of groups")

    def take(group: str, said: Any) -> None:
        said = said or {}
        if not isinstance(said, dict) or not all(isinstance(x, dict | None) for x in said.values()):
            raise InvalidInputError(name, f"group {group} is not a mapping of hosts, children and vars")
        found.groups.setdefault(group, [])
        found.variables.setdefault(group, {}).update(said.get("vars") or {})
        for pattern, variables in (said.get("hosts") or {}).items():
            for host in expanded(str(pattern)):
                found.hosts.setdefault(host, {}).update(variables or {})
                found.groups[group].append(host)
        for child, inside in (said.get("children") or {}).items():
            found.children.setdefault(group, []).append(child)
            take(str(child), inside)

    for group, said in data.items():
        take(str(group), said)
    return found


def from_ini(text: str, name: str) -> Inventory:
    """The plain host list: ``[group]``, ``[group:children]``, ``[group:vars]``, ``web[1:9] ansible_port=2222``."""
    found = Inventory()
    group, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        where = f"{name}: line {number}"
        if line.startswith("[") and line.endswith("]") and not RANGE.match(line):
            group, _, kind = line[1:-1].partition(":")
            kind = kind or "hosts"
            if kind not in ("hosts", "children", "vars") or not group:
                raise InvalidInputError(where, f"no such section: {line}")
            found.groups.setdefault(group, [])
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise InvalidInputError(where, str(error).lower()) from None
        if kind == "children":
            found.children.setdefault(group, []).append(words[0])
        elif kind == "vars":
            key, _, value = line.partition("=")
            found.variables.setdefault(group, {})[key.strip()] = value.strip().strip("'\"")
        else:
            hosts_line(found, group, words, where)
    return found


def hosts_line(found: Inventory, group: str, words: Sequence[str], where: str) -> None:
    """A host, or a range of them, with its variables."""
    variables: dict[str, str] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidInputError(where, f"'{word}' is no key=value")
        variables[key] = value
    pattern, colon, port = words[0].rpartition(":")
    if colon and port.isdigit() and not pattern.endswith(("[", ":")) and pattern.count(":") == pattern.count("["):
        variables.setdefault("ansible_port", port)
    else:
        pattern = words[0]
    for host in expanded(pattern):
        found.hosts.setdefault(host, {}).update(variables)
        found.groups.setdefault(group, []).append(host)


def expanded(pattern: str) -> list[str]:
    """``web[01:12]``, ``db-[a:c]``, ``x[0:10:5]``: all the names."""
    part = RANGE.search(pattern)
    if part is None:
        return [pattern]
    first, last, step = part[1], part[2], int(part[3] or 1) or 1
    if first.isdigit() != last.isdigit():
        raise InvalidInputError(pattern, "a range from a number to a letter")
    if first.isdigit():
        width = len(first) if first.startswith("0") else 0
        numbers = range(int(first), int(last) + 1, step)
        if len(numbers) > MOST_HOSTS:
            raise InvalidInputError(pattern, f"more than {MOST_HOSTS:,} hosts")
        middles = [f"{number:0{width}d}" for number in numbers]
    else:
        middles = [chr(number) for number in range(ord(first), ord(last) + 1, step)]
    return [host for m in middles for host in expanded(pattern[: part.start()] + m + pattern[part.end() :])]
