"""The two forms of help: ``-h`` is one screen that begins with what to paste, ``--help`` is everything."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from netprobe.commands.command import Command, Group, Option
from netprobe.commands.help import brief_help, full_help
from tests.commands.tree import COMMANDS, IDS
from tests.conftest import NETPROBE, Run, clean_environment, run_in_terminal
from tests.echo.running import Server
from tests.man.generate import Page

WIDTHS = (40, 60, 80, 200)
EVERY = pytest.mark.parametrize("page", COMMANDS, ids=IDS)
SERVER = "127.0.0.1:65432"
EXAMPLES = [(page, line) for page in COMMANDS for line, _ in getattr(page.command, "examples", ())]


def _at(page: Page, width: int) -> click.Context:
    return click.Context(
        page.command, info_name=page.path[-1], parent=page.context.parent, terminal_width=width, auto_envvar_prefix="N"
    )


def _words(text: str) -> list[str]:
    return text.split()


@EVERY
def test_h_fits_one_screen_and_names_its_groups(page: Page, netprobe: Run) -> None:
    ran = netprobe(*page.path[1:], "-h")
    assert (ran.status, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert len(lines) < 45
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Usage: netprobe")
    assert "\nOptions:\n" not in ran.stdout
    assert ran.stdout.count("variable") == (1 if len(page.command.params) > 1 else 0)


@EVERY
def test_examples_come_before_the_options_in_both_forms(page: Page, netprobe: Run) -> None:
    for form in ("-h", "--help"):
        text = netprobe(*page.path[1:], form).stdout
        first = next(line for line, _ in getattr(page.command, "examples", ()))
        assert text.index(first) < text.index("--", text.index("\n\n", text.index(first)))


@EVERY
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_at_any_width(page: Page, width: int) -> None:
    context = _at(page, width)
    for form in (brief_help, full_help):
        text = form(page.command, context)
        assert "…" not in text
        assert not re.search(r"\w\.\.\.(?!\])", text)  # only [ADDRESS...] may have them
    assert isinstance(page.command, Command | Group)
    if isinstance(page.command, click.Group):
        text = " ".join(_words(brief_help(page.command, context)))
        for name in page.command.list_commands(context):
            sub = page.command.get_command(context, name)
            assert sub is not None
            assert sub.short_help is not None
            assert f"{name} {sub.short_help}" in text


@EVERY
def test_a_line_is_longer_than_a_narrow_screen_only_where_a_word_or_a_command_is(page: Page) -> None:
    commands = {line for line, _ in getattr(page.command, "examples", ())}
    for form in (brief_help, full_help):
        for line in form(page.command, _at(page, 40)).splitlines():
            assert len(line) <= 40 or line.strip() in commands or len(_words(line)) <= 2, line


@EVERY
def test_help_tells_every_option_with_its_text_and_variable(page: Page, netprobe: Run) -> None:
    text = netprobe(*page.path[1:], "--help").stdout
    joined = " ".join(_words(text))
    for option in page.command.get_params(page.context):
        if isinstance(option, click.Option) and not option.hidden:
            assert all(name in text for name in option.opts)
            assert " ".join(_words(option.help or "")) in joined
            for variable in option.variables(page.context)[:1] if isinstance(option, Option) else ():
                long = next(name for name in option.opts if name.startswith("--"))
                assert variable == "_".join((*page.path, long[2:].replace("-", "_"))).upper()
                assert variable in text


@EVERY
def test_netprobe_help_is_the_help_of_the_command(page: Page, netprobe: Run) -> None:
    assert netprobe("help", *page.path[1:]) == netprobe(*page.path[1:], "--help")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["ping"], "netprobe echo ping"),
        (["pign"], "netprobe echo ping"),
        (["sevre"], "netprobe echo serve"),
        (["clasify"], "netprobe classify"),
        (["echo", "clasify"], "netprobe classify"),
        (["echo", "bindtest"], "netprobe bindtest"),
        (["echo", "laod"], "netprobe echo load"),
        (["help", "ping"], "netprobe echo ping"),
        (["help", "echo", "pingg"], "netprobe echo ping"),
    ],
)
def test_what_was_meant_is_found_on_every_level(typed: list[str], meant: str, netprobe: Run) -> None:
    ran = netprobe(*typed)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[1:] == [f"hint: did you mean '{meant}'?"]


def test_an_option_before_its_command_is_told_where_it_goes(netprobe: Run) -> None:
    ran = netprobe("--addr", "127.0.0.1", "bindtest")
    assert ran.status == 2
    assert ran.stderr.splitlines()[1] == "hint: it goes behind the command: netprobe bindtest --addr"


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_gets_the_width_it_has(columns: int) -> None:
    shown = run_in_terminal([str(NETPROBE), "-h"], columns=columns)
    assert shown.status == 0
    assert "\x1b" not in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines() if "netprobe bindtest" not in line) <= columns


def _is_foreign(line: str) -> bool:
    return "ssh:" in line or ".example" in line


@pytest.mark.parametrize(
    ("page", "line"),
    [entry for entry in EXAMPLES if not _is_foreign(entry[1])],
    ids=[line for _, line in EXAMPLES if not _is_foreign(line)],
)
def test_an_example_can_be_pasted(page: Page, line: str, tmp_path: Path) -> None:
    """Each that needs no foreign host is run by a shell, in a folder with the files that it names.

    A server and a listener run until they are asked to end. Their ports are replaced by free ones: the line itself
    says where the default is.
    """
    (tmp_path / "addresses").write_text("10.0.0.1\n8.8.8.8\n")
    (tmp_path / ".config" / "fish" / "completions").mkdir(parents=True)
    environment = clean_environment({"HOME": str(tmp_path)})
    environment["PATH"] = f"{NETPROBE.parent}:{environment['PATH']}"
    if "echo serve" in line:
        with Server(*shlex.split(line)[3:], *([] if "--port" in line else ["--port", "0"])):
            return
    if "--listen-only" in line:
        line += " --keep 0.1"
    if line.startswith("netprobe echo"):
        with Server("--framed" if "--framed" in line else "--tcp") as server:
            environment["NETPROBE_ECHO_SEND_TO"] = f"127.0.0.1:{server.port}"
            if "load" in line:
                line += " --count 20"
            _run(line.replace(SERVER, f"127.0.0.1:{server.port}"), environment, tmp_path)
        return
    _run(line, environment, tmp_path)


def _run(line: str, environment: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stderr.startswith("netprobe: ")
