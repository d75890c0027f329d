# ruff: noqa: E501 (one row of the table is one line)
"""What ssh, docker, nsenter and shells print when a vantage cannot be used, and what it means: one table. Pure.

None of these programs has a separate exit status for each failure (ssh exits with 255 for all of its own), so what they
print is all there is to go by. It is in English whatever the locale, except from a shell that cannot find python3,
which exits with 127. What no row matches is shown as it was printed.

What ssh prints comes out of the same stderr as what the far side prints: banners, profiles, the shell. So a row of ssh's
only counts where ssh itself failed (255) before the prober spoke, and begins where its line does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from netprobe.errors import CannotRunError
from netprobe.reach.vantages import Vantage

__all__ = ["DROPPED", "DROPPED_HINT", "PIPE_ENDED", "VantageError", "vantage_error"]

DROPPED: Final = "closed before the login"
"""The reason of a connection that was closed before the server had said anything: what MaxStartups looks like."""
DROPPED_HINT: Final = (
    "an sshd may limit how many log in at once (MaxStartups, PerSourceMaxStartups), or refuse this host"
)
PIPE_ENDED: Final = "what connects ssh has ended"
"""The reason of the same where a program is in between, and it has said something: mostly that it failed."""

_OLDEST: Final = "3.6"
_NO_PYTHON: Final = "no python3 there"
_NAME_ONE: Final = "name one with --python PATH"
_NAMESPACES: Final = "see: ip netns list"
_LINK_DIED: Final = "link died"
_SSH_FAILED: Final = (255, None)
_LINE_LIMIT: Final = 400
_CHANGED: Final = "ssh-keygen -R HOST, once you know why it changed"
_REVOKED: Final = "the known_hosts file says that this key is not to be trusted"
_NOT_VERIFIED: Final = r"^Host key verification failed"
_NOT_FORWARDED: Final = r"^stdio forwarding failed"
_CANNOT_LOG_IN: Final = "ssh must log in without asking: use a key or an agent"


class VantageError(CannotRunError):
    """A vantage that could not be used, or died. ``reason`` is a few words, the same for every such vantage."""

    def __init__(self, name: str, reason: str, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(name, why or reason, hint)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.what, self.reason, self.why, self.hint))


@dataclass(frozen=True, slots=True)
class _Symptom:
    """If a vantage of one of ``kinds`` (any, when empty) prints something like ``pattern``, it means ``reason``.

    ``why`` says it in more words; ``{0}`` is what the pattern's group has matched. ``then`` must come somewhere after
    it: a pattern of both with a gap of many lines between them would look through the rest once for each beginning.
    """

    reason: str
    pattern: str
    hint: str | None = None
    kinds: tuple[str, ...] = ()
    why: str | None = None
    then: str | None = None

    def search(self, text: str) -> re.Match[str] | None:
        """What the pattern has matched, if all of it is there."""
        match = re.compile(self.pattern, re.MULTILINE).search(text)
        if match is None or self.then is None:
            return match
        return match if re.compile(self.then, re.MULTILINE).search(text, match.end()) else None


# Specific ones first. Behind a jump host, ssh prints the end of its pipe after the reason of that end.
_SSH: Final = (
    _Symptom("host key changed", r"^Host key for .* has changed and you have requested strict checking", _CHANGED),
    _Symptom("host key changed", r"REMOTE HOST IDENTIFICATION HAS CHANGED", _CHANGED, then=_NOT_VERIFIED),
    _Symptom("host key revoked", r"host key for .* was revoked and you have requested", _REVOKED),
    _Symptom("host key revoked", r"REVOKED HOST KEY DETECTED", _REVOKED, then=_NOT_VERIFIED),
    _Symptom("host key unknown", rf"{_NOT_VERIFIED}|^No .* host key is known for", "compare it (ssh-keyscan HOST | ssh-keygen -lf -), then log in once by hand"),
    _Symptom("host unknown", r"^ssh: Could not resolve hostname .*: (?:Name or service not known|nodename nor servname|No address associated|Name does not resolve|Name has no usable address)"),
    _Symptom("name not resolved", r"^ssh: Could not resolve hostname .*?: (.*?)\s*$", "the name service did not say whether there is such a host", why="name not resolved: {0}"),
    _Symptom("permission denied", r"(?:^no such identity: |Identity file )(.+?)(?: not accessible)?: ", "name a key file that is there, or use an agent", why="permission denied, and the key file {0} cannot be read", then=r"Permission denied \("),
    _Symptom("permission denied", r"^\S+: Permission denied \(|^Permission denied \(|Too many authentication failures", _CANNOT_LOG_IN),
    _Symptom("connection refused", r"^ssh: connect to host .*: Connection refused"),
    _Symptom("no route", r"^ssh: connect to host .*: (?:No route to host|Network is unreachable|Host is unreachable)"),
    _Symptom("no answer", r"^ssh: connect to host .*: (?:Connection timed out|Operation timed out)"),
    _Symptom("no connection", r"^ssh: connect to host .*?: (.*?)\s*$", why="no connection: {0}"),
    _Symptom("no answer", r"^Connection timed out during banner exchange", "something accepts connections there, but no sshd said anything in time", why="connected, but no sshd answered"),
    _Symptom("not an sshd", r"^(?:kex|ssh)_exchange_identification: (?:No SSH version|banner line contains invalid)|^banner exchange: .*: invalid format|^Protocol major versions differ|^ssh_exchange_identification: .*invalid", why="what answers there is no SSH server of version 2"),
    _Symptom("no common algorithm", r"^Unable to negotiate with .*?: (no matching [a-zA-Z ]+? found)", "the configuration of ssh can allow more of them", why="no common algorithm: {0}"),
    _Symptom("ssh configuration is wrong", r"^(.*(?:Bad configuration option|Bad owner or permissions on|Can't open user config file|bad configuration options|line \d+: (?:[Bb]ad|[Mm]issing|[Uu]nsupported|[Gg]arbage)).*?)\s*$", why="ssh configuration is wrong: {0}"),
    _Symptom("jump host does not forward", r"open failed: administratively prohibited", "its sshd has AllowTcpForwarding no, or PermitOpen", then=_NOT_FORWARDED),
    _Symptom("connection refused", r"open failed: connect failed: Connection refused", why="connection refused, says the jump host", then=_NOT_FORWARDED),
    _Symptom("no connection", r"open failed: (?:connect failed: )?(.*?)\s*$", why="no connection from the jump host: {0}", then=_NOT_FORWARDED),
    _Symptom("account does not allow commands", r"open failed: (?:connect failed|administratively prohibited): open failed|account is currently not available|This service allows sftp"),
)  # fmt: skip
# Lines of ssh about the end of a connection on which the server has not spoken yet, in the words of all versions since
# 5; the second one is what the same end looks like through a pipe.
_CLOSED_EARLY: Final = re.compile(r"^(?:kex|ssh)_exchange_identification: .*(?:[Cc]onnection (?:closed|reset)|[Bb]roken pipe)|^banner exchange: .*: Broken pipe|Exceeded MaxStartups", re.MULTILINE)  # fmt: skip
_PIPE_CLOSED: Final = re.compile(
    r"^(?:Connection (?:closed|reset) by|banner exchange: Connection to) UNKNOWN port ", re.MULTILINE
)
_OF_A_CLOSED_ONE: Final = re.compile(r"(?:kex|ssh)_exchange_identification: |banner exchange: |Connection (?:closed|reset) by |Exceeded MaxStartups|Warning: Permanently added ")  # fmt: skip
_CLOSED: Final = re.compile(r"^Connection (?:closed|reset) by |^ssh_dispatch_run_fatal: .*(?:[Cc]onnection (?:closed|reset)|Broken pipe)|^Received disconnect from ", re.MULTILINE)  # fmt: skip
_DIED: Final = re.compile(r"^(?:Timeout, server .* not responding|client_loop: .*|packet_write_wait: .*|.*[Bb]roken pipe|Connection (?:to .* )?(?:closed|reset) by )", re.MULTILINE)  # fmt: skip

_OTHERS: Final = (
    _Symptom("account does not allow commands", r"^(.*(?:account is currently not available|This service allows sftp).*?)\s*$", None, ("ssh",), why="account does not allow commands: {0}"),
    _Symptom("not running", r"[Cc]ontainer .*is not running|only create exec sessions on running containers|container state improper", "{kind} start {target}", ("docker", "podman"), why="the container is not running"),
    _Symptom("no such container", r"[Nn]o such container|no container with name|container not found", None, ("docker", "podman", "kubectl")),
    _Symptom("no such pod", r"pods? \".*\" not found|Error from server \(NotFound\)", None, ("kubectl",)),
    _Symptom("no docker", r"Cannot connect to the Docker daemon|connect to the docker API|docker daemon is not running|docker\.sock", None, ("docker",)),
    _Symptom("no cluster", r"connection to the server .* refused|Unable to connect to the server|no configuration has been provided", None, ("kubectl",)),
    _Symptom("no such network namespace", r"(?:nsenter: cannot open|Cannot open network namespace) .*: (?:No such file or directory|Not a directory)$", _NAMESPACES, ("netns", "exec")),
    _Symptom("not permitted", r"(?:nsenter: cannot open|Cannot open network namespace) .*: Permission denied$|reassociate to namespace .*failed: Operation not permitted|setting the network namespace .* failed: Operation not permitted", "entering a network namespace needs root (CAP_SYS_ADMIN)", ("netns", "exec")),
    _Symptom(_NO_PYTHON, r"python[0-9.]*['\"]?: (not found|command not found|No such file)|command not found: .*python|(not found|No such file).*python|python.*(not found|No such file or directory|does not exist|Unknown command)|[Uu]nknown command.*python", _NAME_ONE),
    _Symptom("Python too old there", r"SyntaxError|Unknown option: -I|unknown option -I", f"Python {_OLDEST} or later is needed: --python PATH"),
)  # fmt: skip


def vantage_error(
    vantage: Vantage, stderr: str, status: int | None, *, had_hello: bool, said: str = ""
) -> VantageError:
    """The error of a session that ended too early, from what it printed and the exit status (None: still running).

    ``had_hello``: the prober had already started, so that it is no failure to get there. ``said`` is the first line of
    stdout, where an account that is closed or restricted says so.
    """
    name, kind = vantage.name, vantage.kind
    # In lines of any length, a pattern with a gap in it would take quadratic time.
    stderr = "\n".join(line[:_LINE_LIMIT].rstrip() for line in stderr.split("\n"))
    if had_hello:
        return _died(name, kind, stderr)
    if kind == "ssh" and status in _SSH_FAILED:
        found = _found(vantage, f"{stderr}\n{said}", _SSH) or _closed(name, stderr)
        if found is not None:
            return found
    found = _found(vantage, f"{stderr}\n{said}", _OTHERS)
    if found is not None:
        return found
    if status == 127:
        return _no_python(vantage, f"no {vantage.python} there")
    if status == 126:
        return _no_python(vantage, f"{vantage.python} cannot be run there")
    last = _last_line(stderr) or said
    ending = f"{kind} ended with status {status}" if status is not None else f"{kind} ended"
    return VantageError(name, "ended without a word", f"{ending}: {last}" if last else ending)


def _found(vantage: Vantage, stderr: str, rows: tuple[_Symptom, ...]) -> VantageError | None:
    """What the first row says that matches."""
    for row in rows:
        match = row.search(stderr) if not row.kinds or vantage.kind in row.kinds else None
        if match is None:
            continue
        if row.hint == _NAME_ONE:
            return _no_python(vantage, f"no {vantage.python} there")
        if row.hint == _NAMESPACES and "/" in vantage.target:
            return VantageError(vantage.name, row.reason, f"no network namespace at {vantage.target}")
        why = row.why.format(*(group[:200] for group in match.groups(""))) if row.why else None
        hint = row.hint and row.hint.replace("{kind}", vantage.kind).replace("{target}", vantage.target)
        return VantageError(vantage.name, row.reason, why, hint)
    return None


def _no_python(vantage: Vantage, why: str) -> VantageError:
    """What to do is to name one, unless that has been done."""
    return VantageError(vantage.name, _NO_PYTHON, why, None if vantage.names_python else _NAME_ONE)


def _closed(name: str, stderr: str) -> VantageError | None:
    """A connection that ended before the login, if nothing else was said.

    Through a pipe (a jump host, a ProxyCommand) an sshd's drop and a command that failed look the same, but for what
    that command printed.
    """
    if _PIPE_CLOSED.search(stderr):
        other = _last_line("\n".join(line for line in stderr.splitlines() if not _OF_A_CLOSED_ONE.match(line)))
        if other:
            return VantageError(name, PIPE_ENDED, f"{PIPE_ENDED}: {other}")
    if _CLOSED_EARLY.search(stderr):
        return VantageError(name, DROPPED, f"the connection was {DROPPED}", DROPPED_HINT)
    if _CLOSED.search(stderr):
        return VantageError(name, "ssh ended before the login", "the connection was closed during the login")
    if _DIED.search(stderr):
        return VantageError(name, _LINK_DIED)
    return None


def _died(name: str, kind: str, stderr: str) -> VantageError:
    """A vantage that ended while its prober ran."""
    last = _last_line(stderr)
    if kind == "ssh" and (not last or _DIED.search(stderr)):
        timed_out = "Timeout, server" in stderr
        return VantageError(name, _LINK_DIED, None if timed_out else "the connection was closed during the run")
    return VantageError(name, _LINK_DIED, f"ended during the run: {last}" if last else "ended during the run")


def _last_line(text: str) -> str:
    """The last line that is not blank, cut to a readable length."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Warning: Permanently")]
    return lines[-1][:200] if lines else ""
