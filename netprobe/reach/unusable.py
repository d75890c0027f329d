# ruff: noqa: E501 (one row of the table is one line)
"""What ssh, docker, nsenter and shells say when a vantage cannot be used, and what it means: one table. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.errors import CannotRunError

__all__ = ["VantageError", "unusable"]

OLDEST = "3.6"


class VantageError(CannotRunError):
    """A vantage that could not be used, or died. ``reason`` is one word or two, the same for every such vantage."""

    def __init__(self, name: str, reason: str, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(name, why or reason, hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """If one of ``kinds`` (all, when empty) says something like ``pattern``, it means ``reason``."""

    reason: str
    pattern: str
    hint: str | None = None
    kinds: tuple[str, ...] = ()


ROWS = (
    Row("host key changed", r"REMOTE HOST IDENTIFICATION HAS CHANGED|[Hh]ost key for .* has changed", "ssh-keygen -R HOST, once you know why", ("ssh",)),
    Row("host key unknown", r"Host key verification failed|No .* host key is known for", "log in once with ssh by hand, or ssh-keyscan", ("ssh",)),
    Row("host unknown", r"Could not resolve hostname|Name or service not known", None, ("ssh",)),
    Row("permission denied", r"Permission denied \(|Too many authentication failures", "ssh must get in without a question: a key, or an agent", ("ssh",)),
    Row("connection refused", r"connect to host .*: Connection refused|^ssh: .*Connection refused", None, ("ssh",)),
    Row("no route", r"connect to host .*: (No route to host|Network is unreachable)", None, ("ssh",)),
    Row("no answer", r"connect to host .*: (Connection timed out|Operation timed out)|Connection timed out during banner", None, ("ssh",)),
    Row("link died", r"Timeout, server .* not responding|[Bb]roken pipe|Connection reset by|client_loop: send disconnect", None, ("ssh",)),
    Row("ssh ended before the login", r"kex_exchange_identification|ssh_exchange_identification|Connection closed by", "sshd may limit how many log in at once (MaxStartups)", ("ssh",)),
    Row("account does not allow commands", r"account is currently not available|This service allows sftp", None, ("ssh",)),
    Row("no such container", r"[Nn]o such container|no container with name|is not running|container state improper|container not found", None, ("docker", "podman", "kubectl")),
    Row("no such pod", r"pods? \".*\" not found|Error from server \(NotFound\)", None, ("kubectl",)),
    Row("no docker", r"Cannot connect to the Docker daemon|connect to the docker API|docker daemon is not running|docker\.sock", None, ("docker",)),
    Row("no cluster", r"connection to the server .* refused|Unable to connect to the server|no configuration has been provided", None, ("kubectl",)),
    Row("no such network namespace", r"nsenter: cannot open |Cannot open network namespace", "see: ip netns list", ("netns", "exec")),
    Row("not permitted", r"reassociate to namespace .*failed: Operation not permitted|setting the network namespace .* failed: Operation not permitted", "entering a network namespace needs root (CAP_SYS_ADMIN)", ("netns", "exec")),
    Row("no python3 there", r"python[0-9.]*['\"]?: (not found|command not found|No such file)|command not found: .*python|(not found|No such file).*python|python.*(not found|No such file or directory|does not exist|Unknown command)|[Uu]nknown command.*python", "name one with --python PATH"),
    Row("Python too old there", r"SyntaxError|Unknown option: -I|unknown option -I", f"Python {OLDEST} or later is needed: --python PATH"),
)  # fmt: skip


def unusable(name: str, kind: str, said: str, status: int | None, heard: bool) -> VantageError:
    """The error of a session that ended too early: from what was said on stderr, the exit status, what came before."""
    for row in ROWS:
        if (not row.kinds or kind in row.kinds) and re.search(row.pattern, said, re.MULTILINE):
            if heard and row.reason == "ssh ended before the login":
                return VantageError(name, "link died", "the connection closed in mid-run")
            return VantageError(name, row.reason, hint=row.hint)
    last = last_line(said.splitlines())
    if status == 127:
        return VantageError(name, "no python3 there", hint="name one with --python PATH")
    if status == 126:
        return VantageError(name, "no python3 there", "the Python there cannot be run", "name one with --python PATH")
    if kind == "ssh" and status == 255 and not last:  # that it waited in vain, ssh only says at LogLevel INFO
        return VantageError(name, "link died")
    if heard:
        return VantageError(name, "link died", f"ended in mid-run: {last}" if last else "ended in mid-run")
    ending = f"{kind} ended with status {status}" if status is not None else f"{kind} ended"
    return VantageError(name, "ended without a word", f"{ending}: {last}" if last else ending)


def last_line(lines: Sequence[str]) -> str:
    """The last line that says something, cut to a readable length."""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:200] if said else ""
