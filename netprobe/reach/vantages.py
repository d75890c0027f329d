"""Where probes are sent from: the text of a vantage becomes an argv that runs a Python there. Pure.

Every vantage is a command that runs a Python and connects its stdin and stdout to here, so that one kind of session
serves ssh, containers and namespaces alike, with the configuration that the user's own ssh and docker already have.
A library for each of them would have to be configured, and trusted, a second time.

Nothing here passes through a local shell, and nothing that a user writes can become an option of ssh, docker,
podman, kubectl or nsenter: names are limited to an alphabet, and what could be an option is refused.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netprobe.endpoints import parse_port
from netprobe.errors import InvalidInputError
from netprobe.prober import bundle

__all__ = [
    "CONNECT_S",
    "KEEP_ALIVE_S",
    "LOCAL",
    "Vantage",
    "check_python",
    "check_unique",
    "parse_vantage",
    "ssh_vantage",
    "with_pythons",
]

LOCAL: Final = "local"  # the vantage that is this host, and its name
KEEP_ALIVE_S: Final = 5.0  # a vantage that is silent for this much longer than its time-out is dead
CONNECT_S: Final = 10
_PYTHON: Final = "python3"
_FORMS: Final = {
    LOCAL: LOCAL,
    "netns": "netns:NAME or netns:/proc/PID/ns/net",
    "ssh": "ssh:[user@]host[:port]",
    "docker": "docker:CONTAINER",
    "podman": "podman:CONTAINER",
    "kubectl": "kubectl:[namespace/]pod[:container]",
    "exec": "exec:COMMAND…",
}
_NAME: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+-]*")
_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+$-]*")
_HOST: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]")
_CONTAINER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # docker's own rule for names
_POD: Final = re.compile(r"[a-z0-9][a-z0-9.-]*")  # RFC 1123, section 2.1
# Before all others, and of an option that is given twice ssh takes the first (ssh_config(5)): neither the user's
# configuration nor an inventory changes these.
_SSH_OPTIONS: Final = (
    "-T",  # the prober speaks through pipes, also where the configuration has RequestTTY force
    "-a",  # a vantage is not trusted: no agent, no X11, no Kerberos ticket, no forwarding, no command here
    "-x",
    "-k",
    "-oClearAllForwardings=yes",
    "-oPermitLocalCommand=no",
    "-oRemoteCommand=none",
    "-oEscapeChar=none",
    "-oBatchMode=yes",
    f"-oConnectTimeout={CONNECT_S}",
    "-oServerAliveInterval=2",
    "-oServerAliveCountMax=2",
    "-oControlMaster=no",  # an existing master is used, none is started
    "-oLogLevel=INFO",  # the least that has the reason of every end: ERROR leaves out closed connections and time-outs
)


@dataclass(frozen=True, slots=True)
class Vantage:
    """A place to probe from. What runs there is appended to ``command_prefix``, the argv that gets there.

    ``spec`` is how it was given, without its name.
    """

    name: str
    kind: str
    command_prefix: tuple[str, ...] = ()
    python: str = _PYTHON
    spec: str = field(default=LOCAL, compare=False)

    @property
    def target(self) -> str:
        """What its kind leads to: a host, a container, a namespace."""
        return self.spec.partition(":")[2]

    @property
    def names_python(self) -> bool:
        """Was the Python there chosen, and not found by its usual name?"""
        return self.python not in (_PYTHON, sys.executable)

    @property
    def argv(self) -> tuple[str, ...]:
        """What starts the prober."""
        if self.kind == "ssh":
            return (*self.command_prefix, self.command)
        return (*self.command_prefix, self.python, *bundle.ARGUMENTS)

    @property
    def command(self) -> str:
        """The Python as a command line for the remote shell, which ssh passes its words to (ssh(1))."""
        return f"{shlex.quote(self.python)} {' '.join(bundle.ARGUMENTS)}"


def parse_vantage(text: str) -> Vantage:
    """Read ``SPEC`` or ``NAME=SPEC``; what is neither is an :class:`InvalidInputError`."""
    name, equals, spec = text.partition("=")
    if not equals or ":" in name:
        name, spec = "", text
    elif not _NAME.fullmatch(name):
        raise InvalidInputError(text, f"'{name}' cannot name a column", "a name has letters, digits and _ . @ + -")
    kind, colon, rest = spec.partition(":")
    if kind not in _FORMS or (kind == LOCAL) == bool(colon):
        raise InvalidInputError(text, "no such vantage", f"vantages are {', '.join(_FORMS.values())}")
    if kind == LOCAL and name not in ("", LOCAL):
        raise InvalidInputError(text, "this host is always called local", "--from local")
    if name == LOCAL and kind != LOCAL:
        raise InvalidInputError(text, "local is this host", "choose another name for the column")
    vantage = _PARSERS[kind](text, rest)
    if not name and not _is_unicode(spec):
        raise InvalidInputError(text, "is not valid UTF-8, so it cannot name a column", "name it: --from NAME=SPEC")
    python = sys.executable or _PYTHON if kind == "netns" else _PYTHON
    return replace(vantage, name=name or spec, python=python, spec=spec)


def check_unique(vantages: Sequence[Vantage]) -> None:
    """Refuse two columns with the same name."""
    names = Counter(vantage.name for vantage in vantages)
    twice = next((name for name, times in names.items() if times > 1), None)
    if twice is not None:
        raise InvalidInputError(twice, "two vantages have that name", "name one of them: --from NAME=SPEC")


def with_pythons(vantages: Sequence[Vantage], texts: Sequence[str]) -> tuple[Vantage, ...]:
    """``--python PATH`` for all of them, ``--python NAME=PATH`` for one; the last one that applies counts."""
    found = list(vantages)
    for text in texts:
        known = [vantage.name for vantage in found if text.startswith(vantage.name + "=")]
        path = text[len(known[0]) + 1 :] if known else text
        if not known and "=" in text and "/" not in text.partition("=")[0]:
            raise InvalidInputError(text, "no vantage of that name", f"vantages are {', '.join(x.name for x in found)}")
        check_python(path)
        found = [replace(x, python=path) if not known or x.name == known[0] else x for x in found]
    return tuple(found)


def check_python(path: str) -> None:
    """A Python is a program's name or path: no option, no control characters."""
    if not path or path.startswith("-") or not path.isprintable():
        raise InvalidInputError(f"--python {path}", "not the path of a program", "such as /usr/bin/python3")


