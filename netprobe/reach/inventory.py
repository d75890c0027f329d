"""Ansible inventories: which hosts and groups there are, and how ssh logs in to them.

Where Ansible is installed, ``ansible-inventory --list`` reads them: it knows plugins, group_vars and vaults, and
reading those here would be a second Ansible. Elsewhere plain INI and YAML host lists are read, which is what most
inventories are; YAML needs PyYAML, which comes with the extra ``netprobe-cli[yaml]``.

A few characters can stand for any number of hosts (``[1:9999][1:9999]``), of groups (nine aliases of nine aliases) or
of paths between groups (forty pairs of groups, each with the next pair as its children). So what a file names is
counted while it is read, and it is read here before Ansible gets it: ansible-inventory follows every path. What is no
regular file, such as ``<(command)``, is read here only: a program that is started has no such descriptor.

Nor does Ansible get what cannot be read: it would wait for ``/proc/kmsg``, or a FIFO somewhere in a directory, until
its time is up. Of a directory it reads all that is in it, so all of that is read here first.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import shutil
import stat
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final

from netprobe.errors import CannotRunError, InvalidInputError, NetprobeError
from netprobe.files import LONGEST_FILE, read_bytes, read_text
from netprobe.reach import programs
from netprobe.reach.formats import ExcessError, load_json, load_yaml, shown
from netprobe.reach.ssh_arguments import parse_ssh_arguments
from netprobe.reach.vantages import LOCAL, Vantage, check_python, check_unique, parse_vantage, ssh_vantage, with_pythons

__all__ = [
    "Inventory",
    "parse_ini",
    "parse_list",
    "parse_yaml",
    "read_inventory",
    "select_vantages",
]

_WAIT_S: Final = 60
_OUTPUT_LIMIT: Final = 16 << 20  # bytes of what ansible-inventory prints
_MOST_NAMES: Final = 100_000  # of hosts and groups, each as often as it is named
_MOST_MEMBERS: Final = 1_000_000  # of all groups together; 10,000 hosts in ten groups each are a tenth of that
_MOST_LEVELS: Final = 64  # of groups in groups
_MOST_PATHS: Final = 10_000  # from groups down to groups; ansible-inventory takes 0.2 s for as many
_MOST_FILES: Final = 10_000  # in a directory: one for the variables of each host
_MOST_LINES: Final = 250_000
_LONGEST_INI: Final = 8 << 20
_MOST_QUOTES: Final = 500_000
_LONGEST_LINE: Final = 64 << 10
_LONGEST_NAME: Final = 255  # of a host or a group: RFC 1035, section 2.3.4
_LONGEST_NUMBER: Final = 9  # digits
_SPECIAL: Final = "\"'\\#"
_PLAIN_WORD: Final = re.compile(r"[^ \t\r]++")
# A word of a line in parts, as shlex.split has it, which takes 1 us for each character.
_PART: Final = re.compile(
    r"""(?P<space>[ \t\r]++)|(?P<bare>[^ \t\r"'\\#]++)|"(?P<double>(?:[^"\\]++|\\.)*+)"|'(?P<single>[^']*+)'"""
    r"""|\\(?P<one>.)|(?P<comment>\#)""",
    re.DOTALL,
)
_FIRST_LINE: Final = re.compile(r"^[ \t]*+[^\s#;].*+", re.MULTILINE)  # that says something
_YAML_LINE: Final = re.compile(r"---.*|\{.*|[^\[#]*:[ \t]*(?:#.*)?")
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
            key = next((key for key in keys if key in variables), None)
            if key is None:
                return None
            value = variables[key]
            if isinstance(value, dict | list):
                raise InvalidInputError(key, "must be one value")
            return str(value or "")

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
    name: str = "the inventory"
    _named: int = 0

    def group(self, name: str) -> Group:
        """The group of that name; a new one where there was none."""
        return self.groups.setdefault(name, Group())

    def add_host(self, name: str, variables: ConnectionVariables, group: str | None = None) -> None:
        """A host, or more about one that is known already."""
        self.count(name)
        self.hosts[name] = self.hosts.get(name, ConnectionVariables()).overridden_by(variables)
        if group is not None:
            self.group(group).hosts.append(name)

    def count(self, name: str) -> None:
        """A host or a group was named: refuse a name that cannot be one, and one too many."""
        if len(name) > _LONGEST_NAME:
            raise InvalidInputError(shown(name), f"a name longer than {_LONGEST_NAME} characters")
        self._named += 1
        if self._named > _MOST_NAMES:
            raise ExcessError(self.name, f"names more than {_MOST_NAMES:,} hosts and groups")

    def check(self) -> None:
        """Refuse groups that contain themselves, or meet again so often that following them has no end."""
        self.all_members()
        known: dict[str, tuple[int, int]] = {}
        for name in self.groups:
            paths, levels = self._paths(name, known)
            if levels > _MOST_LEVELS:
                raise ExcessError(f"group {name}", f"has more than {_MOST_LEVELS} groups inside each other")
            if paths > _MOST_PATHS:
                raise ExcessError(f"group {name}", f"more than {_MOST_PATHS:,} paths lead to groups in it")

    def _paths(self, group: str, known: dict[str, tuple[int, int]]) -> tuple[int, int]:
        """How many paths lead down from a group, and the length of the longest one."""
        if group not in known:
            children = self.groups[group].children if group in self.groups else ()
            below = [self._paths(child, known) for child in children]
            known[group] = (1 + sum(paths for paths, _ in below), 1 + max((levels for _, levels in below), default=0))
        return known[group]

    def members(self, group: str) -> tuple[str, ...]:
        """All hosts of a group and its children, each once; ``all`` is every host."""
        return _Members(self).of(group)

    def all_members(self) -> dict[str, tuple[str, ...]]:
        """Every group with its members."""
        members = _Members(self)
        return {name: members.of(name) for name in ("all", *self.groups)}

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


class _Members:
    """Who belongs to which group, found once for each."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[str, tuple[str, ...]] = {}
        self._left = _MOST_MEMBERS

    def of(self, group: str, above: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The members of a group that was met as a child of ``above``."""
        if group in above:
            raise InvalidInputError(f"group {group}", "is its own child")
        if group in self._known:
            return self._known[group]
        if len(above) > _MOST_LEVELS:
            raise ExcessError(f"group {group}", f"is in more than {_MOST_LEVELS} groups inside each other")
        entry = self._inventory.groups.get(group)
        if entry is None and group != "all":
            known = sorted({*self._inventory.groups, "all"})
            listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
            what = f"group {group[:_LONGEST_NAME]}"
            raise InvalidInputError(what, "the inventory has no such group", f"groups are {listed}")
        found = dict.fromkeys(entry.hosts if entry else ())
        for child in entry.children if entry else ():
            found.update(dict.fromkeys(self.of(child, (*above, group))))
        self._left -= len(found)
        if self._left < 0:
            raise ExcessError(self._inventory.name, f"its groups have more than {_MOST_MEMBERS:,} members together")
        self._known[group] = tuple(self._inventory.hosts if group == "all" else found)
        return self._known[group]


def _vantage(name: str, variables: ConnectionVariables) -> Vantage:
    """One host; an empty value counts as unset."""
    text = f"inventory host {name}"
    if name == LOCAL:
        raise InvalidInputError(text, "local is this host", "rename it in the inventory")
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


def read_inventory(path: Path, *, by_ansible: bool = True) -> Inventory:
    """Read ``path``, by Ansible where it is installed, unless no program may be started for it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InvalidInputError(str(path), "no such inventory") from None
    except (OSError, ValueError) as error:
        raise InvalidInputError(str(path), getattr(error, "strerror", None) or "not a file's name") from None
    program = shutil.which("ansible-inventory") if by_ansible else None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return _parse(read_text(path), path)
    if stat.S_ISDIR(mode) or mode & 0o111:
        if program is None:
            raise CannotRunError(str(path), "a directory or a program as inventory needs ansible-inventory")
        if stat.S_ISDIR(mode):
            _check_directory(path)
        return _read_by_ansible(program, path)
    text = read_text(path)
    try:
        found = _parse(text, path)
    except ExcessError:
        raise
    except NetprobeError as error:  # Ansible may know more forms
        if program is None:
            raise
        return _read_by_ansible(program, path, error)
    return found if program is None else _read_by_ansible(program, path)


def _check_directory(path: Path) -> None:
    """Refuse a directory with anything in it that is no file, cannot be read, or is too much."""
    directories, files, size = [path], 0, 0
    while directories:
        directory = directories.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    files += 1
                    if files > _MOST_FILES:
                        raise ExcessError(str(path), f"has more than {_MOST_FILES:,} files")
                    inside = Path(entry.path)
                    if entry.is_dir():
                        directories.append(inside)
                        continue
                    if not entry.is_file():
                        raise InvalidInputError(entry.path, "is no file, and in the directory of an inventory")
                    size += len(read_bytes(inside))
                    if size > LONGEST_FILE:
                        raise ExcessError(str(path), f"its files have more than {LONGEST_FILE >> 20} MiB")
        except OSError as error:
            raise InvalidInputError(str(directory), error.strerror or str(error)) from None


def _parse(text: str, path: Path) -> Inventory:
    """What a file says: YAML if it is called so or looks like it, else INI."""
    name = str(path)
    first = _FIRST_LINE.search(text)
    is_yaml = path.suffix in (".yml", ".yaml", ".json") or (first and _YAML_LINE.fullmatch(first[0].strip()))
    found = parse_yaml(text, name) if is_yaml else parse_ini(text, name)
    found.check()
    return found


def _read_by_ansible(program: str, path: Path, refused: NetprobeError | None = None) -> Inventory:
    """What ``ansible-inventory --list`` says; ``refused`` is why the file could not be read here.

    It is told to fail where it understands nothing: by default it then lists no hosts, and says that all is well.
    """
    command = ["env", "ANSIBLE_INVENTORY_UNPARSED_FAILED=True", program, "--inventory", str(path.resolve()), "--list"]
    try:
        done = programs.run(command, _WAIT_S, _OUTPUT_LIMIT)
        text = done.stdout.decode("utf-8")
    except (OSError, ValueError, OverflowError) as error:
        raise CannotRunError("ansible-inventory", str(error)) from None
    if done.status == 0:
        found = parse_list(text, str(path))
        found.check()
        return found
    if refused is not None:
        raise refused
    why = " ".join(done.stderr[-300:].decode("utf-8", "replace").split())
    raise InvalidInputError(str(path), f"ansible-inventory: {why or 'failed'}")


def parse_list(text: str, name: str) -> Inventory:
    """Ansible's JSON: ``{"_meta": {"hostvars": …}, group: {"hosts": […], "children": […]}}``."""
    try:
        data = load_json(text, "ansible-inventory", values=100)
    except InvalidInputError as error:
        raise CannotRunError(error.what, error.why) from None
    found = Inventory(name=name)
    hosts = _mapping(_mapping(_mapping(data, name).get("_meta"), name).get("hostvars"), name)
    for host, variables in hosts.items():
        found.add_host(host, ConnectionVariables.from_variables(_mapping(variables, name)))
    for group, value in _mapping(data, name).items():
        if group == "_meta":
            continue
        entry = _mapping(value, name)
        found.count(group)
        found.group(group).children += _names(entry.get("children"), name)
        for host in _names(entry.get("hosts"), name):
            found.add_host(host, ConnectionVariables(), group)
    for child in [child for entry in found.groups.values() for child in entry.children]:
        found.group(child)  # one without members, such as "ungrouped", has no entry of its own
    return found


def _mapping(value: object, name: str) -> Mapping[str, object]:
    """What ansible-inventory prints as an object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInputError(name, "ansible-inventory printed something else than hosts and groups")
    return value


def _names(value: object, name: str) -> list[str]:
    """What ansible-inventory prints as a list of names."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidInputError(name, "ansible-inventory printed something else than hosts and groups")
    return value


def parse_yaml(text: str, name: str) -> Inventory:
    """``all: {hosts: …, children: {web: {hosts: {web1: {…}}}}}``."""
    data = load_yaml(text, name)
    if not isinstance(data, dict):
        raise InvalidInputError(name, "not a mapping of groups")
    found = Inventory(name=name)
    looked_at: set[int] = (
        set()
    )  # by id(): an alias is the same mapping again, as often as a file likes, in 4 bytes each
    for group, entry in data.items():
        _add_yaml_group(found, group, entry, name, looked_at)
    return found


def _add_yaml_group(found: Inventory, group: str, entry: object, name: str, looked_at: set[int]) -> None:
    """A group with its hosts, its variables, and the groups inside it; none of them contains itself."""
    found.count(group)
    entry = entry or {}
    if not isinstance(entry, dict) or not (
        id(entry) in looked_at or all(isinstance(part, dict | None) for part in entry.values())
    ):
        raise InvalidInputError(name, f"group {shown(group)[1:-1]} is not a mapping of hosts, children and vars")
    looked_at.add(id(entry))
    variables = ConnectionVariables.from_variables(entry.get("vars") or {})
    found.group(group).variables = found.group(group).variables.overridden_by(variables)
    for pattern, given in (entry.get("hosts") or {}).items():
        if not isinstance(given, dict | None):
            raise InvalidInputError(name, f"host {shown(pattern)[1:-1]} is not a mapping of variables")
        for host in _expanded(pattern):
            found.add_host(host, ConnectionVariables.from_variables(given or {}), group)
    for child, inside in (entry.get("children") or {}).items():
        found.group(group).children.append(child)
        _add_yaml_group(found, child, inside, name, looked_at)


def parse_ini(text: str, name: str) -> Inventory:
    """The plain host list: ``[group]``, ``[group:children]``, ``[group:vars]``, ``web[1:9] ansible_port=2222``."""
    if len(text) > _LONGEST_INI:
        raise ExcessError(name, f"larger than {_LONGEST_INI >> 20} MiB")
    if text.count("\n") > _MOST_LINES:
        raise ExcessError(name, f"has more than {_MOST_LINES:,} lines")
    if sum(map(text.count, _SPECIAL)) > _MOST_QUOTES:
        raise ExcessError(name, f"has more than {_MOST_QUOTES:,} quotes, backslashes and comments")
    found = Inventory(name=name)
    group, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        where = f"{name}: line {number}"
        if len(line) > _LONGEST_LINE:
            raise InvalidInputError(where, f"longer than {_LONGEST_LINE >> 10} KiB")
        if line.startswith("[") and line.endswith("]") and not _RANGE.match(line):
            group, _, kind = line[1:-1].partition(":")
            kind = kind or "hosts"
            if kind not in ("hosts", "children", "vars") or not group:
                raise InvalidInputError(where, f"no such section: {shown(line)[1:-1]}")
            found.count(group)
            found.group(group)
        elif kind == "children":
            child = _split(line, where)[0]
            found.count(child)
            found.group(group).children.append(child)
        elif kind == "vars":
            key, _, value = line.partition("=")
            variables = ConnectionVariables.from_variables({key.strip(): value.strip().strip("'\"")})
            found.group(group).variables = found.group(group).variables.overridden_by(variables)
        else:
            _add_ini_hosts(found, group, _split(line, where), where)
    return found


def _split(line: str, where: str) -> list[str]:
    """The words of a line, at least one, as a shell would split it, without a comment at its end."""
    if not any(character in line for character in _SPECIAL) and (found := _PLAIN_WORD.findall(line)):
        return found
    words: list[str] = []
    word: str | None = None
    at = 0
    while at < len(line):
        part = _PART.match(line, at)
        if part is None:
            raise InvalidInputError(where, "no escaped character" if line[at] == "\\" else "no closing quotation")
        at = part.end()
        if part.lastgroup == "comment":
            break
        if part.lastgroup == "space":
            words += [] if word is None else [word]
            word = None
        else:
            text = part[part.lastgroup or 0]
            word = (word or "") + (re.sub(r'\\(["\\])', r"\1", text) if part.lastgroup == "double" else text)
    words += [] if word is None else [word]
    if not words or not words[0]:
        raise InvalidInputError(where, "names nothing")
    return words


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
    """``web[01:12]``, ``db-[a:c]``, ``x[0:10:5]``: all the names, the last range the fastest."""
    if len(pattern) > _LONGEST_NAME:
        raise InvalidInputError(shown(pattern), f"a name longer than {_LONGEST_NAME} characters")
    parts: list[Sequence[str]] = []
    at = 0
    for part in _RANGE.finditer(pattern):
        parts += [(pattern[at : part.start()],), _range(part[1], part[2], part[3] or "1", pattern)]
        if math.prod(map(len, parts)) > _MOST_NAMES:
            raise ExcessError(pattern, f"more than {_MOST_NAMES:,} hosts")
        at = part.end()
    return ["".join(words) for words in itertools.product(*parts, (pattern[at:],))]


def _range(first: str, last: str, step: str, pattern: str) -> Sequence[str]:
    """The numbers or the letters of one range."""
    if max(len(first), len(last), len(step)) > _LONGEST_NUMBER:
        raise ExcessError(pattern, f"a range with a number of more than {_LONGEST_NUMBER} digits")
    if first.isdigit() != last.isdigit():
        raise InvalidInputError(pattern, "a range from a number to a letter")
    if first.isdigit():
        numbers = range(int(first), int(last) + 1, int(step) or 1)
        if len(numbers) > _MOST_NAMES:
            raise ExcessError(pattern, f"more than {_MOST_NAMES:,} hosts")
        width = len(first) if first.startswith("0") else 0
        found = [f"{number:0{width}d}" for number in numbers]
    else:
        letters = string.ascii_letters  # a to z, then A to Z: as Ansible counts
        found = list(letters[letters.index(first) : letters.index(last) + 1 : int(step) or 1])
    if not found:
        raise InvalidInputError(pattern, "a range that ends before it begins")
    return found
