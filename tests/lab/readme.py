"""The README's commands, run one after the other as a reader would type them, and what they answer.

``python -m tests.lab.readme`` writes the answers and the picture into the README; ``test_readme.py`` compares. Each
line of a console block that begins with ``$`` is run, in one shell, in the namespaces that the first recipe makes.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from tests.conftest import NETPROBE, clean_environment

__all__ = ["NOT_SHOWN", "PICTURE", "README", "answers", "picture", "said"]

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
PICTURE: Final = ROOT / ".github" / "bindtest.svg"
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PICTURED: Final = "netprobe bindtest 0.0.0.0:8080 --from local --from pc2=netns:pc2"  # its answer is the picture
_FROM_THE_INTERNET: Final = ("uv tool install .", "pipx install .")
NOT_SHOWN: Final = (_PICTURED, *_FROM_THE_INTERNET)
_SHELL: Final = "unshare -rnm"
_FORMATS: Final = ("BINDTEST", "CLASSIFY", "ECHO_PING", "ECHO_SERVE", "INTERFACES")
_RUN_S: Final = 120.0
# A server says that it listens before it is asked anything; its last words, when it is ended, are nobody's answer.
_IN_THE_BACKGROUND: Final = """{command} > server.log 2>&1 &
server=$!
tries=100
while [ $tries -gt 0 ] && ! [ -s server.log ]; do tries=$((tries - 1)); sleep 0.1; done
cat server.log"""
_LAST: Final = "echo '== end'; [ -z \"$server\" ] || kill $server; wait"


class Said(NamedTuple):
    """A command of the README, and the lines that follow it there."""

    command: str
    answer: str


def said(text: str) -> list[Said]:
    """What the README says, in its order."""
    return [each for block in _BLOCK.findall(text) for each in _of_block(block)]


def _of_block(block: str) -> Iterator[Said]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, answer = part.partition("\n")
        yield Said(command, answer)


def answers(commands: list[str]) -> dict[str, str]:
    """Run them, and what each prints, on both streams as on a terminal of 80 columns."""
    assert _SHELL in commands
    asked = [command for command in commands if command not in (*_FROM_THE_INTERNET, _SHELL)]
    lines = []
    for number, command in enumerate(asked):
        shown = f"{command} --svg picture.svg" if command == _PICTURED else command
        is_server = command.endswith("&")
        lines += [f"echo '== {number}'", _IN_THE_BACKGROUND.format(command=shown.rstrip(" &")) if is_server else shown]
    with TemporaryDirectory() as folder:
        environment = clean_environment() | {"COLUMNS": "80", "PATH": f"{NETPROBE.parent}:{os.environ['PATH']}"}
        environment |= {f"NETPROBE_{name}_FORMAT": "table" for name in _FORMATS}
        ran = subprocess.run(
            [*_SHELL.split(), "--kill-child", "sh", "-c", "\n".join([*lines, _LAST])],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RUN_S,
            check=False,
        )
        drawn = Path(folder, "picture.svg")
        found = re.split(r"^== (?:\d+|end)\n", ran.stdout, flags=re.MULTILINE)[1:-1]
        given = dict(zip(asked, found, strict=True))
        given[_SHELL] = ""
        if drawn.exists():
            given["picture"] = drawn.read_text("utf-8")
    return given


def picture(given: dict[str, str]) -> str:
    """What ``--svg`` drew of the command whose answer the README shows as a picture."""
    return given["picture"]


def main() -> None:
    """Write what the commands answer into the README, and the picture beside it."""
    text = README.read_text("utf-8")
    given = answers([each.command for each in said(text)])
    for command in NOT_SHOWN:
        given[command] = ""

    def rewritten(block: re.Match[str]) -> str:
        lines = "".join(f"$ {each.command}\n{given[each.command]}" for each in _of_block(block[1]))
        return f"```console\n{lines}```"

    README.write_text(_BLOCK.sub(rewritten, text), "utf-8")
    PICTURE.write_text(picture(given), "utf-8")


if __name__ == "__main__":
    main()
