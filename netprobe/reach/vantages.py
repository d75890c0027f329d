"""From where: the text of a vantage becomes an argv that runs a Python which reads its program from stdin. Pure.

Nothing here passes through a local shell, and nothing that a user writes can become an option of ssh, docker,
podman, kubectl or nsenter: names have an alphabet, and what could be an option is refused.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from netprobe.endpoints import parse_port
from netprobe.errors import InvalidInputError
from netprobe.prober import bundle

__all__ = ["KEEP_ALIVE_S", "KINDS", "Vantage", "vantage_of", "vantages_of", "with_pythons"]

KEEP_ALIVE_S = 5.0  # so long after its last word a vantage counts as dead
CONNECT_S = 10
PYTHON = "python3"
FORMS = {
    "local": "local",
    "netns": "netns:NAME or netns:/proc/PID/ns/net",
    "ssh": "ssh:[user@]host[:port]",
    "docker": "docker:CONTAINER",
    "podman": "podman:CONTAINER",
    "kubectl": "kubectl:[namespace/]pod[:container]",
    "exec": "exec:COMMAND…",
}
KINDS = tuple(FORMS)
NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+-]*")
USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+$-]*")
HOST = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]")
CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # docker's own rule for names
POD = re.compile(r"[a-z0-9][a-z0-9.-]*")  # RFC 1123, section 2.1
SSH_OPTIONS = (
    "-T",
    "-oBatchMode=yes",
    f"-oConnectTimeout={CONNECT_S}",
    "-oServerAliveInterval=2",
    "-oServerAliveCountMax=2",
    "-oControlMaster=no",  # a running master is used, none is left behind
    "-oClearAllForwardings=yes",
    "-oPermitLocalCommand=no",
    "-oRemoteCommand=none",
    "-oLogLevel=ERROR",
)


@dataclass(frozen=True, slots=True)
class Vantage:
    """A place to ask from. ``argv`` without the Python is the way there; ``ssh`` quotes for the shell over there."""

    name: str
    kind: str
    way: tuple[str, ...] = ()
    python: str = PYTHON
    host: str = ""
    user: str | None = None
    port: int | None = None
    groups: tuple[str, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        """What starts the prober."""
        if self.kind == "ssh":
            return (*self.way, self.command)
        return (*self.way, self.python, *bundle.ARGUMENTS)

    @property
    def command(self) -> str:
        """The Python as a line for the shell at the far side."""
        return f"{shlex.quote(self.python)} {bundle.SHELL_ARGUMENTS}"


def vantage_of(text: str, python: str | None = None) -> Vantage:
    """Read ``SPEC`` or ``NAME=SPEC``; what is neither is an :class:`InvalidInputError`."""
    name, equals, spec = text.partition("=")
    if not equals or ":" in name:
        name, spec = "", text
    elif not NAME.fullmatch(name):
        raise InvalidInputError(text, f"'{name}' cannot name a column", "letters, digits and _ . @ + - name one")
    kind, colon, rest = spec.partition(":")
    if kind not in FORMS or (kind == "local") == bool(colon):
        raise InvalidInputError(text, "no such vantage", f"vantages are {', '.join(FORMS.values())}")
    if kind == "local" and name not in ("", "local"):
        raise InvalidInputError(text, "this host is always called local", "--from local")
    if name == "local" and kind != "local":
        raise InvalidInputError(text, "local is this host", "choose another name for the column")
    if python is not None:
        check_python(python)
    vantage = READERS[kind](text, rest)
    default = sys.executable or PYTHON if kind == "netns" else PYTHON
    return replace(vantage, name=name or spec, python=python or default)


def vantages_of(texts: Sequence[str]) -> tuple[Vantage, ...]:
    """All of them; two of one name are refused."""
    found = tuple(vantage_of(text) for text in texts)
    unique(found)
    return found


def unique(vantages: Sequence[Vantage]) -> None:
    """Refuse two columns of one name."""
    names = [vantage.name for vantage in vantages]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInputError(twice, "two vantages of that name", "name one of them: --from NAME=SPEC")


def with_pythons(vantages: Sequence[Vantage], texts: Sequence[str]) -> tuple[Vantage, ...]:
    """``--python PATH`` for all of them, ``--python NAME=PATH`` for one; the last word counts."""
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


def checked(pattern: re.Pattern[str], part: str, text: str, what: str, form: str) -> str:
    """``part`` if it is what it must be; what could be read as an option is told apart."""
    if part.startswith("-"):
        raise InvalidInputError(text, f"the {what} '{part}' would be read as an option", form)
    if not pattern.fullmatch(part):
        raise InvalidInputError(text, f"'{part}' cannot be a {what}" if part else f"the {what} is empty", form)
    return part


def local(text: str, rest: str) -> Vantage:
    """This process."""
    return Vantage("", "local")


def netns(text: str, rest: str) -> Vantage:
    """A network namespace by its name (ip-netns(8)) or by the path of its file."""
    if rest.startswith("/"):
        if not rest.isprintable():
            raise InvalidInputError(text, "the path has unprintable characters", FORMS["netns"])
        path = rest
    else:
        path = f"/run/netns/{checked(CONTAINER, rest, text, 'network namespace', FORMS['netns'])}"
    return Vantage("", "netns", ("nsenter", f"--net={path}", "--"))


def ssh(text: str, rest: str) -> Vantage:
    """OpenSSH, with the user's own configuration, jump hosts and agent, and nobody there to answer a question."""
    form = FORMS["ssh"]
    user, at, place = rest.rpartition("@")
    host, port = place, ""
    if place.startswith("["):
        host, closed, after = place.partition("]")
        host += closed
        if after and not after.startswith(":"):
            raise InvalidInputError(text, f"'{after}' behind the address is no :port", form)
        port = after[1:]
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    elif ":" in place:
        raise InvalidInputError(text, "an IPv6 address stands in brackets", "ssh:[2001:db8::1]:22")
    checked(HOST, host, text, "host", form)
    if at:
        checked(USER, user, text, "user", form)
    if (port or place.endswith(":")) and parse_port(port) is None:
        raise InvalidInputError(text, f"'{port}' is no port", form)
    return ssh_way(host.strip("[]"), user or None, int(port) if port else None)


