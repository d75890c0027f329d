"""What the values of options can be, for the Tab key: addresses, interfaces, vantages, hosts, containers, kinds.

A completion has to be there before the next key press, and must never say anything: a broken file, a missing program
or one that does not answer within a second means fewer suggestions, not a message in the middle of somebody's command
line. Nothing is asked over a network; kubectl, which would, is left to its own completion.

What a name stands for is not known: a container, a namespace or a host of ssh may be called ``$(reboot)``, and what
Tab has written, Enter runs. Quoting differs from shell to shell and from place to place in a line, so a name that would
need it is not suggested; it can still be typed. Files are left to the shell, which quotes them itself.

Each function has click's signature for ``shell_complete``; what it returns need not start with ``incomplete``,
:func:`_matching` sees to that.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

__all__ = ["addresses", "destinations", "interfaces", "kinds", "pythons", "vantages"]

_NAMESPACES: Final = Path("/run/netns")  # ip-netns(8)
_PROGRAM_S: Final = 1.0
_MOST_BYTES: Final = 1 << 20
_PLAIN: Final = re.compile(r"[\w.:/@%+=-]+")  # means itself in bash, zsh and fish, wherever it stands in a word
_HASHED: Final = "|1|"  # sshd(8), SSH_KNOWN_HOSTS FILE FORMAT

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def addresses(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """This host's addresses and both wildcards."""
    return _matching(_own_addresses(), incomplete)


def destinations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Hosts that ssh knows, and this host's addresses."""
    return _matching([*_own_addresses(wildcards=False), *((host, "") for host in _ssh_hosts())], incomplete)


def interfaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """This host's interfaces."""
    import socket

    try:
        return _matching(((name, "") for _, name in socket.if_nameindex()), incomplete)
    except (OSError, AttributeError):
        return []


def kinds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The kinds of addresses, and the other predicates of ``--is``."""
    from netprobe.address.predicates import words

    return _matching(((word.word, word.meaning) for word in words()), incomplete)


def pythons(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, as far as they are here."""
    return [CompletionItem(incomplete, type="file")]


def vantages(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """``local``, and what there is of each kind; a name in front (``web=ssh:…``) stays."""
    name, separator, given = incomplete.rpartition("=")
    kind, colon, _ = given.partition(":")
    if not colon:
        forms = [
            ("local", "this host"),
            ("netns:", "a network namespace"),
            ("ssh:", "a host"),
            ("docker:", "a container"),
        ]
        forms += [
            ("podman:", "a container"),
            ("kubectl:", "a pod"),
            ("exec:", "any command"),
            ("group:", "an inventory's"),
        ]
        found: Iterable[tuple[str, str]] = forms
    else:
        values = _VALUES.get(kind, _nothing)(ctx)
        found = ((f"{kind}:{value}", "") for value in values if not value.startswith("-"))
    return _matching(((name + separator + value, text) for value, text in found), incomplete)


def _nothing(ctx: click.Context) -> Iterator[str]:
    return iter(())


def _matching(values: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(value, help=text or None)
        for value, text in dict(values).items()
        if value.startswith(incomplete) and value[0] != "-" and _PLAIN.fullmatch(value)
    ]


def _own_addresses(*, wildcards: bool = True) -> Iterator[tuple[str, str]]:
    """Each with its interface."""
    from netprobe import api
    from netprobe.errors import NetprobeError

    try:
        for interface in api.local_interfaces():
            for address in interface.addresses:
                zone = f"%{interface.name}" if address.kind == "link-local" and ":" in address.address else ""
                yield address.address + zone, interface.name
    except (NetprobeError, OSError):
        pass
    if wildcards:
        yield "0.0.0.0", "every IPv4 address"
        yield "::", "every address"
        yield "localhost", "whatever it is here"


def _namespaces(ctx: click.Context) -> Iterator[str]:
    try:
        yield from sorted(entry.name for entry in _NAMESPACES.iterdir())
    except OSError:
        return


def _ssh_hosts(ctx: click.Context | None = None) -> Iterator[str]:
    """Hosts of the user's ssh configuration (``Host`` without patterns, ``Include`` followed once) and known hosts."""
    home = Path("~/.ssh").expanduser()
    for path in (home / "config", Path("/etc/ssh/ssh_config")):
        for words in _config_lines(path):
            if words[0].lower() == "host":
                yield from (word for word in words[1:] if not re.search(r"[*?!]", word))
            elif words[0].lower() == "include":
                for pattern in words[1:]:
                    folder = path.parent if not pattern.startswith(("/", "~")) else Path("/")
                    for included in sorted(folder.glob(str(Path(pattern).expanduser()).lstrip("/"))):
                        for below in _config_lines(included):
                            if below[0].lower() == "host":
                                yield from (word for word in below[1:] if not re.search(r"[*?!]", word))
    for words in _config_lines(home / "known_hosts"):
        if not words[0].startswith((_HASHED, "@", "[")):
            yield from words[0].split(",")


def _config_lines(path: Path) -> Iterator[list[str]]:
    """The words of each line that has some."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        words = line.replace("=", " ", 1).split()
        if words and not words[0].startswith("#"):
            yield words


def _containers(program: str) -> Callable[[click.Context], Iterator[str]]:
    def running(ctx: click.Context) -> Iterator[str]:
        """The names of running containers."""
        command = [program, "ps", "--format", "{{.Names}}"]
        try:
            ended = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROGRAM_S, check=False
            )
        except (OSError, subprocess.SubprocessError):
            return
        yield from ended.stdout.decode("utf-8", "replace").splitlines()

    return running


def _groups(ctx: click.Context) -> Iterator[str]:
    """The groups of the inventory that ``--inventory`` names before this."""
    from netprobe.errors import NetprobeError
    from netprobe.reach.inventory import read_inventory

    file = ctx.params.get("inventory") or os.environ.get("NETPROBE_BINDTEST_INVENTORY")
    if not file:
        return
    try:
        yield from sorted(read_inventory(Path(file), by_ansible=False).all_members())
    except NetprobeError:
        return


_VALUES: Final[dict[str, Callable[[click.Context], Iterator[str]]]] = {
    "netns": _namespaces,
    "ssh": _ssh_hosts,
    "docker": _containers("docker"),
    "podman": _containers("podman"),
    "group": _groups,
}
