"""The Tab key, pressed in a real bash, zsh and fish on a terminal that tmux holds: what a person sees is asserted."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import NETPROBE, clean_environment, needs

DEADLINE_S = 40.0  # until a screen shows what it should; only a failure reaches it
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
PROMPT = "ready>"
START = {
    "bash": f"PS1='{PROMPT} '; bind 'set show-all-if-ambiguous on'; eval \"$(netprobe completion bash)\"",
    "zsh": f"PS1='{PROMPT} '; autoload -Uz compinit; compinit -D -u; eval \"$(netprobe completion zsh)\"",
    "fish": f"function fish_prompt; echo '{PROMPT} '; end; netprobe completion fish | source",
}
HOSTILE = ["$(touch pwned)", "`touch pwned`", "it's", 'say"hi"', "a b", "new;touch pwned", "-rf"]


class Terminal:
    """One shell on a screen of 100 x 40, in a folder of its own, with a home, an ssh configuration and a docker."""

    def __init__(self, shell: str, folder: Path) -> None:
        self.folder = folder
        home = folder / "home"
        (home / ".ssh").mkdir(parents=True)
        (home / ".ssh" / "config").write_text("Host web-one\nHost *.pattern\nHost $(touch${IFS}pwned) it's\n")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "netprobe").symlink_to(NETPROBE)
        names = "\n".join(["shop-web", *HOSTILE])
        (folder / "names").write_text(names + "\n")
        docker = programs / "docker"
        docker.write_text(f"#!/bin/sh\nexec cat '{folder / 'names'}'\n")
        podman = programs / "podman"  # one that never answers
        podman.write_text("#!/bin/sh\nexec sleep 60\n")
        for program in (docker, podman):
            program.chmod(0o755)
        self._socket = f"netprobe-test-{uuid.uuid4().hex}"
        path = f"{programs}:{os.environ['PATH']}"
        environment = clean_environment({"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8"})
        environment.pop("TMUX", None)
        self._environment = environment
        command = ["new-session", "-d", "-x", "100", "-y", "40", "-c", str(folder), *SHELLS[shell]]
        self._tmux("-f", "/dev/null", *command)
        self.type(START[shell] + "; clear", "Enter")
        self.see(PROMPT, only_line=True)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        return done.stdout

    def type(self, text: str, *keys: str) -> None:
        """``text`` as it is, then keys by their names in tmux."""
        self._tmux("send-keys", "-l", text)
        for key in keys:
            self._tmux("send-keys", key)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p", "-J")

    def see(self, *texts: str, only_line: bool = False) -> str:
        """Wait until all of ``texts`` are on the screen, or with ``only_line`` are all that is on it."""
        if only_line:
            return self._wait(lambda shown: shown.strip() == texts[0], f"{texts} is not all")
        return self._wait(lambda shown: all(text in shown for text in texts), f"{texts} not on the screen")

    def _wait(self, is_there: Callable[[str], bool], complaint: str) -> str:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            shown = self.screen()
            if is_there(shown):
                return shown
            time.sleep(0.05)
        pytest.fail(f"{complaint} after {DEADLINE_S:g} s:\n{self.screen()}")

    def clear(self) -> None:
        """Rub the line out, and begin with an empty screen.

        Not by Ctrl-C: a shell that is still drawing takes it for that, and what is typed next is added to the line.
        """
        self._tmux("send-keys", "C-e", "C-u")
        self._wait(lambda shown: shown.strip().splitlines()[-1:] == [PROMPT], "the line is not empty")
        self.type("clear", "Enter")
        self.see(PROMPT, only_line=True)

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], env=self._environment, check=False)


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    needs("tmux")
    needs(request.param)
    opened = Terminal(request.param, tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def test_tab_completes_what_there_is_one_of(terminal: Terminal) -> None:
    """A command, a kind, an address, a file, a host of ssh, a container: the line itself grows."""
    (terminal.folder / "before one.toml").write_text("")
    for typed, grown in (
        ("netprobe bindt", "netprobe bindtest "),
        ("netprobe classify --is docum", "--is documentation"),
        ("netprobe bindtest 127.0.0", "bindtest 127.0.0.1"),
        ("netprobe bindtest --device l", "--device lo"),
        ("netprobe bindtest --from ssh:web", "--from ssh:web-one"),
        ("netprobe bindtest --from docker:shop", "--from docker:shop-web"),
        ("netprobe bindtest --from shop=docker:sh", "--from shop=docker:shop-web"),
        ("netprobe echo ser", "echo serve"),
        ("netprobe help echo pi", "help echo ping"),
    ):
        terminal.type(typed, "Tab")
        terminal.see(grown)
        terminal.clear()
    terminal.type("netprobe bindtest --expect bef", "Tab")
    terminal.see("before")
    shown = terminal.see("one.toml")
    assert "before one.toml" not in shown.replace("'before one.toml", "").replace('"before one.toml', "")  # is quoted


def test_tab_lists_what_there_are_several_of(terminal: Terminal) -> None:
    terminal.type("netprobe bindtest --from ", "Tab", "Tab")
    terminal.see("local", "netns:", "ssh:", "docker:", "kubectl:")


def test_a_name_that_a_shell_would_run_is_not_offered(terminal: Terminal) -> None:
    """So the only other name is the only candidate, and the line gets it."""
    for typed, grown in (("docker:", "docker:shop-web"), ("ssh:", "ssh:web-one")):
        terminal.type(f"netprobe bindtest --from {typed}", "Tab")
        shown = terminal.see(grown)
        assert "pwned" not in shown
        terminal.clear()
    assert not (terminal.folder / "pwned").exists()


def test_a_program_that_does_not_answer_is_not_waited_for(terminal: Terminal) -> None:
    """The line stays as it is, and the next key press is taken."""
    terminal.type("netprobe bindtest --from podman:", "Tab")
    terminal.type("x1")
    shown = terminal.see("--from podman:x1")
    assert "Traceback" not in shown


def test_what_cannot_be_read_is_no_message(terminal: Terminal) -> None:
    config = terminal.folder / "home" / ".ssh" / "config"
    config.unlink()
    os.mkfifo(config)  # opening it waits for a writer, and nobody comes
    terminal.type("netprobe bindtest --from ssh:", "Tab")
    terminal.type("y2")
    shown = terminal.see("--from ssh:y2")
    assert "Traceback" not in shown
    assert "larm" not in shown
