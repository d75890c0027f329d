"""One word means one thing: every option of every command stands in one table, which says what its word means.

A word that is in two commands has the same letter, the same name for its value and the same sort of value in both; a
word that two commands would need for two things fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click
import pytest

from netprobe.commands.command import Option
from tests.commands.tree import COMMANDS, IDS
from tests.conftest import Run
from tests.echo.running import Server
from tests.man.generate import Page


class Word(NamedTuple):
    """What an option is everywhere."""

    letter: str | None
    value: str | None  # the name of its value; None: a switch
    sort: str
    meaning: str


def _switch(meaning: str, letter: str | None = None) -> Word:
    return Word(letter, None, "switch", meaning)


def _text(value: str, meaning: str, letter: str | None = None) -> Word:
    return Word(letter, value, "text", meaning)


def _file(meaning: str, letter: str | None = None) -> Word:
    return Word(letter, "FILE", "path", meaning)


def _count(value: str, meaning: str, letter: str | None = None) -> Word:
    return Word(letter, value, "integer", meaning)


def _seconds(meaning: str, letter: str | None = None) -> Word:
    return Word(letter, "S", "number", meaning)


WORDS = {
    # output
    "--format": Word(None, "FORM", "choice", "the form of results"),
    "--json": _switch("results as one JSON document", "-j"),
    "--quiet": _switch("results and errors only", "-q"),
    "--verbose": Word("-v", None, "count", "more detail on stderr"),
    "--color": Word(None, "WHEN", "choice", "when to colour"),
    "--debug": _switch("tracebacks"),
    "--version": _switch("which netprobe this is", "-V"),
    "--help": _switch("all of the help"),
    "--live": _switch("a picture that changes"),
    "--wide": _switch("words for marks"),
    "--matrix": _switch("every cell"),
    "--trace": _switch("name the rule"),
    "--explain": _switch("the rules that applied"),
    "--log": _switch("a line for each connection"),
    "--output": _file("where what comes back goes", "-o"),
    "--html": _file("the report as a page"),
    "--svg": _file("the report as a picture"),
    # which addresses, which peer
    "--addr": _text("ADDRESS", "what is bound"),
    "--to": _text("HOST[:PORT]", "what a client connects to"),
    "--port": _count("N", "the port that goes with the addresses"),
    "--ipv4": _switch("IPv4 only", "-4"),
    "--ipv6": _switch("IPv6 only", "-6"),
    "--tcp": _switch("over TCP"),
    "--udp": _switch("over UDP"),
    "--unix": Word(None, "PATH", "path", "a unix socket to bind"),
    "--source": _text("ADDRESS", "the address that a client sends from"),
    "--device": _text("IFACE", "the interface that a listener is bound to"),
    "--from": _text("[NAME=]WHERE", "the vantage that a client runs at"),
    "--inventory": _file("where groups of vantages come from"),
    "--python": _text("[NAME=]PATH", "the interpreter at a vantage"),
    # sockets
    "--v6only": _switch("IPv6 sockets take IPv6 alone"),
    "--reuse-port": _switch("share the port"),
    "--freebind": _switch("bind what no interface has"),
    "--backlog": _count("N", "the length of the accept queue"),
    # what is sent, how much, how often, how long
    "--framed": _switch("messages with a header"),
    "--connect-only": _switch("nothing but the handshake"),
    "--size": _count("BYTES", "bytes of a message", "-s"),
    "--payload": _count("BYTES", "bytes that go through once a probe is answered"),
    "--count": _count("N", "how many messages", "-c"),
    "--interval": _seconds("between two messages", "-i"),
    "--duration": _seconds("how long to go on"),
    "--timeout": _seconds("the longest wait for an answer"),
    "--patience": _seconds("how long to ask a silent host again"),
    "--keep": _seconds("how long to stay open after the test"),
    "--drain-timeout": _seconds("for what is pending at the end"),
    "--idle-timeout": _seconds("until an idle peer is ended"),
    "--frame-timeout": _seconds("until a frame that does not grow is ended"),
    "--connections": _count("N", "connections at the same time"),
    "--pipeline": _count("N", "messages in flight"),
    "--rate": Word(None, "N", "number", "messages to start each second"),
    "--churn": _switch("a connection for each message"),
    "--stream": _switch("bytes without a pause"),
    "--hex": _text("DIGITS", "the bytes to send"),
    "--type": _text("TYPE", "the content type of a message"),
    "--verify": _switch("only whether it came back unchanged"),
    "--max-connections": _count("N", "the most connections of a worker"),
    "--max-buffer": _count("BYTES", "the most that is kept for a slow reader"),
    "--max-content": _count("BYTES", "the largest frame"),
    "--max-rate": Word(None, "N", "number", "the most datagrams that are answered each second"),
    "--memory": Word(None, "SIZE", "size", "what all peers together may hold"),
    "--busy-poll": _count("US", "microseconds to poll under load"),
    "--workers": _count("N", "processes"),
    # expectations, and by hand
    "--save": _file("the expectation to write"),
    "--expect": _file("the expectation to compare with"),
    "--listen-only": _switch("be the side that listens"),
    "--connect": _text("HOST:PORT", "be the side that connects, to this"),
    "--nonce": _text("SECRET", "the secret of the run to connect to"),
    # reading addresses
    "--file": _file("what is read"),
    "--field": _count("N", "which field of a line"),
    "--delimiter": _text("D", "what separates fields"),
    "--prefix": _count("BITS", "the prefix where none is given"),
    "--lenient": _switch("legacy spellings"),
    "--nat64": _text("PREFIX", "a NAT64 prefix of this network"),
    "--here": _switch("where this host finds it"),
    "--bits": _switch("the bits of an address"),
    "--card": _switch("one of each address"),
    "--is": _text("KIND", "are all of this kind?"),
    "--only": _text("KIND", "print only these"),
    "--not": _text("KIND", "leave these out"),
    "--tally": _switch("how many of each kind"),
    "--registry": _switch("the table of special blocks"),
    "--kinds": _switch("the table of kinds"),
}
SORTS = (
    (click.Choice, "choice"),
    (click.Path, "path"),
    (click.IntRange, "integer"),
    (click.types.IntParamType, "integer"),
    (click.FloatRange, "number"),
)


def _options() -> Iterator[tuple[Page, click.Option]]:
    for page in COMMANDS:
        for option in page.command.get_params(page.context):
            if isinstance(option, click.Option) and option.name != "help_h":
                yield page, option


ALL = [pytest.param(option, id=f"{'-'.join(page.path)} {option.opts[-1]}") for page, option in _options()]


@pytest.mark.parametrize("option", ALL)
def test_an_option_is_what_its_word_means_everywhere(option: click.Option) -> None:
    long = [name for name in option.opts if name.startswith("--")]
    assert len(long) == 1, "one word for one thing; an old one is an alias"
    word = WORDS[long[0]]
    assert [name for name in option.opts if name not in long] == ([] if word.letter is None else [word.letter])
    sort = "switch" if option.is_flag else "count" if option.count else _sort(option)
    assert sort == word.sort
    if option.is_flag or option.count:
        return
    # where there is no port to choose, because it is the listener's, HOST stands without it
    assert option.metavar in (word.value, (word.value or "").removesuffix("[:PORT]"))


def _sort(option: click.Option) -> str:
    kind = option.type
    if kind.name == "size":
        return "size"
    return next((name for type_, name in SORTS if isinstance(kind, type_)), "text")


def test_no_two_words_and_no_two_letters_mean_the_same() -> None:
    meanings = [word.meaning for word in WORDS.values()]
    letters = [word.letter for word in WORDS.values() if word.letter]
    assert len(set(meanings)) == len(meanings)
    assert len(set(letters)) == len(letters)


def test_every_word_is_one_of_a_command() -> None:
    assert set(WORDS) == {name for _, option in _options() for name in option.opts if name.startswith("--")}


def test_an_old_spelling_is_no_word_of_its_own_command() -> None:
    """An alias that another command has for something else would be two meanings after all, but for what was there."""
    aliases = {name for _, option in _options() if isinstance(option, Option) for name in option.aliases}
    assert aliases == {"--host", "--count", "--processes", "--rate"}


@pytest.mark.parametrize("page", COMMANDS, ids=IDS)
def test_no_help_shows_an_old_spelling(page: Page, netprobe: Run) -> None:
    shown = netprobe(*page.path[1:], "--help").stdout
    for option in page.command.params:
        for alias in option.aliases if isinstance(option, Option) else ():
            assert alias not in shown.split()


def test_old_spellings_of_classify_still_work(netprobe: Run) -> None:
    new = netprobe("classify", "--tally", "-", "--workers", "1", stdin="10.0.0.1\n")
    assert new.status == 0
    assert new == netprobe("classify", "--count", "-", "--processes", "1", stdin="10.0.0.1\n")
    for variable in ("NETPROBE_CLASSIFY_COUNT", "NETPROBE_CLASSIFY_TALLY"):
        assert netprobe("classify", "-", stdin="10.0.0.1\n", env={variable: "1"}).stdout == new.stdout


@pytest.mark.parametrize("words", [["--host", "127.0.0.2"], ["--addr", "127.0.0.2"], ["127.0.0.2"], ["127.0.0.2:0"]])
def test_a_server_is_bound_to_what_any_spelling_says(words: list[str], netprobe: Run) -> None:
    if words == ["127.0.0.2:0"]:
        ran = netprobe("echo", "serve", *words)
        assert (ran.status, ran.stdout) == (2, "")
        return
    with Server("--tcp", *words, "--rate", "5") as server:
        assert netprobe("echo", "ping", "127.0.0.2", "--port", str(server.port), "-c", "1", "-i", "0").status == 0
        assert netprobe("echo", "ping", "--to", f"127.0.0.2:{server.port}", "-c", "1").status == 0
        assert netprobe("echo", "send", "x", "--to", "127.0.0.2", "--port", str(server.port)).stdout == "x\n"
        assert netprobe("echo", "load", "--to", f"127.0.0.2:{server.port}", "-c", "3").status == 0


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (["bindtest", "127.0.0.1", "--addr", "127.0.0.2"], "given in two ways that differ"),
        (["echo", "serve", "127.0.0.1", "--addr", "127.0.0.2"], "given in two ways that differ"),
        (["echo", "serve", "127.0.0.1", "--host", "127.0.0.2"], "given in two ways that differ"),
        (["bindtest", "127.0.0.1:7000", "--port", "7001"], "two ports"),
        (["bindtest", "127.0.0.1:7000", "127.0.0.2:7001"], "two ports"),
        (["echo", "ping", "127.0.0.1", "--to", "127.0.0.2"], "two peers"),
        (["echo", "load", "127.0.0.1", "--to", "127.0.0.2"], "two peers"),
        (["echo", "ping", "127.0.0.1:7", "--port", "8"], "two ports"),
        (["echo", "send", "x", "--to", "127.0.0.1:7", "--port", "8"], "two ports"),
        (["bindtest", "-6", "127.0.0.1"], "is IPv4, and -6 asks for IPv6 only"),
        (["bindtest", "-4", "::1"], "is IPv6, and -4 asks for IPv4 only"),
        (["echo", "ping", "-6", "127.0.0.1"], "IPv6, but 127.0.0.1 is IPv4"),
        (["echo", "ping", "-6", "--source", "127.0.0.1", "localhost"], "not the same family"),
        (["echo", "serve", "-4", "::1"], "is IPv6, and -4 asks for IPv4 only"),
        (["bindtest", "[::1"], "not HOST:PORT"),
    ],
)
def test_what_contradicts_itself_is_one_usage_error(typed: list[str], why: str, netprobe: Run) -> None:
    ran = netprobe(*typed)
    assert (ran.status, ran.stdout) == (2, "")
    assert why in ran.stderr
    assert ran.stderr.startswith("netprobe: ")
    assert len(ran.stderr.splitlines()) == 2


def test_the_same_said_twice_is_no_contradiction(netprobe: Run) -> None:
    ran = netprobe("bindtest", "127.0.0.1", "--addr", "127.0.0.1", "--tcp", "--format", "csv")
    assert ran.status == 0


def test_an_argument_wins_over_a_variable(netprobe: Run) -> None:
    env = {"NETPROBE_BINDTEST_ADDR": "127.0.0.9", "NETPROBE_BINDTEST_PORT": "1"}
    ran = netprobe("bindtest", "127.0.0.1:0".removesuffix(":0"), "--tcp", "--port", "0", "--format", "csv", env=env)
    assert ran.status == 0
    assert "127.0.0.9" not in ran.stdout


def test_an_address_may_say_its_port(netprobe: Run) -> None:
    with Server("--tcp", "--port", "0") as free:
        port = free.port
    ran = netprobe("bindtest", f"127.0.0.1:{port}", "--tcp", "--format", "plain")
    assert {line.split("\t")[2] for line in ran.stdout.splitlines()} == {str(port)}


@pytest.mark.parametrize(("option", "colons"), [("-4", False), ("-6", True)])
def test_bindtest_asks_about_one_version(option: str, colons: bool, netprobe: Run) -> None:
    ran = netprobe("bindtest", option, "--tcp", "--format", "plain")
    found = [line.split("\t") for line in ran.stdout.splitlines()]
    assert found or colons  # a machine without IPv6 has nothing to bind
    assert all((":" in bind) == colons == (":" in to) for _, bind, _, to, *_ in found)


@pytest.mark.parametrize("option", ["-4", "-6"])
def test_interfaces_shows_one_version(option: str, netprobe: Run) -> None:
    lines = [line.split("\t") for line in netprobe("interfaces", option).stdout.splitlines()]
    assert all((":" in line[3]) == (option == "-6") for line in lines)


def test_interfaces_shows_those_that_are_named(netprobe: Run) -> None:
    ran = netprobe("interfaces", "lo")
    assert (ran.status, ran.stderr) == (0, "")
    assert {line.split("\t")[0] for line in ran.stdout.splitlines()} == {"lo"}


def test_an_unknown_interface_is_one_line_and_the_others_are_shown(netprobe: Run) -> None:
    ran = netprobe("interfaces", "lo", "loo")
    assert ran.status == 2
    assert ran.stderr == "netprobe: loo: no such interface\nhint: did you mean lo?\n"
    assert ran.stdout.startswith("lo\t")
    whole = netprobe("interfaces", "loo", "--json")
    assert whole.status == 2
    assert '"results": []' in whole.stdout
    assert "no such interface" in whole.stdout
