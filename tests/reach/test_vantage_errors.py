"""What programs say when a vantage cannot be used: the words of the real ones."""

from __future__ import annotations

import pickle
import re

import pytest

from netprobe.reach.vantage_errors import _OTHERS, _SSH, _Symptom, vantage_error
from netprobe.reach.vantages import Vantage, parse_vantage, with_pythons


@pytest.mark.parametrize(
    ("kind", "said", "status", "reason"),
    [
        ("ssh", "ssh: Could not resolve hostname web9: Name or service not known", 255, "host unknown"),
        ("ssh", "ssh: connect to host web1 port 22: Connection refused", 255, "connection refused"),
        ("ssh", "ssh: connect to host web1 port 22: No route to host", 255, "no route"),
        ("ssh", "ssh: connect to host web1 port 22: Connection timed out", 255, "no answer"),
        ("ssh", "No ED25519 host key is known for web1\nHost key verification failed.", 255, "host key unknown"),
        (
            "ssh",
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
            255,
            "host key changed",
        ),
        ("ssh", "ann@web1: Permission denied (publickey).", 255, "permission denied"),
        ("ssh", "bash: line 1: python3: command not found", 127, "no python3 there"),
        ("ssh", "sh: 1: python3: not found", 127, "no python3 there"),
        ("ssh", "zsh:1: command not found: python3", 127, "no python3 there"),
        ("ssh", "fish: Unknown command: python3", 127, "no python3 there"),
        ("ssh", "something in another language", 127, "no python3 there"),
        ("docker", 'exec: "python3": executable file not found in $PATH: unknown', 127, "no python3 there"),
        ("docker", "Error response from daemon: No such container: api", 1, "no such container"),
        ("docker", "Error response from daemon: container 1a is not running", 1, "not running"),
        ("podman", 'Error: no container with name or ID "api" found: no such container', 125, "no such container"),
        ("kubectl", 'Error from server (NotFound): pods "api" not found', 1, "no such pod"),
        ("netns", "nsenter: cannot open /run/netns/x: No such file or directory", 1, "no such network namespace"),
        ("netns", "nsenter: cannot open /proc/1/ns/net: Permission denied", 1, "not permitted"),
        ("netns", "nsenter: cannot open /run/netns/x: Too many open files", 1, "ended without a word"),
        ("netns", "nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted", 1, "not permitted"),
        ("exec", '  File "<stdin>", line 71\nSyntaxError: invalid syntax', 1, "Python too old there"),
        ("ssh", "Timeout, server web1 not responding.", 255, "link died"),
        ("ssh", "kex_exchange_identification: Connection closed by remote host", 255, "closed before the login"),
        ("ssh", "Connection closed by 192.0.2.1 port 22", 255, "ssh ended before the login"),
        ("ssh", "Connection reset by 192.0.2.1 port 22", 255, "ssh ended before the login"),
        ("ssh", "ssh: Could not resolve hostname a: Temporary failure in name resolution", 255, "name not resolved"),
        ("ssh", "ssh: connect to host web1 port 22: Operation not permitted", 255, "no connection"),
        (
            "ssh",
            "Connection timed out during banner exchange\nConnection to 192.0.2.1 port 22 timed out",
            255,
            "no answer",
        ),
        ("ssh", "Protocol major versions differ: 2 vs. 1", 255, "not an sshd"),
        ("ssh", "kex_exchange_identification: banner line contains invalid characters", 255, "not an sshd"),
        (
            "ssh",
            "kex_exchange_identification: No SSH version received in first 1024 lines from server\r\n"
            "banner exchange: Connection to 192.0.2.1 port 80: invalid format\r",
            255,
            "not an sshd",
        ),
        (
            "ssh",
            "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: ssh-rsa",
            255,
            "no common algorithm",
        ),
        ("ssh", "/home/ann/.ssh/config: line 2: Bad configuration option: foo", 255, "ssh configuration is wrong"),
        ("ssh", "Bad owner or permissions on /home/ann/.ssh/config", 255, "ssh configuration is wrong"),
        ("ssh", "Can't open user config file /x: No such file or directory", 255, "ssh configuration is wrong"),
        (
            "ssh",
            "ED25519 host key for web1 was revoked and you have requested strict checking.\n"
            "Host key verification failed.",
            255,
            "host key revoked",
        ),
        (
            "ssh",
            "no such identity: /a/key: No such file or directory\nann@web1: Permission denied (publickey).",
            255,
            "permission denied",
        ),
        (
            "ssh",
            "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n"
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            255,
            "connection refused",
        ),
        (
            "ssh",
            "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\n"
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            255,
            "no connection",
        ),
        (
            "ssh",
            "bash: line 1: exec: gate: not found\nkex_exchange_identification: Connection closed by remote host\n"
            "Connection closed by UNKNOWN port 65535",
            255,
            "what connects ssh has ended",
        ),
        ("ssh", "Welcome\nThis account is currently not available.", 1, "account does not allow commands"),
        ("exec", "no idea", 1, "ended without a word"),
    ],
)
def test_each_failure_has_its_name(kind: str, said: str, status: int, reason: str) -> None:
    assert vantage_error(Vantage("v", kind), said, status, had_hello=False).reason == reason


