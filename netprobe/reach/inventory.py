"""Ansible inventories: which hosts and groups there are, and how ssh logs in to them.

Where Ansible is installed, ``ansible-inventory --list`` reads them: it knows plugins, group_vars and vaults, and
reading those here would be a second Ansible. Elsewhere plain INI and YAML host lists are read, which is what most
inventories are; YAML needs PyYAML, which comes with the extra ``netprobe-cli[yaml]``.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.files import read_text
from netprobe.reach import programs
from netprobe.reach.ssh_arguments import parse_ssh_arguments
from netprobe.reach.vantages import Vantage, check_python, check_unique, parse_vantage, ssh_vantage, with_pythons

__all__ = [
    "ConnectionVariables",
    "Group",
    "Inventory",
    "parse_ini",
    "parse_list",
    "parse_yaml",
    "read_inventory",
    "select_vantages",
]

_WAIT_S: Final = 60
_OUTPUT_LIMIT: Final = 64 << 20  # bytes: 10,000 hosts with 6 KB of variables each
_MOST_HOSTS: Final = 10_000
_RANGE: Final = re.compile(r"\[([0-9]+|[a-z]|[A-Z]):([0-9]+|[a-z]|[A-Z])(?::([0-9]+))?\]")
_FORM: Final = "ansible_host, ansible_port and ansible_user are what ssh gets"


@dataclass(frozen=True, slots=True)
class ConnectionVariables:
    """The variables that say how ssh logs in, as written; None: not set here."""

    host: str | None = None
    port: str | None = None
    user: str | None = None
    python: str | None = None
    key_file: str | None = None
    arguments: str | None = None
    common_arguments: str | None = None
    extra_arguments: str | None = None

    @classmethod
    def from_variables(cls, variables: Mapping[str, object]) -> ConnectionVariables:
        """Those among all the variables of a host or group."""

        def text(*keys: str) -> str | None:
            found = (str(variables[key] or "") for key in keys if key in variables)
            return next(found, None)

        return cls(
            text("ansible_host", "ansible_ssh_host"),
            text("ansible_port", "ansible_ssh_port"),
            text("ansible_user", "ansible_ssh_user"),
            text("ansible_python_interpreter"),
            text("ansible_ssh_private_key_file", "ansible_private_key_file"),
            text("ansible_ssh_args"),
            text("ansible_ssh_common_args"),
            text("ansible_ssh_extra_args"),
        )

    def overridden_by(self, other: ConnectionVariables) -> ConnectionVariables:
        """What ``other`` sets, and for the rest what is set here."""
        set_there = {x.name: value for x in fields(other) if (value := getattr(other, x.name)) is not None}
        return replace(self, **set_there)

    def ssh_options(self, where: str) -> tuple[str, ...]:
        """The words for ssh, in Ansible's order. Of an option that is given twice ssh takes the first."""
        found = parse_ssh_arguments(self.arguments or "", f"{where}: ansible_ssh_args")
        if self.key_file:
            if not self.key_file.isprintable():
                raise InvalidInputError(f"{where}: ansible_ssh_private_key_file", "has unprintable characters")
            found += (f"-i{self.key_file}",)
        found += parse_ssh_arguments(self.common_arguments or "", f"{where}: ansible_ssh_common_args")
        return found + parse_ssh_arguments(self.extra_arguments or "", f"{where}: ansible_ssh_extra_args")


@dataclass(slots=True)
class Group:
    """The hosts and the groups that it names, and what its hosts inherit."""

    hosts: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    variables: ConnectionVariables = ConnectionVariables()


