"""The lab itself: what never becomes ready fails soon, names itself, and leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab import network
from tests.lab.conftest import BuildLab
from tests.lab.network import Lab, LabError

pytestmark = pytest.mark.lab

ONE_HOST: Mapping[str, Any] = {"hosts": {"pc1": {}}}
# Two processes that hold the pipe of their output open, and an end that never comes.
NEVER = "sleep 600 & until false; do sleep 0.01; done"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab that gives up at once."""
    monkeypatch.setattr(network, "_READY_S", 0.2)


def processes_of(lab: Lab) -> set[str]:
    """What runs in the host, except for its keeper."""
    namespace = Path(lab["pc1"].network).stat().st_ino
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/net").stat().st_ino == namespace and int(process.name) != lab["pc1"].pid:
                found.add((process / "cmdline").read_text("utf-8"))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (lambda built: built["pc1"].prepare([NEVER]), "had not ended after 0.2 s"),
        (lambda built: built.start("pc1", "sh", "-c", NEVER, ready="up"), "was not ready after 0.2 s"),
        (lambda built: built.serve("pc1", "sh", "-c", NEVER, listens="tcp 127.0.0.1:80"), "was not ready after 0.2 s"),
        (lambda built: built.start("pc1", "sh", "-c", "exit 7", ready="up"), "ended with status 7"),
        (lambda built: built.serve("pc1", "sh", "-c", "exit 7", listens="udp [::1]:80"), "ended with status 7"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_command_that_never_gets_ready_names_itself_and_leaves_no_process(
    lab: BuildLab, start: Callable[[Lab], object], words: str
) -> None:
    built = lab(ONE_HOST)
    with pytest.raises(LabError) as raised:
        start(built)
    assert str(raised.value).startswith("pc1: sh -c ")
    assert words in str(raised.value)
    assert processes_of(built) == set()


@pytest.mark.usefixtures("impatient")
def test_a_network_whose_command_never_ends_is_not_built(lab: BuildLab) -> None:
    with pytest.raises(LabError, match=r"pc1: sh -c .* had not ended after"):
        lab({"hosts": {"pc1": {"run": [NEVER]}}})


def test_a_server_listens_when_it_has_been_started(lab: BuildLab) -> None:
    built = lab(ONE_HOST)
    server = "import socket, time; time.sleep(0.2); s = socket.create_server(('127.0.0.1', 80)); s.accept()"
    built.serve("pc1", sys.executable, "-c", server, listens="tcp 127.0.0.1:80")
    client = "import socket; socket.create_connection(('127.0.0.1', 80))"
    assert built["pc1"].run(sys.executable, "-c", client).returncode == 0
