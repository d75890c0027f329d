"""netifaces-plus is one person's fork: where it does not load, nothing that Linux can answer is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netprobe.errors import CannotRunError
from netprobe.interfaces import local_interfaces, netlink_reader
from tests.conftest import clean_environment

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has no netlink")

# A module that is None in sys.modules raises ModuleNotFoundError when it is imported.
PROGRAM = "import sys\n{}from netprobe.__main__ import main\nstatus = main(sys.argv[1:])\n{}sys.exit(status)\n"
BLOCKED = PROGRAM.format("sys.modules['netifaces'] = None\n", "")
ASKING = PROGRAM.format("", "print('netifaces' in sys.modules, file=sys.stderr)\n")
REFUSING = PROGRAM.format(
    "sys.modules['netifaces'] = None\n"
    "from netprobe.kernel import netlink\n"
    "def refuse(*_): raise PermissionError(1, 'Operation not permitted')\n"
    "netlink._exchange = refuse\n",
    "",
)
SAID = "netifaces: import of netifaces halted; None in sys.modules; not needed, netlink answers\n"
COMMANDS = [
    ["interfaces"],
    ["classify", "--here", "127.0.0.1", "::1"],
    ["bindtest", "--addr", "127.0.0.1", "--to", "127.0.0.1", "--tcp"],
]


def run(program: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_on_linux_nothing_needs_it_and_verbose_says_once_that_it_is_missing(arguments: list[str]) -> None:
    status, answer, said = run(BLOCKED, *arguments)
    assert (status, said) == (0, "")
    assert "127.0.0.1" in answer
    status, _, said = run(BLOCKED, *arguments, "-v")
    assert status == 0
    assert said.count(SAID) == 1


@pytest.mark.parametrize("arguments", [*COMMANDS, ["classify", "127.0.0.1"]], ids=" ".join)
def test_on_linux_it_is_not_even_loaded(arguments: list[str]) -> None:
    assert run(ASKING, *arguments)[2] == "False\n"


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_without_netlink_and_without_it_there_is_one_clear_line(arguments: list[str]) -> None:
    status, _, said = run(REFUSING, *arguments)
    assert (status, len(said.splitlines())) == (3, 2)
    assert said.startswith("netprobe: this host's interfaces: netlink: Operation not permitted; netifaces: import of ")
    assert "\nhint: pip install" in said


def test_a_program_gets_an_error_of_netprobe(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(netlink_reader, "read_interfaces", refuse)
    monkeypatch.setitem(sys.modules, "netifaces", None)
    with pytest.raises(CannotRunError, match="netifaces"):
        local_interfaces(kind_of=lambda address: "")


@pytest.mark.parametrize("raised", ["RuntimeError('half a fork')", "OSError(8, 'not a program')", "SystemError('x')"])
def test_one_that_is_broken_is_one_that_is_not_there(raised: str, tmp_path: Path) -> None:
    (tmp_path / "netifaces.py").write_text(f"raise {raised}\n", "utf-8")
    broken = f"sys.path.insert(0, {str(tmp_path)!r})\n"
    status, answer, said = run(PROGRAM.format(broken, ""), "interfaces", "-v")
    assert status == 0
    assert "127.0.0.1" in answer
    assert said.count("; not needed, netlink answers\n") == 1
    assert raised.partition("(")[0] in said
    refusing = REFUSING.replace("sys.modules['netifaces'] = None\n", broken)
    status, _, said = run(refusing, "interfaces")
    assert (status, len(said.splitlines())) == (3, 2)
    assert raised.partition("(")[0] in said
