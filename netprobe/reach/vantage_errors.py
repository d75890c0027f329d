# ruff: noqa: E501 (one row of the table is one line)
"""What ssh, docker, nsenter and shells print when a vantage cannot be used, and what it means: one table. Pure.

None of these programs has a separate exit status for each failure (ssh exits with 255 for all of them), so what they
print is all there is to go by. It is in English whatever the locale, except from a shell that cannot find python3,
which exits with 127. What no row matches is shown as it was printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from netprobe.errors import CannotRunError

__all__ = ["VantageError", "vantage_error"]

_OLDEST: Final = "3.6"
_NO_PYTHON: Final = "no python3 there"
_ENDED_BEFORE_LOGIN: Final = "ssh ended before the login"
_LINK_DIED: Final = "link died"


class VantageError(CannotRunError):
    """A vantage that could not be used, or died. ``reason`` is a few words, the same for every such vantage."""

    def __init__(self, name: str, reason: str, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(name, why or reason, hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Symptom:
    """If a vantage of one of ``kinds`` (any, when empty) prints something like ``pattern``, it means ``reason``."""

    reason: str
    pattern: str
    hint: str | None = None
    kinds: tuple[str, ...] = ()


_SYMPTOMS: Final = (
    _Symptom("host key changed", r"REMOTE HOST IDENTIFICATION HAS CHANGED|[Hh]ost key for .* has changed", "ssh-keygen -R HOST, once you know why it changed", ("ssh",)),
    _Symptom("host key unknown", r"Host key verification failed|No .* host key is known for", "log in once by hand, or use ssh-keyscan", ("ssh",)),
    _Symptom("host unknown", r"Could not resolve hostname|Name or service not known", None, ("ssh",)),
    _Symptom("permission denied", r"Permission denied \(|Too many authentication failures", "ssh must log in without asking: use a key or an agent", ("ssh",)),
    _Symptom("connection refused", r"connect to host .*: Connection refused|^ssh: .*Connection refused", None, ("ssh",)),
    _Symptom("no route", r"connect to host .*: (No route to host|Network is unreachable)", None, ("ssh",)),
    _Symptom("no answer", r"connect to host .*: (Connection timed out|Operation timed out)|Connection timed out during banner", None, ("ssh",)),
    _Symptom(_LINK_DIED, r"Timeout, server .* not responding|[Bb]roken pipe|Connection reset by|client_loop: send disconnect", None, ("ssh",)),
    _Symptom(_ENDED_BEFORE_LOGIN, r"kex_exchange_identification|ssh_exchange_identification|Connection closed by", "sshd may limit how many log in at once (MaxStartups)", ("ssh",)),
    _Symptom("account does not allow commands", r"account is currently not available|This service allows sftp", None, ("ssh",)),
    _Symptom("no such container", r"[Nn]o such container|no container with name|is not running|container state improper|container not found", None, ("docker", "podman", "kubectl")),
    _Symptom("no such pod", r"pods? \".*\" not found|Error from server \(NotFound\)", None, ("kubectl",)),
    _Symptom("no docker", r"Cannot connect to the Docker daemon|connect to the docker API|docker daemon is not running|docker\.sock", None, ("docker",)),
    _Symptom("no cluster", r"connection to the server .* refused|Unable to connect to the server|no configuration has been provided", None, ("kubectl",)),
    _Symptom("no such network namespace", r"nsenter: cannot open |Cannot open network namespace", "see: ip netns list", ("netns", "exec")),
    _Symptom("not permitted", r"reassociate to namespace .*failed: Operation not permitted|setting the network namespace .* failed: Operation not permitted", "entering a network namespace needs root (CAP_SYS_ADMIN)", ("netns", "exec")),
    _Symptom(_NO_PYTHON, r"python[0-9.]*['\"]?: (not found|command not found|No such file)|command not found: .*python|(not found|No such file).*python|python.*(not found|No such file or directory|does not exist|Unknown command)|[Uu]nknown command.*python", "name one with --python PATH"),
    _Symptom("Python too old there", r"SyntaxError|Unknown option: -I|unknown option -I", f"Python {_OLDEST} or later is needed: --python PATH"),
)  # fmt: skip


def vantage_error(name: str, kind: str, stderr: str, status: int | None, *, had_hello: bool) -> VantageError:
    """The error of a session that ended too early, from what it printed and the exit status (None: still running).

    ``had_hello``: the prober had already started.
    """
    for row in _SYMPTOMS:
        if (not row.kinds or kind in row.kinds) and re.search(row.pattern, stderr, re.MULTILINE):
            if had_hello and row.reason == _ENDED_BEFORE_LOGIN:
                return VantageError(name, _LINK_DIED, "the connection was closed during the run")
            return VantageError(name, row.reason, hint=row.hint)
    last = _last_line(stderr)
    if status == 127:
        return VantageError(name, _NO_PYTHON, hint="name one with --python PATH")
    if status == 126:
        return VantageError(name, _NO_PYTHON, "the Python there cannot be run", "name one with --python PATH")
    if kind == "ssh" and status == 255 and not last:  # ssh reports its keep-alive time-out only at LogLevel INFO
        return VantageError(name, _LINK_DIED)
    if had_hello:
        return VantageError(name, _LINK_DIED, f"ended during the run: {last}" if last else "ended during the run")
    ending = f"{kind} ended with status {status}" if status is not None else f"{kind} ended"
    return VantageError(name, "ended without a word", f"{ending}: {last}" if last else ending)


def _last_line(text: str) -> str:
    """The last line that is not blank, cut to a readable length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
