"""The walls of the house: imports run one way, and each library lives in one room."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "netprobe"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each room may import from; netprobe.errors and netprobe.version are open to all.
MAY_IMPORT = {
    "cli": {"commands", "render"},
    "__main__": {"cli"},
    "__init__": {"api"},
    "commands": {
        "commands",
        "api",
        "parallel",
        "render",
        "address",
        "interfaces",
        "reach",
        "echo",
        "outcome",
        "prober",
        "kernel",
        "verdicts",
    },
    "api": {"address", "interfaces", "reach", "echo", "verdicts"},
    "render": {"render", "echo", "verdicts"},
    "address": {"address"},
    "interfaces": {"interfaces", "kernel"},
    "reach": {"reach", "address", "interfaces", "outcome", "prober", "kernel", "verdicts"},
    "echo": {"echo", "outcome", "prober", "kernel", "verdicts"},
    "outcome": {"outcome", "kernel", "verdicts"},
    "prober": {"prober", "kernel"},
    "kernel": {"kernel"},
    "verdicts": set(),
    "endpoints": set(),
    "files": set(),
    "parallel": set(),
    "errors": set(),
    "version": set(),
}
OPEN_TO_ALL = {"errors", "version", "verdicts", "endpoints", "files", "text"}
LIBRARY_LIVES_IN = {"click": {"cli", "commands"}, "rich": {"render"}, "netifaces": {"interfaces"}}
IMPURE = {"socket", "_socket", "select", "selectors", "asyncio", "time", "os", "logging", "random", "secrets", "click",
          "rich", "subprocess", "threading"}  # fmt: skip
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "netprobe", "tests", "man"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, at_run_time_only: bool = True) -> Iterator[str]:
    """The modules that ``path`` names in import statements, those under TYPE_CHECKING left out."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in _walk(tree, skip_type_checking=at_run_time_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where things come from"
            yield node.module or ""
            if node.module in ("netprobe", "netprobe.commands", "netprobe.reach", "netprobe.address"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _walk(node: ast.AST, *, skip_type_checking: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if (
            skip_type_checking
            and isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        yield child
        yield from _walk(child, skip_type_checking=skip_type_checking)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "netprobe" and len(parts) > 1:
            there = parts[1]
            assert there in {"errors", "version", "verdicts", "endpoints", "files", "text"} | MAY_IMPORT[here], (
                f"{here} must not import {name}"
            )
        elif parts[0] in LIBRARY_LIVES_IN:
            assert here in LIBRARY_LIVES_IN[parts[0]], (
                f"{parts[0]} lives in {LIBRARY_LIVES_IN[parts[0]]}, not in {here}"
            )


def pure(path: Path) -> bool:
    """``address`` but for its bulk workers, and every predict, plan, framing, statistics module."""
    name = path.relative_to(PACKAGE).as_posix()
    return name.startswith("address/") or path.stem in {"predict", "plan", "framing", "statistics"}


PURE_BUT = {
    "address/bulk.py": {"socket"},  # inet_pton: a conversion, no I/O
}


@pytest.mark.parametrize("path", [p for p in MODULES if pure(p)], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_pure_module_has_no_socket_no_clock_no_environment(path: Path) -> None:
    allowed = PURE_BUT.get(path.relative_to(PACKAGE).as_posix(), set())
    assert not {name.split(".")[0] for name in imports(path)} & (IMPURE - allowed)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_alone_in_a_fresh_interpreter(path: Path) -> None:
    relative = path.relative_to(ROOT).with_suffix("")
    name = ".".join(relative.parts).removesuffix(".__init__")
    done = subprocess.run([sys.executable, "-W", "error", "-c", f"import {name}"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_modules_are_named_after_what_they_know() -> None:
    banned = {"utils", "util", "helpers", "helper", "manager", "handler", "common", "misc"}
    assert not [p for p in MODULES if p.stem in banned]


def test_nothing_else_stands_at_the_top() -> None:
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    ).stdout.split("\0")
    tops = {name.split("/")[0] for name in tracked if name}
    if not tops:
        pytest.skip("not a git checkout, so there is no list of what belongs to the project")
    assert {top for top in tops if not top.startswith(".")} == TOP_LEVEL


def test_the_public_api_is_lazy_and_needs_neither_click_nor_rich() -> None:
    program = (
        "import sys, netprobe; assert 'netprobe.api' not in sys.modules;"
        "netprobe.classify, netprobe.classify_many, netprobe.local_interfaces;"
        "netprobe.bindtest, netprobe.AddressError;"
        "print(sorted({'click', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
