"""Terminal manners that every command owes, tried on the installed console script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netprobe.version import __version__
from tests.conftest import NETPROBE, Run, clean_environment, run_in_terminal, run_process


def test_a_variable_decides_and_a_flag_wins(netprobe: Run) -> None:
    env = {"NETPROBE_CLASSIFY_FORMAT": "csv"}
    assert netprobe("classify", "10.0.0.1", env=env).stdout.startswith("input,")
    assert netprobe("classify", "10.0.0.1", "--json", env=env).stdout.startswith("{")
    assert netprobe("classify", "10.0.0.1", "--format", "plain", env={"NETPROBE_CLASSIFY_JSON": "1"}).stdout[0] == "1"


def test_version_is_one_line(netprobe: Run) -> None:
    assert netprobe("--version").stdout == netprobe("-V").stdout == f"netprobe {__version__}\n"


def test_no_command_shows_the_help_and_is_wrong_usage(netprobe: Run) -> None:
    ran = netprobe()
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Usage: netprobe COMMAND [OPTIONS]\n\nWhat is this address?")


def test_a_mistyped_command_suggests_the_right_one(netprobe: Run) -> None:
    ran = netprobe("completoin")
    assert ran.status == 2
    assert ran.stderr == "netprobe: completoin: no such command\nhint: did you mean 'netprobe completion'?\n"


def test_an_address_in_place_of_a_command_suggests_classify(netprobe: Run) -> None:
    assert "netprobe classify 10.0.0.1" in netprobe("10.0.0.1").stderr


def test_wrong_usage_is_one_line_and_a_hint(netprobe: Run) -> None:
    ran = netprobe("completion", "--bogus")
    assert ran.status == 2
    what, hint = ran.stderr.splitlines()
    assert what.startswith("netprobe: completion: no such option")  # the rest is click's, and differs by version
    assert "--bogus" in what
    assert hint == "hint: see 'netprobe completion --help'"


@pytest.mark.parametrize("module", ["click", "netprobe.cli"])
def test_ctrl_c_during_the_imports_is_one_line_and_130(module: str, tmp_path: Path) -> None:
    hook = "import os, signal, sys\n" + (
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hook)
    done = subprocess.run(
        [NETPROBE, "--version"],
        capture_output=True,
        text=True,
        env=clean_environment({"PYTHONPATH": str(tmp_path)}),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "netprobe: interrupted\n")


def test_a_reader_that_goes_away_is_met_in_silence() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([NETPROBE, "completion", "bash"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_reported_and_is_not_success() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [NETPROBE, "completion", "bash"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert done.stderr.startswith("netprobe: standard output: No space left on device\n")


@pytest.mark.parametrize("command", ["completion bash", "classify 10.0.0.1", "classify --json 10.0.0.1", "--help"])
def test_a_closed_stdout_is_one_line_and_no_success(command: str) -> None:
    ran = run_process(["sh", "-c", f'exec "{NETPROBE}" {command} >&-'])
    assert ran.status == 3
    assert ran.stderr == "netprobe: standard output: Bad file descriptor\nhint: the output is not complete\n"


def test_who_says_nothing_needs_no_stdout() -> None:
    assert run_process(["sh", "-c", f'exec "{NETPROBE}" classify -q --is private 10.0.0.1 >&-']).status == 0


@pytest.mark.parametrize("command", ["classify -", "classify --count -", "echo send --to 127.0.0.1:1 -"])
def test_a_closed_stdin_is_one_line_and_no_internal_error(command: str) -> None:
    ran = run_process(["sh", "-c", f'exec "{NETPROBE}" {command} <&-'])
    assert (ran.status, ran.stdout) == (3, "")
    assert ran.stderr.startswith("netprobe: standard input: it is closed\nhint: ")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize(
    "option",
    [
        ("bindtest", "--timeout"),
        ("echo", "send", "--timeout"),
        ("echo", "ping", "--interval"),
        ("echo", "load", "--rate"),
        ("echo", "load", "--duration"),
        ("echo", "serve", "--idle-timeout"),
    ],
)
def test_what_is_no_finite_number_is_refused(option: tuple[str, ...], number: str, netprobe: Run) -> None:
    ran = netprobe(*option, number)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 2


def test_help_in_a_narrow_terminal_fits_it() -> None:
    shown = run_in_terminal([str(NETPROBE), "completion", "--help"], columns=40)
    assert shown.status == 0
    assert "\x1b" not in shown.stdout


def test_python_dash_m_is_the_same_program(netprobe: Run) -> None:
    done = subprocess.run([sys.executable, "-m", "netprobe", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout == netprobe("--version").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str, netprobe: Run) -> None:
    ran = netprobe("completion", shell)
    assert ran.status == 0
    assert "_NETPROBE_COMPLETE" in ran.stdout


def test_completion_completes_commands(netprobe: Run) -> None:
    env = {"_NETPROBE_COMPLETE": "bash_complete", "COMP_LINE": "netprobe comp", "COMP_WORD": "comp"}
    assert netprobe(env=env).stdout == "plain,completion\n"


@pytest.mark.parametrize("flag", ["-q", "-v", "-vv"])
def test_quiet_and_verbose_do_not_change_what_is_on_stdout(flag: str, netprobe: Run) -> None:
    for command in (["classify", "172.20.1.5", "bad"], ["interfaces"], ["classify", "--registry"]):
        assert netprobe(*command, flag).stdout == netprobe(*command).stdout


def test_quiet_hides_all_but_results_and_errors(netprobe: Run) -> None:
    assert netprobe("classify", "--registry").stderr.startswith("IANA")
    assert netprobe("classify", "--registry", "-q").stderr == ""
    assert "octet 300" in netprobe("classify", "-q", "1.2.3.300").stderr


@pytest.mark.parametrize(
    ("options", "env", "coloured"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"TERM": "dumb"}, False),
        (["--color", "never"], {}, False),
        (["--color", "always"], {"NO_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
def test_colour_on_a_terminal(options: list[str], env: dict[str, str], coloured: bool) -> None:
    shown = run_in_terminal([str(NETPROBE), "classify", "10.0.0.1", *options], env=env)
    assert ("\x1b[" in shown.stdout) is coloured


def test_a_pipe_gets_no_colour_and_nothing_cut(netprobe: Run) -> None:
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    ran = netprobe("classify", address, env={"COLUMNS": "20"})
    assert "\x1b" not in ran.stdout
    assert address in ran.stdout


def test_progress_is_for_a_watching_person_only() -> None:
    program = (
        "import time; from netprobe.render.progress import ProgressLine\n"
        "with ProgressLine(enabled={enabled}, width=30) as line:\n"
        "    line.show('too early')\n"
        "    line._next = time.monotonic()\n"
        "    line.show('x' * 50)\n"
    )
    for enabled, expected in ((True, b"\r\x1b[K" + b"x" * 29 + b"\r\x1b[K"), (False, b"")):
        done = subprocess.run([sys.executable, "-c", program.format(enabled=enabled)], capture_output=True, check=False)
        assert (done.stdout, done.stderr) == (b"", expected)


@pytest.mark.parametrize(
    "arguments",
    [
        ["10.0.0.1\x1b[2J\u202e"],
        ["classify", "10.0.0.1\x1b[2J\u202e"],
        ["classify", "--bogus\x1b[2J\u202e"],
        ["classify", "--format", "x\x1b[2J\u202e", "10.0.0.1"],
        ["classify", "--file", "/nowhere\x1b[2J\u202e"],
        ["echo", "ping", "nowhere\x1b[2J\u202e:1"],
        ["bindtest", "--addr", "\x1b[2J\u202e"],
    ],
)
def test_a_hostile_text_in_an_argument_is_shown_escaped(arguments: list[str], netprobe: Run) -> None:
    ran = netprobe(*arguments)
    assert ran.status != 0
    shown = ran.stdout + ran.stderr
    assert "\\x1b[2J\\u202e" in shown
    assert all(line.isprintable() for line in shown.splitlines())