@dataclass(slots=True)
class Inventory:
    """Hosts and groups by their names, in the order of the file."""

    hosts: dict[str, ConnectionVariables] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    def group(self, name: str) -> Group:
        """The group of that name; a new one where there was none."""
        return self.groups.setdefault(name, Group())

    def add_host(self, name: str, variables: ConnectionVariables, group: str | None = None) -> None:
        """A host, or more about one that is known already."""
        self.hosts[name] = self.hosts.get(name, ConnectionVariables()).overridden_by(variables)
        if group is not None:
            self.group(group).hosts.append(name)

    def members(self, group: str) -> tuple[str, ...]:
        """All hosts of a group and its children, each once; ``all`` is every host."""
        return self._members(group, ())

    def _members(self, group: str, above: tuple[str, ...]) -> tuple[str, ...]:
        if group == "all":
            return tuple(self.hosts)
        if group in above:
            raise InvalidInputError(f"group {group}", "is its own child")
        if group not in self.groups:
            known = ", ".join(sorted({*self.groups, "all"}))
            raise InvalidInputError(f"group {group}", "the inventory has no such group", f"groups are {known}")
        found = list(self.groups[group].hosts)
        for child in self.groups[group].children:
            found += self._members(child, (*above, group))
        return tuple(dict.fromkeys(found))

    def all_members(self) -> dict[str, tuple[str, ...]]:
        """Every group with its members."""
        return {name: self.members(name) for name in ("all", *self.groups)}

    def vantages(self, group: str) -> tuple[Vantage, ...]:
        """The hosts of a group as ssh vantages, named as in the inventory."""
        inherited: dict[str, ConnectionVariables] = {}
        for name, members in self.all_members().items():
            if name in self.groups:
                for host in members:
                    before = inherited.get(host, ConnectionVariables())
                    inherited[host] = before.overridden_by(self.groups[name].variables)
        return tuple(
            _vantage(name, inherited.get(name, ConnectionVariables()).overridden_by(self.hosts[name]))
            for name in self.members(group)
        )


def _vantage(name: str, variables: ConnectionVariables) -> Vantage:
    """One host; an empty value counts as unset."""
    text = f"inventory host {name}"
    host, user, port = variables.host or name, variables.user or None, variables.port or None
    vantage = replace(ssh_vantage(host, user, port, variables.ssh_options(text), text=text, form=_FORM), name=name)
    if variables.python and not variables.python.startswith("auto"):
        check_python(variables.python)
        vantage = replace(vantage, python=variables.python)
    return vantage


def select_vantages(
    texts: Sequence[str], pythons: Sequence[str] = (), inventory: Inventory | None = None
) -> tuple[Vantage, ...]:
    """The vantages of ``--from`` and ``--python``, ``group:NAME`` taken from ``inventory``; each name once."""
    found: list[Vantage] = []
    for text in texts:
        if not text.startswith("group:"):
            found.append(parse_vantage(text))
        elif inventory is None:
            raise InvalidInputError(text, "a group needs an inventory", "--inventory FILE")
        else:
            names = {vantage.name for vantage in found}
            found += [x for x in inventory.vantages(text.removeprefix("group:")) if x.name not in names]
    if not found:
        raise InvalidInputError("--from", "names no vantage")
    check_unique(found)
    return with_pythons(found, pythons)


def read_inventory(path: Path) -> Inventory:
    """Read ``path``, by Ansible where it is installed."""
    if not path.exists():
        raise InvalidInputError(str(path), "no such inventory")
    program = shutil.which("ansible-inventory")
    if program is not None:
        return parse_list(_run_ansible_inventory(program, path), str(path))
    if path.is_dir() or path.stat().st_mode & 0o111:
        raise CannotRunError(str(path), "a directory or a program as inventory needs ansible-inventory")
    text = read_text(path)
    return parse_yaml(text, str(path)) if path.suffix in (".yml", ".yaml") else parse_ini(text, str(path))


def _run_ansible_inventory(program: str, path: Path) -> str:
    """What ``ansible-inventory --list`` prints: JSON."""
    command = [program, "--inventory", str(path.resolve()), "--list"]
    try:
        done = programs.run(command, _WAIT_S, _OUTPUT_LIMIT)
    except (OSError, ValueError, OverflowError) as error:
        raise CannotRunError("ansible-inventory", str(error)) from None
    if done.status != 0:
        why = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise InvalidInputError(str(path), f"ansible-inventory: {why or 'failed'}")
    return done.stdout.decode("utf-8", "replace")


