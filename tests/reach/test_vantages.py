"""The text of a vantage becomes an argv, and nothing in it can become an option."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InvalidInputError
from netprobe.prober import bundle
from netprobe.reach.inventory import select_vantages
from netprobe.reach.sessions import choice
from netprobe.reach.sessions.process import ProcessSession
from netprobe.reach.vantages import parse_vantage

SHELL = " ".join(["python3", *bundle.ARGUMENTS])


@pytest.mark.parametrize(
    ("text", "name", "tail"),
    [
        ("ssh:web1", "ssh:web1", ("--", "web1", SHELL)),
        ("w=ssh:ann@web1:2222", "w", ("-p", "2222", "-l", "ann", "--", "web1", SHELL)),
        (
            "ssh:[2001:db8::1]:22",
            "ssh:[2001:db8::1]:22",
            ("-p", "22", "--", "2001:db8::1", SHELL),
        ),
        ("docker:api", "docker:api", ("docker", "exec", "-i", "--", "api", "python3", *bundle.ARGUMENTS)),
        ("podman:api", "podman:api", ("podman", "exec", "-i", "--", "api", "python3", *bundle.ARGUMENTS)),
        ("kubectl:api", "kubectl:api", ("kubectl", "exec", "-i", "api", "--", "python3", *bundle.ARGUMENTS)),
        (
            "kubectl:shop/api:web",
            "kubectl:shop/api:web",
            ("--namespace=shop", "--container=web", "api", "--", "python3", *bundle.ARGUMENTS),
        ),
        ("x=exec:ip netns exec 'a b'", "x", ("ip", "netns", "exec", "a b", "python3", *bundle.ARGUMENTS)),
        ("exec:env A=1", "exec:env A=1", ("env", "A=1", "python3", *bundle.ARGUMENTS)),
    ],
)
def test_a_vantage_is_an_argv(text: str, name: str, tail: tuple[str, ...]) -> None:
    vantage = parse_vantage(text)
    assert vantage.name == name
    assert vantage.argv[-len(tail) :] == tail


@pytest.mark.parametrize("text", ["netns:blue", "netns:/proc/1/ns/net"])
def test_a_namespace_has_a_name_or_a_file(text: str) -> None:
    argv = parse_vantage(text).argv
    assert argv[:3] == ("nsenter", "--net=" + text.removeprefix("netns:").replace("blue", "/run/netns/blue"), "--")


@pytest.mark.parametrize(
    "text",
    [
        *("ssh:-oProxyCommand=x", "ssh:-l@web1", "ssh:ann@-web1", "docker:-privileged", "podman:--x"),
        *(
            "kubectl:-n",
            "kubectl:--all/pod",
            "kubectl:a/pod:-c",
            "netns:-x",
            "netns:../x",
            "netns:",
            "exec:-x",
            "exec:",
        ),
        *("ssh:", "ssh:web1:0", "ssh:web1:", "ssh:web1:65536", "ssh:web1:x", "ssh:2001:db8::1", "ssh:web 1", "ssh:a;b"),
        *(
            "ssh:[::1",
            "ssh:[::1]x",
            "ssh:$(x)",
            "docker:a b",
            "kubectl:a/b/c",
            "telnet:x",
            "x",
            "",
            "local:x",
            "a=local",
        ),
        *("local=ssh:web1", "a b=ssh:web1", "-x=ssh:web1", "exec:'", "netns:/proc/\n"),
    ],
)
def test_what_could_be_an_option_or_is_no_vantage_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_vantage(text)


@given(kind=st.sampled_from(["ssh", "docker", "podman", "kubectl", "netns"]), rest=st.text(max_size=20))
def test_nothing_behind_the_colon_becomes_an_option(kind: str, rest: str) -> None:
    try:
        argv = parse_vantage(f"{kind}:{rest}").argv
    except InvalidInputError:
        return
    given_words = [word for word in argv if word in rest.replace("@", "/").replace(":", "/").split("/")]
    assert not [word for word in given_words if word.startswith("-")]


def test_the_python_over_there_is_quoted_for_its_shell() -> None:
    (vantage,) = select_vantages(["w=ssh:web1"], ["/opt/my python;rm/bin/python3"])
    assert shlex.split(vantage.argv[-1])[:3] == ["/opt/my python;rm/bin/python3", "-I", "-c"]
    assert vantage.argv[-1].endswith(" ".join(bundle.ARGUMENTS))


def test_a_python_is_for_all_or_for_one() -> None:
    a, b = select_vantages(["a=docker:a", "b=docker:b"], ["/usr/bin/python3.11", "b=/opt/b"])
    assert (a.python, b.python) == ("/usr/bin/python3.11", "/opt/b")


@pytest.mark.parametrize("path", ["-c", "", "c=/opt/x", "/opt/\x1b[m"])
def test_a_python_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InvalidInputError):
        select_vantages(["a=docker:a"], [path])


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="two vantages"):
        select_vantages(["ssh:web1", "ssh:web1"])


@pytest.mark.parametrize(
    ("text", "has_files", "prefix"),
    [
        ("netns:blue", True, ("ip", "netns", "exec", "blue")),
        ("netns:/run/netns/blue", True, ("ip", "netns", "exec", "blue")),
        ("netns:/var/run/netns/blue", True, ("ip", "netns", "exec", "blue")),
        ("netns:blue", False, ("nsenter", "--net=/run/netns/blue", "--")),
        ("netns:/proc/1/ns/net", True, ("nsenter", "--net=/proc/1/ns/net", "--")),
        ("netns:/srv/blue", True, ("nsenter", "--net=/srv/blue", "--")),
    ],
)
def test_a_namespace_with_files_of_its_own_is_entered_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, has_files: bool, prefix: tuple[str, ...]
) -> None:
    monkeypatch.setattr(choice, "_FILES", tmp_path)
    if has_files:
        for name in ("blue", "net"):
            tmp_path.joinpath(name).mkdir()
    session = choice.session_for(parse_vantage(text))
    assert isinstance(session, ProcessSession)
    assert session.vantage.command_prefix == prefix
