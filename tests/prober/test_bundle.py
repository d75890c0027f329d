"""What travels: to every Python there is, out of a zip, and with nothing secret in its arguments."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import netprobe
from netprobe.prober import bundle
from netprobe.prober.facts import REQUEST_VERSION
from tests.prober.asking import converse, travelling

OLD_PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
TRAVELS = ("netprobe.prober.unpack", *bundle.MODULES)
CELLS: list[dict[str, Any]] = [
    {"id": n, "protocol": protocol, "address": address, "port": 1}
    for n, (protocol, address) in enumerate((p, a) for p in ("tcp", "udp") for a in ("127.0.0.1", "::1", "0.0.0.0"))
]
REQUEST: dict[str, Any] = {"nonce": "secret", "timeout": 1.0, "cells": CELLS}


def source(module: str) -> str:
    package, _, name = module.rpartition(".")
    return resources.files(package).joinpath(f"{name}.py").read_text("utf-8")


@pytest.mark.parametrize("module", TRAVELS)
def test_the_syntax_is_that_of_python_3_6(module: str) -> None:
    ast.parse(source(module), feature_version=(3, 6))


@pytest.mark.parametrize("module", TRAVELS)
def test_nothing_but_the_standard_library_and_what_travels_is_imported(module: str) -> None:
    for node in ast.walk(ast.parse(source(module))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert set(names) <= sys.stdlib_module_names | set(bundle.MODULES) | {"netprobe.kernel", "netprobe.prober"}


def test_every_module_comes_after_those_that_it_imports() -> None:
    for number, module in enumerate(bundle.MODULES):
        imported = {
            full
            for node in ast.walk(ast.parse(source(module)))
            if isinstance(node, ast.ImportFrom)
            for full in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))
        }
        assert imported & set(bundle.MODULES) <= set(bundle.MODULES[:number]), module


@pytest.mark.parametrize("python", OLD_PYTHONS or [Path(sys.executable)], ids=lambda path: str(path).split("/")[-3])
def test_it_travels_to_every_python_there_is(python: Path) -> None:
    lines = converse([str(python), *bundle.ARGUMENTS], REQUEST)
    assert lines[0]["hello"]["version"] == REQUEST_VERSION
    assert {line["cell"]: line["errno"] for line in lines if "cell" in line} == dict.fromkeys(range(6), "ECONNREFUSED")
    assert lines[-1] == {"done": True}


@pytest.mark.parametrize("python", OLD_PYTHONS or [Path(sys.executable)], ids=lambda path: str(path).split("/")[-3])
def test_names_are_resolved_by_every_python_there_is(python: Path) -> None:
    """``localhost`` is in the hosts file of any system, so that no name leaves this machine."""
    lines = converse(
        [str(python), *bundle.ARGUMENTS], {**REQUEST, "cells": [], "names": ["localhost"], "resolve": 20.0}
    )
    (told,) = [line for line in lines if "name" in line]
    assert "127.0.0.1" in told["addresses"]
    assert (told["name"], told["left_out"], told["error"], told["late"]) == ("localhost", 0, None, False)
    assert lines[-1] == {"done": True}


@pytest.mark.parametrize("python", OLD_PYTHONS or [Path(sys.executable)], ids=lambda path: str(path).split("/")[-3])
def test_a_crash_s_traceback_names_the_module_and_shows_the_line(python: Path) -> None:
    crash = converse([str(python), *bundle.ARGUMENTS], {"nonce": "secret"})[-1]["crash"]
    assert 'File "netprobe/prober/session.py", line' in crash
    assert 'cells, timeout = len(request["cells"])' in crash
    assert "KeyError: 'cells'" in crash


def test_it_travels_out_of_a_zip(tmp_path: Path) -> None:
    zipped = tmp_path / "netprobe.zip"
    package = Path(netprobe.__file__).parent
    with zipfile.ZipFile(zipped, "w") as archive:
        for path in package.rglob("*.py"):
            archive.write(path, path.relative_to(package.parent))
    code = (
        f"import sys; sys.path.insert(0, {str(zipped)!r})\n"
        "from netprobe.prober import bundle\n"
        f"assert bundle.__file__.startswith({str(zipped)!r}), bundle.__file__\n"
        "sys.stdout.buffer.write(bundle.program())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == bundle.program()


@pytest.mark.parametrize("character", "'\\$`!%^&|<>*?~# \n")
def test_the_bootstrap_has_nothing_that_a_shell_touches_inside_double_quotes(character: str) -> None:
    assert character not in bundle.BOOTSTRAP


@pytest.mark.parametrize("python", OLD_PYTHONS or [Path(sys.executable)], ids=lambda path: str(path).split("/")[-3])
@pytest.mark.parametrize(
    "command", ["{words}", "command='{words}'; exec $command"], ids=["a shell takes the quotes off", "words are split"]
)
def test_it_travels_whether_or_not_a_shell_reads_its_arguments(python: Path, command: str) -> None:
    words = " ".join([str(python), *bundle.ARGUMENTS])
    lines = converse(["sh", "-c", command.format(words=words)], REQUEST)
    assert lines[-1] == {"done": True}


def test_no_secret_is_among_the_arguments() -> None:
    with travelling([sys.executable, *bundle.ARGUMENTS]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(bundle.question({**REQUEST, "nonce": "not-for-ps"}))
        process.stdin.flush()
        assert "hello" in json.loads(process.stdout.readline())
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes() + Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"not-for-ps" not in shown


def test_a_python_without_these_modules_names_its_syntax_error() -> None:
    """Which is how ``reach`` knows that a Python is too old."""
    done = subprocess.run([sys.executable, *bundle.ARGUMENTS], input=b"class:\n", capture_output=True, check=False)
    assert b"SyntaxError" in done.stderr
