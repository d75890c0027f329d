"""What the user's ssh configuration makes of a destination: the sshds that a login passes, the argv that gets there.

``ssh -G`` prints it without a packet (ssh(1)): it reads the configuration as the login will, with aliases, ``Match``
and ``Include``, which nothing but ssh reads as ssh does. It costs 9 ms of processor a host, beside 130 ms for a login;
``Match exec`` and canonical names are evaluated twice, as they are for each jump host of any login.

Two things are done with it. Hosts behind one sshd are known by its host name and port, and jump hosts are counted as
well (:mod:`netprobe.reach.sessions.start_queue`). And the jump is made by the options that every login of ours has:
``ProxyJump`` starts an ssh that is given none of them, so that it could ask for a password, or leave the master
connection of a ``ControlPersist`` behind. What it starts is known (ssh_config(5), ProxyJump) and is written out here.
A ``ProxyCommand`` is the user's own program: it is left alone, and counted as one sshd, which it mostly leads to.

What cannot be found out is no error: the login itself will say what is wrong, and counts as what is written.
"""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.errors import InvalidInputError
from netprobe.reach import programs
from netprobe.reach.vantages import parse_vantage

__all__ = ["Destination", "read_destination"]

_WAIT_S: Final = 10.0  # a ``Match exec`` may be slow; what is slower than this makes the login slow, too
_OUTPUT_LIMIT: Final = 1 << 20
_MOST_JUMPS: Final = 8
# Where the configuration says otherwise, no command runs there. ssh knows these words since 8.7, and would refuse them
# before; those that it prints it knows (ssh_config(5)).
_NEEDED: Final = {"sessiontype": "default", "stdinnull": "no", "forkafterauthentication": "no"}
_TARGET: Final = "[%h]:%p"


@dataclass(frozen=True, slots=True)
class Destination:
    """``prefix`` is the argv up to and with the host, ``sshds`` are names of all that the login passes.

    ``only_jumps``: the login goes through jump hosts, and through no other program.
    """

    prefix: tuple[str, ...]
    sshds: tuple[str, ...]
    only_jumps: bool = False


@dataclass(frozen=True, slots=True)
class _Hop:
    """A jump host, or the destination: the argv up to and with it, its name, and what of the user's leads there."""

    prefix: tuple[str, ...]
    name: str
    proxy: str = ""


def read_destination(prefix: Sequence[str], stopped: threading.Event) -> Destination:
    """Ask ssh about the login whose argv begins with ``prefix``: ssh, options, ``--``, the host."""
    hops = _hops(tuple(prefix), stopped, _MOST_JUMPS)
    sshds: list[str] = []
    for hop in hops:
        sshds += [hop.proxy] if hop.proxy else []
        # Behind another host, an address may be another host's.
        sshds.append(f"{hop.name} through {sshds[-1]}" if sshds else hop.name)
    only_jumps = len(hops) > 1 and not any(hop.proxy for hop in hops)
    return Destination(_through(hops[:-1], hops[-1].prefix), tuple(sshds), only_jumps)


def _hops(prefix: tuple[str, ...], stopped: threading.Event, most: int) -> list[_Hop]:
    """The jump hosts in their order, then the destination."""
    settings = _settings(prefix, stopped)
    if not settings:
        return [_Hop(prefix, " ".join(prefix))]
    needed = [f"-o{key}={value}" for key, value in _NEEDED.items() if settings.get(key, value) != value]
    prefix = _with_options(prefix, *needed)
    name = f"{settings.get('hostname')} port {settings.get('port')}"
    command, jumps = settings.get("proxycommand", "none"), settings.get("proxyjump", "none")
    if command != "none" or jumps == "none":
        return [_Hop(prefix, name, command if command != "none" else "")]
    try:
        first, *further = [_jump(text, prefix) for text in jumps.split(",")]
    except InvalidInputError:
        return [_Hop(prefix, name, jumps)]  # ssh itself may make something of it
    if len(further) >= most:
        return [_Hop(prefix, name, jumps)]
    # Jump hosts of its own has the first one only: those of the others are the ones before them.
    found = _hops(first, stopped, most - 1 - len(further))
    for hop in further:
        found += _hops(_with_options(hop, "-oProxyJump=none"), stopped, 0)
    return [*found, _Hop(prefix, name)]


def _settings(prefix: tuple[str, ...], stopped: threading.Event) -> Mapping[str, str]:
    """What ``ssh -G`` prints, by keywords in lower case; of several lines the first. Nothing if it fails."""
    try:
        done = programs.run(_with_options(prefix, "-G"), _WAIT_S, _OUTPUT_LIMIT, stopped)
    except (TimeoutError, OverflowError, ValueError):
        return {}
    except OSError as error:
        if error.errno in programs.NO_ROOM:
            raise
        return {}
    if done.status != 0:
        return {}
    found: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), value)
    return found


def _with_options(prefix: tuple[str, ...], *options: str) -> tuple[str, ...]:
    """First, because of an option that is given twice ssh takes the first (ssh_config(5))."""
    return (prefix[0], *options, *prefix[1:])


def _jump(text: str, prefix: tuple[str, ...]) -> tuple[str, ...]:
    """The argv that leads to one host of ProxyJump, with the configuration file of ``prefix``, if it names one."""
    text = re.sub(r"\[([^]:]*)\]", r"\1", text.removeprefix("ssh://"))  # ssh writes [192.0.2.1]:22, too
    jump = parse_vantage(f"ssh:{text}").command_prefix
    return _with_options(jump, *(word for word in prefix if word.startswith("-F")))


def _through(jumps: Sequence[_Hop], prefix: tuple[str, ...]) -> tuple[str, ...]:
    """``prefix`` behind ``jumps``, each of which forwards the connection to the next (ssh(1), -W)."""
    if not jumps:
        return prefix
    *before, last = jumps
    *words, end, host = _through(before, last.prefix)
    # ssh replaces %h, %p and %% in it, and then a shell runs the words.
    command = shlex.join([*(word.replace("%", "%%") for word in words), "-W", _TARGET, end, host])
    return _with_options(prefix, f"-oProxyCommand={command}")
