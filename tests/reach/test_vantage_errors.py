"""What programs say when a vantage cannot be used: the words of the real ones."""

from __future__ import annotations

import pytest

from netprobe.reach.vantage_errors import vantage_error


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
        ("docker", "Error response from daemon: container 1a is not running", 1, "no such container"),
        ("podman", 'Error: no container with name or ID "api" found: no such container', 125, "no such container"),
        ("kubectl", 'Error from server (NotFound): pods "api" not found', 1, "no such pod"),
        ("netns", "nsenter: cannot open /run/netns/x: No such file or directory", 1, "no such network namespace"),
        ("netns", "nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted", 1, "not permitted"),
        ("exec", '  File "<stdin>", line 71\nSyntaxError: invalid syntax', 1, "Python too old there"),
        ("ssh", "Timeout, server web1 not responding.", 255, "link died"),
        ("ssh", "kex_exchange_identification: Connection closed by remote host", 255, "ssh ended before the login"),
        ("exec", "no idea", 1, "ended without a word"),
    ],
)
def test_each_failure_has_its_name(kind: str, said: str, status: int, reason: str) -> None:
    assert vantage_error("v", kind, said, status, had_hello=False).reason == reason


def test_a_connection_that_closes_after_the_hello_died() -> None:
    said = "Connection closed by 192.0.2.1 port 22"
    assert vantage_error("v", "ssh", said, 255, had_hello=True).reason == "link died"