def test_a_connection_that_closes_after_the_hello_died() -> None:
    said = "Connection closed by 192.0.2.1 port 22"
    assert vantage_error(Vantage("v", "ssh"), said, 255, had_hello=True).reason == "link died"


# What the far side prints comes out of the same stderr.
FORGED = (
    "Host key verification failed.",
    "git@forge: Permission denied (publickey).",
    "kex_exchange_identification: Connection closed by remote host",
    "ssh: connect to host other port 22: Connection refused",
)


@pytest.mark.parametrize("said", FORGED)
@pytest.mark.parametrize("status", [0, 1, 127])
def test_ssh_did_not_fail_where_its_status_is_the_commands(said: str, status: int) -> None:
    reason = "no python3 there" if status == 127 else "ended without a word"
    assert vantage_error(Vantage("v", "ssh"), said, status, had_hello=False).reason == reason


@pytest.mark.parametrize("said", FORGED)
def test_once_the_prober_has_spoken_it_is_no_failure_to_get_there(said: str) -> None:
    assert vantage_error(Vantage("v", "ssh"), said, 255, had_hello=True).reason == "link died"


def test_a_changed_key_that_was_let_pass_is_no_reason() -> None:
    said = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nSomeone could be eavesdropping\nno such thing"
    error = vantage_error(Vantage("v", "ssh"), said, 255, had_hello=False)
    assert (error.reason, error.why) == ("ended without a word", "ssh ended with status 255: no such thing")


@pytest.mark.parametrize("kind", ["ssh", "docker", "exec"])
@pytest.mark.parametrize(
    "word", ["python", "open failed: ", "no such identity: ", "not found", "Unable to negotiate with "]
)
def test_a_line_of_any_length_is_read_in_no_time(kind: str, word: str) -> None:
    """A pattern with a gap in it needs quadratic time in one line: here for minutes, were it not cut."""
    vantage_error(Vantage("v", kind), word * 200_000, 255, had_hello=False)


@pytest.mark.parametrize("row", [*_SSH, *_OTHERS], ids=lambda row: row.reason)
def test_no_pattern_looks_beyond_its_line(row: _Symptom) -> None:
    """Or 16 KiB of its beginning would be looked through once for each of them."""
    for pattern in (row.pattern, row.then or ""):
        assert not re.search(r"\(\?[a-z]*s|\[\\s\\S\]|\[\^[^\]]*\][*+]", pattern)
        assert not re.compile(pattern).flags & re.DOTALL