def ssh_way(host: str, user: str | None, port: int | None) -> Vantage:
    """The ssh command line; its parts are already checked."""
    login = ("-l", user) if user else ()
    where = ("-p", str(port)) if port else ()
    return Vantage("", "ssh", ("ssh", *SSH_OPTIONS, *where, *login, "--", host), host=host, user=user, port=port)


def container(program: str) -> Reader:
    """``docker exec`` or ``podman exec``."""

    def read(text: str, rest: str) -> Vantage:
        name = checked(CONTAINER, rest, text, "container", FORMS[program])
        return Vantage("", program, (program, "exec", "-i", "--", name))

    return read


def kubectl(text: str, rest: str) -> Vantage:
    """``kubectl exec`` in the current context."""
    form = FORMS["kubectl"]
    namespace, slash, place = rest.rpartition("/")
    pod, colon, inside = place.partition(":")
    options: list[str] = []
    if slash:
        options += [f"--namespace={checked(POD, namespace, text, 'namespace', form)}"]
    if colon:
        options += [f"--container={checked(POD, inside, text, 'container', form)}"]
    return Vantage("", "kubectl", ("kubectl", "exec", "-i", *options, checked(POD, pod, text, "pod", form), "--"))


def exec_(text: str, rest: str) -> Vantage:
    """Any command that runs what stands behind it; words are split as a shell would, but no shell sees them."""
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise InvalidInputError(text, str(error).lower(), FORMS["exec"]) from None
    if not words or words[0].startswith("-") or not words[0]:
        raise InvalidInputError(text, "no command", "exec:ip netns exec blue")
    return Vantage("", "exec", tuple(words))


Reader = Callable[[str, str], Vantage]
READERS: dict[str, Reader] = {
    "local": local,
    "netns": netns,
    "ssh": ssh,
    "docker": container("docker"),
    "podman": container("podman"),
    "kubectl": kubectl,
    "exec": exec_,
}