def parse_list(text: str, name: str) -> Inventory:
    """Ansible's JSON: ``{"_meta": {"hostvars": …}, group: {"hosts": […], "children": […]}}``."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise CannotRunError("ansible-inventory", str(error)) from None
    if not isinstance(data, dict):
        raise InvalidInputError(name, "ansible-inventory did not print a JSON object")
    found = Inventory()
    for host, variables in data.get("_meta", {}).get("hostvars", {}).items():
        found.add_host(str(host), ConnectionVariables.from_variables(variables or {}))
    for group, entry in data.items():
        if group != "_meta" and isinstance(entry, dict):
            found.group(group).children += [str(child) for child in entry.get("children", ())]
            for host in entry.get("hosts", ()):
                found.add_host(str(host), ConnectionVariables(), group)
    return found


def parse_yaml(text: str, name: str) -> Inventory:
    """``all: {hosts: …, children: {web: {hosts: {web1: {…}}}}}``."""
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        hint = "pip install 'netprobe-cli[yaml]', or install Ansible, or write it as INI"
        raise CannotRunError(name, "a YAML inventory needs PyYAML", hint) from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(name, f"not YAML: {error}") from None
    if not isinstance(data, dict):
        raise InvalidInputError(name, "not a mapping of groups")
    found = Inventory()
    for group, entry in data.items():
        _add_yaml_group(found, str(group), entry or {}, name)
    return found


def _add_yaml_group(found: Inventory, group: str, entry: object, name: str) -> None:
    """A group with its hosts, its variables, and the groups inside it."""
    if not isinstance(entry, dict) or not all(isinstance(part, dict | None) for part in entry.values()):
        raise InvalidInputError(name, f"group {group} is not a mapping of hosts, children and vars")
    variables = ConnectionVariables.from_variables(entry.get("vars") or {})
    found.group(group).variables = found.group(group).variables.overridden_by(variables)
    for pattern, host_variables in (entry.get("hosts") or {}).items():
        for host in _expanded(str(pattern)):
            found.add_host(host, ConnectionVariables.from_variables(host_variables or {}), group)
    for child, inside in (entry.get("children") or {}).items():
        found.group(group).children.append(str(child))
        _add_yaml_group(found, str(child), inside or {}, name)


def parse_ini(text: str, name: str) -> Inventory:
    """The plain host list: ``[group]``, ``[group:children]``, ``[group:vars]``, ``web[1:9] ansible_port=2222``."""
    found = Inventory()
    group, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        where = f"{name}: line {number}"
        if line.startswith("[") and line.endswith("]") and not _RANGE.match(line):
            group, _, kind = line[1:-1].partition(":")
            kind = kind or "hosts"
            if kind not in ("hosts", "children", "vars") or not group:
                raise InvalidInputError(where, f"no such section: {line}")
            found.group(group)
        elif kind == "children":
            found.group(group).children.append(_split(line, where)[0])
        elif kind == "vars":
            key, _, value = line.partition("=")
            variables = ConnectionVariables.from_variables({key.strip(): value.strip().strip("'\"")})
            found.group(group).variables = found.group(group).variables.overridden_by(variables)
        else:
            _add_ini_hosts(found, group, _split(line, where), where)
    return found


def _split(line: str, where: str) -> list[str]:
    """The words of a line, a comment at its end left out."""
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise InvalidInputError(where, str(error).lower()) from None


def _add_ini_hosts(found: Inventory, group: str, words: Sequence[str], where: str) -> None:
    """A host, or a range of them, with its variables."""
    variables: dict[str, str] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidInputError(where, f"'{word}' is not key=value")
        variables[key] = value
    pattern, colon, port = words[0].rpartition(":")
    if colon and port.isdigit() and not pattern.endswith(("[", ":")) and pattern.count(":") == pattern.count("["):
        variables.setdefault("ansible_port", port)
    else:
        pattern = words[0]
    for host in _expanded(pattern):
        found.add_host(host, ConnectionVariables.from_variables(variables), group)


def _expanded(pattern: str) -> list[str]:
    """``web[01:12]``, ``db-[a:c]``, ``x[0:10:5]``: all the names."""
    part = _RANGE.search(pattern)
    if part is None:
        return [pattern]
    first, last, step = part[1], part[2], int(part[3] or 1) or 1
    if first.isdigit() != last.isdigit():
        raise InvalidInputError(pattern, "a range from a number to a letter")
    if first.isdigit():
        width = len(first) if first.startswith("0") else 0
        numbers = range(int(first), int(last) + 1, step)
        if len(numbers) > _MOST_HOSTS:
            raise InvalidInputError(pattern, f"more than {_MOST_HOSTS:,} hosts")
        middles = [f"{number:0{width}d}" for number in numbers]
    else:
        middles = [chr(number) for number in range(ord(first), ord(last) + 1, step)]
    return [host for m in middles for host in _expanded(pattern[: part.start()] + m + pattern[part.end() :])]