FORWARDING = "stdio forwarding failed\nConnection closed by UNKNOWN port 65535"
IN_TWO = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed.", "host key changed"),
    ("REVOKED HOST KEY DETECTED", "Host key verification failed.", "host key revoked"),
    ("channel 0: open failed: administratively prohibited: x", FORWARDING, "jump host does not forward"),
    ("channel 0: open failed: connect failed: Connection refused", FORWARDING, "connection refused"),
    ("channel 0: open failed: connect failed: No such device", FORWARDING, "no connection"),
)


@pytest.mark.parametrize(("first", "then", "reason"), IN_TWO)
def test_what_is_said_in_two_lines_has_others_between(first: str, then: str, reason: str) -> None:
    between = "something\n\n" * 20
    assert vantage_error(Vantage("v", "ssh"), f"x\n{first}\n{between}{then}", 255, had_hello=False).reason == reason
    assert vantage_error(Vantage("v", "ssh"), f"{then}\n{between}{first}", 255, had_hello=False).reason != reason
    alone = vantage_error(Vantage("v", "ssh"), f"{first}\n" * 400, 255, had_hello=False)
    assert alone.reason == "ended without a word"


def test_a_key_file_is_named_where_the_login_failed() -> None:
    said = "no such identity: /a/key: No such file or directory\nWelcome\nann@web1: Permission denied (publickey)."
    error = vantage_error(Vantage("v", "ssh"), said, 255, had_hello=False)
    assert error.why == "permission denied, and the key file /a/key cannot be read"


def test_an_error_can_be_copied() -> None:
    error = vantage_error(Vantage("v", "ssh"), "Connection closed by 192.0.2.1 port 22", 255, had_hello=False)
    again = pickle.loads(pickle.dumps(error))
    assert (again.what, again.reason, again.why, again.hint) == (error.what, error.reason, error.why, error.hint)


def test_a_container_that_is_there_and_does_not_run_can_be_started() -> None:
    for kind, said in (
        ("podman", "Error: can only create exec sessions on running containers: container state improper"),
        ("docker", "Error response from daemon: container 0123456789ab is not running"),
    ):
        error = vantage_error(parse_vantage(f"{kind}:db1"), said, 255, had_hello=False)
        assert (error.why, error.hint) == ("the container is not running", f"{kind} start db1")
    unknown = vantage_error(parse_vantage("podman:db1"), "Error: no container with name or ID", 125, had_hello=False)
    assert (unknown.why, unknown.hint) == ("no such container", None)


def test_a_python_that_was_named_is_named_and_not_asked_for_again() -> None:
    (named,) = with_pythons([parse_vantage("exec:env")], ["/opt/py/bin/python3.12"])
    error = vantage_error(named, "env: '/opt/py/bin/python3.12': No such file or directory", 127, had_hello=False)
    assert (error.why, error.hint) == ("no /opt/py/bin/python3.12 there", None)
    error = vantage_error(parse_vantage("exec:env"), "env: 'python3': No such file or directory", 127, had_hello=False)
    assert (error.why, error.hint) == ("no python3 there", "name one with --python PATH")


def test_a_namespace_is_looked_for_where_it_was_given() -> None:
    said = "nsenter: cannot open {}: No such file or directory"
    path = vantage_error(parse_vantage("netns:/proc/9/ns/net"), said.format("/proc/9/ns/net"), 1, had_hello=False)
    assert (path.why, path.hint) == ("no network namespace at /proc/9/ns/net", None)
    name = vantage_error(parse_vantage("netns:blue"), said.format("/run/netns/blue"), 1, had_hello=False)
    assert (name.why, name.hint) == ("no such network namespace", "see: ip netns list")


def test_what_an_account_says_on_stdout_is_shown() -> None:
    words = "This account is currently not available."
    error = vantage_error(parse_vantage("exec:true"), "", 1, had_hello=False, said=words)
    assert error.why == f"exec ended with status 1: {words}"
    error = vantage_error(parse_vantage("ssh:web1"), "", 1, had_hello=False, said=words)
    assert error.why == f"account does not allow commands: {words}"