def ssh_vantage(
    host: str, user: str | None, port: str | None, arguments: Sequence[str] = (), *, text: str, form: str
) -> Vantage:
    """An ssh vantage without a name; ``host`` without brackets. ``text`` and ``form`` are for the refusal.

    ``arguments`` are more options of ssh, checked (:mod:`netprobe.reach.ssh_arguments`).
    """
    _checked(_HOST, f"[{host}]" if ":" in host else host, text, "host", form)
    if user is not None:
        _checked(_USER, user, text, "user", form)
    number = None if port is None else parse_port(port)
    if port is not None and number is None:
        raise InvalidInputError(text, f"'{port}' is not a port", form)
    port_option = ("-p", str(number)) if number else ()
    login = ("-l", user) if user else ()
    place = f"[{host}]" if ":" in host else host
    spec = f"ssh:{f'{user}@' if user else ''}{place}{f':{number}' if number else ''}"
    return Vantage("", "ssh", ("ssh", *_SSH_OPTIONS, *port_option, *login, *arguments, "--", host), spec=spec)


def _is_unicode(text: str) -> bool:
    """Free of the lone surrogates that stand for undecodable bytes of the command line (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _checked(pattern: re.Pattern[str], part: str, text: str, what: str, form: str) -> str:
    """``part`` if it is what it must be; what could be read as an option has a refusal of its own."""
    if part.startswith("-"):
        raise InvalidInputError(text, f"the {what} '{part}' would be read as an option", form)
    if not pattern.fullmatch(part):
        raise InvalidInputError(text, f"'{part}' cannot be a {what}" if part else f"the {what} is empty", form)
    return part


def _local(text: str, rest: str) -> Vantage:
    """This process."""
    return Vantage("", LOCAL)


def _netns(text: str, rest: str) -> Vantage:
    """A network namespace by its name (ip-netns(8)) or by the path of its file."""
    if rest.startswith("/"):
        if not rest.isprintable():
            raise InvalidInputError(text, "the path has unprintable characters", _FORMS["netns"])
        path = rest
    else:
        path = f"/run/netns/{_checked(_CONTAINER, rest, text, 'network namespace', _FORMS['netns'])}"
    return Vantage("", "netns", ("nsenter", f"--net={path}", "--"))


def _ssh(text: str, rest: str) -> Vantage:
    """OpenSSH, with the user's own configuration, jump hosts and agent, but never a prompt."""
    form = _FORMS["ssh"]
    user, at, place = rest.rpartition("@")
    port: str | None = None
    if place.startswith("["):
        host, closed, after = place[1:].partition("]")
        if not closed or ":" not in host:
            raise InvalidInputError(text, f"'{place}' cannot be a host", form)
        if after and not after.startswith(":"):
            raise InvalidInputError(text, f"'{after}' after the address is not a :port", form)
        port = after[1:] if after else None
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    elif ":" in place:
        raise InvalidInputError(text, "an IPv6 address must be in brackets", "ssh:[2001:db8::1]:22")
    else:
        host = place
    return ssh_vantage(host, user if at else None, port, text=text, form=form)


def _container(program: str) -> Parser:
    """``docker exec`` or ``podman exec``."""

    def parse(text: str, rest: str) -> Vantage:
        name = _checked(_CONTAINER, rest, text, "container", _FORMS[program])
        return Vantage("", program, (program, "exec", "-i", "--", name))

    return parse


def _kubectl(text: str, rest: str) -> Vantage:
    """``kubectl exec`` in the current context."""
    form = _FORMS["kubectl"]
    namespace, slash, place = rest.rpartition("/")
    pod, colon, inside = place.partition(":")
    options: list[str] = []
    if slash:
        options += [f"--namespace={_checked(_POD, namespace, text, 'namespace', form)}"]
    if colon:
        options += [f"--container={_checked(_POD, inside, text, 'container', form)}"]
    return Vantage("", "kubectl", ("kubectl", "exec", "-i", *options, _checked(_POD, pod, text, "pod", form), "--"))


def _exec(text: str, rest: str) -> Vantage:
    """Any command that runs the words appended to it; it is split as a shell would, but no shell sees it."""
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise InvalidInputError(text, str(error).lower(), _FORMS["exec"]) from None
    if not words or words[0].startswith("-") or not words[0]:
        raise InvalidInputError(text, "no command", "exec:ip netns exec blue")
    return Vantage("", "exec", tuple(words))


Parser = Callable[[str, str], Vantage]  # takes the whole text, for refusals, and what follows the kind
_PARSERS: Final[dict[str, Parser]] = {
    LOCAL: _local,
    "netns": _netns,
    "ssh": _ssh,
    "docker": _container("docker"),
    "podman": _container("podman"),
    "kubectl": _kubectl,
    "exec": _exec,
}
