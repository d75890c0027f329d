"""The ssh arguments of an inventory: options only, and none that takes the prober's place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InvalidInputError
from netprobe.reach.inventory import parse_ini
from netprobe.reach.ssh_arguments import parse_ssh_arguments


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("-o StrictHostKeyChecking=no -oUser=ann", ("-oStrictHostKeyChecking=no", "-oUser=ann")),
        ("-o 'ProxyCommand=ssh -W %h:%p -q jump'", ("-oProxyCommand=ssh -W %h:%p -q jump",)),
        ("-J jump,other -i ~/key -F none", ("-oProxyJump=jump,other", "-i~/key", "-Fnone")),
        ("-4C -p2222", ("-4", "-C", "-p2222")),
        ("-C -o ControlMaster=auto -o ControlPersist=60s", ("-C", "-oControlMaster=auto", "-oControlPersist=60s")),
        ("-A -tt -vvv -q -X -Y -M -L 80:a:80 -E log -e none -D9 -4", ("-4",)),
        ("-i -x", ("-i-x",)),  # as getopt(3): the value may look like an option
    ],
)
def test_options_become_one_word_each(text: str, words: tuple[str, ...]) -> None:
    assert parse_ssh_arguments(text, "web1") == words


WRONG = ("evil", "-4 evil", "--", "-- host", "-", "-o", "-ö", "-z", "'", "-o 'A=b\nProxyCommand=x'", "-o {{ jump }}")
NOT_A_LOGIN = ("-W a:1", "-N", "-n", "-f", "-G", "-V", "-O exit", "-s", "-Q key", "-P 1", "-4N")


@pytest.mark.parametrize("text", [*WRONG, *NOT_A_LOGIN])
def test_what_is_no_option_of_a_login_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="web1"):
        parse_ssh_arguments(text, "web1")


@given(st.text(max_size=30))
def test_every_word_is_an_option(text: str) -> None:
    try:
        words = parse_ssh_arguments(text, "web1")
    except InvalidInputError:
        return
    assert all(word.startswith("-") and len(word) > 1 and not word.startswith("--") for word in words)


def test_variables_of_a_host_come_before_those_of_its_group() -> None:
    text = (
        "[web]\nweb1 ansible_ssh_private_key_file='/a key' ansible_ssh_extra_args=-C\nweb2 ansible_ssh_port=2222\n"
        "[web:vars]\nansible_ssh_private_key_file=/other\nansible_ssh_common_args=-J jump\n"
        "ansible_ssh_args=-4\nansible_ssh_user=ann\n"
    )
    one, two = parse_ini(text, "f").vantages("web")
    assert one.command_prefix[-8:] == ("-l", "ann", "-4", "-i/a key", "-oProxyJump=jump", "-C", "--", "web1")
    assert two.command_prefix[-9:] == (
        *("-p", "2222", "-l", "ann", "-4", "-i/other", "-oProxyJump=jump", "--", "web2"),
    )


def test_what_netprobe_decides_comes_first() -> None:
    """Of an option that is given twice ssh takes the first (ssh_config(5))."""
    (vantage,) = parse_ini("web1 ansible_ssh_common_args='-o BatchMode=no -o ControlMaster=auto'", "f").vantages("all")
    words = vantage.command_prefix
    assert words.index("-oBatchMode=yes") < words.index("-oBatchMode=no")
    assert words.index("-oControlMaster=no") < words.index("-oControlMaster=auto")
